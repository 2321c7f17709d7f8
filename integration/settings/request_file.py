"""Reads a second opinion request from a YAML or JSON file; every mistake at once, with its line, never its value."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from integration.settings.endpoints import Endpoint
from integration.settings.mistakes import (
    field_at,
    kinds,
    listed,
    nearest,
    shown_example,
    to_mistakes,
    validation_problems,
    value_at,
)
from integration.settings.model import Config
from integration.settings.record_types import GATHERABLE_TYPES
from integration.settings.yaml_lines import At, Document, Problem, read, read_file
from mappings.codes import SYSTEM_NPI
from mappings.model.errors import Mistake, RequestError
from mappings.model.request import SecondOpinionRequest
from mappings.practitioner import npi_is_valid

_ADVICE = "; give the path of a YAML or JSON file, for example examples/oncology-request.yaml"
SYSTEM_ICD10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
# https://www.cdc.gov/nchs/icd/icd-10-cm: a letter, a digit, a digit or letter; after a point up to four more
_ICD10_CM = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?")
_ID = r"/[A-Za-z0-9.-]{1,64}"
_REFERENCES: tuple[tuple[At, str, str], ...] = (
    (("consent",), r"[A-Z][A-Za-z]+" + _ID, "Consent/123"),
    (("service_request",), "ServiceRequest" + _ID, "ServiceRequest/9"),
)


def load_request(
    source: Path | bytes, filename: str | None = None, *, endpoints: Mapping[str, Endpoint] | None = None
) -> SecondOpinionRequest:
    """The request in ``source``; raises `RequestError` with all mistakes, none of which repeats what the file says.

    With ``endpoints`` (of the configuration) placer and fulfiller must be among them, in the right role.
    """
    document = read_file(source, advice=_ADVICE) if isinstance(source, Path) else read(source)
    file = filename or (str(source) if isinstance(source, Path) else "request")
    request, problems = _check(document, endpoints)
    if problems or request is None:
        raise RequestError(to_mistakes(problems, model=SecondOpinionRequest, file=file, private=True))
    return request


def endpoint_mistakes(config: Config, request: SecondOpinionRequest, file: str) -> list[Mistake]:
    """Parties of a request that the configuration lacks, or has in another role (no line: the file is not at hand)."""
    parties = {"placer": request.placer, "fulfiller": request.fulfiller}
    return [Mistake(file, None, str(at[0]), message) for at, message in _endpoint_problems(parties, config.endpoints)]


def _check(
    document: Document, endpoints: Mapping[str, Endpoint] | None
) -> tuple[SecondOpinionRequest | None, list[Problem]]:
    problems, value = list(document.problems), document.value
    if not isinstance(value, dict):
        if not problems:
            problems.append(
                Problem(
                    (),
                    document.line_of(()),
                    ("is empty" if value is None else "must be a group of keys, such as `key:`") + _ADVICE,
                )
            )
        return None, problems
    own = [
        *_date_problems(value),
        *_reference_problems(value),
        *_type_problems(value),
        *_authored_problems(value),
        *_system_problems(value),
        *_number_problems(value),
        *_future_problems(value, datetime.now(UTC).date() + timedelta(days=1)),
        *_party_problems(value),
        *_endpoint_problems(value, endpoints),
    ]
    document.problems += [Problem(at, document.line_of(at), message) for at, message in own]
    try:
        return SecondOpinionRequest.model_validate(value), list(document.problems)
    except ValidationError as error:
        return None, document.problems + validation_problems(error, document, model=SecondOpinionRequest, private=True)


def _leaves(value: Any, at: At = ()) -> Iterator[tuple[At, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield at, value
        return
    for part, inner in items:
        yield from _leaves(inner, (*at, part))


def _date_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """Dates pydantic would read out of numbers: `birth_date: 0` is no birthday in 1970."""
    for at, leaf in _leaves(value):
        info = field_at(SecondOpinionRequest, at)
        if leaf is None or isinstance(leaf, date) or info is None or date not in kinds(info.annotation):
            continue
        if not isinstance(leaf, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", leaf):
            yield at, f"must be a date, year-month-day; for example `{at[-1]}: {shown_example(info)}`"


def _reference_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    coverage = value.get("coverage")
    many = [
        (("coverage", index), "Coverage" + _ID, "Coverage/45")
        for index in range(len(coverage) if isinstance(coverage, list) else 0)
    ]
    for at, pattern, example in (*_REFERENCES, *many):
        reference = value_at(value, at)
        if isinstance(reference, str) and not re.fullmatch(pattern, reference):
            yield at, f"must be a reference at the placer, for example `{example}`"


def _system_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """White space only: an order that was polled may hold a system without a scheme, and has to be corrected all the same."""
    for at, leaf in _leaves(value):
        if at[-1:] == ("system",) and isinstance(leaf, str) and re.search(r"\s", leaf.strip()):
            yield at, "must be a URI, which holds no white space, such as https://... or urn:..."


def _number_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """Numbers and codes that cannot be what their system says, mostly typed into the wrong field."""
    for at, leaf in _leaves(value):
        system = value_at(value, (*at[:-1], "system")) if at[-1:] in (("value",), ("code",)) else None
        if not isinstance(leaf, str) or not isinstance(system, str):
            continue
        if system.strip() == SYSTEM_NPI and not npi_is_valid(leaf.strip()):
            yield at, "is not an NPI: ten digits, of which the last is a check digit; leave it out when it is not known"
        if system.strip() == SYSTEM_ICD10_CM and not _ICD10_CM.fullmatch(leaf.strip().upper()):
            yield at, "is not an ICD-10-CM code, such as C18.7; write the diagnosis in words under `text` instead"


def _future_problems(value: dict[str, Any], tomorrow: date) -> Iterator[tuple[At, str]]:
    """``tomorrow`` in UTC: it may be today already where the request was written."""
    for at in (("patient", "birth_date"), ("first_opinion", "given_on"), ("earlier_opinions", "said_on")):
        leaf = value_at(value, at)
        written = leaf.isoformat() if isinstance(leaf, date) else leaf
        if (
            isinstance(written, str)
            and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written)
            and written > str(tomorrow)
        ):
            yield at, "is a day that has not come yet"


def _type_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    types = value_at(value, ("records", "types"))
    for index, name in enumerate(types if isinstance(types, list) else []):
        if isinstance(name, str) and name.strip() not in GATHERABLE_TYPES:
            yield (
                ("records", "types", index),
                ("is not a resource type that belongs to a patient's record" + nearest(name, GATHERABLE_TYPES)),
            )


def _authored_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    authored = value.get("authored_at")
    if isinstance(authored, str) and not _has_zone(authored):
        yield (
            ("authored_at",),
            ("must be a time with its zone (ISO 8601); for example `authored_at: 2025-03-03T09:30:00+01:00`"),
        )


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _party_problems(value: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """What the model says only once every field is right."""
    if value.get("specialty") is None and value.get("consultant") is None:
        yield (), "name a `specialty` or a `consultant`"
    if value.get("earlier_opinions") is not None and value.get("follows") is None and value.get("requisition") is None:
        yield (
            ("earlier_opinions",),
            "is about the earlier opinions of a case: say in `follows` which request this one follows",
        )
    if isinstance(value.get("placer"), str) and value["placer"] == value.get("fulfiller"):
        yield (), "`placer` and `fulfiller` are the same endpoint"


def _endpoint_problems(value: dict[str, Any], endpoints: Mapping[str, Endpoint] | None) -> Iterator[tuple[At, str]]:
    if endpoints is None:
        return
    for role in ("placer", "fulfiller"):
        name = value.get(role)
        if not isinstance(name, str) or not name.strip():
            continue
        endpoint = endpoints.get(name.strip())
        if endpoint is None:
            yield (role,), "names no endpoint of the configuration" + (nearest(name, endpoints) or listed(endpoints))
        elif endpoint.role not in (role, "both"):
            yield (role,), f"names an endpoint that is no {role} in the configuration"
