"""The way to an endpoint: its certificate, and whether it gives us a token."""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from integration.checks.tried import Tried
from integration.fhir import key_set
from integration.roads import mllp
from mappings.model.causes import cause_named
from mappings.model.errors import ExchangeError, NeedsPerson
from mappings.model.trials import Trial

SOON = timedelta(days=30)
CONNECT_SECONDS = 10
_SCOPE = re.compile(r"system/([A-Za-z*]+)\.([a-z*]+)")


def certificate(base_url: str, tls: Any, now: datetime) -> Tried | None:
    """Whether the endpoint's certificate is believed and how long it lasts; None without TLS."""
    parts = urlsplit(base_url)
    if parts.scheme != "https":
        return None
    try:
        context = _trusting(tls)
        with (
            socket.create_connection((parts.hostname, parts.port or 443), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
        ):
            ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"])), UTC)
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return Tried(
            Trial.CERTIFICATE, False, f"it is not believed: {error.verify_message}. {_certificate_advice(error)}"
        )
    except (OSError, ssl.SSLError) as error:
        return Tried(Trial.CERTIFICATE, None, f"no encrypted connection could be made ({type(error).__name__})")
    left = ends - now
    warns = f"; it ends in {left.days} days: have it renewed" if left < SOON else ""
    return Tried(Trial.CERTIFICATE, True, f"{version}, valid until {ends:%Y-%m-%d}{warns}")


def interface(endpoint: Any) -> Tried | None:
    """Whether its interface engine can be reached, over TLS where that is configured; None without one. No message is sent."""
    if endpoint.hl7v2 is None:
        return None
    to = endpoint.hl7v2
    try:
        version = mllp.tried(endpoint.key, to, timeout_seconds=CONNECT_SECONDS)
    except ExchangeError as error:
        return Tried(Trial.INTERFACE, False, f"{error}. {cause_named(error.cause).to_do}")
    except OSError as error:  # a certificate of ours that cannot be read
        return Tried(Trial.INTERFACE, False, f"hl7v2.tls: a file cannot be used ({type(error).__name__})")
    how = f"over {version}" if version else "without encryption"
    return Tried(Trial.INTERFACE, True, f"{to.host}, port {to.port}, is reached {how}; no message was sent")


def _trusting(tls: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=getattr(tls, "ca_file", None))
    if getattr(tls, "certificate_file", None):
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


def _certificate_advice(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (18, 19, 20, 21):  # self-signed, or of an authority that nobody told us of
        return "If the hospital has an authority of its own, name it in tls.ca_file"
    if error.verify_code == 10:
        return "It has ended: ask the endpoint's contact to renew it"
    return "Check that base_url has the name that is on the certificate"


def own_keys(url: str, kid: str) -> Tried:
    """Whether a vendor that fetches our key set finds the key that signs now; who does not is told ``invalid_client``."""
    found = key_set.fetch(url)
    if found.status is None:
        return Tried(Trial.OWN_KEYS, None, f"{url} cannot be reached from here; the other side has to, without sign-in")
    if 300 <= found.status < 400:
        says = f"{url} answers {found.status}, a redirect, and vendors follow none: give them the final address"
    elif found.status != 200:
        says = f"{url} answers {found.status}: whoever checks our signature then refuses it (invalid_client)"
    elif kid not in found.kids:
        says = f"{url} holds {len(found.kids)} key(s), and not {kid}, which signs now: an old copy, or another address"
    else:
        return Tried(Trial.OWN_KEYS, True, f"{url} holds {kid}, which signs now")
    return Tried(Trial.OWN_KEYS, False, says)


def signing_in(headers: Callable[[], Mapping[str, str]], scope: Callable[[], str]) -> Tried:
    """Whether a token is given, and what it opens where the answer tells."""
    try:
        shown = headers()
    except NeedsPerson as error:
        return Tried(Trial.SIGN_IN, False, f"{error}. {cause_named(error.cause).to_do}")
    except ExchangeError as error:
        return Tried(Trial.SIGN_IN, False, str(error))
    if not shown:
        return Tried(Trial.SIGN_IN, None, "none is configured")
    granted = ", ".join(sorted({found[1] for found in _SCOPE.finditer(scope())}))
    return Tried(Trial.SIGN_IN, True, f"a token is given; it opens {granted}" if granted else "a token is given")
