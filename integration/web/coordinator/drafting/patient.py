"""Step 1: who it is about. Found in the EHR and chosen by a person, or entered by hand; never chosen by itself."""

from datetime import UTC, date, datetime

from pydantic import ValidationError

from integration.chart_lookup import Patients
from integration.hosted.entering import AlreadyThere, enter
from integration.hosted.outcomes import Refusal
from integration.live_reads import NotNow
from integration.store import audit
from integration.store.drafts import Draft
from integration.views.texts import t
from integration.web import forms, world
from integration.web.access.gate import hosted_base
from integration.web.coordinator.drafting.step import Did, Step, Typed, looked, lookup, not_now
from mappings import patient_search
from mappings.model.draft import Pick
from mappings.model.errors import MappingError
from mappings.model.request import HumanName, Identifier, PatientRef
from mappings.patient import SEXES, to_patient
from mappings.patient_search import Asked, Hit

NUMBER, SYSTEM = "patient.identifiers[0].value", "patient.identifiers[0].system"
FAMILY, GIVEN = "patient.name.family", "patient.name.given[0]"
BORN, SEX = "patient.birth_date", "patient.sex"


def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
    """find, pick Patient/id, hand, hand-one-name, hand-anyway."""
    try:
        if word == "find":
            return _find(draft, typed)
        if word == "pick":
            return _pick(draft, rest)
        if word == "hand" and not typed.get(GIVEN, "").strip() and _says_who(typed):
            return Did(picked={"patient": None}, shows={"one_name": True}, says=t("draft.hand_given"))
        if word in ("hand", "hand-one-name", "hand-anyway"):
            return _by_hand(draft, typed, anyway=word == "hand-anyway")
    except NotNow as error:
        return Did(says=not_now(error))
    return Did()


STEP = Step("patient", (NUMBER, FAMILY, BORN, GIVEN, SEX), ("patient",), act)


def _says_who(typed: Typed) -> bool:
    return all(typed.get(path, "").strip() for path in (NUMBER, FAMILY, BORN))


def _find(draft: Draft, typed: Typed) -> Did:
    number, family, born = (typed.get(path, "").strip() for path in (NUMBER, FAMILY, BORN))
    if not number and not (family and born):
        return Did(says=t("draft.find_needs"))
    if not number and _day(born) is None:
        return Did(says=t("draft.no_date"))
    found = _search(draft, Asked(number=number) if number else Asked(family=family, birth_date=born))
    return Did(shows={"patients": found}, says=_says(found))


def _says(found: Patients) -> str:
    if found.too_many:
        return t("draft.too_many")
    if found.hits:
        return ""
    return t("draft.only_others" if found.others else "draft.nobody")


def _search(draft: Draft, asked: Asked) -> Patients:
    return looked(
        draft,
        "draft.patient-searched",
        lambda: lookup().patients(draft.placer, asked),
        lambda found: [hit.reference for hit in found.hits],
        by="number" if asked.number else "name",
    )


def _pick(draft: Draft, reference: str) -> Did:
    try:
        there = looked(
            draft,
            "draft.patient-picked",
            lambda: lookup().patient(draft.placer, reference),
            lambda found: [f"Patient/{found['id']}"],
        )
        return _picked(draft, there)
    except MappingError as error:
        return Did(says=str(error).partition(": ")[2])
    except (ValueError, ValidationError):
        return Did(says=t("draft.gone"))


def _picked(draft: Draft, there: dict) -> Did:
    """A person chose this one: what was typed to find it is no longer needed."""
    systems = frozenset(world.config().endpoints[draft.placer].patient_identifier_systems)
    ref = patient_search.ref_of(there, systems)
    seen = patient_search.hit(there, Asked(), systems)
    value = ref.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    pick = Pick(value, words_of(seen), f"{seen.reference} at {draft.placer}")
    return Did(picked={"patient": pick}, typed=dict.fromkeys((NUMBER, SYSTEM, FAMILY, GIVEN, BORN, SEX), ""))


def words_of(hit: Hit) -> str:
    """A patient in one line."""
    numbers = "; ".join(f"{what} {value}" for what, value in hit.numbers)
    born = t("draft.born", date=hit.birth_date or t("draft.not_stated"))
    name = hit.names[0] if hit.names else t("draft.not_stated")
    return ", ".join(filter(None, (name, born, hit.sex or t("draft.sex_not_stated"), numbers, *hit.remarks)))


def _by_hand(draft: Draft, typed: Typed, *, anyway: bool) -> Did:
    """Kept as typed; at a practice that we host, and that lets us, entered as its Patient."""
    number, family, born = (typed.get(path, "").strip() for path in (NUMBER, FAMILY, BORN))
    if not _says_who(typed):
        return Did(picked={"patient": None}, says=t("draft.hand_needs"))
    if (birth_date := _day(born)) is None:
        return Did(picked={"patient": None}, says=t("draft.no_date"))
    system = lookup().number_system(draft.placer)
    if system is None:
        return Did(picked={"patient": None}, says=t("draft.no_system"))
    endpoint = world.config().endpoints[draft.placer]
    if not (endpoint.hosted_practice and endpoint.patients == "create"):
        return Did(picked={"patient": None}, typed={SYSTEM: system}, goes_on=True)
    if similar := _similar(draft, number, family, born, anyway):
        return Did(
            shows={"patients": Patients(tuple(similar)), "anyway": _may_be_new(similar, number)},
            says=t("draft.similar"),
        )
    person = PatientRef(
        identifiers=(Identifier(system=system, value=number),),
        name=HumanName(family=family, given=tuple(typed.get(GIVEN, "").split())),
        birth_date=birth_date,
        sex=typed.get(SEX) if typed.get(SEX) in SEXES else None,
    )
    return _enter(draft, person)


def _similar(draft: Draft, number: str, family: str, born: str, anyway: bool) -> list[Hit]:
    """Who is there already by the number, or by name and birth date unless a person said that it is somebody else."""
    same_number = _search(draft, Asked(number=number)).hits
    same_name = () if anyway else _search(draft, Asked(family=family, birth_date=born)).hits
    return list({hit.reference: hit for hit in (*same_number, *same_name)}.values())


def _may_be_new(similar: list[Hit], number: str) -> bool:
    return not any(number == value for hit in similar for _, value in hit.numbers)


def _enter(draft: Draft, person: PatientRef) -> Did:
    config = world.config()
    practice = next(each for each in config.hosted if each.practice == config.endpoints[draft.placer].hosted_practice)
    made = _as_entered(person)
    try:
        logical_id = enter(
            world.engine(), practice.practice, hosted_base(practice.practice), made, strict=practice.strict
        )
    except AlreadyThere:
        return Did(says=t("draft.similar"))
    except Refusal:
        return Did(says=t("draft.not_storable"))
    with world.engine().begin() as conn:
        about = {"reference": f"Patient/{logical_id}"}
        audit.record(conn, forms.actor(), "draft.patient-entered", subject=f"{draft.id} {draft.placer}", detail=about)
    return _picked(draft, {**made, "id": logical_id})


def _as_entered(person: PatientRef) -> dict:
    """The number is typed as a medical record number: it is the practice's own."""
    made = to_patient(person)
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    made["identifier"] = [{"type": kind, **each} for each in made["identifier"]]
    return made


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    return found if found and date(1850, 1, 1) < found <= datetime.now(UTC).date() else None
