"""What every page shares: rendering with the words and formats of the house, and sentences for what goes wrong."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from integration.postgres.health import is_away
from integration.store.requests import UnknownRequest
from integration.views import causes, words
from integration.views.texts import t
from integration.web import forms, markup, problems, whose, world
from integration.web.access import scope
from mappings.model.errors import ExchangeError
from mappings.model.steps import kind_words

NAV = (
    ("cases.board", "nav.board"),
    ("desk.inbox", "nav.desk"),
    ("listing.requests", "nav.requests"),
    ("queue.queue", "nav.queue"),
    ("queue.groups", "nav.groups"),
    ("alarms.listed", "nav.alarms"),
    ("boards.deadlines", "nav.deadlines"),
    ("boards.endpoints", "nav.endpoints"),
    ("boards.findings", "nav.findings"),
    ("boards.schedules", "nav.schedules"),
    ("bulk.listed", "nav.operations"),
    ("numbers.numbers", "nav.numbers"),
    ("directory.find", "nav.directory"),
    ("drafts.listed", "nav.new"),
    ("accounts.listed", "nav.accounts"),
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def now() -> datetime:
    """The time pages count from."""
    return datetime.now(UTC)


def render(template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    page = render_template(template, now=now(), **values)
    return Response(page, status, content_type="text/html; charset=utf-8")


def problem(title: str, sentence: str, status: int) -> Response:
    """A page that says what is wrong and where to go on."""
    return render("problem.html", status, title=title, sentence=sentence)


def set_up(app: Flask) -> None:
    """Give templates their words, formats and icons; check the host; keep cookies."""
    app.jinja_env.globals.update(
        t=t,
        token=forms.token,
        message=forms.message,
        place=world.place_name,
        patient_of=whose.patient_of,
        kind_words=kind_words,
        countdown=words.countdown,
        moment=words.moment,
        how_often=words.how_often,
        ago=markup.ago,
        state_of=words.state_of,
        explain=causes.explain,
        buttons_of=causes.buttons,
        span=words.span,
        has_deadline=words.has_deadline,
        nav=_nav,
    )
    app.jinja_env.filters.update(markup.FILTERS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_error_handler(404, _no_such_page)
    app.before_request(_right_host)
    app.after_request(forms.cookies)


def _no_such_page(error: HTTPException) -> ResponseReturnValue:
    if request.path.startswith(("/fhir/", "/api/", "/static/")):
        return problems.http(error)
    return problem(t("problem.missing"), t("problem.missing_why", why=""), 404)


def _nav() -> list[tuple[str, str]]:
    """The pages that who asks may see."""
    there = {rule.endpoint for rule in world.rules()}
    if not world.config().web.needs_sign_in:
        there -= {"accounts.listed"}
    return [(endpoint, t(key)) for endpoint, key in NAV if endpoint in there and scope.may_use(endpoint)]


def _right_host() -> Response | None:
    """A page of another site that made its name point to this machine may not read ours."""
    host = request.host.rsplit(":", 1)[0].strip("[]") if not request.host.endswith("]") else request.host.strip("[]")
    public = urlsplit(world.config().web.public_url or "").hostname
    ours = LOOPBACK | {world.config().web.host, public}
    if request.path.startswith(("/health/", "/metrics")) or host.lower() in ours:
        return None
    if request.path.startswith("/api/"):
        return problems.known(problems.Problem("wrong-host", t("problem.host")))
    return Response(t("problem.host"), 421, content_type="text/plain; charset=utf-8")


def sentences(blueprint: Blueprint) -> Blueprint:
    """Errors under this blueprint become pages."""

    @blueprint.errorhandler(ExchangeError)
    def known(error: ExchangeError) -> Response:
        status = 404 if isinstance(error, UnknownRequest) else 409
        return problem(t("problem.missing") if status == 404 else blueprint.name.capitalize(), str(error), status)

    @blueprint.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        return problem(error.name, error.description or "", error.code or 500)

    @blueprint.errorhandler(DataError)
    def impossible(_error: DataError) -> Response:
        return problem(t("problem.missing"), t("problem.missing_why", why=""), 404)

    @blueprint.errorhandler(DBAPIError)
    @blueprint.errorhandler(PoolTimeout)
    def down(error: DBAPIError | PoolTimeout) -> Response:
        if not is_away(error):
            raise error
        return problem(t("problem.down"), t("problem.down_why"), 503)

    return blueprint
