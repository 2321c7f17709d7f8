"""One FHIR R4 server as the jobs see it: read, search, create, update, transaction, binary, and what came of it."""

import base64
import copy
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from integration.fhir.binaries import SNIFFED_BYTES, NotABinary, NotBase64, Unwrapped, begins_like_a_binary
from integration.fhir.binary_xml import FHIR_NAMESPACE, binary_in_xml
from integration.fhir.exchanges import Observer
from integration.fhir.failures import NotFound
from integration.fhir.models import ModelServer, structure_problems
from integration.fhir.paging import MAX_PAGES, Entry, Resource, Search, is_subsetted, self_links
from integration.fhir.transport import FHIR_JSON, BeforeWrite, Params, Response, Streamed, Transport, retry_once_if_cut
from integration.fhir.writes import (
    Written,
    condition_header,
    identifier_condition,
    identifier_token,
    items_of,
    version_header,
    written,
)
from integration.fhir_json import dumps, loads
from mappings.addresses import LOGICAL_ID, base_of_location, base_of_search, below
from mappings.codes import as_dict
from mappings.model.errors import MappingError, PartialError, PermanentError, TransferError, UnknownOutcome

__all__ = [
    "BinaryContent",
    "Entry",
    "FhirServer",
    "NotFound",
    "Search",
    "Written",
    "identifier_condition",
    "identifier_token",
    "structure_problems",
]

Saved = TypeVar("Saved")
_SHARE_OF_A_PAGE = 4
MAX_BINARY_BYTES = 512 * 1024 * 1024
_FRESH = {"Cache-Control": "no-cache"}  # HAPI answers a repeated search from a cache for 60 s
_NO_SUCH_SEARCH = frozenset({400, 404, 405, 415, 501})
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,40}")
_ID = re.compile(LOGICAL_ID)


class BinaryContent(NamedTuple):
    """Bytes of an attachment and the content type the server gave them."""

    data: bytes
    content_type: str

    @property
    def sha256(self) -> str:
        """SHA-256 in hex."""
        return hashlib.sha256(self.data).hexdigest()


class FhirServer(ModelServer):
    """A FHIR server reached through our transport; resources are dicts with Decimals."""

    def __init__(self, endpoint: Any, transport: Transport):
        super().__init__(transport)
        self.endpoint = endpoint
        self._learned: Callable[[str], object] = lambda base: None

    def observed(
        self,
        after: Observer,
        before_write: BeforeWrite,
        learned: Callable[[str], object] = lambda base: None,
    ) -> "FhirServer":
        """This server, with every exchange told to ``after`` and each write let go by ``before_write``; connections are shared.

        ``learned`` is told each base address under which the server says that it keeps what was written.
        """
        seen = copy.copy(self)
        seen._learned = learned
        seen.transport = self.transport.observed(after, before_write)
        return seen

    @property
    def name(self) -> str:
        """The endpoint's name in config.yaml."""
        return self.transport.name

    def read(self, resource_type: str, id: str, *, fresh: bool = True) -> Resource:
        """The current version; NotFound when there is none (https://hl7.org/fhir/R4/http.html#read)."""
        path = _path(resource_type, id)
        resource = self.transport.request("GET", path, headers=_FRESH if fresh else None).json()
        if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
            raise PermanentError(
                f"GET {path}: {self.name} answers with something else than a {resource_type}",
                endpoint=self.name,
                cause="wrong-resource",
            )
        if resource.get("id") not in (None, id):
            raise PermanentError(
                f"GET {path}: {self.name} answers with another {resource_type} than was asked for",
                endpoint=self.name,
                cause="wrong-resource",
            )
        if is_subsetted(resource):
            raise PartialError([f"GET {path}: {self.name} left elements out (SUBSETTED)"])
        return resource

    def read_if_there(self, reference: str) -> Resource | None:
        """The current version of ``Type/id``; None when the server says that it has none (404), or no longer (410)."""
        try:
            return self.read(*reference.split("/"))
        except PermanentError as error:
            if error.status_code not in (404, 410):
                raise
            return None

    def search(
        self,
        resource_type: str,
        params: Params | None = None,
        *,
        fresh: bool = True,
        max_pages: int = MAX_PAGES,
        max_bytes: int | None = None,
        by_form: bool = False,
    ) -> Search:
        """All entries of all pages, lazily (https://hl7.org/fhir/R4/search.html); at most ``max_search_bytes`` of them.

        ``by_form``: what is asked for stands in the body (POST _search), where the server takes that, and in no address.
        """
        path = _path(resource_type)
        given = _pairs(params or ())
        pairs = [(name, value) for name, value in given if name != "_count"]
        asked = next((int(value) for name, value in given if name == "_count" and value.isdigit()), self.page_size)

        def fetch(url: str | None, count: int) -> Response:
            if by_form and url is None and self.endpoint.overrides.get("post_search") is not False:
                answer = self._search_by_form(path, [*pairs, ("_count", str(count))], fresh)
                if answer is not None:
                    return answer
            return self.transport.request(
                "GET",
                url or path,
                params=None if url else [*pairs, ("_count", str(count))],
                headers=_FRESH if fresh else None,
                # several pages are in memory at the same time, and parsed: only a single resource may be as large as any
                max_bytes=self.transport.max_bytes // (1 if count <= 1 else _SHARE_OF_A_PAGE),
            )

        return Search(
            fetch,
            lambda link, page: self._to_ours(link, resource_type, page),
            what=f"search for {resource_type} at {self.name}",
            page_size=asked,
            max_pages=max_pages,
            max_bytes=max_bytes or self.endpoint.limits.max_search_bytes,
        )

    def _search_by_form(self, path: str, pairs: list[tuple[str, str]], fresh: bool) -> Response | None:
        """https://hl7.org/fhir/R4/http.html#search; None where the server knows no such search."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(_FRESH if fresh else {})}
        try:
            return self.transport.request("POST", f"{path}/_search", headers=headers, body=urlencode(pairs).encode())
        except TransferError as error:
            if error.status_code not in _NO_SUCH_SEARCH:
                raise
        return None

    def _to_ours(self, link: str, resource_type: str, page: Resource) -> str | None:
        """A link to a next page at the address where we ask, also where the server names another of its own; else None.

        Nothing is ever sent to the other address: what follows it there is asked for below our own base address.
        """
        if self.transport.is_ours(link):
            return link
        named = [base_of_search(each, resource_type) or each.partition("?")[0] for each in self_links(page)]
        rest = below(link, [*self.endpoint.bases, *named])
        if rest is None:
            return None
        return f"{self.endpoint.base_url}{rest}" if rest.startswith("?") else self.transport.url_of(rest)

    def search_all(
        self, resource_type: str, params: Params | None = None, *, fresh: bool = True, warnings: list[str] | None = None
    ) -> list[Resource]:
        """Every resource found, matches and includes, in memory, so no more than one answer may hold; remarks go to ``warnings``."""
        search = self.search(resource_type, params, fresh=fresh, max_bytes=self.transport.max_bytes)
        resources = [entry.resource for entry in search]
        if warnings is not None:
            warnings += search.warnings
        return resources

    @property
    def sends_versions(self) -> bool:
        """False where config.yaml says that the server refuses ``If-Match``: an update then wins over what it did not see."""
        return self.endpoint.overrides.get("versioned_update") is not False

    @property
    def page_size(self) -> int:
        """``_count`` of searches: what config.yaml says, at most what the server is known to bear."""
        known = self.endpoint.overrides.get("max_page")
        return min(self.endpoint.limits.page_size, known) if known else self.endpoint.limits.page_size

    def create(
        self,
        resource: Resource,
        *,
        if_none_exist: str | None = None,
        authored: bool = False,
        called: tuple[str, ...] = (),
    ) -> Written:
        """POST it; ``if_none_exist`` as `identifier_condition` gives it (https://hl7.org/fhir/R4/http.html#ccreate).

        ``called``: what we call it, for the gate, where the resource itself may not say it.
        ``authored``: we made this resource ourselves, so a wrong structure is our mistake: MappingError, nothing sent.
        """
        conditional = {"If-None-Exist": condition_header(if_none_exist)} if if_none_exist else {}
        return self._write("POST", resource, None, conditional, authored, called)

    def update(self, resource: Resource, *, if_match: str | None, authored: bool = False) -> Written:
        """PUT it if the server still has version ``if_match`` (https://hl7.org/fhir/R4/http.html#concurrency)."""
        conditional = {"If-Match": version_header(if_match)} if if_match and self.sends_versions else {}
        return self._write("PUT", resource, resource["id"], conditional, authored)

    def delete(self, reference: str) -> None:
        """Take ``Type/id`` away: only what a check made (https://hl7.org/fhir/R4/http.html#delete)."""
        self.transport.request("DELETE", _path(*reference.split("/")), write=True)

    def transaction(self, bundle: Resource) -> Resource:
        """POST a transaction or batch Bundle; the response Bundle (https://hl7.org/fhir/R4/http.html#transaction)."""
        answer = self.transport.request(
            "POST", "", body=dumps(self._as_it_bears(bundle)), write=True, items=items_of(bundle)
        )
        response = answer.json()
        is_bundle = isinstance(response, dict) and response.get("resourceType") == "Bundle"
        if is_bundle and isinstance(response.get("entry"), list):
            for each in response["entry"]:
                self._learn(as_dict(as_dict(each).get("response")).get("location"))
            return response
        raise UnknownOutcome(
            f"POST of a {bundle.get('type')} Bundle: {self.name} answers {answer.status} without saying what was done",
            endpoint=self.name,
            cause="no-response-bundle",
        )

    def _as_it_bears(self, bundle: Resource) -> Resource:
        """A Bundle without ``ifMatch`` where the server refuses that."""
        if self.sends_versions:
            return bundle
        entries = [
            {**each, "request": {name: value for name, value in each["request"].items() if name != "ifMatch"}}
            for each in bundle["entry"]
        ]
        return {**bundle, "entry": entries}

    def binary(self, url: str, *, content_type: str | None = None, max_bytes: int = MAX_BINARY_BYTES) -> BinaryContent:
        """The bytes an ``Attachment.url`` points to, in memory; else as `save_binary`."""
        data, content_type = self.save_binary(url, b"".join, content_type=content_type, max_bytes=max_bytes)
        return BinaryContent(data, content_type)

    def save_binary(
        self,
        url: str,
        save: Callable[[Iterator[bytes]], Saved],
        *,
        content_type: str | None = None,
        max_bytes: int = MAX_BINARY_BYTES,
    ) -> tuple[Saved, str]:
        """What ``save`` makes of the bytes an ``Attachment.url`` points to, raw or wrapped in a Binary, and their type.

        Read block by block (https://hl7.org/fhir/R4/binary.html); ``save`` is called again when the answer was cut.
        Oracle Health accepts only ``application/fhir+json`` or the attachment's own type, to the letter: where what we know of
        it is refused (406), it is asked for as a resource.
        """
        own = (content_type or "").partition(";")[0].strip() or FHIR_JSON

        def once(accept: str) -> tuple[Saved, str]:
            asked = self.transport.stream(url, headers={"Accept": accept, **_FRESH}, max_bytes=_as_base64(max_bytes))
            with asked as (headers, blocks):
                given = headers.get("Content-Type", "")
                self._refuse_web_page(accept, given)
                return self._saved(blocks, given, save, max_bytes)

        try:
            return retry_once_if_cut(partial(once, own))
        except PermanentError as error:
            if error.status_code != 406 or own == FHIR_JSON:
                raise
        return retry_once_if_cut(partial(once, FHIR_JSON))

    def create_binary(self, body: Streamed, content_type: str) -> Written:
        """POST raw bytes as a Binary, read while they are sent (https://hl7.org/fhir/R4/binary.html#rest)."""
        answer = self.transport.request(
            "POST",
            "Binary",
            body=body,
            write=True,
            headers={"Content-Type": content_type, "Prefer": "return=minimal"},
            headers_only=True,
        )
        return self._written(answer, "Binary")

    def metadata(self) -> Resource:
        """The CapabilityStatement as it came (https://hl7.org/fhir/R4/capabilitystatement.html)."""
        statement = self.transport.request("GET", "metadata", headers=_FRESH).json()
        if not isinstance(statement, dict):
            raise PermanentError(
                f"GET metadata: {self.name} answers with something else than a resource",
                endpoint=self.name,
                cause="not-fhir",
            )
        return statement

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()

    def _write(
        self,
        method: str,
        resource: Resource,
        id: str | None,
        headers: Mapping[str, str],
        authored: bool,
        called: tuple[str, ...] = (),
    ) -> Written:
        resource_type = resource["resourceType"]
        if authored and (problems := structure_problems(resource)):
            raise MappingError(resource_type, "not R4, and not sent: " + "; ".join(problems))
        answer = self.transport.request(
            method,
            _path(resource_type, id),
            body=dumps(resource),
            write=True,
            items=items_of(resource) or called,
            headers={"Prefer": "return=minimal", **headers},
        )
        return self._written(answer, resource_type, id)

    def _written(self, answer: Response, resource_type: str, id: str | None = None) -> Written:
        self._learn(answer.headers.get("Location"))
        return written(answer, resource_type, id)

    def _learn(self, location: object) -> None:
        """Behind a proxy a server writes its inner address, here and in references."""
        base = base_of_location(location)
        if base is not None:
            self._learned(base)

    def _refuse_web_page(self, wanted: str, got: str) -> None:
        """A sign-in page with status 200 must not travel as somebody's X-ray report."""
        if "html" in got.lower() and "html" not in wanted and wanted != FHIR_JSON:
            raise PermanentError(
                f"an attachment at {self.name} should be {wanted}, and a web page came",
                endpoint=self.name,
                cause="not-the-attachment",
            )

    def _saved(
        self, blocks: Iterator[bytes], given: str, save: Callable[[Iterator[bytes]], Saved], max_bytes: int
    ) -> tuple[Saved, str]:
        if "json" not in given.lower() and "xml" not in given.lower():
            return save(self._bounded(blocks, max_bytes)), given
        first = b""
        while len(first) < SNIFFED_BYTES and (block := next(blocks, b"")):
            first += block
        if "xml" in given.lower():
            return self._saved_xml(first, blocks, given, save, max_bytes)
        if not begins_like_a_binary(first):  # its type comes later, or it is a document in JSON
            content = self._unwrapped(b"".join(self._bounded(chain([first], blocks), self.transport.max_bytes)), given)
            return save(self._bounded(iter([content.data]), max_bytes)), content.content_type
        unwrapped = Unwrapped(chain([first], blocks))
        try:
            return save(self._bounded(iter(unwrapped), max_bytes)), unwrapped.content_type
        except NotBase64:
            cause, words = "not-base64", "is not base64"
        except NotABinary:
            cause, words = "not-json", "is not FHIR JSON to its end"
        raise PermanentError(f"a Binary at {self.name} {words}", endpoint=self.name, cause=cause)

    def _saved_xml(
        self,
        first: bytes,
        blocks: Iterator[bytes],
        given: str,
        save: Callable[[Iterator[bytes]], Saved],
        max_bytes: int,
    ) -> tuple[Saved, str]:
        """Out of a Binary in FHIR XML; any other XML is the attachment itself."""
        if FHIR_NAMESPACE not in first or b"Binary" not in first:
            return save(self._bounded(chain([first], blocks), max_bytes)), given
        document = b"".join(self._bounded(chain([first], blocks), self.transport.max_bytes))
        wrapped = binary_in_xml(document)
        if wrapped is None:
            return save(self._bounded(iter([document]), max_bytes)), given
        return save(self._bounded(iter([self._from_base64(wrapped.data)]), max_bytes)), wrapped.content_type

    def _bounded(self, blocks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
        size = 0
        for block in blocks:
            size += len(block)
            if size > max_bytes:
                raise PermanentError(
                    f"an attachment at {self.name} is larger than {max_bytes} bytes",
                    endpoint=self.name,
                    cause="too-large",
                )
            yield block

    def _unwrapped(self, data: bytes, content_type: str) -> BinaryContent:
        try:
            resource = loads(data)
            if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
                return BinaryContent(data, content_type)
            return BinaryContent(self._from_base64(resource.get("data")), str(resource.get("contentType") or ""))
        except (ValueError, RecursionError):
            return BinaryContent(data, content_type)

    def _from_base64(self, text: Any) -> bytes:
        try:
            return base64.b64decode("".join(text.split()), validate=True) if text is not None else b""
        except (AttributeError, ValueError):
            pass
        raise PermanentError(f"a Binary at {self.name} is not base64", endpoint=self.name, cause="not-base64")


def _path(resource_type: str, id: str | None = None) -> str:
    if not _TYPE.fullmatch(resource_type) or id is not None and not _ID.fullmatch(id):
        raise ValueError("not a resource type and logical id")
    return resource_type if id is None else f"{resource_type}/{id}"


def _pairs(params: Params) -> list[tuple[str, str]]:
    items = params.items() if isinstance(params, Mapping) else params
    return [
        (name, str(one)) for name, value in items for one in (value if isinstance(value, (list, tuple)) else [value])
    ]


def _as_base64(size: int) -> int:
    return size * 4 // 3 + 64 * 1024
