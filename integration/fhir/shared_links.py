"""Asks a server that a stranger named: public addresses only, TLS, no redirect, no credentials of ours, bounded in bytes and time."""

from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3

from integration.fhir.deadline import Deadline
from integration.fhir.looking import LookingAdapter
from integration.fhir.transport import careful_session
from mappings.model.errors import ExchangeError

SECONDS = 20.0  # of one exchange, however slowly it is answered


class ServerAway(ExchangeError):
    """It was not asked, or gave no answer that could be read; the sentence names no address."""


@dataclass(frozen=True)
class Bounds:
    """Where may be asked, and how much is read. ``networks``: private ones that are allowed; ``allow_http`` for tests alone."""

    networks: tuple[str, ...] = ()
    ca_file: str | None = None
    allow_http: bool = False
    seconds: float = SECONDS


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    method: str,
    url: str,
    bounds: Bounds,
    *,
    max_bytes: int,
    body: bytes | None = None,
    params: Mapping[str, str] | None = None,
    accept: str = "application/json",
) -> Reply:
    """One exchange. Raises ServerAway."""
    if not url.startswith("https://" if not bounds.allow_http else ("https://", "http://")):
        raise ServerAway("its address is not one of https, so nothing was asked there")
    session = careful_session(1)
    session.verify = bounds.ca_file or True
    with Deadline(bounds.seconds) as deadline, session:
        for prefix in ("https://", "http://"):
            session.mount(prefix, LookingAdapter(bounds.networks, _private, deadline.watch))
        headers = {"Accept": accept, **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            with session.request(
                method,
                url,
                params=params,
                data=body,
                headers=headers,
                timeout=bounds.seconds,
                stream=True,
                allow_redirects=False,
            ) as answer:
                return _read(answer, max_bytes, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            is_tls = isinstance(error, requests.exceptions.SSLError) and not deadline.is_over
    raise ServerAway(  # outside: the errors quote addresses
        "its certificate is not one that is believed here, or not of that name"
        if is_tls
        else f"it cannot be reached, its answer was cut, or it has not answered within {bounds.seconds:g} seconds"
    )


def _read(answer: requests.Response, max_bytes: int, deadline: Deadline) -> Reply:
    found = bytearray()
    while block := answer.raw.read(64 << 10, decode_content=True):
        found += block
        if len(found) > max_bytes:
            raise ServerAway(f"its answer is longer than {max_bytes / 1e6:,.1f} MB, the most that is read")
    if deadline.is_over:
        raise TimeoutError  # what was cut off looks like an end
    return Reply(answer.status_code, answer.headers, bytes(found))


def _private() -> ServerAway:
    return ServerAway(
        "it leads to an address inside a private network; nothing was asked there. If that is right, an administrator lists the "
        "network in config.yaml"
    )
