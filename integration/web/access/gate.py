"""Who may come in: each request is held against the one table of roles before anything else is done."""

from collections.abc import Callable

from flask import Flask, Response, g, request, url_for

from integration.hosted import rights
from integration.hosted.outcomes import Refusal
from integration.hosted.scopes import read_scopes
from integration.store import client_tokens, installation, tokens
from integration.store.roles import in_order
from integration.views.texts import t
from integration.web import forms, pages, problems, world
from integration.web.access import consented, scope, sign_in, who
from integration.web.access.roles import NEEDS, Role
from integration.web.problems import Problem
from mappings.model.errors import ExchangeError

HOSTED = "hosted."  # these let in by practice, see ``admit``
OWN = "exchange"  # our own workers
SAFE = ("GET", "HEAD", "OPTIONS")


class RouteWithoutRole(ExchangeError):
    """A route says nobody's role: it would be open to everyone, or to no one."""


def set_up(app: Flask) -> None:
    """Guard every route. Raises RouteWithoutRole."""
    missing = sorted(
        {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint not in NEEDS}
        - {rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith(HOSTED)}
    )
    if missing:
        raise RouteWithoutRole(
            f"integration/web/access/roles.py does not say who may use {', '.join(missing)}: add a row to NEEDS for each"
        )
    if unscoped := scope.unanswered(app):
        raise RouteWithoutRole(f"people of practices would see what is not theirs: {'; '.join(unscoped)}")
    app.before_request(guard)
    app.after_request(sign_in.cookies)
    app.jinja_env.globals.update(may=who.has_role, who=who.who, Role=Role, may_use=scope.may_use)


def guard() -> Response | None:
    """1. does the route need a role, 2. who asks, 3. have they got it, 4. is what it names theirs, 5. was a write of a browser
    sent by a page of ours."""
    if request.endpoint is None or request.endpoint.startswith(HOSTED):
        return None  # there is no such route, or it lets in by practice
    need = scope.needed(request.endpoint, request.view_args)
    if need is None:
        return None
    asking = who.who() or _signed_in_with_the_form()
    if not isinstance(asking, who.Who):
        return asking
    g.actor = asking.name
    if not scope.lets_in(need, asking):
        return _not_allowed(asking, need)
    g.scope = scope.of(asking, need)
    if scope.is_outside(asking):
        return _not_there()
    if (shut := consented.refused()) is not None:
        return shut
    if _is_api() and request.method not in SAFE and asking.session and not forms.is_ours():
        return problems.known(Problem("foreign-origin", t("gate.api_form", header=forms.TOKEN_HEADER)))
    return None


def admit(practice: str) -> rights.Caller:
    """Let somebody use the hosted endpoint of a practice, and say who they are and what they may do. Raises Refusal."""
    if not world.config().web.needs_sign_in:
        if request.method not in SAFE and not forms.comes_from_here():
            raise Refusal(403, "forbidden", "A page of another site may not write here.")
        return rights.ANYONE
    given = who.bearer() or ""
    if tokens.is_own(_own_secret(), practice, given):
        return rights.Caller(OWN)
    with world.engine().begin() as conn:
        signed_in, row = client_tokens.find(conn, given), tokens.find(conn, given)
    found = signed_in or row
    if found is None:
        raise Refusal(
            401, "login", "Send a token of this practice in the header Authorization, as Bearer.", headers=_CHALLENGE
        )
    if found.practice != practice:
        raise Refusal(403, "forbidden", "This token is not one of this practice.")
    if signed_in is None:
        return rights.Caller(f"token {found.name}")  # of a practice's own machine: everything there
    scoped = rights.of_scopes(read_scopes(signed_in.scopes), hosted_base(practice))
    return rights.Caller(f"client {signed_in.name}", scoped)


def wants_body_of(app: Flask) -> Callable[[dict], bool]:
    """For the server: is the large body of a request wanted? Only of who may come in; the rest is answered without it."""

    def wants_body(environ: dict) -> bool:
        with app.request_context(environ):
            try:
                return _is_welcome()
            except Refusal:
                return False

    return wants_body


def _is_welcome() -> bool:
    if not world.config().web.needs_sign_in:
        return True
    if (request.endpoint or "").startswith(HOSTED):
        practice = (request.view_args or {}).get("practice")
        if practice is None:
            return False
        admit(practice)
        return True
    return who.who() is not None


def hosted_base(practice: str) -> str:
    """The address of a practice's endpoint as who asks reaches it: through the TLS proxy, or from inside."""
    web = world.config().web
    is_public = web.public_url and web.public_url.partition("://")[2] == request.host.lower()
    return f"{web.public_url if is_public else web.address}/fhir/{practice}"


def _own_secret() -> str:
    kept = world.extension()
    if "own_secret" not in kept:
        with world.engine().begin() as conn:
            kept["own_secret"] = installation.secret(conn, tokens.OWN_SECRET)
    return kept["own_secret"]


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Second Opinion Exchange"'}


def _signed_in_with_the_form() -> "who.Who | Response":
    """Nobody has signed in: a machine is told so, a person is asked to, and what was typed into a form is not lost."""
    if _is_api() or request.endpoint == "health.metrics" or who.bearer() is not None:
        answer = problems.known(Problem("not-signed-in", t("gate.token")))
        answer.headers.update(_CHALLENGE)
        return answer
    if "X-Live" in request.headers:
        return Response(status=401)
    if request.method in SAFE:
        return forms.see_other(url_for("sign_in.form", next=request.full_path.rstrip("?")))
    return sign_in.carried() or who.signed_in()


def _not_there() -> Response:
    """The same for what is somebody else's and for what is not there."""
    if _is_api():
        return problems.known(Problem("unknown", t("gate.unknown")))
    return pages.problem(t("problem.missing"), t("gate.unknown"), 404)


def _not_allowed(asking: who.Who, need: frozenset[Role]) -> Response:
    if theirs := scope.instead():
        return forms.see_other(theirs)
    sentence = t("gate.role", name=asking.name, role=" or ".join(in_order(need)))
    if _is_api() or not asking.account:
        return problems.known(Problem("not-allowed", sentence))
    return pages.problem(t("gate.title"), f"{sentence} {t('gate.ask', name=asking.account)}", 403)


def _is_api() -> bool:
    return request.path.startswith("/api/")
