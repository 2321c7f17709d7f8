"""How each item of a checklist stands on the day of the visit. Pure: the same chart, facts and day give the same states.

What no rule here may ever do is call an item found that a person would not: a doubt is a question, and a part is a part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from mappings.checklists.chart import Chart, Record, months_before
from mappings.checklists.conditions import Answer, Verdict, holds
from mappings.model.checklist import (
    Asked,
    Catalog,
    Checklist,
    Evidence,
    Facts,
    Images,
    Item,
    Kind,
    Need,
    Part,
    Question,
    Rule,
    Said,
    State,
    Tracked,
)

_ASKED_ALREADY = (State.REQUESTED, State.PROMISED)
_BY_PERSON = {"requested": State.REQUESTED, "promised": State.PROMISED}


@dataclass(frozen=True)
class _Case:
    """What every rule is judged against."""

    catalog: Catalog
    chart: Chart
    facts: Facts
    visit: date
    placed: Mapping[str, tuple[tuple[Record, str], ...]]  # by kind, what people put there
    moved: frozenset[str]  # sources of these, and of what they put nowhere


@dataclass(frozen=True)
class _Found:
    """The records that speak for an item, those that need a person first, and those that are pictures only."""

    records: tuple[tuple[Record, str], ...]
    images: tuple[tuple[Record, str], ...]
    doubtful: tuple[tuple[Record, str], ...]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(record.evidence(why) for record, why in (*self.records, *self.images))


def judge(checklist: Checklist, catalog: Catalog, chart: Chart, facts: Facts, visit: date) -> tuple[Item, ...]:
    """How each rule of ``checklist`` stands at ``visit``, in the order of the list."""
    moved = {record.source: where for record in chart.records() if (where := _belongs(record, facts)) is not None}
    placed: dict[str, tuple[tuple[Record, str], ...]] = {}
    for record in chart.records() if moved else ():
        where = moved.get(record.source)
        if where:
            why = "a person put it here" if record.source in facts.assigned else "its local code"
            placed[where] = (*placed.get(where, ()), (record, why))
    case = _Case(catalog, chart, facts, visit, placed, frozenset(moved))
    return tuple(_judge(rule, catalog.kinds[rule.kind], case) for rule in checklist.rules)


def _judge(rule: Rule, kind: Kind, case: _Case) -> Item:
    found = _gather(rule, kind, case)
    said = case.facts.items.get(kind.key)
    verdict = _applies(rule, kind, case)
    if found.records or found.images:
        item = _of_what_is_there(rule, kind, found, case)
        if verdict.answer is Answer.NO and verdict.by_person:
            item = _with(item, item.state, f"{verdict.reason}, and yet the chart has it")
    elif found.doubtful:
        item = _doubtful(rule, kind, found)
    else:
        item = _of_nothing(rule, kind, verdict)
    item = _as_asked(_as_tracked(item, case.facts.tracked.get(kind.key)), case.facts.asked.get(kind.key))
    return _as_a_person_says(item, _newest(said, kind, case.facts))


def _as_tracked(item: Item, tracked: Tracked | None) -> Item:
    """What travels by courier counts by where it is, unless the chart itself has it."""
    return item if tracked is None or item.state is State.FOUND else _with(item, tracked.state, *tracked.reasons)


def _as_asked(item: Item, asked: Asked | None) -> Item:
    """Asked for counts only for what is missing; of what is there and not enough it is said beside it."""
    if asked is None or not item.is_open or item.state in _ASKED_ALREADY:
        return item
    return _with(item, asked.state if item.state is State.MISSING else item.state, asked.reason)


def _newest(said: Said | None, kind: Kind, facts: Facts) -> Said | None:
    """A person's word, unless something newer is known; going without it is a decision, and stands."""
    known = [each.at for each in (facts.asked.get(kind.key), facts.tracked.get(kind.key)) if each is not None]
    is_old = said is not None and said.what != "waived" and any(at > said.at for at in known)
    return None if is_old else said


def _gather(rule: Rule, kind: Kind, case: _Case) -> _Found:
    """Records of the kind, those a person put there too, none of the future, each of the right part of the body."""
    named = case.placed.get(kind.key, ())
    matched, images = (
        [pair for pair in case.chart.matching(each) if pair[0].source not in case.moved and _is_past(pair[0], case)]
        for each in (kind.matchers, kind.images)
    )
    sure = [pair for pair in matched if _is_of_body(pair[0], rule) and not _is_doubtful(pair, kind)]
    shown = [pair for pair in images if _is_of_body(pair[0], rule)]
    clear = {record.source for record, _ in sure + shown}
    doubtful = [
        (record, why)
        for record, why in matched + images
        if record.source not in clear and _is_of_body(record, rule) is not False
    ]
    return _Found(tuple(each for each in named if _is_past(each[0], case)) + tuple(sure), tuple(shown), tuple(doubtful))


def _belongs(record: Record, facts: Facts) -> str | None:
    """Where a person put the record, or one with the same local code of this source; "" for nowhere, None: nobody said."""
    if record.source in facts.assigned:
        return facts.assigned[record.source]
    return next((facts.learned[code] for code in record.local if code in facts.learned), None)


def _is_past(record: Record, case: _Case) -> bool:
    return record.day is None or record.day <= case.visit


def _is_of_body(record: Record, rule: Rule) -> bool | None:
    """Whether it shows the part of the body that the rule is about; None when it does not say."""
    if not rule.body or record.says(rule.body) or any(word in record.body for word in rule.body):
        return True
    return False if record.body else None


def _is_doubtful(pair: tuple[Record, str], kind: Kind) -> bool:
    """Found by words alone, or by its code alone while its own words say something else: real charts have wrong codes."""
    record, why = pair
    return (
        why == "its words"
        or why == "its code"
        and bool(kind.words)
        and bool(record.words)
        and not record.says(kind.words)
    )


def _applies(rule: Rule, kind: Kind, case: _Case) -> Verdict:
    if rule.unless is not None:
        other = holds(case.catalog.conditions[rule.unless], case.chart, case.facts, case.visit)
        if other.answer is Answer.YES:
            return Verdict(Answer.NO, other.reason, by_person=other.by_person)
    if rule.need in (Need.REQUIRED, Need.IF_AVAILABLE):
        return Verdict(Answer.YES)
    if rule.need in (Need.IF_DONE, Need.IF_ASKED):
        return _happened(rule, kind, case)
    return holds(case.catalog.conditions[rule.need], case.chart, case.facts, case.visit)


def _happened(rule: Rule, kind: Kind, case: _Case) -> Verdict:
    """Whether what the record would tell of took place, or was asked for: by the chart, else by a person."""
    events = [record for record, _ in case.chart.matching(kind.events) if _is_past(record, case)]
    if events and rule.need == Need.IF_DONE:
        return Verdict(Answer.YES, f"the chart tells of it ({events[0].kind_and_day})")
    is_asked = rule.need == Need.IF_ASKED
    key = f"{'asked' if is_asked else 'done'}:{kind.key}"
    if said := case.facts.answers.get(key):
        return Verdict(Answer.YES if said.what == "yes" else Answer.NO, _by(said), by_person=True)
    if is_asked:
        return Verdict(Answer.NO, "the consultant has not asked for it")
    text = kind.event or f"Was there ever what this would tell of: {kind.label}?"
    return Verdict(Answer.ASK, question=Question(key, text))


def _of_nothing(rule: Rule, kind: Kind, verdict: Verdict) -> Item:
    """No record speaks for it."""
    if rule.need == Need.IF_AVAILABLE:
        return Item(rule, kind, State.NOT_APPLICABLE, ("not in the chart; sent when there is one",))
    if verdict.answer is Answer.NO:
        return Item(rule, kind, State.NOT_APPLICABLE, (verdict.reason,))
    if verdict.answer is Answer.ASK:
        return Item(rule, kind, State.UNKNOWN, (verdict.reason,) if verdict.reason else (), question=verdict.question)
    reason = "travels by courier: a person says when it has arrived" if kind.by_courier else "not in the chart"
    return Item(rule, kind, State.MISSING, (reason, *([verdict.reason] if verdict.reason else [])))


def _doubtful(rule: Rule, kind: Kind, found: _Found) -> Item:
    """A person puts the record under this item, or under another one: that answers it."""
    evidence = tuple(record.evidence(why) for record, why in found.doubtful)
    return Item(
        rule,
        kind,
        State.UNKNOWN,
        ("a record may be this, by its words or its code alone: put it where it belongs",),
        evidence,
    )


def _of_what_is_there(rule: Rule, kind: Kind, found: _Found, case: _Case) -> Item:
    """Stale comes before partial; the other is said beside it."""
    age = _age(rule, found, case)
    lacks = list(_lacks(rule, kind, found if age else _young(rule, found, case), case))
    if len(found.records) < rule.min_count and found.records:
        lacks.append(f"{len(found.records)} of {rule.min_count}")
    elif rule.images is Images.REQUIRED and 0 < len(found.images) < rule.min_count:
        lacks.append(f"pictures of {len(found.images)} of {rule.min_count}")
    if age is State.STALE:
        limit = f"older than {rule.months} month{'s' if rule.months != 1 else ''} at the visit"
        return Item(rule, kind, State.STALE, (limit, *lacks), found.evidence)
    if age is State.UNKNOWN:
        return Item(
            rule,
            kind,
            State.UNKNOWN,
            ("it has no date", *lacks),
            found.evidence,
            Question(f"dated:{kind.key}", f"Is it at most {rule.months} months old at the visit: {kind.label}?"),
        )
    if lacks:
        return Item(rule, kind, State.PARTIAL, tuple(lacks), found.evidence)
    if question := _unread(rule, kind, found, case):
        return Item(rule, kind, State.UNKNOWN, ("nobody has read it for this",), found.evidence, question)
    return Item(rule, kind, State.FOUND, (), found.evidence)


def _age(rule: Rule, found: _Found, case: _Case) -> State | None:
    """None when the newest is young enough: equal is young enough, and an unfinished date counts from its earliest day."""
    if rule.months is None:
        return None
    limit = months_before(case.visit, rule.months)
    days = [record.day for record, _ in found.records or found.images]
    if any(day is not None and day >= limit for day in days):
        return None
    if None in days:
        said = case.facts.answers.get(f"dated:{rule.kind}")
        return State.UNKNOWN if said is None else None if said.what == "yes" else State.STALE
    return State.STALE


def _young(rule: Rule, found: _Found, case: _Case) -> _Found:
    """Without what is too old or has no date: an old part makes a new one no whole."""
    if rule.months is None:
        return found
    limit = months_before(case.visit, rule.months)
    return _Found(
        *(
            tuple(pair for pair in pairs if pair[0].day is not None and pair[0].day >= limit)
            for pairs in (found.records, found.images, found.doubtful)
        )
    )


def _lacks(rule: Rule, kind: Kind, found: _Found, case: _Case) -> Iterable[str]:
    """What is not there of what is: each a reason for a person."""
    records = [record for record, _ in found.records]
    if records and kind.weak and all(record.fits_any(kind.weak) for record in records):
        yield kind.weak_reason
    if kind.images and not records and rule.images is not Images.EITHER:
        yield "pictures without their report"
    if rule.images is Images.REQUIRED and not found.images:
        yield "the report without its pictures"
    if records and all(record.is_preliminary for record in records):
        yield "only a preliminary one"
    yield from _too_few(rule, kind, found, case)
    lacking = [part.name for part in _unseen(kind.parts, records)]
    if lacking and not any(record.loinc & kind.panel for record in records):
        yield "without " + ", ".join(lacking)
    codes = _unseen(rule.parts, _all_of(rule.parts, case))
    if rule.parts and codes and len(codes) < len(rule.parts):
        yield "without " + ", ".join(part.name for part in codes)


def _too_few(rule: Rule, kind: Kind, found: _Found, case: _Case) -> Iterable[str]:
    """All of them are wanted, and the chart tells of more than it has reports of."""
    events = {record.day for record, _ in case.chart.matching(kind.events) if _is_past(record, case)}
    reports = {record.day for record, _ in found.records}
    if rule.all and found.records and len(events) > len(reports):
        yield f"the chart tells of {len(events)}, and has {len(reports)} of these"


def _unseen(parts: Iterable[Part], records: Iterable[Record]) -> list[Part]:
    codes = frozenset[str]().union(*(record.loinc for record in records))
    return [part for part in parts if not part.loinc & codes]


def _all_of(parts: tuple[Part, ...], case: _Case) -> list[Record]:
    """Coded results of the parts, wherever they stand in the chart."""
    wanted = frozenset[str]().union(*(part.loinc for part in parts))
    return [record for record in case.chart.by_type.get("Observation", ()) if record.loinc & wanted]


def _unread(rule: Rule, kind: Kind, found: _Found, case: _Case) -> Question | None:
    """Its parts are said by words that no program reads: a person looks once."""
    if not rule.parts or not _unseen(rule.parts, _all_of(rule.parts, case)):
        return None
    key = f"states:{kind.key}"
    said = case.facts.answers.get(key)
    if said is not None and said.what == "yes":
        return None
    names = ", ".join(part.name for part in rule.parts)
    return Question(key, f"Does it say all of this: {names}?")


def _as_a_person_says(item: Item, said: Said | None) -> Item:
    """A person's word stands where the chart alone does not say found."""
    if said is None or item.state in (State.FOUND, State.NOT_APPLICABLE):
        return item
    reason = _by(said)
    if said.what == "there":
        return _with(item, State.FOUND, reason)
    if said.what == "waived":
        return _with(item, State.WAIVED, reason)
    if item.state in (State.MISSING, State.REQUESTED) and said.what in _BY_PERSON:
        return _with(item, _BY_PERSON[said.what], reason)
    return item


def _with(item: Item, state: State, *reasons: str) -> Item:
    question = item.question if state is State.UNKNOWN else None
    return Item(item.rule, item.kind, state, (*reasons, *item.reasons), item.evidence, question)


def _by(said: Said) -> str:
    return f"{said.by} said {said.what} on {said.at:%Y-%m-%d}" + (f": {said.why}" if said.why else "")
