"""What is wrong now, in at most five lines: open alarms by rule, the worst first, each with whom to call."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row

from integration.settings.config import Config
from integration.store import alarms
from mappings.model.alarms import RULES

LINES = 5
NAMED = 3


@dataclass(frozen=True)
class StripLine:
    """One rule: how many alarms are open, since when, and of whom."""

    rule: str
    number: int
    since: datetime
    subjects: tuple[str, ...]
    message: str  # of the one alarm, where it is one
    contacts: tuple[str, ...]


def strip(conn: Connection, config: Config) -> tuple[list[StripLine], int]:
    """The lines, and how many alarms are open on rules that are not among them."""
    groups = sorted(alarms.open_groups(conn, NAMED), key=lambda group: (_rank(group.rule), group.since))
    shown = [_line(group, config) for group in groups[:LINES]]
    return shown, sum(group.number for group in groups[LINES:])


def _rank(rule: str) -> int:
    return list(RULES).index(rule) if rule in RULES else len(RULES)


def _line(group: Row, config: Config) -> StripLine:
    known = [config.endpoints[each] for each in group.subjects if each in config.endpoints]
    return StripLine(
        group.rule,
        group.number,
        group.since,
        tuple(config.endpoints[each].name if each in config.endpoints else each for each in group.subjects),
        group.message if group.number == 1 else "",
        tuple(f"{each.name}: {each.contact}" for each in known if each.contact),
    )
