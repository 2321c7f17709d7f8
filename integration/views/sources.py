"""What is asked of sources and what travels by courier, for pages, API and commands; and the case's line about its records."""

from collections.abc import Iterable
from datetime import date

from integration.views.checklist import Completeness
from mappings.model.checklist import Item, State
from mappings.model.parcel import Parcel, folded
from mappings.model.source_ask import Ask, standing

_TO_ASK = frozenset({State.MISSING, State.STALE, State.PARTIAL})


def to_ask_for(found: Completeness) -> list[Item]:
    """Items that a source could be asked for, the missing ones first."""
    return [item for item in found.open_items if item.state in _TO_ASK or item.state is State.UNKNOWN]


def ask_view(ask: Ask, today: date) -> dict:
    """As JSON."""
    stands = standing(ask, today)
    return {
        "id": ask.id,
        "request_id": ask.request_id,
        "source": ask.holder.endpoint or None,
        "holder": ask.holder.name,
        "road": "letter" if ask.by_letter else "task",
        "items": list(ask.items),
        "due": ask.due.isoformat(),
        "wanted_by": ask.wanted_by.isoformat(),
        "renews": ask.renews,
        "state": ask.word.value if ask.word else "to-send",
        "late": stands.is_late,
        "says": stands.says,
        "next": stands.next,
        "last": ask.last.id if ask.last else 0,
        "history": [
            {
                "word": each.word.value,
                "at": each.at.isoformat(),
                "actor": each.actor,
                "day": each.on and each.on.isoformat(),
                "reference": each.reference or None,
                "outputs": list(each.outputs),
            }
            for each in ask.events
        ],
    }


def parcel_view(parcel: Parcel) -> dict:
    """As JSON."""
    state, why = folded(parcel)
    return {
        "id": parcel.id,
        "item": parcel.kind,
        "what": parcel.what,
        "source": parcel.source,
        "state": parcel.last.word.value if parcel.last else "requested",
        "counts_as": state.value,
        "why": why,
        "sent": parcel.pieces_sent,
        "counted": parcel.pieces_counted,
        "mismatch": parcel.is_mismatch,
        "last": parcel.last.id if parcel.last else 0,
        "next": [str(each) for each in parcel.next_words],
        "history": [
            {
                "word": each.word.value,
                "day": each.on.isoformat(),
                "by": each.by,
                "actor": each.actor,
                "at": each.at.isoformat(),
                "carrier": each.carrier or None,
                "tracking": each.tracking or None,
                "pieces": each.pieces_counted if each.pieces_counted is not None else each.pieces_sent,
                "note": each.note or None,
            }
            for each in parcel.moves
        ],
    }


def late(asks: Iterable[Ask], today: date) -> list[Ask]:
    """Those whose day is over."""
    return [each for each in asks if each.is_late(today)]
