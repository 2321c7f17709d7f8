"""A consulting practice's inbox and its answers as page, API and command line show them."""

from dataclasses import asdict
from datetime import datetime

from integration.desk import InInbox, Seen
from integration.store.desk import AnswerRow
from integration.store.requests import Request, content_of
from integration.views.case import Part
from integration.views.texts import t
from integration.written_reports import Writing, why_not
from mappings.model.desk import DECLINE_WORDS, Answer, DeclineReason
from mappings.model.states import Status


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


def part(row: Request, said: list[AnswerRow]) -> Part | None:
    """What the practice that is asked answered on our pages, on the page of the case; None before it did."""
    if not said:
        return None
    newest = said[-1]
    is_open = newest.answer == Answer.ASK and Status(row.status) is Status.ON_HOLD
    if not is_open:
        return Part("desk", "done", says(newest))
    asks = t("desk.part.ask", n=len(newest.items))
    return Part("desk", "open", asks, t("desk.part.next"), "coordinator", row.records_due_at, "checklist.show")


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


def view_of_report(found: Writing) -> dict:
    """A report as it is being written, and those that were signed, as JSON. It is clinical content."""
    return {
        "request_id": found.seen.row.id,
        "version": found.version,
        "has_file": bool(found.draft and found.draft.file_sha256),
        "file_doubts": found.draft.file_doubts if found.draft else [],
        "corrects": found.draft.corrects if found.draft else None,
        "why_not": why_not(found.seen, found.signed),
        "report": asdict(found.typed),
        "signed": [
            {
                "number": each.number,
                "reference": each.reference,
                "signed_by": each.signed_by,
                "signed_at": each.signed_at,
                "retracted_at": each.retracted_at,
                "retracted_reason": each.retracted_reason,
            }
            for each in found.signed
        ],
    }
