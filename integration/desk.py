"""What a consulting practice does with a request on our pages: it looks, takes it, declines it, asks for more, or hands it over.

For a hosted practice each answer is a new version of its Task, in one commit with our own row; the watch of the Task then applies it
as it applies anybody's. At a practice with an EHR the answer is given there, and read from there.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from integration import checklists
from integration.hosted import checking
from integration.hosted.outcomes import Refusal
from integration.hosted.staff import Staff, at_desk, read_now
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.settings.endpoints import Endpoint
from integration.store import audit, checklist_facts, findings, hints, links, requests, steps
from integration.store import desk as rows
from integration.store.desk import AnswerRow, Asked, Show
from integration.store.operations import NotPossible, WrongWords
from integration.store.requests import Request
from integration.store.scope import Scope
from mappings.desk_task import answered
from mappings.model.desk import MAY, Answer, Said, TypedSaid, may_say, read_said
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Status
from mappings.model.typed import came_second
from mappings.task import read_task
from mappings.written_report import to_instant

JUDGING_SECONDS = 1.5  # for all requests of a page together: a long chart is judged on its own page
_ITS_EHR = "answers are given in the EHR of {name}, and are read from there; nothing was written"


@dataclass(frozen=True)
class Seen:
    """A request as the practice that is asked sees it. ``task``: as it stands at a hosted practice; None elsewhere, or not sent yet."""

    row: Request
    content: SecondOpinionRequest = field(repr=False)
    place: str
    is_hosted: bool
    task: dict | None = field(repr=False)
    said: tuple[AnswerRow, ...]

    @property
    def status(self) -> Status | None:
        """Where it stands: of a hosted practice its own Task says it, else the request."""
        return read_task(self.task).status if self.task is not None else Status(self.row.status)

    @property
    def may(self) -> tuple[Answer, ...]:
        """What can be answered here now."""
        open_here = self.is_hosted and self.task is not None and Status(self.row.status) not in FINAL
        return may_say(self.status) if open_here else ()

    @property
    def is_taken(self) -> bool:
        """Somebody accepted it; asking for more afterwards takes that back from nobody."""
        said = any(each.answer == Answer.ACCEPT for each in self.said)
        return self.status not in MAY[Answer.ACCEPT] or (self.status is Status.ON_HOLD and said)

    @property
    def people(self) -> list[str]:
        """Who has it."""
        return rows.people_of(self.said)

    @property
    def last(self) -> int:
        """The number of the newest answer, for forms; 0 before there is one."""
        return self.said[-1].id if self.said else 0


@dataclass(frozen=True)
class InInbox:
    """A line of the inbox. ``missing``: how many needed records are not there; None: not judged here, ``why`` says it."""

    asked: Asked
    is_hosted: bool
    missing: int | None
    why: str = ""


def inbox(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    scope: Scope,
    show: Show,
    now: datetime,
    *,
    actor: str,
    after: tuple[datetime, int, str] | None = None,
    limit: int = rows.PAGE,
) -> tuple[list[InInbox], dict[Show, int], tuple[datetime, int, str] | None]:
    """What the practices of a scope are asked, how many each tab holds, and where the next page begins; the look is recorded."""
    with engine.begin() as conn:
        found, following = rows.page(conn, scope, show, actor=actor, after=after, limit=limit)
        numbers = rows.counts(conn, scope)
        audit.record(conn, actor, "desk.inbox-looked-at", detail={"requests": [each.id for each in found]})
    until = time.monotonic() + JUDGING_SECONDS
    return [_line(engine, payloads, config, each, now, until) for each in found], numbers, following


def look(engine: Engine, config: Config, request_id: str, *, actor: str, reason: str | None = None) -> Seen:
    """One request; the look of ``actor`` is recorded. Raises UnknownRequest."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, "desk.looked-at", request_id, reason=reason)
        rows.looked(conn, request_id, actor=actor)
        return seen(conn, config, row)


def seen(conn: Connection, config: Config, row: Request) -> Seen:
    """The same without a person who looks."""
    endpoint = config.endpoints.get(row.fulfiller)
    practice = endpoint.hosted_practice if endpoint else ""
    reference = task_of(conn, config, row) if practice else None
    task = _read(conn, practice, reference) if reference else None
    said = tuple(rows.of_request(conn, row.id))
    place = endpoint.name if endpoint else row.fulfiller
    return Seen(row, requests.content(row), place, bool(practice), task, said)


def answer(engine: Engine, config: Config, request_id: str, typed: TypedSaid, *, last: int, actor: str) -> Said:
    """Give an answer. ``last``: the number of the newest one that the person saw.

    Raises UnknownRequest, WrongWords, and NotPossible: not hosted, not sent yet, over, or somebody else was first.
    """
    with engine.connect() as conn:
        row = requests.get(conn, request_id)
    catalog = checklists.catalog_of(config, row.fulfiller)
    with writing(engine, config, row) as staff:
        conn = staff.connection
        steps.lock_with_request(conn, request_id)
        _must_be_newest(rows.of_request(conn, request_id), last)
        must_stand(requests.get(conn, request_id))
        task = staff.read(must_have_task(conn, config, row))
        said, wrong = read_said(typed, status=read_task(task).status, kinds=catalog.kinds)
        if said is None:
            raise WrongWords(wrong)
        labels = [catalog.kinds[each].label for each in said.items]
        reference = staff.update(answered(task, said, to_instant(_now()), asked_for=labels))
        number = rows.add(conn, request_id, said, actor=actor)
        for kind in said.items:
            checklist_facts.want(
                conn, catalog, request_id, kind, actor=actor, reason=f"answer {number} of the consultant"
            )
        detail = {"answer": said.answer, "reason": said.reason, "items": list(said.items)}
        audit.record(conn, actor, "desk.answered", request_id, subject=reference, detail=detail)
        hints.news_of(conn, request_id, row.fulfiller)
    return said


@contextmanager
def writing(engine: Engine, config: Config, row: Request) -> Iterator[Staff]:
    """One commit into the endpoint of the practice that is asked, with rows of ours. Raises NotPossible where it is not hosted here."""
    with writing_into(engine, config, must_be_hosted(config, row.fulfiller)) as staff:
        yield staff


@contextmanager
def writing_into(engine: Engine, config: Config, endpoint: Endpoint) -> Iterator[Staff]:
    """The same into any hosted practice. Raises NotPossible for what its endpoint does not take."""
    strict = any(each.strict for each in config.hosted if each.practice == endpoint.hosted_practice)
    try:
        with at_desk(engine, endpoint.hosted_practice, str(endpoint.base_url), strict=strict) as staff:
            yield staff
            bent = [checking.finding_of(issue, stored.type, stored.id) for stored, issue in staff.bent]
            if bent:
                findings.record(staff.connection, bent, endpoint=endpoint.key)
    except Refusal as error:
        raise NotPossible(f"the endpoint of {endpoint.name} does not take this: {error.diagnostics}") from error


def must_be_hosted(config: Config, fulfiller: str) -> Endpoint:
    """The endpoint of a practice that works on our pages. Raises NotPossible."""
    endpoint = config.endpoints.get(fulfiller)
    if endpoint is None or not endpoint.hosted_practice:
        raise NotPossible(_ITS_EHR.format(name=endpoint.name if endpoint else fulfiller))
    return endpoint


def must_stand(row: Request) -> None:
    """Raises NotPossible for a request that was canceled or has ended in another way than by its report."""
    if Status(row.status) in FINAL - {Status.COMPLETED}:
        raise NotPossible(f"the request is {row.status.replace('-', ' ')}: nothing is answered to it any more")


def must_have_task(conn: Connection, config: Config, row: Request) -> str:
    """``Task/id`` of a request at its fulfiller. Raises NotPossible."""
    reference = task_of(conn, config, row)
    if reference is None:
        raise NotPossible("the request is still on its way to you: it can be answered when it is there")
    return reference


def task_of(conn: Connection, config: Config, row: Request) -> str | None:
    """``Task/id`` of a request at its fulfiller; None while it is not there."""
    return linked(conn, config, row, f"Task/{row.id}")


def linked(conn: Connection, config: Config, row: Request, value: str) -> str | None:
    """What the fulfiller's endpoint calls a resource of ours; None while it is not there."""
    return links.find(conn, row.fulfiller, config.exchange.identifier_system, [value]).get(value)


def read_there(conn: Connection, config: Config, row: Request, reference: str) -> dict | None:
    """A resource at the hosted practice that is asked; None when it is not there. Raises NotPossible where it is not hosted."""
    return _read(conn, must_be_hosted(config, row.fulfiller).hosted_practice, reference)


def _must_be_newest(said: list[AnswerRow], last: int) -> None:
    if said and said[-1].id != last:
        newest = said[-1]
        raise NotPossible(came_second(newest.actor, newest.answer, newest.created_at.astimezone(UTC)))


def _read(conn: Connection, practice: str, reference: str) -> dict | None:
    try:
        return read_now(conn, practice, reference)
    except Refusal:
        return None


def _line(engine: Engine, payloads: Payloads, config: Config, asked: Asked, now: datetime, until: float) -> InInbox:
    endpoint = config.endpoints.get(asked.fulfiller)
    is_hosted = bool(endpoint and endpoint.hosted_practice)
    if time.monotonic() > until:
        return InInbox(asked, is_hosted, None, "later")
    try:
        found = checklists.judged(engine, payloads, config, asked.id, now.date())
    except ExchangeError:
        return InInbox(asked, is_hosted, None, "unread")
    return (
        InInbox(asked, is_hosted, len(found.open_items)) if found.packets else InInbox(asked, is_hosted, None, "none")
    )


def _now() -> datetime:
    return datetime.now(UTC)


def kinds_of(config: Config, fulfiller: str) -> Mapping[str, str]:
    """What can be asked for by name: labels by key, sorted by label."""
    kinds = checklists.catalog_of(config, fulfiller).kinds
    return dict(sorted(((key, kind.label) for key, kind in kinds.items()), key=lambda each: each[1].lower()))
