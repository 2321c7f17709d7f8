"""Clients of a hosted practice (SMART Backend Services): registered, listed and revoked; their key sets by value or by address."""

import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit
from integration.store.accounts import NAME
from integration.store.tables import clients
from mappings.model.errors import ExchangeError

ASK_AGAIN_SECONDS = 60  # an address is not asked more often, whoever shows whichever key
FETCHING_SECONDS = 15  # who began to ask longer ago has died


class ClientRefused(ExchangeError):
    """A client cannot be registered or revoked in this way."""


def add(
    conn: Connection,
    practice: str,
    name: str,
    *,
    scopes: Sequence[str],
    actor: str,
    jwks: str | None = None,
    jwks_url: str | None = None,
    jwks_seconds: int = 0,
) -> str:
    """Register a client; its client_id. ``jwks`` is its key set; fetched from ``jwks_url`` it counts for ``jwks_seconds``.

    Raises ClientRefused.
    """
    if not NAME.fullmatch(name):
        raise ClientRefused(
            "a client's name is up to 64 small letters, digits and . _ @ -, and begins with a letter or digit"
        )
    made = conn.execute(
        insert(clients)
        .values(
            id=f"{name}-{secrets.token_hex(8)}",
            practice=practice,
            name=name,
            scopes=" ".join(scopes),
            jwks=jwks,
            jwks_url=jwks_url,
            jwks_until=_in(jwks_seconds) if jwks_url else None,
        )
        .on_conflict_do_nothing()
        .returning(clients.c.id)
    ).scalar_one_or_none()
    if made is None:
        raise ClientRefused(f"there is a client {name} of {practice} already: revoke it first, or take another name")
    detail = {"client": made, "scopes": without_searches(scopes), "jwks_url": jwks_url}
    audit.record(conn, actor, "client.made", subject=f"{practice} {name}", detail=detail)
    return made


def without_searches(scopes: Iterable[str]) -> list[str]:
    """Scopes as the audit trail keeps them: the values of a scope's search may be a patient's."""
    return [scope.partition("?")[0] for scope in scopes]


def revoke(conn: Connection, practice: str, name: str, *, actor: str, reason: str | None = None) -> None:
    """Let a client in no more, with any token that it has. Raises ClientRefused."""
    revoked = conn.execute(
        update(clients)
        .where(clients.c.practice == practice, clients.c.name == name, clients.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(clients.c.id)
    ).scalar_one_or_none()
    if revoked is None:
        raise ClientRefused(f"there is no client {name[:64]} of {practice[:64]}; second-opinion clients list shows all")
    audit.record(conn, actor, "client.revoked", subject=f"{practice} {name}", reason=reason, detail={"client": revoked})


def views(conn: Connection) -> list[dict]:
    """Every client as plain values, without its keys; newest first."""
    shown = [column for column in clients.c if column.name not in ("jwks", "jwks_asked_at")]
    rows = conn.execute(select(*shown).order_by(clients.c.created_at.desc(), clients.c.id))
    return [row._asdict() | {"scopes": row.scopes.split()} for row in rows]


def find(conn: Connection, practice: str, client_id: str) -> Row | None:
    """A client of this practice that is not revoked.

    ``is_fresh``: its key set need not be fetched. ``is_being_fetched``: some process does it just now.
    """
    is_fresh = or_(clients.c.jwks_url.is_(None), clients.c.jwks_until > func.statement_timestamp())
    is_being_fetched = and_(
        clients.c.jwks_asked_at > _in(-FETCHING_SECONDS),
        or_(clients.c.jwks_answered_at.is_(None), clients.c.jwks_answered_at < clients.c.jwks_asked_at),
    )
    return conn.execute(
        select(
            clients,
            func.coalesce(is_fresh, False).label("is_fresh"),
            func.coalesce(is_being_fetched, False).label("is_being_fetched"),
        ).where(clients.c.id == client_id, clients.c.practice == practice, clients.c.revoked_at.is_(None))
    ).one_or_none()


def may_fetch(conn: Connection, client_id: str) -> bool:
    """True for one process in ASK_AGAIN_SECONDS: it fetches the key set of the client."""
    claimed = conn.execute(
        update(clients)
        .where(
            clients.c.id == client_id,
            or_(clients.c.jwks_asked_at.is_(None), clients.c.jwks_asked_at < _in(-ASK_AGAIN_SECONDS)),
        )
        .values(jwks_asked_at=func.statement_timestamp())
    )
    return bool(claimed.rowcount)


def keep_keys(conn: Connection, client_id: str, jwks: str, seconds: int) -> None:
    """What was fetched, and for how long it counts."""
    _answered(conn, client_id, jwks=jwks, jwks_until=_in(seconds), jwks_problem=None)


def keep_problem(conn: Connection, client_id: str, problem: str) -> None:
    """Why a fetch brought nothing: a person reads it in the list. What was fetched before counts as long as it did."""
    _answered(conn, client_id, jwks_problem=problem)


def _answered(conn: Connection, client_id: str, **values: object) -> None:
    conn.execute(
        update(clients).where(clients.c.id == client_id).values(jwks_answered_at=func.clock_timestamp(), **values)
    )


def _in(seconds: int) -> ColumnElement:
    return func.statement_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
