"""Forms nobody else can send: a signed token bound to the browser, and messages that survive one redirect."""

import secrets
from typing import cast
from urllib.parse import urlsplit

from flask import Response, g, redirect, request
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine
from werkzeug.exceptions import RequestEntityTooLarge

from integration.store import installation
from integration.views.texts import t
from integration.web import world
from integration.web.access import who

COOKIE, MESSAGE, TOKEN_HEADER = "second_opinion_browser", "second_opinion_message", "X-Form-Token"
MAX_AGE_SECONDS = 12 * 3600


def secret_of(engine: Engine) -> str:
    """The secret of this installation, made once and kept in the database: every web process has the same."""
    with engine.begin() as conn:
        return installation.secret(conn, "web-secret")


def signer(salt: str) -> URLSafeTimedSerializer:
    """Signs what a browser keeps for us."""
    kept = world.extension()
    if "secret" not in kept:
        kept["secret"] = secret_of(world.engine())
    return URLSafeTimedSerializer(kept["secret"], salt=salt)


def browser() -> str:
    """A random name for this browser, in a cookie that other sites cannot send with a form."""
    if "browser" not in g:
        g.browser = request.cookies.get(COOKIE) or secrets.token_urlsafe(18)
        g.browser_is_new = COOKIE not in request.cookies
    return g.browser


def token() -> str:
    """The hidden field of every form that changes something: for this browser, and for this session alone."""
    return signer("form").dumps([browser(), _session()])


def is_ours() -> bool:
    """True when what was posted came from a page of ours, in this browser and session, not too long ago."""
    given = request.headers.get(TOKEN_HEADER) or request.form.get("token", "")
    return comes_from_here() and _signed(given, MAX_AGE_SECONDS) == [request.cookies.get(COOKIE), _session()]


def was_ours() -> bool:
    """True also when the session has ended since the page was made: then nothing may be done, but what was typed is kept."""
    signed = _signed(request.form.get("token", ""), None)
    return comes_from_here() and signed is not None and signed[0] == request.cookies.get(COOKIE)


def comes_from_here() -> bool:
    """False when the browser says that another site sent it; also "null": a sandboxed or redirected form."""
    return request.headers.get("Origin") in (None, world.config().web.public_url, request.host_url.rstrip("/"))


def _session() -> str:
    """Names the session without giving its token away; empty when nobody has signed in."""
    asking = who.who()
    return asking.session[:16] if asking else ""


def _signed(given: str, max_age: int | None) -> list | None:
    try:
        signed = signer("form").loads(given, max_age=max_age)
    except BadData:
        return None
    return signed if isinstance(signed, list) and len(signed) == 2 else None


def refusal() -> str:
    """Why a form that is not ours was not done."""
    return t("action.signed_out" if g.get("signed_in_again") else "action.forged")


def actor() -> str:
    """Who does it, as the audit trail says."""
    asking = who.who()
    return g.get("actor") or (asking.name if asking else "web")


def typed(name: str, length: int = 1000) -> str:
    """What a person typed into a field, without what no database keeps."""
    return request.form.get(name, "").replace("\x00", "").strip()[:length]


def again(name: str) -> str:
    """What a field held, for a page that is shown again; nothing of a form that was too large to be read."""
    try:
        return request.form.get(name, "")
    except RequestEntityTooLarge:
        return ""


def local(address: str | None, default: str = "/") -> str:
    """A path of ours to go back to; anything else is the default."""
    address = address or ""
    if not address.startswith("/") or address.startswith("//") or "\\" in address or not address.isprintable():
        return default
    parts = urlsplit(address)
    return default if parts.netloc or parts.scheme else address


def see_other(address: str) -> Response:
    """Go on to ``address`` with GET."""
    return cast(Response, redirect(address, 303))  # Flask makes it of its own class


def told(message: str, address: str, *, good: bool = True) -> Response:
    """Go on to ``address`` with a message."""
    answer = see_other(address)
    keep(answer, MESSAGE, signer("message").dumps([message[:1000], good]), 60)
    return answer


def message() -> tuple[str, bool] | None:
    """The message of the action before, and whether it went well."""
    if "message" not in g:
        try:
            g.message = tuple(signer("message").loads(request.cookies.get(MESSAGE, ""), max_age=60))
        except BadData:
            g.message = None
    return g.message


def cookies(answer: Response) -> Response:
    """After each answer: name the browser, and forget a message that was shown."""
    if g.get("browser_is_new"):
        keep(answer, COOKIE, g.browser)
    if g.get("message") and MESSAGE in request.cookies and answer.status_code < 300:
        keep(answer, MESSAGE, "", 0)
    return answer


def keep(answer: Response, name: str, value: str, max_age: int | None = None) -> None:
    """Let the browser keep something that no script reads and no form of another site sends along."""
    secure = world.config().web.is_https
    answer.set_cookie(name, value, max_age=max_age, httponly=True, samesite="Lax", secure=secure)
