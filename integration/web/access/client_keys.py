"""The key with which a client has signed: of the set it was registered with, or of the one at its address.

What was fetched counts as long as its Cache-Control says. A kid that is not in it is a reason to fetch again, but no address is
asked more than once in `clients.ASK_AGAIN_SECONDS`, over all processes: who shows unknown keys makes us ask nobody.
"""

import logging
import time

from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import Row

from integration.client_assertions import KeySetAway, Shown, key_of, unknown
from integration.store import clients
from integration.web import world

log = logging.getLogger(__name__)
POLL_SECONDS = 0.1


def key_for(practice: str, shown: Shown) -> tuple[Row, RSAKey | ECKey]:
    """The client that an assertion names, and its key. Raises AssertionRefused, with one sentence for all that may be."""
    client = _found(practice, shown)
    key = key_of(shown, client.jwks) if client.is_fresh else None
    if key is None and client.jwks_url is not None:
        _fetch(client)
        client = _fetched(practice, shown)
        key = key_of(shown, client.jwks) if client.is_fresh else None
    if key is None:
        raise unknown("key" if client.is_fresh else "key-set-away")
    return client, key


def _found(practice: str, shown: Shown) -> Row:
    with world.engine().connect() as conn:
        client = clients.find(conn, practice, shown.client_id)
    if client is None or shown.jku not in (None, client.jwks_url):
        raise unknown("client" if client is None else "jku")
    return client


def _fetch(client: Row) -> None:
    with world.engine().begin() as conn:
        if not clients.may_fetch(conn, client.id):
            return
    try:
        fetched = world.extension()["fetch_keys"](client.jwks_url)
    except KeySetAway as away:
        log.warning("no key set", extra={"action": "smart.keys", "subject": client.id})
        with world.engine().begin() as conn:
            clients.keep_problem(conn, client.id, str(away))
        return
    with world.engine().begin() as conn:
        clients.keep_keys(conn, client.id, fetched.text, fetched.seconds)


def _fetched(practice: str, shown: Shown) -> Row:
    """The client with what any process has fetched by now; waits for the one that is at it."""
    until = time.monotonic() + clients.FETCHING_SECONDS
    while (client := _found(practice, shown)).is_being_fetched and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return client
