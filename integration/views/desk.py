"""A consulting practice's inbox and its answers as page, API and command line show them."""

from datetime import datetime

from integration.desk import InInbox, Seen
from integration.store.desk import AnswerRow
from integration.store.requests import content_of
from integration.views.texts import t
from mappings.model.desk import DECLINE_WORDS, DeclineReason


def place(words: str) -> tuple[datetime, int, str] | None:
    """Where a page of the inbox begins, from an address; None when it is none."""
    at, _, rest = words.partition("_")
    rank, _, request_id = rest.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    is_one = moment.tzinfo and rank in ("0", "1", "2") and request_id and "\x00" not in request_id
    return (moment, int(rank), request_id) if is_one else None


def place_words(following: tuple[datetime, int, str] | None) -> str | None:
    """The same as it stands in an address."""
    return following and f"{following[0].isoformat()}_{following[1]}_{following[2]}"


def name_of(line: InInbox) -> str:
    """The patient, for who may see it."""
    name = content_of(line.asked.body).patient.name
    return " ".join([*name.given, name.family]) if name else ""


def completeness(line: InInbox) -> str:
    """How complete its records are, in words."""
    if line.missing is None:
        return t(f"desk.not_judged.{line.why}")
    return t("desk.missing", n=line.missing) if line.missing else t("desk.complete")


def says(row: AnswerRow) -> str:
    """What was answered, without who and when, and without words about the patient."""
    parts = [t(f"desk.did.{row.answer}")]
    if row.reason:
        parts.append(DECLINE_WORDS[DeclineReason(row.reason)])
    if row.people:
        parts.append(", ".join(row.people))
    return ": ".join(parts)


def view(line: InInbox) -> dict:
    """A line as JSON: ids and words, nothing of the patient."""
    asked = line.asked
    return {
        "request_id": asked.id,
        "key": asked.key,
        "placer": asked.placer,
        "fulfiller": asked.fulfiller,
        "status": asked.status,
        "records": asked.records,
        "priority": asked.priority,
        "due_at": asked.due_at,
        "wanted_by": content_of(asked.body).wanted_by,
        "missing": line.missing,
        "news": asked.news,
        "people": asked.people or [],
        "answered_here": line.is_hosted,
    }


def view_of(found: Seen) -> dict:
    """A request and its answers as JSON. What was written about the patient is in it."""
    return {
        "request_id": found.row.id,
        "status": found.status.value if found.status else None,
        "answered_here": found.is_hosted,
        "may": [each.value for each in found.may],
        "people": found.people,
        "last": found.last,
        "answers": [
            {
                "id": each.id,
                "answer": each.answer,
                "reason": each.reason,
                "words": each.words,
                "people": each.people,
                "items": each.items,
                "actor": each.actor,
                "at": each.created_at,
            }
            for each in found.said
        ],
    }
