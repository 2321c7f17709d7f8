"""Who asks: an account by its session, a machine by its token, or, with sign-in off, whoever reaches the address."""

from dataclasses import dataclass

from flask import g, request

from integration.store import sessions, tokens
from integration.store.roles import Role, all_of
from integration.web import world

SESSION = "second_opinion_session"


@dataclass(frozen=True)
class Who:
    """Somebody and what they may do now. ``session`` is the hash of their session's token; empty for a machine."""

    name: str
    roles: frozenset[Role]
    account: str = ""
    session: str = ""
    practices: frozenset[str] = frozenset()


def who() -> Who | None:
    """Who asks; None when nobody has signed in. Asked of the database once for each request."""
    if "who" not in g:
        g.who = None  # when the database does not answer: the page that says so can still be made
        g.who = _found()
    return g.who


def signed_in() -> Who:
    """Who asks, where the gate has let somebody in."""
    asking = who()
    if asking is None:
        raise LookupError("nobody has signed in")
    return asking


def has_role(*roles: str) -> bool:
    """True when who asks has one of these roles."""
    asking = who()
    return asking is not None and not asking.roles.isdisjoint(map(Role, roles))


def bearer() -> str | None:
    """The token a machine sends; None when there is none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def cookie() -> str:
    """The name of the session's cookie. With TLS it is one that a neighboring host cannot set."""
    return f"__Host-{SESSION}" if world.config().web.is_https else SESSION


def _found() -> Who | None:
    if not world.config().web.needs_sign_in:
        return Who("api" if request.path.startswith("/api/") else "web", frozenset(Role))
    token = bearer()
    return _of_session() if token is None else _of_token(token)


def _of_session() -> Who | None:
    token, web = request.cookies.get(cookie(), ""), world.config().web
    if not token:
        return None
    with world.engine().begin() as conn:
        found = sessions.find(
            conn,
            token,
            idle_minutes=web.session_idle_minutes,
            hours=web.session_hours,
            active="X-Live" not in request.headers,  # a page that renews itself is nobody's click
        )
    if found is None:
        return None
    return Who(found.account, found.roles, found.account, found.token_sha256, found.practices)


def _of_token(token: str) -> Who | None:
    with world.engine().begin() as conn:
        row = tokens.find(conn, token)
    # A token without a role is for a hosted endpoint alone.
    return None if row is None else Who(f"token {row.name}", all_of(row.roles), practices=frozenset(row.practices))
