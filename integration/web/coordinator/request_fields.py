"""The fields of a second opinion request as forms show them: what was typed becomes a request, each mistake finds its field."""

import re
from dataclasses import dataclass
from typing import cast

from flask import g

from integration.store import directory_search
from integration.views.texts import t
from integration.web import world
from integration.web.access import scope
from mappings.model.errors import RequestError
from mappings.specialties import GROUPINGS, offered, with_loaded

NPI = "http://hl7.org/fhir/sid/us-npi"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
EARLIER = "earlier"  # the section of a request in the case of an earlier one


@dataclass(frozen=True)
class Field:
    """One field: ``path`` is its place in the request (and its name in the form)."""

    path: str
    label: str
    kind: str = "text"  # text date lines area select
    hint: str = ""
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    autocomplete: str = "off"

    @property
    def id(self) -> str:
        """Its name for labels."""
        return re.sub(r"\W+", "-", self.path).strip("-")


def loaded_specialties() -> dict[str, str]:
    """Names of NUCC's codes that this site loaded, read once for a page."""
    if "loaded_specialties" not in g:
        with world.engine().connect() as conn:
            g.loaded_specialties = directory_search.loaded_specialties(conn, GROUPINGS)
    return cast(dict[str, str], g.loaded_specialties)


def fields() -> list[tuple[str, list[Field]]]:
    """Sections and their fields, in the order a clinician thinks."""
    endpoints, mine = world.config().endpoints.items(), scope.mine()
    placers = tuple((key, each.name) for key, each in endpoints if each.is_placer and mine.asks_for(key))
    fulfillers = tuple((key, each.name) for key, each in endpoints if each.is_fulfiller)
    return [
        (
            "who",
            [
                Field("placer", "placer", "select", required=True, choices=placers),
                Field("fulfiller", "fulfiller", "select", required=True, choices=fulfillers),
                Field(
                    "priority",
                    "priority",
                    "select",
                    required=True,
                    choices=_choices("priority", "routine", "urgent", "asap"),
                ),
                Field("wanted_by", "wanted_by", "date"),
            ],
        ),
        (
            "patient",
            [
                Field("patient.identifiers[0].value", "value", required=True),
                Field("patient.identifiers[0].system", "system", hint="system", required=True),
                Field("patient.name.family", "family", hint="match"),
                Field("patient.name.given[0]", "given"),
                Field("patient.birth_date", "birth_date", "date"),
                Field("patient.sex", "sex", "select", choices=_choices("sex", "female", "male", "other", "unknown")),
            ],
        ),
        (
            "requester",
            [
                Field("requester.name.family", "family", required=True),
                Field("requester.name.given[0]", "given"),
                Field("requester.identifiers[0].value", "npi", hint="npi"),
            ],
        ),
        (
            "first",
            [
                Field("first_opinion.diagnosis.text", "diagnosis", required=True),
                Field("first_opinion.diagnosis.codes[0].code", "icd", hint="icd"),
                Field("first_opinion.given_on", "given_on", "date"),
                Field("first_opinion.doctor.name.family", "doctor_family", required=True),
                Field("first_opinion.doctor.name.given[0]", "doctor_given"),
                Field("first_opinion.doctor.identifiers[0].value", "doctor_npi", hint="npi"),
            ],
        ),
        (
            EARLIER,
            [
                Field("earlier_opinions.answer", "earlier_answer", "select", choices=_choices("earlier", "yes", "no")),
                Field("earlier_opinions.said_by", "earlier_by", hint="earlier_by"),
                Field("earlier_opinions.said_on", "earlier_on", "date"),
            ],
        ),
        (
            "question",
            [
                Field("question", "question", "area", required=True),
                Field("patient_questions", "questions", "lines", hint="questions"),
            ],
        ),
        (
            "consultant",
            [
                Field(
                    "specialty.code",
                    "specialty",
                    "select",
                    hint="specialty",
                    choices=tuple(with_loaded(loaded_specialties()).items()),
                ),
                Field("consultant.name.family", "consultant_family"),
                Field("consultant.identifiers[0].value", "consultant_npi", hint="npi"),
            ],
        ),
        (
            "records",
            [
                Field("records.since", "since", "date", hint="since"),
                Field("consent", "consent", hint="consent"),
                Field("service_request", "order", hint="order"),
            ],
        ),
    ]


def _choices(name: str, *values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, t(f"new.{name}.{value}")) for value in values)


def nested(typed: dict[str, str]) -> dict:
    """The request as a file would say it: empty fields are left out, so that unknown stays unknown."""
    made: dict = {"key": typed.get("key", "").strip()}
    for _, section in fields():
        for field in section:
            value = typed.get(field.path, "").strip()
            if value:
                _put(
                    made,
                    field.path,
                    [line.strip() for line in value.splitlines() if line.strip()] if field.kind == "lines" else value,
                )
    _complete(made)
    return made


def _put(made: dict, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for part in parents:
        name, listed, _ = part.partition("[")
        made = made.setdefault(name, [{}] if listed else {})
        made = made[0] if listed else made
    name, listed, _ = last.partition("[")
    made[name] = [value] if listed else value


def _complete(made: dict) -> None:
    """Say the code systems the form stands for."""
    for person in (made.get("requester"), made.get("consultant"), (made.get("first_opinion") or {}).get("doctor")):
        for identifier in (person or {}).get("identifiers", ()):
            identifier["system"] = NPI
    for code in ((made.get("first_opinion") or {}).get("diagnosis") or {}).get("codes", ()):
        code["system"] = ICD
    if made.get("specialty"):
        made["specialty"] |= offered(made["specialty"]["code"], loaded_specialties())


def placed(error: RequestError) -> tuple[dict[str, str], list[str]]:
    """Mistakes by the field they belong to, and those that belong to none."""
    known = [field.path for _, section in fields() for field in section]
    found: dict[str, str] = {}
    others: list[str] = []
    for mistake in error.mistakes:
        message = re.sub(r"`[a-z_]+: ([^`]*)`", r"\1", mistake.message)  # an example as typed, not as in a file
        at = next((path for path in known if path == mistake.path), None) or next(
            (path for path in known if mistake.path and path.startswith((mistake.path + ".", mistake.path + "["))), None
        )
        if at is None:
            others.append(f"{mistake.path}: {message}".lstrip(": "))
        else:
            found.setdefault(at, message)
    return found, others
