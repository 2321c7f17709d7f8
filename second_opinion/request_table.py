"""Requests as a person reads them in a terminal: the list with a header, and one request on one screen."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from integration.settings.config import Config
from integration.views.causes import explain
from integration.views.levels import in_short
from integration.views.request_list import Line
from integration.views.texts import t
from integration.views.words import clean, countdown, span
from mappings.model.acknowledgment import Standing
from mappings.model.steps import kind_words

SHOWN = 20  # findings on the screen; --json has all
HEADER = ("REQUEST", "ID", "FROM", "TO", "STATUS", "RECORDS", "DUE", "WAITING FOR")


def as_json_rows(rows: list[Line]) -> list[dict]:
    """The list for programs: ids, words and times."""
    return [
        {
            "id": row.id,
            "key": row.key,
            "status": row.status,
            "records": row.records,
            "records_words": row.records_words,
            "placer": row.placer,
            "fulfiller": row.fulfiller,
            "priority": row.priority,
            "records_due_at": row.due_at,
            "created_at": row.created_at,
            "changed_at": row.changed_at,
            "closed_at": row.closed_at,
            "closed_level": row.closed_level,
            "reading": row.reading.value,
            "case_id": row.case,
            "waits_for": row.waits and {"kind": row.waits.kind, "status": row.waits.status, "cause": row.waits.cause},
        }
        for row in rows
    ]


def table(rows: list[Line], config: Config, *, more: bool = False) -> str:
    """The list with a header, as wide as its words."""
    if not rows:
        return "no requests yet"
    now = datetime.now(UTC)
    cells = [HEADER, *(_cells(row, config, now) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([*lines, *(["(there are more: --limit)"] if more else [])])


def _cells(row: Line, config: Config, now: datetime) -> tuple[str, ...]:
    return (
        clean(row.key, 32),
        row.id,
        _name(config, row.placer),
        _name(config, row.fulfiller),
        f"{t('list.closed_loop')}, {in_short(row.closed_level, row.reading)}"
        if row.closed_at
        else t(f"status.{row.status}"),
        row.records_words,
        countdown(row.due_at, now).words if row.is_open else "",
        _waits(row),
    )


def _name(config: Config, key: str) -> str:
    return clean(config.endpoints[key].name if key in config.endpoints else key, 28)


def _waits(row: Line) -> str:
    if row.waits is None or not row.is_open:
        return ""
    person = "a person: " if row.waits.status == "parked" else ""
    cause = f" ({row.waits.cause})" if row.waits.cause and (row.waits.attempts or person) else ""
    return f"{person}{kind_words(row.waits.kind)}{cause}"


def page(view: dict, config: Config) -> str:
    """One request: who and whom, where it stands, what happens next and what to do, deliveries, findings."""
    due = view["records_due_at"]
    lines = [
        f"{clean(view['key'], 80)}  ({view['request_id']})",
        f"from {_name(config, view['placer'])} to {_name(config, view['fulfiller'])}, {view['priority']}",
        f"status: {t('status.' + view['status'])}; records: {view['records_words']}, "
        f"{view['verified']} of {view['gathered']} verified",
        *([f"records due: {due:%Y-%m-%d %H:%M} UTC"] if due else []),
        "",
        *([f"the loop is closed; the report: {view['closed_known']}{_read(view)}"] if view["closed"] else _open(view)),
        *_deliveries(view),
        *_findings(view),
        "",
        "everything else: --json",
    ]
    return "\n".join(lines)


def _read(view: dict) -> str:
    return f"; {t('reading_level.' + view['reading'])}" if view["reading"] != Standing.NONE else ""


def _open(view: dict) -> list[str]:
    lines = ["still missing before the loop is closed:", *(f"  - {each}" for each in view["missing_to_close"])]
    for step in view["owed"]:
        lines += ["", *_owed(step)]
    return lines


def _owed(step: dict) -> list[str]:
    state = "waits for a person" if step["status"] == "parked" else step["status"]
    lines = [f"{kind_words(step['kind'])} at {step['endpoint']}: {state} (step {step['id']})"]
    if step["cause"] and (step["attempts"] or step["status"] == "parked"):
        what, to_do = explain(SimpleNamespace(**step))
        lines += [f"  {step['cause']}: {clean(what)}", *([f"  what to do: {clean(to_do)}"] if to_do else [])]
    if step["status"] == "waiting":
        left = max(step["next_attempt_at"] - datetime.now(UTC), timedelta(0))
        lines.append(f"  next attempt in {span(left)}, after {step['attempts']}")
    return lines


def _deliveries(view: dict) -> list[str]:
    shown = [
        f"  {each['kind']} {each['version']} to {each['endpoint']}: {each['status']}"
        + (f" ({each['known']})" if each["known"] else "")
        for each in view["deliveries"]
    ]
    return ["", "deliveries:", *shown] if shown else []


def _findings(view: dict) -> list[str]:
    rank = {"error": 0, "warning": 1, "info": 2}
    found = sorted(view["findings"], key=lambda each: rank.get(each["severity"], 3))
    shown = [f"  {each['severity']}: {each['path']} {clean(each['message'])}".rstrip() for each in found[:SHOWN]]
    more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return ["", "findings:", *shown, *more] if found else []
