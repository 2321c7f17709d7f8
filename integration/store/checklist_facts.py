"""What people say of a request's checklist: answers to its questions, items that are on their way or waived, where a record belongs.

Nothing is changed or removed: the newest word on a topic and key counts, and the older ones stay to be seen.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, requests, steps
from integration.store.operations import NotPossible
from integration.store.tables import checklist_codes, checklist_facts
from mappings.model.checklist import Catalog, Facts, Said
from mappings.model.steps import StepKind


class Topic(StrEnum):
    """What a word is about."""

    ANSWER = "answer"  # to a question, by its key: yes or no
    ITEM = "item"  # of a kind of record: requested, promised, waived, there, not-there
    RECORD = "record"  # Type/id at the source: the kind it belongs to, or nothing
    CHECKLIST = "checklist"  # which one the request is held against
    WANTED = "wanted"  # a kind of record that the consultant asked for, whatever the list says


WORDS = {
    Topic.ANSWER: frozenset({"yes", "no"}),
    Topic.ITEM: frozenset({"requested", "promised", "waived", "there", "not-there"}),
    Topic.WANTED: frozenset({"yes", "no"}),
}


_RECORD = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}")
_QUESTION = re.compile(r"([a-z]{1,20}:)?[a-z0-9-]{1,60}")


@dataclass(frozen=True)
class Spoken:
    """Everything people said of one request's checklist, the newest each."""

    facts: Facts
    checklist: str | None
    wanted: frozenset[str] = frozenset()


def say(
    conn: Connection,
    catalog: Catalog,
    request_id: str,
    topic: Topic,
    key: str,
    value: str,
    *,
    actor: str,
    reason: str,
) -> None:
    """Keep a word with who said it and why; audited. When the records are due is counted anew: one item less may be waited for.

    Raises NotPossible for what nothing of the catalog is called.
    """
    requests.get(conn, request_id)
    if topic in WORDS and value not in WORDS[topic]:
        raise NotPossible(f"of an {topic.value} one says {', '.join(sorted(WORDS[topic]))}")
    for name, known, is_named in (
        (key, catalog.kinds, topic in (Topic.ITEM, Topic.WANTED)),
        (value, catalog.kinds, topic is Topic.RECORD and bool(value)),
        (value, catalog.checklists, topic is Topic.CHECKLIST),
    ):
        if is_named and name not in known:
            raise NotPossible(
                "no checklist has an item of that name" if known is catalog.kinds else "there is no such checklist"
            )
    if topic is Topic.RECORD and not _RECORD.fullmatch(key) or topic is Topic.ANSWER and not _QUESTION.fullmatch(key):
        raise NotPossible("name a record as Type/id at the source, and a question by its key")
    row = dict(request_id=request_id, topic=topic.value, key=key, value=value, actor=actor, reason=reason)
    conn.execute(checklist_facts.insert().values(row))
    steps.look_now(conn, request_id, StepKind.WATCH_VISIT)
    audit.record(conn, actor, f"checklist.{topic.value}", request_id, subject=f"{key} {value}".strip(), reason=reason)


def want(conn: Connection, catalog: Catalog, request_id: str, kind: str, *, actor: str, reason: str) -> None:
    """The consultant asks for this kind of record: it is on the list, also where somebody had gone without it."""
    said = spoken(conn, request_id).facts.items.get(kind)
    say(conn, catalog, request_id, Topic.WANTED, kind, "yes", actor=actor, reason=reason)
    if said is not None and said.what == "waived":
        say(conn, catalog, request_id, Topic.ITEM, kind, "not-there", actor=actor, reason=reason)


def spoken(conn: Connection, request_id: str) -> Spoken:
    """What people said so far."""
    words = select(checklist_facts).where(checklist_facts.c.request_id == request_id).order_by(checklist_facts.c.id)
    found: dict[str, dict[str, Said]] = {topic.value: {} for topic in Topic}
    for row in conn.execute(words):
        found[row.topic][row.key] = Said(row.value, row.actor, row.created_at, row.reason)
    items = {key: said for key, said in found[Topic.ITEM].items() if said.what != "not-there"}
    moved = {key: said.what for key, said in found[Topic.RECORD].items()}
    chosen = found[Topic.CHECKLIST].get("")
    wanted = frozenset(key for key, said in found[Topic.WANTED].items() if said.what == "yes")
    return Spoken(Facts(found[Topic.ANSWER], items, moved), chosen.what if chosen else None, wanted)


def learn(conn: Connection, endpoint: str, codes: Iterable[tuple[str, str]], kind: str, *, actor: str) -> None:
    """Remember that these (system, code) of an endpoint's own mean this kind of record: the next patient's are found by them."""
    for system, code in codes:
        made = insert(checklist_codes).values(endpoint=endpoint, system=system, code=code, kind=kind, actor=actor)
        again = {"kind": made.excluded.kind, "actor": made.excluded.actor, "created_at": func.now()}
        conn.execute(made.on_conflict_do_update(index_elements=["endpoint", "system", "code"], set_=again))


def learned(conn: Connection, endpoint: str) -> Mapping[tuple[str, str], str]:
    """What people said of an endpoint's own codes: {(system, code): kind}."""
    rows = conn.execute(select(checklist_codes).where(checklist_codes.c.endpoint == endpoint))
    return {(row.system, row.code): row.kind for row in rows}
