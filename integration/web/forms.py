"""Forms nobody else can send: a signed token bound to the browser, and messages that survive one redirect."""

import secrets
from urllib.parse import urlsplit

from flask import Response, g, redirect, request
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import settings
from integration.web import world

COOKIE, MESSAGE = "second_opinion_browser", "second_opinion_message"
MAX_AGE_SECONDS = 12 * 3600


def secret_of(engine: Engine) -> str:
    """The secret of this installation, made once and kept in the database: every web process has the same."""
    with engine.begin() as conn:
        conn.execute(insert(settings).values(name="web-secret", value=secrets.token_hex(32)).on_conflict_do_nothing())
        return conn.execute(select(settings.c.value).where(settings.c.name == "web-secret")).scalar_one()


def _signer(salt: str) -> URLSafeTimedSerializer:
    kept = world.extension()
    if "secret" not in kept:
        kept["secret"] = secret_of(world.engine())
    return URLSafeTimedSerializer(kept["secret"], salt=salt)


def browser() -> str:
    """A random name for this browser, in a cookie that other sites cannot send."""
    if "browser" not in g:
        g.browser = request.cookies.get(COOKIE) or secrets.token_urlsafe(18)
        g.browser_is_new = COOKIE not in request.cookies
    return g.browser


def token() -> str:
    """The hidden field of every form that changes something."""
    return _signer("form").dumps(browser())


def is_ours() -> bool:
    """True when the posted form came from a page of ours, in this browser, not too long ago."""
    origin = request.headers.get("Origin")
    if origin not in (None, request.host_url.rstrip("/")):  # also "null": a sandboxed or redirected form
        return False
    try:
        signed_for = _signer("form").loads(request.form.get("token", ""), max_age=MAX_AGE_SECONDS)
    except BadData:
        return False
    return isinstance(signed_for, str) and secrets.compare_digest(signed_for, request.cookies.get(COOKIE, ""))


def actor() -> str:
    """Who does it, as the audit trail says."""
    return g.get("actor") or "web"


def typed(name: str, length: int = 1000) -> str:
    """What a person typed into a field, without what no database keeps."""
    return request.form.get(name, "").replace("\x00", "").strip()[:length]


def local(address: str | None, default: str = "/") -> str:
    """A path of ours to go back to; anything else is the default."""
    address = address or ""
    parts = urlsplit(address)
    safe = (
        address.startswith("/")
        and not parts.netloc
        and not parts.scheme
        and "\\" not in address
        and address.isprintable()
    )
    return address if safe and not address.startswith("//") else default


def told(message: str, address: str, *, good: bool = True) -> Response:
    """Go on to ``address`` with a message."""
    answer = redirect(address, 303)
    answer.set_cookie(
        MESSAGE, _signer("message").dumps([message[:1000], good]), max_age=60, httponly=True, samesite="Strict"
    )
    return answer


def message() -> tuple[str, bool] | None:
    """The message of the action before, and whether it went well."""
    if "message" not in g:
        try:
            g.message = tuple(_signer("message").loads(request.cookies.get(MESSAGE, ""), max_age=60))
        except BadData:
            g.message = None
    return g.message


def cookies(answer: Response) -> Response:
    """After each answer: name the browser, and forget a message that was shown."""
    if g.get("browser_is_new"):
        answer.set_cookie(COOKIE, g.browser, httponly=True, samesite="Strict")
    if g.get("message") and MESSAGE in request.cookies and answer.status_code < 300:
        answer.delete_cookie(MESSAGE, samesite="Strict", httponly=True)
    return answer
