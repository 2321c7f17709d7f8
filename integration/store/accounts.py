"""Accounts of people who sign in: passwords as Argon2id, roles, and always an admin who is left."""

import re
import threading
import unicodedata
from collections.abc import Collection

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, sessions
from integration.store.operations import NotPossible
from integration.store.roles import Role, in_order
from integration.store.tables import accounts

SHORTEST, LONGEST = 12, 256
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# Words that stand in the audit trail for what is no account.
RESERVED = frozenset({"anonymous", "api", "cli", "exchange", "fulfiller", "nobody", "placer", "token", "web", "worker"})
# OWASP, Password Storage Cheat Sheet: 19 MiB, two rounds, one lane; 26 ms on one core of the machine it was measured on.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
# Of a password nobody has: who asks for an unknown account waits as long as who mistypes.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$0f9zd0FaCLQagixA2t1nwQ$xbcr9d/qTb09g7eFywrdfe0Z2zPRjagqWoRbj6wBGGQ"
_JUDGED = 72  # characters: to judge one takes longer with the square of its length
_OURS = ("second", "opinion", "exchange", "second-opinion", "hospital", "patient", "doctor", "clinic")
_FEW = threading.BoundedSemaphore(4)  # a flood of sign-ins may use 76 MiB of a process, not more


class AccountRefused(NotPossible):
    """An account cannot be made or changed in this way."""


def add(
    conn: Connection,
    name: str,
    password: str,
    roles: Collection[str],
    practices: Collection[str] = (),
    *,
    actor: str,
) -> None:
    """Make an account; without a role it sees nothing but itself. Raises AccountRefused."""
    _check_name(name)
    made = conn.execute(
        insert(accounts)
        .values(name=name, password_hash=_hash(name, password), roles=in_order(roles), practices=sorted(set(practices)))
        .on_conflict_do_nothing()
        .returning(accounts.c.name)
    ).first()
    if made is None:
        raise AccountRefused(f"there is an account {name} already; second-opinion accounts list shows all")
    detail = {"roles": in_order(roles), "practices": sorted(set(practices))}
    audit.record(conn, actor, "account.added", subject=name, detail=detail)


def set_password(conn: Connection, name: str, password: str, *, actor: str, keep: str = "") -> None:
    """Give an account another password and end its sessions, but for the one in which it is done (``keep``)."""
    get(conn, name)
    conn.execute(
        update(accounts)
        .where(accounts.c.name == name)
        .values(password_hash=_hash(name, password), password_at=func.now())
    )
    sessions.end_all(conn, name, but=keep)
    audit.record(conn, actor, "account.password-changed", subject=name)


def set_roles(conn: Connection, name: str, roles: Collection[str], *, actor: str, reason: str | None = None) -> None:
    """Give an account exactly these roles; it takes effect with its next request."""
    before = get(conn, name).roles
    if Role.ADMIN not in roles:
        _keep_an_admin(conn, name)
    conn.execute(update(accounts).where(accounts.c.name == name).values(roles=in_order(roles)))
    audit.record(
        conn,
        actor,
        "account.roles-changed",
        subject=name,
        reason=reason,
        detail={"from": before, "to": in_order(roles)},
    )


def set_practices(
    conn: Connection, name: str, practices: Collection[str], *, actor: str, reason: str | None = None
) -> None:
    """Let an account belong to exactly these practices (keys of endpoints); it takes effect with its next request."""
    before, after = get(conn, name).practices, sorted(set(practices))
    conn.execute(update(accounts).where(accounts.c.name == name).values(practices=after))
    detail = {"from": before, "to": after}
    audit.record(conn, actor, "account.practices-changed", subject=name, reason=reason, detail=detail)


def set_enabled(conn: Connection, name: str, enabled: bool, *, actor: str, reason: str | None = None) -> None:
    """Disable an account, which ends its sessions, or enable it again."""
    get(conn, name)
    if not enabled:
        _keep_an_admin(conn, name)
        sessions.end_all(conn, name)
    conn.execute(update(accounts).where(accounts.c.name == name).values(enabled=enabled))
    audit.record(conn, actor, "account.enabled" if enabled else "account.disabled", subject=name, reason=reason)


def sign_out(conn: Connection, name: str, *, actor: str, reason: str | None = None) -> int:
    """End every session of an account; how many there were."""
    get(conn, name)
    ended = sessions.end_all(conn, name)
    audit.record(conn, actor, "account.signed-out-everywhere", subject=name, reason=reason, detail={"sessions": ended})
    return ended


def get(conn: Connection, name: str) -> Row:
    """An account's row. Raises AccountRefused."""
    row = find(conn, name)
    if row is None:
        raise AccountRefused(f"there is no account {name[:64]}; second-opinion accounts list shows all")
    return row


def find(conn: Connection, name: str) -> Row | None:
    """An account's row; None when there is none."""
    return conn.execute(select(accounts).where(accounts.c.name == name)).one_or_none()


def views(conn: Connection) -> list[dict]:
    """Every account as plain values, without its password."""
    counted = sessions.counts(conn)
    shown = (
        accounts.c.name,
        accounts.c.roles,
        accounts.c.practices,
        accounts.c.enabled,
        accounts.c.created_at,
        accounts.c.password_at,
        accounts.c.signed_in_at,
    )
    return [
        {**row._asdict(), "sessions": counted.get(row.name, 0)}
        for row in conn.execute(select(*shown).order_by(accounts.c.name))
    ]


def there_are_any(conn: Connection) -> bool:
    """False until the first account is made."""
    return conn.execute(select(accounts.c.name).limit(1)).first() is not None


def is_right(row: Row | None, password: str) -> bool:
    """True when it is the password of an enabled account. Takes as long when there is none."""
    with _FEW:
        try:
            right: bool = _HASHER.verify(row.password_hash if row is not None else _NOBODY, _plain(password)[:LONGEST])
        except (VerificationError, InvalidHashError):
            right = False
    return right and row is not None and row.enabled


def still_right(conn: Connection, row: Row, password: str) -> bool:
    """False when password or account changed since ``row`` was read. Locks it, and keeps its hash up with the parameters."""
    is_old = _HASHER.check_needs_rehash(row.password_hash)
    values = {"password_hash": _HASHER.hash(_plain(password)) if is_old else row.password_hash}
    unchanged = (accounts.c.name == row.name, accounts.c.enabled, accounts.c.password_hash == row.password_hash)
    return conn.execute(update(accounts).where(*unchanged).values(values)).rowcount == 1


def signed_in(conn: Connection, name: str) -> None:
    """Note when somebody signed in."""
    conn.execute(update(accounts).where(accounts.c.name == name).values(signed_in_at=func.now()))


def _hash(name: str, password: str) -> str:
    password = _plain(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountRefused(f"a password has {SHORTEST} to {LONGEST} characters; a few words in a row are a good one")
    if password.casefold() == name.casefold():
        raise AccountRefused("the password must not be the account's name")
    if _is_easily_guessed(name, password):
        raise AccountRefused(
            "this password is easily guessed; a few words that have nothing to do with each other are a good one"
        )
    return _HASHER.hash(password)


def _is_easily_guessed(name: str, password: str) -> bool:
    """True when fewer than 10^8 tries of common passwords, words, names, years and keyboard rows find it."""
    from zxcvbn import zxcvbn  # 2 MB of word lists, for those who set a password only

    return zxcvbn(password[:_JUDGED], user_inputs=[name, *_OURS])["score"] < 3


def _plain(password: str) -> str:
    """The same characters whichever keyboard wrote them."""
    return unicodedata.normalize("NFKC", password)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise AccountRefused(
            "an account's name is up to 64 small letters, digits and . _ @ -, and begins with a letter or digit"
        )
    if name in RESERVED:
        raise AccountRefused(f"{name} stands for something else in the audit trail; take another name")


def _keep_an_admin(conn: Connection, name: str) -> None:
    """Locks every enabled admin, so that two who disable each other at once do not both succeed."""
    is_admin = (accounts.c.enabled, accounts.c.roles.contains([Role.ADMIN.value]))
    admins = set(
        conn.execute(select(accounts.c.name).where(*is_admin).order_by(accounts.c.name).with_for_update()).scalars()
    )
    if admins == {name}:
        raise AccountRefused(
            f"{name} is the last enabled admin: make another first (second-opinion accounts roles NAME --role admin)"
        )
