"""What `second-opinion top` shows and what its keys do; knows nothing of terminals but their width and height."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.text import Text
from sqlalchemy import Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from integration.settings.config import Config
from integration.store import actions, alarms, search
from integration.store.filters import Filter, FilterError, parse
from integration.views.causes import explain
from integration.views.endpoints import endpoint_board
from integration.views.requests import request_view
from integration.views.words import clean, countdown, span
from mappings.model.errors import ExchangeError
from second_opinion.house import ME

TABS = ("attention", "parked", "retrying", "late", "running", "due", "waiting")
HELP = "q quit  / filter  r refresh  arrows select, tab  Enter owed steps  R retry"
LEVELS = {"late": "bold red", "soon": "yellow", "fine": "", "none": "dim"}
READ, ENDPOINTS_SHOWN = 100, 3


@dataclass(frozen=True)
class Seen:
    """What was read at one moment."""

    at: datetime
    counts: dict[str, int]
    steps: Sequence[Row]
    endpoints: list[dict]
    alarms: list

    def as_json(self, wanted: Filter) -> dict:
        """The same for a program."""
        kept = ("key", "name", "health", "paused_reason", "failures", "last_success_at", "last_failure")
        return {
            "at": self.at,
            "filter": str(wanted),
            "counts": self.counts,
            "steps": [row._asdict() for row in self.steps],
            "endpoints": [{**{name: view.get(name) for name in kept}, **_work(view)} for view in self.endpoints],
            "alarms": [
                {"rule": row.rule, "subject": row.subject, "message": row.message, "raised_at": row.raised_at}
                for row in self.alarms
            ],
        }


def read(engine: Engine, config: Config, wanted: Filter) -> Seen:
    """Everything on one connection; patient identifiers in the filter have to be hashes."""
    now = datetime.now(UTC)
    with engine.connect() as conn:
        steps, _ = search.rows(conn, wanted, now, limit=READ)
        return Seen(
            now, search.counts(conn, wanted, now), steps, endpoint_board(conn, config, now), alarms.open_alarms(conn)
        )


def _work(view: dict) -> dict:
    work = view["work"]
    return {
        "open": work.open if work else 0,
        "parked": work.parked if work else 0,
        "oldest_due_at": work.oldest_due if work else None,
    }


@dataclass
class Screen:
    """The page: what is shown, and in which mode the keys are: list, owed, filter, reason."""

    engine: Engine
    config: Config
    wanted: Filter
    seen: Seen | None = None
    mode: str = "list"
    selected: int = 0
    typed: str = ""
    message: str = ""
    owed: list[str] = field(default_factory=list)

    def refresh(self) -> None:
        """Read again; what was read before stays when the database does not answer."""
        try:
            self.seen = read(self.engine, self.config, self.wanted)
            self.selected = max(0, min(self.selected, len(self.seen.steps) - 1))
        except SQLAlchemyError:
            self.message = "The database does not answer; this is what was so before. It is tried again."

    @property
    def step(self) -> Row | None:
        """The selected step; None when there is none."""
        return self.seen.steps[self.selected] if self.seen and self.seen.steps else None

    def press(self, key: str) -> bool:
        """One key; False ends it."""
        if self.mode in ("filter", "reason"):
            self._type(key)
            return True
        self.message = ""
        if self.mode == "owed" and key in ("esc", "enter"):
            self.mode = "list"
        elif key in KEYS:
            KEYS[key](self)
        return key != "q"

    def _type(self, key: str) -> None:
        if key == "esc":
            self.mode, self.message = "list", "Nothing was done." if self.mode == "reason" else ""
        elif key == "backspace":
            self.typed = self.typed[:-1]
        elif key == "enter":
            self._narrow() if self.mode == "filter" else self._retry()
        elif len(key) == 1 and key.isprintable():
            self.typed = (self.typed + key)[:1000]

    def _narrow(self) -> None:
        """Take the typed filter; one that cannot be read stays to be corrected."""
        try:
            wanted = parse(self.typed)
            with self.engine.begin() as conn:
                self.wanted = search.hashed(conn, wanted)
        except FilterError as error:
            self.message = f"At character {error.position + 1}: {error}"
        except SQLAlchemyError:
            self.message = "The database does not answer. Nothing was changed."
        else:
            self.mode, self.selected, self.message = "list", 0, ""
            self.refresh()

    def _retry(self) -> None:
        if not self.typed.strip():
            self.message = "Write why: it is kept in the audit trail. Esc leaves it."
            return
        step, self.mode = self.step, "list"
        if step is None:
            return
        seen = actions.Seen(step.id, step.lease_no, step.status)
        try:
            with self.engine.begin() as conn:
                self.message = actions.retry(conn, seen, actor=ME, reason=self.typed.strip()).message
        except (ExchangeError, SQLAlchemyError) as error:
            self.message = (
                str(error) if isinstance(error, ExchangeError) else "The database does not answer. Nothing was done."
            )
        message = self.message
        self.refresh()
        self.message = message

    def move(self, by: int) -> None:
        """Select another row."""
        if self.mode == "list" and self.seen:
            self.selected = max(0, min(len(self.seen.steps) - 1, self.selected + by))

    def turn(self, by: int) -> None:
        """Another tab."""
        at = TABS.index(self.wanted.state) if self.wanted.state in TABS else 0
        self.wanted, self.selected, self.mode = self.wanted.with_state(TABS[(at + by) % len(TABS)]), 0, "list"
        self.refresh()

    def ask(self, mode: str) -> None:
        """Begin to type: a filter, or the reason of a retry."""
        if mode == "filter":
            self.mode, self.typed = mode, str(self.wanted)
        elif self.step is not None and self.step.status in actions.CAN_RETRY:
            self.mode, self.typed = mode, ""
        else:
            self.message = "Only a parked or waiting step can be retried."

    def open(self) -> None:
        """What the selected step's request still owes."""
        if self.step is None or self.step.request_id is None:
            self.message = "This step belongs to no request."
            return
        try:
            with self.engine.connect() as conn:
                view = request_view(conn, self.step.request_id)
        except (ExchangeError, SQLAlchemyError):
            self.message = "The request cannot be read now."
            return
        self.mode, self.owed = "owed", owed_lines(view)

    def lines(self, width: int, height: int | None = None) -> list[Text]:
        """The page, not wider and not higher than this; without a height all rows."""
        if self.seen is None:
            return [_fit(Text(self.message or "Reading ..."), width)]
        above, below = (
            [*_head(self, self.seen, width), _filter_line(self)],
            [*_detail(self), *_endpoint_lines(self.seen), _foot(self)],
        )
        room = None if height is None else max(1, height - len(above) - len(below))
        middle = _owed(self, room) if self.mode == "owed" else _rows(self, self.seen, room)
        middle = middle if room is None else (middle + [Text("")] * room)[:room]
        found = [_fit(line, width) for line in (*above, *middle, *below)]
        return found if height is None else found[:height]


KEYS = {
    "r": Screen.refresh,
    "/": lambda screen: screen.ask("filter"),
    "R": lambda screen: screen.ask("reason"),
    "enter": Screen.open,
    "up": lambda screen: screen.move(-1),
    "down": lambda screen: screen.move(1),
    "left": lambda screen: screen.turn(-1),
    "right": lambda screen: screen.turn(1),
}


def owed_lines(view: dict) -> list[str]:
    """A request in short: what it owes, and what its loop still lacks."""
    lines = [
        f"{view['request_id']}: {view['status']}, records {view['records_words'].lower()}, {view['placer']} asks {view['fulfiller']}"
    ]
    for step in view["owed"]:
        why = clean(step["message"] or step["cause"], 200)
        lines.append(
            f"  {step['status']:<8} {step['kind']:<16} {step['endpoint']:<14} next {step['next_attempt_at']:%d %b %H:%M}  {why}"
        )
    arrived = [each for each in view["deliveries"] if each["known"]]
    lines += [f"  {each['kind']} {each['version']} at {each['endpoint']}: {each['known']}" for each in arrived]
    if view["closed"]:
        lines.append(f"  the loop is closed; the report: {view['closed_known']}")
    return lines + [f"  lacks: {words}" for words in view["missing_to_close"]] + ["", "  Enter or Esc: back"]


def _owed(screen: Screen, room: int | None) -> list[Text]:
    more = len(screen.owed) - room if room is not None else 0
    shown = (
        screen.owed
        if room is None or more <= 0
        else [*screen.owed[: room - 1], f"  and {more + 1} more lines: second-opinion requests show"]
    )
    return [Text(line) for line in shown]


def _fit(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _head(screen: Screen, seen: Seen, width: int) -> list[Text]:
    """The first line, and the tabs on as many as they need."""
    opened = seen.alarms
    told = f"{len(opened)} alarm(s): {clean(opened[0].rule)} {clean(opened[0].subject, 30)}" if opened else "no alarm"
    first = Text.assemble(
        (f"Second Opinion Exchange  {seen.at:%H:%M:%S} UTC", "bold"),
        "   ",
        (told, "bold red" if opened else "dim"),
    )
    lines, line = [first], Text()
    for state in TABS:
        word = f"{state} {seen.counts[state]:,}"
        piece = Text(f"[{word}]", "bold reverse") if state == screen.wanted.state else Text(f" {word} ")
        if line.cell_len + piece.cell_len > width:
            lines.append(line)
            line = Text()
        line.append_text(piece)
    return [*lines, line]


def _filter_line(screen: Screen) -> Text:
    if screen.mode == "filter":
        return Text.assemble(("filter: ", "bold"), screen.typed, ("_", "blink"))
    return Text(f"filter: {str(screen.wanted) or 'none: what needs a person, nearest deadline first'}", "dim")


def _rows(screen: Screen, seen: Seen, room: int | None) -> list[Text]:
    """The table, moved so that the selected row is in it."""
    rows = seen.steps
    room = len(rows) + 1 if room is None else room
    first = max(0, min(screen.selected - (room - 1) // 2, len(rows) - (room - 1)))
    lines = [Text(f"  {'left':<13}{'step':<17}{'endpoint':<13}{'request':<13}why", "bold")]
    for index, row in enumerate(rows[first : first + max(0, room - 1)], first):
        left = countdown(row.deadline, seen.at)
        chosen = index == screen.selected
        line = Text(f"{'>' if chosen else ' '} ", "bold" if chosen else "")
        line.append(f"{left.words:<12.12} ", LEVELS[left.level])
        line.append(
            f"{row.kind:<16.16} {clean(row.endpoint):<12.12} {row.request_id or '-':<12.12} {_state(row)}{clean(row.cause, 60)}"
        )
        lines.append(line)
    return lines if rows else [*lines, Text("  nothing matches", "dim")]


def _state(row: Row) -> str:
    return {"parked": "", "leased": "runs "}.get(row.status, f"{row.status} ") + (
        f"{row.attempts}x " if row.attempts else ""
    )


def _detail(screen: Screen) -> list[Text]:
    if screen.step is None or screen.mode == "owed":
        return [Text(""), Text("")]
    happened, advice = explain(screen.step)
    return [Text(clean(happened)), Text(clean(advice), "italic")]


def _endpoint_lines(seen: Seen) -> list[Text]:
    """How many are well, and those that are not, worst first."""
    order = {"resting": 0, "probing": 1, "failing": 2, "paused": 3}
    unwell = sorted(
        (view for view in seen.endpoints if view["health"] in order),
        key=lambda view: (order[view["health"]], view["key"]),
    )
    words = f"{len(seen.endpoints)} endpoint(s), {len(unwell) or 'none'} in trouble or paused"
    more = len(unwell) - ENDPOINTS_SHOWN
    return [
        Text(words + (f", {more} not shown" if more > 0 else ""), "bold"),
        *(_endpoint_line(view, seen.at) for view in unwell[:ENDPOINTS_SHOWN]),
    ]


def _endpoint_line(view: dict, now: datetime) -> Text:
    work, last = _work(view), view.get("last_success_at")
    since = f"last success {span(now - last)} ago" if last else "no success yet"
    return Text.assemble(
        f"  {view['key']:<14.14} ",
        (f"{view['health']:<8}", "red" if view["health"] != "paused" else "blue"),
        f" {view.get('failures', 0)} failed in a row, {work['open']} open, {work['parked']} parked, {since}",
    )


def _foot(screen: Screen) -> Text:
    step = screen.step
    if screen.mode == "reason" and step is not None:
        words = f"{screen.message}  " if screen.message else ""
        return Text.assemble(
            (f"{words}Why retry {step.kind} at {step.endpoint}? ", "bold"), screen.typed[-40:], ("_", "blink")
        )
    return Text(screen.message, "bold") if screen.message else Text(HELP, "dim")
