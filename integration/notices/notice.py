"""One notice to one recipient: what it says as a line, as text and as JSON; and the error of one that could not be sent."""

import json
import os
import ssl
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integration.settings.alerts import Alerts
from mappings.model.alarms import RULES
from mappings.model.errors import ExchangeError

LISTED = 20  # alarms a notice names; the rest is on the page


class NotSent(ExchangeError):
    """A notice could not be sent; the sentence holds no secret. ``for_all``: the next one to the same server would fail too."""

    def __init__(self, message: str, *, for_all: bool = False):
        self.for_all = for_all
        super().__init__(message)


@dataclass(frozen=True)
class Notice:
    """What a recipient is told: the alarms of one rule that were raised, are over, or are still open. Ids only."""

    key: str  # stays the same when it is sent again
    kind: str  # raised recovered reminder test
    rule: str
    count: int
    created_at: datetime
    alarms: tuple[dict[str, Any], ...] = ()  # the first few: id, subject, message, raised_at, recovered_at
    link: str = ""
    exchange: str = ""

    @property
    def headline(self) -> str:
        """One line that says it."""
        one, many = words_of(self.rule)
        subject = self.alarms[0]["subject"] if self.alarms else ""
        words = one.format(subject=subject) if self.count == 1 else many.format(n=self.count)
        return plain(f"{_KINDS.get(self.kind, '')}{words}", 150)

    def text(self) -> str:
        """The whole of it for a person."""
        more = [f"- and {self.count - len(self.alarms)} more, on the page"] if self.count > len(self.alarms) else []
        lines = [f"{self.headline}.", "", *[_line(alarm) for alarm in self.alarms], *more]
        foot = f"{plain(self.exchange, 80)}. This notice holds ids only. Times are UTC."
        return "\n".join([*lines, "", f"Look: {self.link}", "", foot])

    def as_json(self) -> bytes:
        """The whole of it for a program (docs/how-to/alerts.md)."""
        return json.dumps(
            {
                "version": 1,
                "id": self.key,
                "kind": self.kind,
                "rule": self.rule,
                "count": self.count,
                "text": f"{self.headline}. {self.link}",
                "alarms": list(self.alarms),
                "link": self.link,
                "exchange": self.exchange,
                "created_at": self.created_at.astimezone(UTC).isoformat(timespec="seconds"),
            }
        ).encode()


def words_of(rule: str) -> tuple[str, str]:
    """How one alarm and how many of a rule are said; one that a newer version raised is named."""
    known = RULES.get(rule)
    if known is None:
        return ("this is a test",) * 2 if rule == "test" else (f"{rule} {{subject}}", f"{rule} ({{n}})")
    return known.one, known.many


def plain(text: str, length: int) -> str:
    """Text from elsewhere on one line: no control character of it reaches a header, a log or a page."""
    kept = "".join(
        " " if unicodedata.category(each)[0] == "C" or unicodedata.category(each) in ("Zl", "Zp") else each
        for each in text[: 10 * length]
    )
    return " ".join(kept.split())[:length]


def secret(file: str | None, variable: str | None, key: str) -> str | None:
    """What a file or an environment variable holds; None when neither is named. Raises NotSent."""
    if file is None and variable is None:
        return None
    try:
        value = (Path(file).read_text("utf-8") if file else os.environ.get(variable or "", "")).strip()
    except (OSError, ValueError):
        raise NotSent(f"the file that `{key}_file` names cannot be read") from None
    if not value:
        raise NotSent(f"the {'file' if file else 'variable'} that `{key}_{'file' if file else 'env'}` names is empty")
    return value


def trust(alerts: Alerts) -> ssl.SSLContext:
    """Whose certificates are believed: this machine's, and those of `ca_file`. Raises NotSent."""
    context = ssl.create_default_context()
    if alerts.ca_file is not None:
        try:
            context.load_verify_locations(alerts.ca_file)
        except OSError:
            raise NotSent("the file that `alerts.ca_file` names holds no certificates", for_all=True) from None
    return context


def _line(alarm: dict[str, Any]) -> str:
    over = f", over since {_minute(alarm['recovered_at'])}" if alarm.get("recovered_at") else ""
    return f"- {plain(alarm['message'], 500)} (since {_minute(alarm['raised_at'])}{over})"


def _minute(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M}"


_KINDS = {"recovered": "Over: ", "reminder": "Still: "}
