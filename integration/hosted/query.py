"""Reads a search: which resources are wanted, what of it was understood, and the links of the page that answers it.

https://hl7.org/fhir/R4/search.html
"""

import base64
import difflib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from integration.hosted.instants import span_of
from integration.hosted.outcomes import Refusal, bad_request, shown
from integration.hosted.parameters import (
    COMMON,
    CONTROLS,
    IMPLIED,
    OF_TYPE,
    Row,
    SearchParameter,
    fold,
    index_rows,
    key,
    split_reference,
)

DEFAULT_COUNT = 100
MAX_COUNT = 500
MAX_ALTERNATIVES = 1000  # values of one search, of all its parameters together
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb)?(\d.*)", re.DOTALL)
_PARTS = re.compile(r"(?:\\.|[^\\,])+", re.DOTALL)
_BAR = re.compile(r"(?<!\\)\|")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_BIRTH_DATE = re.compile(r"(?:eq)?(\d{4}(?:-\d\d(?:-\d\d)?)?)")

Position = tuple[datetime, str]  # updated_at and id of a page's last resource


@dataclass(frozen=True)
class Alternative:
    """One value of a parameter; ``systems`` None: any."""

    value: str | None
    systems: tuple[str, ...] | None = None
    is_prefix: bool = False


@dataclass(frozen=True)
class Criterion:
    """A resource must match one of the alternatives."""

    param: str
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True)
class TimeSpan:
    """lastUpdated lies in [start, end), or outside it."""

    start: datetime | None = None
    end: datetime | None = None
    outside: bool = False

    def holds(self, moment: datetime) -> bool:
        """Is ``moment`` one of those that are asked for?"""
        bounds = [moment >= self.start] if self.start is not None else []
        bounds += [moment < self.end] if self.end is not None else []
        return (bool(bounds) and all(bounds)) is not self.outside


@dataclass
class Query:
    """One search of one type."""

    type: str
    criteria: list[Criterion] = field(default_factory=list)
    ids: list[frozenset[str]] = field(default_factory=list)
    spans: list[tuple[TimeSpan, ...]] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    after: Position | None = None
    used: list[tuple[str, str]] = field(default_factory=list)
    within: tuple["Query", ...] | None = None  # a match has to match one of these too; None: it need not

    def matches(self, rows: set[Row], id_: str, updated_at: datetime) -> bool:
        """Does a resource with these rows of the index match, whatever page it would be on?"""
        return (
            all(_carries(rows, criterion) for criterion in self.criteria)
            and all(id_ in ids for ids in self.ids)
            and all(any(span.holds(updated_at) for span in spans) for spans in self.spans)
        )

    @property
    def alternatives(self) -> int:
        """How many values it asks for."""
        return sum(map(len, [*(each.alternatives for each in self.criteria), *self.ids, *self.spans]))

    @property
    def has_criteria(self) -> bool:
        """Does it ask for anything but the whole type?"""
        return bool(self.criteria or self.ids or self.spans)

    def self_link(self, base: str) -> str:
        """The search as it was understood (https://hl7.org/fhir/R4/search.html#conformance)."""
        return _address(base, self.type, self.used)

    def next_link(self, base: str, last: Position) -> str:
        """The page after the one that ends at ``last``."""
        kept = [(name, value) for name, value in self.used if name != "_page"]
        return _address(base, self.type, [*kept, ("_page", _page_of(last))])


def read_query(type_: str, query_string: str, *, base: str, lenient: bool = False) -> Query:
    """The search in ``query_string``; what it does not know is refused, or left out when ``lenient``."""
    query = Query(type_)
    for name, value in _pairs(query_string):
        if name == "_format":
            continue
        if name not in COMMON and name not in CONTROLS and name not in OF_TYPE[type_]:
            if lenient:
                continue
            raise _unknown(type_, name)
        if not value:
            raise bad_request(f"The parameter '{name}' has no value.")
        _READERS.get(name, _read_criterion)(query, name, value, base)
        query.used.append((name, str(query.count) if name == "_count" else value))
        if query.alternatives > MAX_ALTERNATIVES:
            raise bad_request(
                f"The search asks for more than {MAX_ALTERNATIVES} values: ask for some of them at a time.",
                code="too-costly",
            )
    return query


def read_condition(type_: str, query_string: str, resource: dict[str, Any], *, base: str) -> Query:
    """The search of a conditional create of ``resource`` (https://hl7.org/fhir/R4/http.html#ccreate).

    A bare ``+`` is a blank to some clients and itself to others: whichever the resource itself carries.
    """
    if "+" not in query_string:
        return _condition(type_, query_string, base)
    rows = index_rows(resource, base)
    for reading in (query_string.replace("+", "%2B"), query_string):
        query = _condition(type_, reading, base)
        if all(_carries(rows, criterion) for criterion in query.criteria):
            return query
    raise bad_request("If-None-Exist has a bare '+': write %2B for the sign itself, %20 for a blank.")


def _carries(rows: set[Row], criterion: Criterion) -> bool:
    return any(
        param == criterion.param
        and any(
            (value.startswith(each.value or "") if each.is_prefix else each.value in (None, value))
            and (each.systems is None or system in each.systems)
            for each in criterion.alternatives
        )
        for param, system, value in rows
    )


def _condition(type_: str, query_string: str, base: str) -> Query:
    if "?" in query_string.split("=", 1)[0]:
        raise bad_request(
            "If-None-Exist takes the query alone, such as identifier=system|value, "
            "without an address and without a question mark."
        )
    query = read_query(type_, query_string, base=base)
    if not query.has_criteria or query.after:
        raise bad_request("If-None-Exist needs a search parameter, such as identifier=system|value.")
    return query


def _pairs(query_string: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=100)
    except UnicodeDecodeError:
        raise bad_request("The search is not percent-encoded UTF-8.") from None
    except ValueError:
        raise bad_request("The search has more than 100 parameters.") from None


def _unknown(type_: str, name: str) -> Refusal:
    bare = name.split(":")[0].split(".")[0]
    known = sorted([*OF_TYPE[type_], *COMMON, "_count"])
    if bare in known:
        return bad_request(
            f"'{shown(name)}': modifiers and chains are not supported; use '{bare}' alone.", code="not-supported"
        )
    near = difflib.get_close_matches(bare, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return bad_request(
        f"{type_} has no search parameter '{shown(name)}' here.{hint} It has: {', '.join(known)}. "
        "With 'Prefer: handling=lenient' unknown parameters are left out.",
        code="not-supported",
    )


def _read_criterion(query: Query, name: str, value: str, base: str) -> None:
    parameter = OF_TYPE[query.type][name]
    read = _ALTERNATIVES[parameter.kind]
    query.criteria.append(Criterion(name, tuple(read(part, parameter, base) for part in _split(value, name))))


def _split(value: str, name: str) -> list[str]:
    parts = _PARTS.findall(value)
    if not parts:
        raise bad_request(f"The parameter '{name}' has no value.")
    return parts


def _plain(text: str) -> str:
    return re.sub(r"\\([\\,|$])", r"\1", text).replace("\x00", "\ufffd")


def _token(text: str, parameter: SearchParameter, _base: str) -> Alternative:
    system, bar, code = _BAR.split(text, 1)[0], _BAR.search(text), _BAR.split(text, 1)[-1]
    if not bar:
        return Alternative(key(_plain(text)))
    value = key(_plain(code)) if code else None
    if value is None and not system:
        raise bad_request(f"The parameter '{parameter.name}' needs a code beside the bar.")
    return Alternative(value, (key(_plain(system)), IMPLIED))


def _reference(text: str, parameter: SearchParameter, base: str) -> Alternative:
    type_, value = split_reference(_plain(text), base)
    if type_:
        return Alternative(value, (type_,))
    if _ID.fullmatch(value):
        return Alternative(value, (parameter.target,) if parameter.target else None)
    return Alternative(key(value), ("",))


def _text(text: str, parameter: SearchParameter, _base: str) -> Alternative:
    folded = fold(_plain(text))
    if not folded:
        raise bad_request(f"The parameter '{parameter.name}' has no value.")
    return Alternative(folded, is_prefix=True)


def _birth_date(text: str, parameter: SearchParameter, _base: str) -> Alternative:
    match = _BIRTH_DATE.fullmatch(text)
    if match is None:
        raise bad_request(f"'{parameter.name}' takes a date such as 1970-05-31, 1970-05 or 1970, without a prefix.")
    return Alternative(match[1], is_prefix=True)


_ALTERNATIVES = {"token": _token, "reference": _reference, "string": _text, "date": _birth_date}


def _read_ids(query: Query, name: str, value: str, _base: str) -> None:
    query.ids.append(frozenset(_plain(part) for part in _split(value, name)))


def _read_last_updated(query: Query, name: str, value: str, _base: str) -> None:
    query.spans.append(tuple(_time_span(part) for part in _split(value, name)))


def _time_span(text: str) -> TimeSpan:
    match = _PREFIXED.fullmatch(text)
    try:
        start, end = span_of(match[2]) if match else (None, None)
    except (ValueError, OverflowError):
        match = None
    if match is None:
        raise bad_request("'_lastUpdated' takes a FHIR date or time, with eq, ne, gt, lt, ge, le, sa or eb before it.")
    return {
        "ne": TimeSpan(start, end, outside=True),
        "gt": TimeSpan(end),
        "sa": TimeSpan(end),
        "ge": TimeSpan(start),
        "lt": TimeSpan(None, start),
        "eb": TimeSpan(None, start),
        "le": TimeSpan(None, end),
    }.get(match[1] or "eq", TimeSpan(start, end))


def _read_count(query: Query, name: str, value: str, _base: str) -> None:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise bad_request(f"'{name}' takes a whole number, 0 or more.")
    query.count = min(int(value), MAX_COUNT)


def _read_page(query: Query, _name: str, value: str, _base: str) -> None:
    try:
        micros, _, id_ = base64.urlsafe_b64decode(value.encode("ascii")).decode("ascii").partition(".")
        seconds, rest = divmod(int(micros), 1_000_000)
        if not _ID.fullmatch(id_):
            raise ValueError("no id")
        query.after = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), id_
    except (ValueError, OverflowError, OSError):
        raise bad_request("'_page' is not one this server handed out: follow the next link as it is.") from None


def _page_of(position: Position) -> str:
    updated_at, id_ = position
    micros = int(updated_at.timestamp()) * 1_000_000 + updated_at.microsecond
    return base64.urlsafe_b64encode(f"{micros}.{id_}".encode("ascii")).decode("ascii")


def _address(base: str, type_: str, pairs: list[tuple[str, str]]) -> str:
    return f"{base}/{type_}" + (f"?{urlencode(pairs)}" if pairs else "")


_READERS = {"_id": _read_ids, "_lastUpdated": _read_last_updated, "_count": _read_count, "_page": _read_page}
