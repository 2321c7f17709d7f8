"""The one way out to a FHIR server: bounded in time and bytes, one origin, no redirects, errors already understood."""

import copy
import io
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from integration.fhir import failures
from integration.fhir.exchanges import Observer, Watch, ignore, parameter_names
from integration.fhir.sign_in import SignIn, Unsigned
from integration.fhir_json import MAX_DEPTH, TooDeep, loads
from mappings.model.errors import PermanentError, TemporaryError, TransferError, UnknownOutcome
from mappings.model.leaving import Going

FHIR_JSON = "application/fhir+json"
CONNECT_SECONDS = 10.0
SLOWEST_BYTES_PER_SECOND = 16 * 1024
BLOCK_BYTES = 64 * 1024
# A socket's timeout covers one whole send: larger bodies go in blocks, so that a slow line is not taken for a dead one.
_SENT_IN_ONE = 256 * 1024
TOO_LARGE, TOO_DEEP = "too-large", "too-deep"
_ERROR_BODY_BYTES = 1024 * 1024
_PORTS = {"http": 80, "https": 443}
_LOGICAL = re.compile(
    r"(metadata|\$[a-z-]+|[A-Z][A-Za-z]+)"
    r"(/(?!\.+$)[A-Za-z0-9.-]{1,64}(/_history(/[A-Za-z0-9.-]{1,64})?)?)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_UNSAFE = re.compile(r"[\s\\\x00-\x1f\x7f]")
# urllib3 logs addresses with their query, and a query holds identifiers of patients.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

Read = TypeVar("Read")
Params = Mapping[str, Any] | Sequence[tuple[str, str]]


def no_wait() -> None:
    """The hook of a request that waits for nothing."""


BeforeWrite = Callable[[Going], object]


def allow_writes(_going: Going) -> None:
    """The hook of writes that nobody asks about: of tests, and of a transport of its own."""


def refuse_writes(going: Going) -> None:
    """The hook of a server that is for reading: whoever wants to write asks for one through the gate (jobs/gate.py)."""
    raise RuntimeError(f"a {going.kind} was about to leave without passing the gate")


def retry_once_if_cut(ask: Callable[[], Read]) -> Read:
    """What ``ask`` reads, asked once more at once when the answer was cut: a gather hangs on each of 30 searches.

    A connection that a server gives up while it is idle looks like this too. A write never does: it is UnknownOutcome.
    """
    try:
        return ask()
    except TemporaryError as error:
        if error.cause != failures.CUT:
            raise
    return ask()


@dataclass(frozen=True)
class Streamed:
    """A body that is read while it is sent: never whole in memory. ``blocks`` gives its ``size`` bytes from the beginning."""

    size: int
    blocks: Callable[[], Iterator[bytes]]

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks()


Body = bytes | Streamed


@dataclass(frozen=True)
class Response:
    """A 2xx answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    what: str = "answer"
    endpoint: str = ""
    url: str = field(default="", repr=False)
    write: bool = False
    end_is_known: bool = True  # by Content-Length or chunks; else a cut answer looks like a whole one
    max_depth: int = MAX_DEPTH

    def json(self) -> Any:
        """The body as FHIR JSON; anything else is an error that says what it is."""
        try:
            return loads(self.body, max_depth=self.max_depth)
        except TooDeep:
            deep = True
        except (ValueError, RecursionError):
            deep = False  # left first: the parser's error quotes the body
        raise self._too_deep() if deep else self._not_json()

    def _too_deep(self) -> TransferError:
        return (UnknownOutcome if self.write else PermanentError)(
            f"{self.what}: the answer of {self.endpoint} is nested deeper than {self.max_depth} levels",
            endpoint=self.endpoint,
            cause=TOO_DEEP,
        )

    def _not_json(self) -> TransferError:
        start = self.body.lstrip()[:1]
        if start == b"<":
            cause, text = "not-fhir", "a web page or XML instead of FHIR JSON: is base_url right?"
        else:
            cause, text = "not-json", "something that is not FHIR JSON" if start else "nothing"
        kind: type[TransferError] = PermanentError
        if start in (b"{", b"") and self.write:
            kind = UnknownOutcome
        elif start == b"{" and not self.end_is_known:
            kind = TemporaryError
        return kind(
            f"{self.what}: {self.endpoint} answers {self.status} with {text}", endpoint=self.endpoint, cause=cause
        )


class Transport:
    """Exchanges with one endpoint; safe to use from several threads.

    ``now`` gives the time for ``Retry-After`` dates, ``clock`` the seconds an answer takes; ``before`` is called when a
    request is about to go, returns when it may and raises when it may not.
    """

    def __init__(
        self,
        endpoint: Any,
        *,
        session: requests.Session | None = None,
        sign_in: SignIn | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        before: Callable[[], object] = no_wait,
        before_write: BeforeWrite = allow_writes,
    ):
        self.name: str = getattr(endpoint, "key", "") or endpoint.name
        self.base_url: str = endpoint.base_url.rstrip("/")
        self._origin = _origin(urlsplit(self.base_url))
        self._paths = (urlsplit(self.base_url).path, *getattr(endpoint, "file_paths", ()))
        self._timeout: float = endpoint.limits.timeout_seconds
        self.max_bytes: int = endpoint.limits.max_answer_bytes
        self._max_depth: int = endpoint.limits.max_json_depth
        self._session = session or careful_session(endpoint.limits.concurrency, getattr(endpoint, "tls", None))
        self._sign_in = sign_in or Unsigned()
        self._now, self._clock = now, clock
        self._before = before
        self._before_write = before_write
        self._after: Observer = ignore

    def observed(self, after: Observer, before_write: BeforeWrite) -> "Transport":
        """The same connections, with every exchange told to ``after``: a light copy for one attempt of one step.

        ``before_write`` has the last word on each write: it is told what goes, and raises when that may not leave.
        """
        seen = copy.copy(self)
        seen._after, seen._before_write = after, before_write
        return seen

    def beside(self, path: str) -> "Transport":
        """The same connections, sign-in, pace and gate at another path of the same host: a vendor's own interface."""
        seen = copy.copy(self)
        seen.base_url = urljoin(self.base_url, path).rstrip("/")
        seen._paths = (urlsplit(seen.base_url).path,)
        return seen

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        write: bool = False,
        max_bytes: int | None = None,
        headers_only: bool = False,
        items: tuple[str, ...] = (),
        kind: str = "",
    ) -> Response:
        """One exchange; ``path`` is relative to the base, or an address of the same origin; an answer is at most ``max_answer_bytes``.

        ``headers_only``: what follows them is not read, a server may send back all that it was sent.

        ``write`` says that doing it twice matters: a cut after sending is then UnknownOutcome, else it is asked once more.
        ``items``: identifiers of ours that a write carries, and ``kind``, what it is where the address does not say it: for
        the gate.
        """

        def once() -> Response:
            going = Going(kind or _kind_of(path), items, len(body or b"")) if write else None
            with self._signed_in(method, path, params, headers, body, going) as answer:
                if headers_only:
                    return self._read(answer, b"", write)
                return self._whole(answer, max_bytes or self.max_bytes, write)

        return retry_once_if_cut(once)

    @contextmanager
    def _signed_in(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        body: Body | None,
        going: Going | None,
        keeps: bool = True,
    ) -> Iterator["_Answer"]:
        """One exchange, signed; once more when our token was refused (401: nothing was done) and another one may do."""
        shown = self._sign_in.headers()
        try:
            exchange = self._open(method, path, params, {**(headers or {}), **shown}, body, going, keeps)
            answer = exchange.__enter__()
        except PermanentError as error:
            if error.status_code != 401 or not self._sign_in.refused(shown):
                raise
            exchange = self._open(
                method, path, params, {**(headers or {}), **self._sign_in.headers()}, body, going, keeps
            )
            answer = exchange.__enter__()
        with ExitStack() as ending:
            ending.push(exchange)
            yield answer

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, max_bytes: int
    ) -> Iterator[tuple[Mapping[str, str], Iterator[bytes]]]:
        """GET something large: its headers and its blocks, which raise like `request` does."""
        with self._signed_in("GET", path, None, headers, None, None, keeps=False) as answer:
            yield answer.raw.headers, self._blocks(answer, max_bytes)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def url_of(self, path: str) -> str:
        """The absolute address of ``path``; one that is not below the base raises PermanentError, our token must not go there.

        On the same host another path may be another organization, whose records we must not take for this one's.
        """
        if _SCHEME.match(path):
            url = path
        elif path.startswith("/"):
            url = urljoin(self.base_url, path)
        else:
            url = f"{self.base_url}/{path}".rstrip("/")
        if not self.is_ours(url):
            raise PermanentError(
                f"an address that is below neither base_url nor file_paths of {self.name} is not followed",
                endpoint=self.name,
                cause="other-origin",
            )
        return url

    def is_ours(self, url: str) -> bool:
        """True when scheme, host and port are those of the base address, and the path is below the base's or ``file_paths``."""
        if _UNSAFE.search(url):  # urlsplit and urllib3 would not agree on the host
            return False
        try:
            parts = urlsplit(url)
            return _origin(parts) == self._origin and self._is_below(parts.path)
        except ValueError:
            return False

    def _is_below(self, path: str) -> bool:
        path = _decoded(path)
        climbs = any(segment.partition(";")[0] in (".", "..") for segment in path.replace("\\", "/").split("/"))
        return not climbs and any(not base or path == base or path.startswith(f"{base}/") for base in self._paths)

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        body: Body | None,
        going: Going | None,
        keeps: bool = True,
    ) -> Iterator["_Answer"]:
        url, write = self.url_of(path), going is not None
        shown = self._shown(url)
        what = f"{method} {shown}"
        content = {"Content-Type": FHIR_JSON} if body is not None else {}
        request = requests.Request(
            method, url, params=params, data=_data(body), headers={"Accept": FHIR_JSON, **content, **(headers or {})}
        )
        prepared = self._prepared(request, what)
        self._before()
        if going is not None:
            self._before_write(going)
        began = self._clock()
        watch = Watch(
            self.name, method, shown + parameter_names(params, url), body, self._now(), self._clock, keeps=keeps
        )
        with watch.told(self._after):
            reply = self._send(prepared, what, write)
            watch.status = reply.status_code
            answer = _Answer(reply.raw, reply.status_code, reply.url, what, began, watch, len(body or b""))
            try:
                if not 200 <= answer.status < 300:
                    raise self._refused(answer, write)
                yield answer
            finally:
                reply.close()

    def _prepared(self, request: requests.Request, what: str) -> requests.PreparedRequest:
        try:
            return self._session.prepare_request(request)
        except (requests.RequestException, ValueError):
            pass
        raise PermanentError(f"{what}: the request cannot be written as HTTP", endpoint=self.name, cause="bad-request")

    def _send(self, prepared: requests.PreparedRequest, what: str, write: bool) -> requests.Response:
        try:
            return self._session.send(
                prepared,
                timeout=(min(CONNECT_SECONDS, self._timeout), self._timeout),
                stream=True,
                allow_redirects=False,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            failure = failures.of_exception(error, what=what, endpoint=self.name, write=write)
        raise failure  # outside: the original error quotes the address with its query

    def _whole(self, answer: "_Answer", max_bytes: int, write: bool) -> Response:
        body = io.BytesIO()  # its value is not copied: a large answer is here once
        for block in self._blocks(answer, max_bytes, write):
            body.write(block)
        return self._read(answer, body.getvalue(), write)

    def _read(self, answer: "_Answer", body: bytes, write: bool) -> Response:
        headers = CaseInsensitiveDict(answer.raw.headers)
        end_is_known = _end_is_known(headers)
        return Response(
            answer.status,
            headers,
            body,
            answer.what,
            self.name,
            answer.url,
            write,
            end_is_known,
            self._max_depth,
        )

    def _refused(self, answer: "_Answer", write: bool) -> TransferError:
        try:
            body = b"".join(self._blocks(answer, _ERROR_BODY_BYTES))
        except TransferError:
            body = b""  # the status alone decides
        return failures.of_status(
            answer.status, answer.raw.headers, body, what=answer.what, endpoint=self.name, write=write, now=self._now()
        )

    def _blocks(self, answer: "_Answer", max_bytes: int, write: bool = False) -> Iterator[bytes]:
        size = 0
        while block := self._block(answer, write):
            size += len(block)
            answer.watch.block(block)
            if size > max_bytes:
                raise _too_large(answer.what, self.name, max_bytes, write)
            if self._clock() - answer.began > 2 * self._timeout + (answer.sent + size) / SLOWEST_BYTES_PER_SECOND:
                raise failures.of_exception(TimeoutError(), what=answer.what, endpoint=self.name, write=write)
            yield block
        answer.raw.drain_conn()  # only then does the connection go back to the pool

    def _block(self, answer: "_Answer", write: bool) -> bytes:
        try:
            # read1: what has arrived, so that an answer that trickles is seen to trickle
            return answer.raw.read1(BLOCK_BYTES, decode_content=True)
        except (urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
            failure = failures.of_exception(error, what=answer.what, endpoint=self.name, write=write)
        raise failure

    def _shown(self, url: str) -> str:
        """``Type/id`` where the address is one, else only where it begins: the rest may name a patient."""
        path = urlsplit(url).path.removeprefix(urlsplit(self.base_url).path).strip("/")
        if not path or _LOGICAL.fullmatch(path):
            return path or "the base address"
        first = path.partition("/")[0]
        return f"{first}/..." if _LOGICAL.fullmatch(first) else "..."


@dataclass
class _Answer:
    raw: Any
    status: int
    url: str
    what: str
    began: float
    watch: Watch
    sent: int


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nothing: requests would read the body of a redirect without a bound even where it does not follow."""


def careful_session(concurrency: int, tls: Any = None) -> requests.Session:
    """Connections without proxies, cookies or redirects of their own; ``tls`` names our certificate and whose we believe."""
    session = _Session()
    if tls is not None:
        session.verify = tls.ca_file or True
        session.cert = (tls.certificate_file, tls.key_file) if tls.certificate_file else None
    session.trust_env = False  # no proxy and no .netrc from whoever started us
    session.headers["User-Agent"] = "second-opinion-exchange"
    session.headers["Accept-Encoding"] = "gzip"  # urllib3 unpacks it block by block: a small answer may be large inside
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for prefix in ("http://", "https://"):
        session.mount(prefix, HTTPAdapter(pool_connections=1, pool_maxsize=max(1, concurrency), max_retries=0))
    return session


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    if parts.username is not None or parts.password is not None or parts.scheme not in _PORTS:
        raise ValueError("not an address we go to")
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]


def _decoded(path: str) -> str:
    """As the most willing server reads it: ``%252e%252e`` climbs as well as ``..``."""
    while (once := unquote(path)) != path:
        path = once
    return path


def _kind_of(path: str) -> str:
    """The resource type of an address below the base; what goes to the base itself is a Bundle."""
    return path.partition("/")[0] or "Bundle"


def _data(body: Body | None) -> Body | io.BytesIO | None:
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _SENT_IN_ONE else body


def _end_is_known(headers: Mapping[str, str]) -> bool:
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def _too_large(what: str, endpoint: str, max_bytes: int, write: bool) -> TransferError:
    kind = UnknownOutcome if write else PermanentError
    return kind(
        f"{what}: the answer of {endpoint} is larger than {max_bytes} bytes", endpoint=endpoint, cause=TOO_LARGE
    )
