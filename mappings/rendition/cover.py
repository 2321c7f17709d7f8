"""The first page of a rendition: whose records these are, what is asked, and what the reader has to know of them first."""

from collections.abc import Iterable

from mappings.codes import as_dict, as_dicts
from mappings.coverage_extension import in_words as coverage_in_words
from mappings.model.packet import Manifest
from mappings.model.request import Code, HumanName, PractitionerRef, SecondOpinionRequest
from mappings.rendition.model import NOT_STATED, Correction
from mappings.rendition.words import Words, scalar_words

_MR = "MR"


def patient_line(patient: dict | None, request: SecondOpinionRequest | None) -> str:
    """Who this is, in one line for every page: name, birth date, record number, as the record says it."""
    if patient is None:
        return _requested_patient(request)
    words = Words({})
    names, numbers = as_dicts(patient.get("name")), as_dicts(patient.get("identifier"))
    shown = ([each for each in numbers if _is_mrn(each)] or numbers[:1])[:2]
    birth = scalar_words(patient.get("birthDate") or NOT_STATED)
    return " · ".join(
        [
            words.of(names[:1]) or f"name {NOT_STATED}",
            f"born {birth}",
            *(f"no. {each.get('value', NOT_STATED)}" for each in shown),
        ]
    )


def _requested_patient(request: SecondOpinionRequest | None) -> str:
    if request is None:
        return f"patient {NOT_STATED}"
    person = request.patient
    return " · ".join(
        [_human(person.name), f"born {person.birth_date or NOT_STATED}", f"no. {person.identifiers[0].value}"]
    )


def _is_mrn(identifier: dict) -> bool:
    return any(each.get("code") == _MR for each in as_dicts(as_dict(identifier.get("type")).get("coding")))


def facts(
    manifest: Manifest,
    *,
    who: str,
    patient: dict | None,
    request: SecondOpinionRequest | None,
    correction: Correction | None,
    printed: int,
) -> Iterable[tuple[str, str]]:
    """Labels and values; ``who`` is the line that identifies the patient, ``printed`` how many texts stand with their records."""
    yield "Patient", who
    if patient is not None:
        yield "Sex", Words({}).of(patient.get("gender")) or NOT_STATED
    if correction is not None:
        yield from _correction_facts(manifest, correction)
    yield from _listed("Not sent", (f"{item.of or item.source}: {item.why or NOT_STATED}" for item in manifest.waived))
    if request is not None:
        yield from _request_facts(request)
    yield "Records from", manifest.source_endpoint
    yield "Gathered", scalar_words(manifest.gathered_at)
    yield "Packet", f"{manifest.packet_id} for request {manifest.request_id}"
    yield "Records in it", str(len(manifest.resources))
    yield "Original documents", _documents(manifest, printed)


def _documents(manifest: Manifest, printed: int) -> str:
    count = sum(item.kind == "attachment" for item in manifest.items) - printed
    beside = f"{count}, sent beside this one and listed at its end" if count else "none"
    return f"{beside}; {printed} more, plain texts, stand with their records word for word" if printed else beside


def _listed(label: str, values: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Values under one label."""
    for number, value in enumerate(values):
        yield label if number == 0 else "", value


def _correction_facts(manifest: Manifest, correction: Correction) -> Iterable[tuple[str, str]]:
    corrected = sum(item.source in correction.known for item in manifest.resources)
    yield (
        "What this is",
        (
            f"Correction {correction.number} to the records gathered {scalar_words(correction.earlier_gathered_at)}. It holds "
            f"{corrected} corrected and {len(manifest.resources) - corrected} new records and no others: read it together with "
            "what was sent before. Where the two differ, this one is right"
        ),
    )
    yield from _listed(
        "Withdrawn", (f"{item.source}: {item.why or NOT_STATED}. Do not use it" for item in manifest.withdrawn)
    )


def _request_facts(request: SecondOpinionRequest) -> Iterable[tuple[str, str]]:
    first = request.first_opinion
    yield "Question", request.question or NOT_STATED
    yield "First opinion", first.diagnosis.text if first else NOT_STATED
    if first:
        coded = "; ".join(f"{code.code} ({code.system})" for code in first.diagnosis.codes)
        yield "Diagnosis codes", coded or NOT_STATED
        doctor = _clinician(first.doctor) if first.doctor else NOT_STATED
        yield "First opinion by", f"{doctor}, on {first.given_on or 'a date ' + NOT_STATED}"
    yield "Asked by", _clinician(request.requester) if request.requester else NOT_STATED
    yield "Asked of", _clinician(request.consultant) if request.consultant else _code(request.specialty)
    yield "Priority", request.priority
    yield "Asked on", scalar_words(request.authored_at or NOT_STATED)
    yield "Wanted by", str(request.wanted_by or NOT_STATED)
    yield from _listed("Insurance", coverage_in_words(request))


def _clinician(person: PractitionerRef) -> str:
    parts = [_human(person.name)] if person.name else []
    parts += [f"no. {each.value}" for each in person.identifiers[:1]]
    parts += [_code(person.specialty)] if person.specialty else []
    parts += [person.organization.name] if person.organization and person.organization.name else []
    return ", ".join(parts)


def _code(code: Code | None) -> str:
    return code.display or f"{code.code} ({code.system})" if code else NOT_STATED


def _human(name: HumanName | None) -> str:
    return " ".join([*name.given, name.family]) if name else f"name {NOT_STATED}"
