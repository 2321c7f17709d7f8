"""The medications of a patient and what is said of them, for the case page, the API and commands."""

from functools import partial

from integration.medications import Shown
from integration.views.case import Part
from integration.views.texts import t
from mappings.medications import Entry


def part(found: Shown) -> Part:
    """The row of the case page: names none of them."""
    part_of = partial(Part, "medications", endpoint="medications.show")
    if not found.as_of:
        return part_of(state="waiting", says=t("part.medications.waiting"))
    if found.is_confirmed:
        return part_of(state="done", says=t("part.medications.done"))
    says = t("part.medications.changed" if found.review else "part.medications.never")
    return part_of(state="open", says=says, next=t("part.medications.next"), who="coordinator")


def view(found: Shown) -> dict:
    """As JSON."""
    review = found.review
    return {
        "request_id": found.request_id,
        "as_of": found.as_of or None,
        "list_sha256": found.listed.sha256,
        "confirmed": found.is_confirmed,
        "review": review.id if review else 0,
        "reviewed_at": review.created_at if review else None,
        "reviewed_by": review.actor if review else None,
        "informant": review.informant if review else None,
        "medications": [_entry(each, found) for each in found.listed.entries],
        "left_out": [each.value for each in found.left_out],
        "also": [each.words for each in found.said.values() if not each.sources],
    }


def _entry(entry: Entry, found: Shown) -> dict:
    said = found.said.get(entry.key)
    return {
        "key": entry.key,
        "name": entry.name,
        "stopped": entry.is_over,
        "said": said.what.value if said else None,
        "words": said.words if said else "",
        "sources": [
            {"source": each.source, "status": each.status, "dosage": each.dosage, "dated": each.dated, "by": each.by}
            for each in entry.sources
        ],
    }
