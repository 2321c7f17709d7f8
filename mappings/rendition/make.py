"""From a manifest and its resources to a rendition: nothing dropped, nothing added, counted twice over."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from mappings.codes import as_dict, as_dicts
from mappings.model.errors import PartialError
from mappings.model.findings import Finding
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.request import HumanName, PractitionerRef, SecondOpinionRequest
from mappings.rendition.model import NOT_STATED, AttachedText, Column, Rendition, Row, Section, Text
from mappings.rendition.names import names_of, source_of
from mappings.rendition.rows import RowMaker, matching
from mappings.rendition.tables import TABLES, Table, table_of
from mappings.rendition.words import Words, scalar_words

TITLE = "Medical records for a second opinion"
EMPTY_NOTE = "No record of this kind is in the packet. That does not say that there is none."
_MR = "MR"
ORIGINALS = (Column("Document", 40), Column("Type", 24), Column("Bytes", 12), Column("SHA-256", 24))


def render(
    *,
    manifest: Manifest,
    resources: Sequence[dict],
    request: SecondOpinionRequest | None = None,
    attachments: Sequence[AttachedText] = (),
) -> Rendition:
    """The packet as a document.

    1. every resource of the manifest must be here, once, and no other (PartialError);
    2. each becomes one row of one section: cells, longer texts, all other elements as details;
    3. ``attachments`` are the words of text/plain attachments; every original is listed with its hash.
    """
    _check_complete(manifest, resources)
    names = names_of(resources)
    patient = next((each for each in resources if source_of(each) == manifest.patient), None)
    maker = RowMaker(names, manifest.patient)
    sections = tuple(_sections(resources, maker))
    return Rendition(
        title=TITLE,
        language="en",
        patient=patient_line(patient, request),
        facts=tuple(_facts(manifest, patient, request, sections)),
        questions=request.patient_questions if request else (),
        sections=sections,
        originals=_originals(manifest, attachments),
        findings=tuple(_findings(manifest, patient, resources)),
    )


def _check_complete(manifest: Manifest, resources: Sequence[dict]) -> None:
    wanted = Counter(item.source for item in manifest.resources)
    given = Counter(map(source_of, resources))
    problems = [f"{source} is in the manifest and was not handed to the rendition" for source in wanted - given]
    problems += [f"{source} is not in the manifest, or not so often" for source in given - wanted]
    if problems:
        raise PartialError(problems)


def _sections(resources: Iterable[dict], maker: RowMaker) -> Iterable[Section]:
    members: dict[str, list[dict]] = {table.key: [] for table in TABLES}
    for resource in resources:
        members[table_of(resource).key].append(resource)
    for table in TABLES:
        if members[table.key] or table.always:
            rows = tuple(maker.row(each, table) for each in _sorted(members[table.key], table))
            yield Section(table.key, table.title, table.columns, rows, "" if rows else EMPTY_NOTE)


def _sorted(resources: list[dict], table: Table) -> list[dict]:
    """Newest first; results first by test, so that their course can be read. Undated ones last."""
    newest = sorted(sorted(resources, key=source_of), key=lambda each: _date(each, table), reverse=True)
    if not table.by_name:
        return newest
    return sorted(newest, key=lambda each: _sort_name(each.get(table.name)))


def _sort_name(value: object) -> str:
    """The name without case and without characters nobody sees: one source writes a zero-width space into some."""
    plain = unicodedata.normalize("NFKC", Words({}).of(value)).casefold()
    return "".join(char for char in plain if unicodedata.category(char) != "Cf")


def _date(resource: dict, table: Table) -> str:
    found = [resource[key] for element in table.dates for key in matching(resource, element)]
    for value in found:
        text = value.get("start") or value.get("end") if isinstance(value, dict) else value
        if isinstance(text, str):
            return text
    return ""


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


def _facts(
    manifest: Manifest, patient: dict | None, request: SecondOpinionRequest | None, sections: Sequence[Section]
) -> Iterable[tuple[str, str]]:
    yield "Patient", patient_line(patient, request)
    if patient is not None:
        yield "Sex", scalar_words(patient.get("gender") or NOT_STATED)
    if request is not None:
        yield from _request_facts(request)
    yield "Records from", manifest.source_endpoint
    yield "Gathered", scalar_words(manifest.gathered_at)
    yield "Packet", f"{manifest.packet_id} for request {manifest.request_id}"
    yield "Records in it", str(sum(len(section.rows) for section in sections))
    originals = sum(item.kind == "attachment" for item in manifest.items)
    yield "Original documents", f"{originals}, sent beside this one and listed at its end" if originals else "none"


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


def _clinician(person: PractitionerRef) -> str:
    parts = [_human(person.name)] if person.name else []
    parts += [f"no. {each.value}" for each in person.identifiers[:1]]
    parts += [_code(person.specialty)] if person.specialty else []
    parts += [person.organization.name] if person.organization and person.organization.name else []
    return ", ".join(parts)


def _code(code) -> str:
    return code.display or f"{code.code} ({code.system})" if code else NOT_STATED


def _human(name: HumanName | None) -> str:
    return " ".join([*name.given, name.family]) if name else f"name {NOT_STATED}"


def _originals(manifest: Manifest, attachments: Sequence[AttachedText]) -> Section:
    words_of = {each.sha256: each.text for each in attachments}
    rows = tuple(_original(item, words_of.get(item.sha256)) for item in manifest.items if item.kind == "attachment")
    return Section("originals", "Original documents", ORIGINALS, rows, "" if rows else "None.")


def _original(item: ManifestItem, text: str | None) -> Row:
    cells = (item.of or item.source, item.content_type or NOT_STATED, str(item.size), item.sha256)
    return Row(item.source, cells, texts=(Text("Its words", text),) if text else ())


def _findings(manifest: Manifest, patient: dict | None, resources: Sequence[dict]) -> Iterable[Finding]:
    if patient is None:
        yield Finding(
            "render.patient-missing",
            "the packet does not hold the patient's own record; pages are marked with what the request says",
            manifest.patient,
        )
    for resource in resources:
        if resource.get("modifierExtension"):
            yield Finding(
                "render.modifier-extension",
                "an extension may change the meaning of this record; it is shown word for word among its details",
                source_of(resource),
            )
