"""Turns what went wrong on the wire into our errors: the only place that decides later, look first or never."""

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from integration.fhir_json import loads
from mappings.model.delivery import Verdict, verdict_of_status
from mappings.model.errors import PermanentError, TemporaryError, TransferError, UnknownOutcome

MAX_RETRY_AFTER_SECONDS = 3600.0
CUT = (
    "cut"  # the connection ended before the whole answer was here; a keep-alive that the server gave up looks the same
)
# The proxy gave up waiting or lost the server behind it: the write may well have been done there.
_UNKNOWN_AFTER_WRITE = frozenset({502, 504})
_PATH = re.compile(r"[A-Z][A-Za-z]*(\.[A-Za-z][A-Za-z0-9]*(\[\d+\]|\(\))?|\[\d+\])*")
_COMMENT = re.compile(r"/\*.*?\*/")  # HAPI writes Bundle.entry[0].resource/*Patient/123*/.name
_HAPI_CODE = re.compile(r"\bHAPI-\d{3,5}\b")
_ISSUE_CODES = frozenset(
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly "
    "business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational".split()
)
_SEVERITIES = frozenset({"fatal", "error", "warning", "information"})


@dataclass(frozen=True)
class _ByNumber:
    """What one of Epic's numbers says, which its HTTP status (400 or 403) does not."""

    cause: str
    kind: type[TransferError]
    means: str
    wait_seconds: float | None = None


_LOCKED = _ByNumber("break-the-glass", PermanentError, "this chart is protected there (break-the-glass)")
# https://fhir.epic.com/Documentation?docId=troubleshooting; 4135 comes until the hospital's midnight, whichever that is.
_BY_NUMBER = {
    "4130": _LOCKED,
    "4131": _LOCKED,
    "4134": _LOCKED,
    "4135": _ByNumber(
        "daily-ceiling", TemporaryError, "no more of this is answered today", MAX_RETRY_AFTER_SECONDS * 3
    ),
}


class NotFound(PermanentError):
    """The server does not have it (404), or not any more (410)."""


def of_status(
    status: int, headers: Mapping[str, str], body: bytes, *, what: str, endpoint: str, write: bool, now: datetime
) -> TransferError:
    """The error for an answer that is not 2xx; ``what`` names the exchange without patient data."""
    outcome = _outcome(body)
    said = _said_by_number(outcome)
    kind = said.kind if said else _kind_of_status(status, write, outcome is None and body.lstrip().startswith(b"<"))
    words = "; ".join(safe_issues(outcome)) if outcome else ""
    advice = f": {said.means}" if said else _advice(status)
    message = f"{what}: {endpoint} answers {status}{advice}{f' ({words})' if words else ''}"
    return kind(
        message,
        endpoint=endpoint,
        status_code=status,
        cause=said.cause if said else "",
        outcome=outcome,
        retry_after_seconds=retry_after_seconds(headers, now) or (said.wait_seconds if said else None),
    )


def numbers_in(outcome: Mapping[str, Any] | None) -> Iterator[str]:
    """The vendor's own codes in an OperationOutcome: ``issue.details.coding.code``, where Epic writes its numbers."""
    issues = (outcome or {}).get("issue")
    for issue in issues if isinstance(issues, list) else ():
        details = issue.get("details") if isinstance(issue, dict) else None
        codings = details.get("coding") if isinstance(details, dict) else None
        for coding in codings if isinstance(codings, list) else ():
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                yield coding["code"]


def _said_by_number(outcome: Mapping[str, Any] | None) -> "_ByNumber | None":
    return next((_BY_NUMBER[each] for each in numbers_in(outcome) if each in _BY_NUMBER), None)


def _kind_of_status(status: int, write: bool, is_page: bool) -> type[TransferError]:
    if write and status in _UNKNOWN_AFTER_WRITE:
        return UnknownOutcome
    if status >= 400 and verdict_of_status(status) is Verdict.LATER:
        return TemporaryError
    # A 404 that is a web page comes from a wrong address, not from a FHIR server that lacks the resource.
    return NotFound if status in (404, 410) and not write and not is_page else PermanentError


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return ", a redirect, and redirects are not followed: set base_url to the final address"
    return {401: ": sign-in is needed", 403: ": we may not do this", 413: ": too large"}.get(status, "")


def safe_issues(outcome: Mapping[str, Any]) -> list[str]:
    """Each issue as severity, code, element path and HAPI number; free text stays out, it may hold patient data.

    https://hl7.org/fhir/R4/operationoutcome.html
    """
    issues = outcome.get("issue")
    return [_safe_issue(issue) for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []


def _safe_issue(issue: Mapping[str, Any]) -> str:
    severity = issue.get("severity") if issue.get("severity") in _SEVERITIES else "error"
    code = issue.get("code") if issue.get("code") in _ISSUE_CODES else "without a known code"
    found = {**dict.fromkeys(_HAPI_CODE.findall(f"{issue.get('diagnostics')} {_details_text(issue)}"))}
    return " ".join([str(severity), str(code), *_safe_paths(issue), *found])


def _details_text(issue: Mapping[str, Any]) -> str:
    details = issue.get("details")
    return str(details.get("text")) if isinstance(details, dict) else ""


def _safe_paths(issue: Mapping[str, Any]) -> Iterator[str]:
    paths = issue.get("expression") or issue.get("location")
    for path in paths if isinstance(paths, list) else ():
        plain = _COMMENT.sub("", path) if isinstance(path, str) else ""
        if len(plain) <= 200 and _PATH.fullmatch(plain):
            yield plain


def _outcome(body: bytes) -> dict[str, Any] | None:
    try:
        found = loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("resourceType") == "OperationOutcome" else None


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """``Retry-After`` in seconds, from either form, at most an hour.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    at = _http_date(text)
    if at is None:
        return None
    its_now = _http_date(headers.get("Date", "")) or now  # its clock may differ from ours
    return min(max((at - its_now).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def of_exception(error: Exception, *, what: str, endpoint: str, write: bool) -> TransferError:
    """The error for an exchange without an answer.

    A write is "not sent" only where that is certain: no address, no connection, or a certificate we refused.
    """
    cause = _cause(error)
    if write and not _not_sent(error):
        return UnknownOutcome(
            f"{what}: sent, and no whole answer came from {endpoint} ({cause}); it may have been done",
            endpoint=endpoint,
            cause=cause,
        )
    return TemporaryError(f"{what}: {endpoint} did not answer ({cause})", endpoint=endpoint, cause=cause)


def _not_sent(error: Exception) -> bool:
    never_sent = (
        requests.ConnectTimeout,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
        ssl.SSLCertVerificationError,
    )
    return any(isinstance(inner, never_sent) for inner in _inside(error))


def _cause(error: Exception) -> str:
    inner = list(_inside(error))
    for kinds, word in _CAUSES:
        if any(isinstance(one, kinds) for one in inner):
            return word
    return CUT


_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, urllib3.exceptions.NameResolutionError), "name-unknown"),
    ((ssl.SSLCertVerificationError,), "certificate-refused"),
    ((ConnectionRefusedError,), "connection-refused"),
    ((urllib3.exceptions.NewConnectionError,), "no-connection"),
    ((requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError), "connect-timeout"),
    ((requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError), "timeout"),
    ((requests.exceptions.SSLError, ssl.SSLError), "tls"),
)


def _inside(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what requests and urllib3 wrapped in it."""
    todo, seen = [error], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        todo += [part for part in inner if isinstance(part, BaseException)]
