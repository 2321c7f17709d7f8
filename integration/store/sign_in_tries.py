"""Slows whoever tries passwords, by rows that hold for every web process; nobody is locked out for ever.

A try is counted as failed before the password is looked at, and forgiven when it was right: many at once gain nothing.
A try that has to wait is not counted. A browser in which the account signed in before has a count of its own, so that
a stranger's failures do not slow its owner (OWASP, "device cookies").
"""

import hmac
import ipaddress
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import sign_in_tries

FORGET = text("interval '15 minutes'")


@dataclass(frozen=True)
class Limit:
    """Failures that are free, and the longest wait after those; it doubles from one second."""

    free: int
    longest_seconds: int

    def wait_after(self, failures: int) -> int:
        """Seconds between a failure and the next try."""
        return 0 if failures < self.free else min(self.longest_seconds, 2 ** min(failures - self.free, 30))


HERE, ACCOUNT, ADDRESS, KNOWN = Limit(5, 60), Limit(20, 15), Limit(30, 15), Limit(5, 60)
PRIVATE_LINKS = Limit(10, 60)  # of one who tries, over all links: those behind one address are few


def limits(secret: str, account: str, address: str, known: str = "") -> dict[str, Limit]:
    """What counts for a try, by keyed hash: a password typed into the wrong field is not readable in the table."""
    network = _network(address)
    named = (
        {f"known {known} {account}": KNOWN}
        if known
        else {f"here {network} {account}": HERE, f"account {account}": ACCOUNT, f"address {network}": ADDRESS}
    )
    return {_keyed(secret, name): limit for name, limit in sorted(named.items())}


def for_private_links(secret: str, address: str) -> dict[str, Limit]:
    """What counts for a try at a patient's private link."""
    return {_keyed(secret, f"private links {_network(address)}"): PRIVATE_LINKS}


def _keyed(secret: str, name: str) -> str:
    return hmac.new(bytes.fromhex(secret), name.encode("utf-8", "replace"), "sha256").hexdigest()


def claim(conn: Connection, limited: dict[str, Limit]) -> float:
    """Count a try. Seconds to wait when it comes too early, and then it is not counted and must not be looked at."""
    keys = sorted(limited)
    conn.execute(insert(sign_in_tries).values([{"key": key, "failures": 0} for key in keys]).on_conflict_do_nothing())
    age = func.extract("epoch", func.clock_timestamp() - sign_in_tries.c.last_at)
    is_old = sign_in_tries.c.last_at < func.clock_timestamp() - FORGET
    rows = conn.execute(
        select(
            sign_in_tries.c.key, case((is_old, 0), else_=sign_in_tries.c.failures).label("failures"), age.label("age")
        )
        .where(sign_in_tries.c.key.in_(keys))
        .order_by(sign_in_tries.c.key)
        .with_for_update()
    ).all()
    wait = max(limited[row.key].wait_after(row.failures) - float(row.age) for row in rows)
    if wait > 0:
        return wait
    for row in rows:
        conn.execute(
            update(sign_in_tries)
            .where(sign_in_tries.c.key == row.key)
            .values(failures=row.failures + 1, last_at=func.clock_timestamp())
        )
    return 0


def forgive(conn: Connection, limited: dict[str, Limit]) -> None:
    """Take a counted try back: the password was right. Failures of others stay counted."""
    mine = [key for key, limit in limited.items() if limit in (HERE, KNOWN)]
    conn.execute(delete(sign_in_tries).where(sign_in_tries.c.key.in_(mine)))
    conn.execute(
        update(sign_in_tries)
        .where(sign_in_tries.c.key.in_(limited), sign_in_tries.c.failures > 0)
        .values(failures=sign_in_tries.c.failures - 1)
    )


def prune(conn: Connection) -> None:
    """Remove what is forgotten."""
    conn.execute(delete(sign_in_tries).where(sign_in_tries.c.last_at < func.statement_timestamp() - FORGET))


def _network(address: str) -> str:
    """An address of IP version 4; of version 6 the part that one machine cannot choose for itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ipaddress.ip_network(found).supernet(new_prefix=64))
