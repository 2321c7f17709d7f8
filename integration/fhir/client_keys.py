"""Fetches the key set of a client that signs in at a hosted practice: https, no redirect, public addresses, bounded in size and time.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import requests
import urllib3

from integration.client_assertions import LONGEST_KEY_SET, FetchedKeys, KeySetAway, is_key_set
from integration.fhir.deadline import Deadline
from integration.fhir.looking import LookingAdapter
from integration.fhir.transport import careful_session

SECONDS = 10.0  # of one fetch, however slowly it is answered
SHORTEST, LONGEST, UNSAID = 60, 86_400, 3_600  # seconds that a key set counts, by its Cache-Control
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


def fetcher(networks: Sequence[str] = (), ca_file: str | None = None) -> Callable[[str], FetchedKeys]:
    """Fetches from public addresses and ``networks``; ``ca_file`` names whose certificates are believed instead of the public ones."""
    return lambda url: fetch_key_set(url, networks=networks, ca_file=ca_file)


def fetch_key_set(
    url: str, *, networks: Sequence[str] = (), ca_file: str | None = None, seconds: float = SECONDS
) -> FetchedKeys:
    """The key set at ``url``. Raises KeySetAway."""
    check_key_set_url(url)
    session = careful_session(1)
    session.verify = ca_file or True
    with Deadline(seconds) as deadline, session:
        session.mount("https://", LookingAdapter(networks, _private, deadline.watch))
        text, headers = _read(session, url, deadline)
    if not is_key_set(text):
        raise KeySetAway("its answer is no JWK Set: JSON of the form {'keys': [...]} with at least one key")
    return FetchedKeys(text, _counts_for(headers.get("Cache-Control", "")))


def check_key_set_url(url: str) -> None:
    """Raises KeySetAway for an address that is never asked."""
    try:
        parts = urlsplit(url)
        wrong = (
            parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.fragment or parts.port == 0
        )
    except ValueError:
        wrong = True
    if wrong or not url.isascii() or not url.isprintable() or " " in url:
        raise KeySetAway("the address of a key set is https://host/path, without a name, password or fragment")


def _read(
    session: requests.Session, url: str, deadline: Deadline
) -> tuple[str, requests.structures.CaseInsensitiveDict]:
    try:
        with session.get(
            url, headers={"Accept": "application/json"}, timeout=deadline.seconds, stream=True, allow_redirects=False
        ) as answer:
            if answer.status_code != 200:
                raise KeySetAway(f"it answers {answer.status_code} instead of 200; a redirect is not followed")
            body = answer.raw.read(LONGEST_KEY_SET + 1, decode_content=True)
            if deadline.is_over:
                raise TimeoutError  # what was cut off looks like an end
            if len(body) > LONGEST_KEY_SET:
                raise KeySetAway(f"its answer is longer than {LONGEST_KEY_SET} bytes")
            return body.decode("utf-8"), answer.headers
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        is_tls = isinstance(error, requests.exceptions.SSLError) and not deadline.is_over
    raise KeySetAway(  # outside: the errors quote addresses
        "its certificate is not one that is believed here, or not of that name"
        if is_tls
        else f"it cannot be reached, or has not answered within {deadline.seconds:g} seconds"
    )


def _private() -> KeySetAway:
    return KeySetAway(
        "it leads to an address inside a private network; nothing was asked there. If that is right, list the network under "
        "web.client_keys.networks"
    )


def _counts_for(cache_control: str) -> int:
    if re.search(r"no-(?:store|cache)", cache_control, re.IGNORECASE):
        return SHORTEST
    found = _MAX_AGE.search(cache_control)
    return max(SHORTEST, min(LONGEST, int(found[1]))) if found else UNSAID
