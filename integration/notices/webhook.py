"""Webhooks: one notice posted as JSON, signed after Standard Webhooks (https://www.standardwebhooks.com).

By http.client and not by requests: this must follow no redirect, read no proxy variable, retry nothing by itself and read
no long answer, all of which the standard library does by doing less; and requests stays with the FHIR servers alone.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
from datetime import datetime
from urllib.parse import SplitResult

from integration.notices.mail import unreachable
from integration.notices.notice import Notice, NotSent
from integration.settings.alerts import check_webhook
from integration.settings.parts import split_address

TIMEOUT_SECONDS = 15
WHSEC = "whsec_"  # the prefix Standard Webhooks gives secrets that are base64


def send(notice: Notice, address: str, *, secret: str | None, trust: ssl.SSLContext, now: datetime) -> str:
    """Post it and return what was answered. Raises NotSent, which names the host only: the rest may be a secret."""
    try:
        check_webhook(address)
    except ValueError as error:
        raise NotSent(f"the webhook's address {error}") from None
    parts = split_address(address)
    place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    body, path = notice.as_json(), (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts, trust)
    try:
        connection.request("POST", path, body, headers(notice.key, body, secret, now))
        answer = connection.getresponse()
        answer.read(1000)
    except (http.client.HTTPException, UnicodeError):
        raise NotSent(f"{place} did not answer in HTTP, or its address is none") from None
    except OSError as error:
        raise NotSent(f"{place} {unreachable(error)}") from None
    finally:
        connection.close()
    if 300 <= answer.status < 400:
        raise NotSent(
            f"{place} answered {answer.status}, a redirect, and none is followed: configure the address it leads to"
        )
    if not 200 <= answer.status < 300:
        raise NotSent(f"{place} answered {answer.status}")
    return str(answer.status)


def headers(key: str, body: bytes, secret: str | None, now: datetime) -> dict[str, str]:
    """The three of Standard Webhooks, and what else a POST needs. The id is the same when a notice is sent again."""
    timestamp = str(int(now.timestamp()))
    signed = {} if secret is None else {"webhook-signature": f"v1,{signature(secret, key, timestamp, body)}"}
    return {
        "Content-Type": "application/json",
        "User-Agent": "second-opinion-exchange",
        "Connection": "close",
        "webhook-id": key,
        "webhook-timestamp": timestamp,
        **signed,
    }


def signature(secret: str, key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, in base64."""
    signed = f"{key}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(_bytes_of(secret), signed, hashlib.sha256).digest()).decode()


def _bytes_of(secret: str) -> bytes:
    if not secret.startswith(WHSEC):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(WHSEC), validate=True)
    except binascii.Error:
        raise NotSent(f"the webhook's secret begins with {WHSEC} and goes on with what is no base64") from None


def _connection(parts: SplitResult, trust: ssl.SSLContext) -> http.client.HTTPConnection:
    host = parts.hostname or ""  # checked: it has one
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_SECONDS, context=trust)
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
