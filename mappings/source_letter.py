"""A letter that asks a place for records: who asks, whose records, which things exactly, by when, where to send, whom to call.

It says nothing of what is wrong with the patient: whoever opens it needs to find records, not to know why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from mappings.checklists.chart import months_before
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.checklist import Catalog, Item
from mappings.model.request import HumanName, SecondOpinionRequest
from mappings.model.source_ask import Ask, Holder

UNKNOWN = "not known to us"
_ACCESSION = frozenset({"ACSN", "FILL"})  # http://terminology.hl7.org/CodeSystem/v2-0203
# Whose reports carry the accession number under which a thing is kept.
_KEPT_UNDER: Mapping[str, tuple[str, ...]] = {
    "pathology-report": ("pathology-report",),
    "glass-slides": ("pathology-report",),
    "blocks": ("pathology-report",),
    "smears": ("pathology-report",),
    "image-cd": ("imaging-report", "img-ct", "img-mri", "img-pet"),
    "imaging-report": ("imaging-report",),
}


@dataclass(frozen=True)
class Wanted:
    """One thing that the letter asks for: what it is called, which ones exactly, how young, and under which numbers it is kept."""

    label: str
    exactly: str = ""
    since: date | None = None
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Letter:
    """All words of it, in the order in which they stand."""

    writer: tuple[str, ...]
    to: tuple[str, ...]
    day: date
    reference: str
    patient: tuple[tuple[str, str], ...]  # label, value
    wanted: tuple[Wanted, ...]
    note: str
    due: date
    send_to: tuple[str, ...]
    call: str

    @property
    def words(self) -> str:
        """Everything that has to be readable in it."""
        lines = [*self.writer, *self.to, *(value for _, value in self.patient), self.note, *self.send_to, self.call]
        return "\n".join([*lines, *(" ".join((each.label, each.exactly, *each.numbers)) for each in self.wanted)])


def write(
    ask: Ask,
    request: SecondOpinionRequest,
    items: Iterable[Item],
    catalog: Catalog,
    *,
    numbers: Mapping[str, tuple[str, ...]],
    record_number: str | None,
    writer: Holder,
    send_to: Holder,
    visit: date,
    day: date,
) -> Letter:
    """The letter of an ask. ``numbers``: accession numbers by kind of report; ``record_number``: the patient's at that source."""
    doctor = request.requester
    asks = _name(doctor.name) if doctor and doctor.name else ""
    return Letter(
        writer=tuple(filter(None, (asks, writer.name, *writer.address))),
        to=_lines(ask.holder),
        day=day,
        reference=f"{ask.request_id}-{ask.id}",
        patient=(
            ("Name", _name(request.patient.name) if request.patient.name else UNKNOWN),
            ("Date of birth", str(request.patient.birth_date or UNKNOWN)),
            ("Your record number", record_number or UNKNOWN),
        ),
        wanted=wanted_of(ask.items, items, catalog, numbers, visit),
        note=ask.what,
        due=ask.due,
        send_to=_lines(send_to),
        call=writer.phone,
    )


def wanted_of(
    kinds: Iterable[str], items: Iterable[Item], catalog: Catalog, numbers: Mapping[str, tuple[str, ...]], visit: date
) -> tuple[Wanted, ...]:
    """Each kind as it is asked for, with how young it has to be at the visit where the checklist says so."""
    months = {item.rule.kind: item.rule.months for item in items}
    return tuple(_wanted(kind, months.get(kind), catalog, numbers, visit) for kind in kinds)


def _wanted(
    kind: str, months: int | None, catalog: Catalog, numbers: Mapping[str, tuple[str, ...]], visit: date
) -> Wanted:
    known = catalog.kinds[kind]
    kept = tuple(dict.fromkeys(each for report in _KEPT_UNDER.get(kind, ()) for each in numbers.get(report, ())))
    return Wanted(known.label, known.ask, months_before(visit, months) if months else None, kept)


def _lines(holder: Holder) -> tuple[str, ...]:
    fax = f"Fax {holder.fax}" if holder.fax else ""
    return tuple(filter(None, (holder.name, *holder.address, fax, holder.portal)))


def _name(name: HumanName) -> str:
    return " ".join([*name.given, name.family])


def accession_numbers(resource: dict) -> tuple[str, ...]:
    """The numbers under which a laboratory or an imaging department keeps what a report is about, where it says them."""
    found = [each for each in as_dicts(resource.get("identifier")) if _is_accession(each)]
    found += as_dicts(resource.get("accessionIdentifier"))
    return tuple(text for each in found if (text := as_text(each.get("value"))))


def _is_accession(identifier: dict) -> bool:
    return any(each.get("code") in _ACCESSION for each in as_dicts(as_dict(identifier.get("type")).get("coding")))
