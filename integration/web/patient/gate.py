"""The one gate of the patient's own page: each of its routes but the door is for the session that a private link opened.

It has nothing to do with staff's sign-in: neither opens what the other does. What it opens is one request, by the session alone:
no address or form of the page names one.
"""

import hmac

from flask import Response, g, redirect, request

from integration.store import private_links
from integration.store.private_links import Opened
from integration.web import forms, world

COOKIE, SECONDS = "second_opinion_own_page", 2 * 3600
DOOR = ("own_page.door", "own_page.enter", "own_page.ended")  # open to anyone; they tell nothing


def guard() -> Response | None:
    """Before each route of the page: who has no session stands before the door."""
    g.opened = None
    if request.endpoint in DOOR:
        return None
    token = request.cookies.get(cookie(), "")
    if token:
        with world.engine().begin() as conn:
            g.opened = private_links.find(conn, token)
    if g.opened is None:
        return redirect("/p/ended", 303)  # type: ignore[return-value]  # Flask makes it of its own class
    g.actor = g.opened.actor
    return None


def opened() -> Opened:
    """Whose page it is, where the gate has let somebody in."""
    found = g.get("opened")
    if not isinstance(found, Opened):
        raise LookupError("no private link was opened")
    return found


def form_token() -> str:
    """The hidden field of each form: of this session alone. Browsers that send no referrer send no origin to compare either."""
    return forms.signer("own-page").dumps(opened().session)


def is_ours() -> bool:
    """True when what was posted came from a page of this session."""
    try:
        said = forms.signer("own-page").loads(request.form.get("token", ""), max_age=SECONDS)
    except forms.BadData:
        return False
    return isinstance(said, str) and hmac.compare_digest(said, opened().session)


def cookie() -> str:
    """The name of the cookie. With TLS it is one that a neighboring host cannot set."""
    return f"__Host-{COOKIE}" if world.config().web.is_https else COOKIE


def keep(answer: Response, token: str) -> Response:
    """Let the browser keep the session: no script reads it, and no other site sends it along, not even by a link."""
    age = SECONDS if token else 0
    secure = world.config().web.is_https
    answer.set_cookie(cookie(), token, max_age=age, httponly=True, samesite="Strict", secure=secure)
    return answer
