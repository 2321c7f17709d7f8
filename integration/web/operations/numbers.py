"""The numbers page: volume, times and loop closure as charts with their table, and as CSV and JSON."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration.store import numbers as store
from integration.views import words
from integration.views.texts import t
from integration.web import pages
from integration.web.operations import charts
from integration.web.recent import Numbers, numbers_of
from mappings.model.roads import Level

blueprint = pages.sentences(Blueprint("numbers", __name__))
CLOSED_ON = {level: store.column_of(level) for level in Level}
COLUMNS = (
    *("start", "requests", "closed", *CLOSED_ON.values()),
    *("records_median", "records_p90", "report_median", "report_p90"),
)


def _read() -> tuple[int, Numbers]:
    asked = request.args.get("days", "30")
    days = int(asked) if asked in map(str, store.PERIODS) else 30
    return days, numbers_of(days)


@blueprint.get("/numbers")
def numbers() -> ResponseReturnValue:
    """Charts and table of the period."""
    days, found = _read()
    unit = t("numbers.unit_day" if days < 90 else "numbers.unit_week")
    return pages.render(
        "numbers.html",
        days=days,
        periods=store.PERIODS,
        summary=found.summary,
        rows=found.series,
        counted_at=found.counted_at,
        unit=unit,
        length=length,
        closed_on=CLOSED_ON,
        charts=_charts(found.series, unit),
    )


def length(seconds: float | Decimal | None) -> str:
    """Seconds as a length of time; a dash for none."""
    return t("numbers.none") if seconds is None else words.span(timedelta(seconds=float(seconds)))


def _charts(rows: list[dict], unit: str) -> list[dict]:
    labels = [row["start"] for row in rows]
    made = [
        {
            "title": t("numbers.volume_parts"),
            "parts": True,
            "highest": max([row["requests"] for row in rows] or [0]),
            "bars": charts.bars(
                [row["requests"] for row in rows],
                [t("numbers.of", n=row["closed"], all=row["requests"]) + f" · {row['start']}" for row in rows],
                [row["closed"] for row in rows],
            ),
        }
    ]
    for name in ("records", "report"):
        values = [row[f"{name}_median"] for row in rows]
        made.append(
            {
                "title": f"{t(f'numbers.to_{name}')}, {t('numbers.median')}",
                "highest": length(max(filter(None, values), default=None)),
                "bars": charts.bars(
                    [float(value) if value else None for value in values],
                    [f"{length(value)} · {label}" for value, label in zip(values, labels, strict=True)],
                ),
            }
        )
    return [
        {
            **chart,
            "words": t("numbers.chart", title=chart["title"], unit=unit, n=chart["highest"]),
            "first": labels[0],
            "last": labels[-1],
        }
        for chart in made
    ]


@blueprint.get("/numbers.json")
def as_json() -> ResponseReturnValue:
    """The same numbers for programs; times in seconds."""
    _, found = _read()
    return {
        "counted_at": found.counted_at.isoformat(),
        "summary": _plain(found.summary),
        "series": [_plain({name: row[name] for name in COLUMNS}) for row in found.series],
    }


@blueprint.get("/numbers.csv")
def as_csv() -> ResponseReturnValue:
    """The same numbers for a spreadsheet; times in seconds."""
    days, found = _read()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_plain(row)[name] for name in COLUMNS] for row in found.series)
    return Response(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="second-opinion-{days}-days.csv"'},
    )


def _plain(row: dict) -> dict:
    return {
        name: (
            round(float(value), 3)
            if not isinstance(value, (int, str, type(None))) or isinstance(value, float)
            else value
        )
        for name, value in row.items()
    }
