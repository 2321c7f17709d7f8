"""From a manifest and its resources to a rendition: nothing dropped, nothing added, counted twice over."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set

from mappings.model.errors import PartialError
from mappings.model.findings import Finding
from mappings.model.packet import Manifest, ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.rendition.cover import facts, patient_line
from mappings.rendition.model import NOT_STATED, AttachedText, Column, Correction, Rendition, Row, Section, Text
from mappings.rendition.names import names_of, source_of
from mappings.rendition.placing import placed, sections
from mappings.rendition.rows import RowMaker

TITLE = "Medical records for a second opinion"
ORIGINALS = (Column("Document", 40), Column("Type", 24), Column("Bytes", 12), Column("SHA-256", 24))


def render(
    *,
    manifest: Manifest,
    resources: Sequence[dict],
    request: SecondOpinionRequest | None = None,
    attachments: Sequence[AttachedText] = (),
    printed: Set[str] = frozenset(),
    correction: Correction | None = None,
    patient: dict | None = None,
) -> Rendition:
    """The packet as a document.

    1. every resource of the manifest must be here, once, and no other (PartialError);
    2. each becomes one row of one section: cells, longer texts, all other elements as details; one that is too wrong to
       be read becomes a row that says so, a finding, and is named in ``unshown``: it has to be sent as it came;
    3. every original that is sent beside is listed with its hash, with its words where ``attachments`` has them;
       ``printed`` are the hashes (hex) of those whose words stand with their records;
    4. a ``correction`` says so in its title, and of each record whether the reader had another version of it. It need not
       hold the ``patient``'s own record, which an earlier packet did.
    """
    _check_complete(manifest, resources)
    patient = next((each for each in resources if source_of(each) == manifest.patient), patient)
    who = _said(lambda: patient_line(patient, request)) or f"patient {NOT_STATED}"
    records = placed(resources, RowMaker(names_of(resources), manifest.patient), correction)
    unshown = [each for each in records if each.problem]
    beside = [item for item in manifest.items if item.kind == "attachment" and item.sha256 not in printed]
    texts = sum(item.kind == "attachment" for item in manifest.items) - len(beside)
    cover = facts(manifest, who=who, patient=patient, request=request, correction=correction, printed=texts)
    return Rendition(
        title=f"Correction {correction.number} to {TITLE.lower()}" if correction else TITLE,
        language="en",
        patient=who,
        facts=tuple(cover),
        questions=request.patient_questions if request else (),
        sections=tuple(sections(records, empty_ones=correction is None)),
        originals=_originals(beside, attachments),
        findings=(*_findings(manifest, patient, resources), *(each.finding() for each in unshown)),
        unshown=tuple(each.row.source for each in unshown),
    )


def _said(say: Callable[[], str]) -> str:
    """Words from a record that may be too wrong to be read: then none. Its own row tells of that."""
    try:
        return say()
    except Exception:
        return ""


def _check_complete(manifest: Manifest, resources: Sequence[dict]) -> None:
    wanted = Counter(item.source for item in manifest.resources)
    given = Counter(map(source_of, resources))
    problems = [f"{source} is in the manifest and was not handed to the rendition" for source in wanted - given]
    problems += [f"{source} is not in the manifest, or not so often" for source in given - wanted]
    if problems:
        raise PartialError(problems)


def _originals(beside: Iterable[ManifestItem], attachments: Sequence[AttachedText]) -> Section:
    words_of = {each.sha256: each.text for each in attachments}
    rows = tuple(_original(item, words_of.get(item.sha256)) for item in beside)
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
