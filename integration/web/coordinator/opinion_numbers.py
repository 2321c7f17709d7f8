"""The numbers of the opinions: a page, CSV and JSON; for people of practices, of theirs alone. Nothing of a patient is in them."""

import csv
import io
from datetime import timedelta

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration import opinion_numbers
from integration.opinion_numbers import COLUMNS, KEPT_BACK, Period
from integration.views import words
from integration.views.texts import t
from integration.web import pages, world
from integration.web.access import scope
from integration.web.recent import Recent
from mappings.opinion_numbers import AGREEMENTS, COUNTS, DECISIONS, Line
from mappings.suppression import LEAST

blueprint = pages.sentences(Blueprint("opinion_numbers", __name__, url_prefix="/numbers"))


@blueprint.get("/opinions")
def show() -> ResponseReturnValue:
    """The numbers of a quarter. What is wrong with it is said, and the newest is shown."""
    period, wrong = _period()
    found = lines_of(period)
    return pages.render(
        "opinion_numbers.html",
        400 if wrong else 200,
        period=period,
        wrong=wrong,
        whole=found[0],
        tables=[(by, [each for each in found if each.by == by]) for by in ("specialty", "consultant")],
        agreements=AGREEMENTS,
        decisions=DECISIONS,
        least=LEAST,
        name_of=opinion_numbers.name_of,
        length=length,
        counted_after=opinion_numbers.COUNTED_AFTER.days,
        offered=opinion_numbers.offered(pages.now().date()),
        asked=request.args.get("period", ""),
    )


@blueprint.get("/opinions.json")
def as_json() -> ResponseReturnValue:
    """The same for programs: null where a number is kept back, or there is none."""
    period, wrong = _period()
    if wrong:
        return _refused(wrong)
    return opinion_numbers.view(period, lines_of(period))


@blueprint.get("/opinions.csv")
def as_csv() -> ResponseReturnValue:
    """The same for a spreadsheet: ``*`` where a count is kept back."""
    (period, wrong), out = _period(), io.StringIO()
    if wrong:
        return _refused(wrong)
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for each in map(opinion_numbers.row, lines_of(period)):
        writer.writerow([_cell(name, each[name]) for name in COLUMNS])
    headers = {"Content-Disposition": f'attachment; filename="opinions-{period}.csv"'}
    return Response(out.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _cell(name: str, value: str | int | float | None) -> str | int | float | None:
    """Nothing that a spreadsheet would take for a formula: a consultant's name is somebody else's word."""
    if value is None and name in COUNTS:
        return KEPT_BACK
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def length(seconds: float) -> str:
    """Seconds as a length of time."""
    return words.span(timedelta(seconds=seconds))


def _period() -> tuple[Period, dict[str, str]]:
    period, wrong = opinion_numbers.period_of(request.args.get("period", ""), pages.now().date())
    return period, dict(wrong)


def _refused(wrong: dict[str, str]) -> ResponseReturnValue:
    return {
        "title": t("opinion_numbers.wrong"),
        "errors": [{"path": at, "message": why} for at, why in wrong.items()],
    }, 400


def lines_of(period: Period) -> list[Line]:
    """Of who asks, counted now or within the last seconds."""
    mine = scope.mine()

    def count() -> list[Line]:
        with world.engine().connect() as conn:
            return opinion_numbers.read(conn, mine, period, world.place_name)

    kept: Recent[list[Line]] = world.extension().setdefault("opinion_numbers", Recent())
    return kept.get((mine, period), count)
