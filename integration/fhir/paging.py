"""Follows every page of a search, and turns anything less than all of it into an error."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from integration.fhir.failures import NotFound, numbers_in, safe_issues
from integration.fhir.transport import TOO_DEEP, TOO_LARGE, Response
from mappings.codes import as_dict
from mappings.model.errors import PartialError, PermanentError, TemporaryError

MAX_PAGES = 2000
EPIC_SESSION_EXPIRED = "4113"  # "Session ID for cached search results has expired."
SMALLER = 4  # a page that is too large is asked for again with a quarter of the resources
_IS = {TOO_LARGE: "larger than max_answer_bytes", TOO_DEEP: "nested deeper than max_json_depth"}
SUBSETTED = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")
Resource = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One resource a search found; ``mode`` is match or include."""

    resource: Resource
    mode: str = "match"
    full_url: str | None = None

    @property
    def reference(self) -> str:
        """``Type/id`` at the server."""
        return f"{self.resource.get('resourceType')}/{self.resource.get('id')}"


@dataclass(frozen=True)
class Page:
    """One page by itself: ``problems`` says of each entry that could not be taken what is wrong with it."""

    entries: list[Entry]
    problems: list[str]
    next_url: str | None


class Search:
    """Iterates over all entries of all pages, each resource once; ``warnings`` says what the server remarked.

    https://hl7.org/fhir/R4/http.html#paging
    """

    def __init__(
        self,
        fetch: Callable[[str | None, int], Response],
        to_ours: Callable[[str, Resource], str | None],
        *,
        what: str,
        page_size: int,
        max_bytes: int,
        max_pages: int = MAX_PAGES,
    ):
        self.warnings: list[str] = []
        self.links: set[str] = set()  # what the server calls this search: its own address as it knows it
        self.pages = 0
        self._fetch, self._to_ours, self._what, self._max_pages = fetch, to_ours, what, max_pages
        self._size, self._max_bytes, self._bytes = page_size, max_bytes, 0
        self._last = ""  # the reference of the last entry given
        self._versions: dict[str, Any] = {}  # reference -> version of each match or include already given
        self._matches = self._remarks = 0
        self._entries = self._all()

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    def __next__(self) -> Entry:
        return next(self._entries)

    def page(self, url: str | None) -> Page:
        """The page at ``url`` (None: the first). What is wrong with one entry keeps none of the others away."""
        answer = self._page(url)
        bundle = self._bundle(answer)
        entries, problems = [], []
        for raw in _list(bundle.get("entry")):
            try:
                entry = self._entry(raw)
            except PartialError as error:
                problems += error.problems
                continue
            entries += [entry] if entry is not None else []
        return Page(entries, problems, self._next(bundle, answer.url))

    def _all(self) -> Iterator[Entry]:
        while True:
            try:
                return (yield from self._from_the_first_page())
            except PermanentError as error:
                if error.cause not in (TOO_LARGE, TOO_DEEP):
                    raise
                self._ask_for_less(error)

    def _from_the_first_page(self) -> Iterator[Entry]:
        self.pages = self._bytes = self._remarks = 0
        seen: set[str] = set()
        url: str | None = None
        while True:
            answer = self._page(url)
            bundle = self._bundle(answer)
            seen.add(answer.url)
            self.links |= self_links(bundle)
            yield from self._of_page(bundle)
            url = self._next(bundle, answer.url)
            if url is None:
                return self._compare_total(bundle)
            if url in seen:
                raise self._partial(f"page {self.pages} names an earlier page as the next one")
            seen.add(url)
            if self.pages >= self._max_pages:
                raise self._partial(f"there are more than {self._max_pages} pages")

    def _ask_for_less(self, error: PermanentError) -> None:
        """Begin again with smaller pages, any server understands that; what was given already is not given twice."""
        if self._size > 1:
            smaller = max(1, self._size // SMALLER)
            self._max_pages, self._size = self._max_pages * self._size // smaller, smaller
            return
        after = f"the one after {self._last}" if self._last else "the first one"
        raise PermanentError(
            f"{self._what}: one resource by itself, {after}, is {_IS[error.cause]} (limits of {error.endpoint})",
            endpoint=error.endpoint,
            cause=error.cause,
        ) from None

    def _page(self, url: str | None) -> Response:
        self.pages += 1
        try:
            answer = self._fetch(url, self._size)
        except PermanentError as error:
            if url is None or not (isinstance(error, NotFound) or _is_forgotten(error)):
                raise
            # Servers forget a search (HAPI after 60 minutes): begin again, there is no going on.
            raise TemporaryError(
                f"{self._what}: the server no longer has page {self.pages}",
                endpoint=error.endpoint,
                status_code=error.status_code,
                cause="page-expired",
            ) from None
        self._bytes += len(answer.body)
        if self._bytes > self._max_bytes:
            raise PermanentError(
                f"{self._what}: its first {self.pages} page(s) hold more than {self._max_bytes} bytes; the last one read "
                f"is {self._last or 'none'}",
                endpoint=answer.endpoint,
                cause="search-too-large",
            )
        return answer

    def _bundle(self, answer: Response) -> Resource:
        bundle = answer.json()
        if isinstance(bundle, dict) and bundle.get("resourceType") == "Bundle" and bundle.get("type") == "searchset":
            return bundle
        if self.pages > 1:
            raise self._partial(f"page {self.pages} is not a searchset Bundle")
        raise PermanentError(
            f"{self._what}: the answer is not a searchset Bundle", endpoint=answer.endpoint, cause="not-a-searchset"
        )

    def _of_page(self, bundle: Mapping[str, Any]) -> Iterator[Entry]:
        for raw in _list(bundle.get("entry")):
            entry = self._entry(raw)
            if entry is not None and self._is_new(entry):
                self._matches += entry.mode == "match"
                self._last = entry.reference
                yield entry

    def _entry(self, raw: Any) -> Entry | None:
        resource = raw.get("resource") if isinstance(raw, dict) else None
        if not isinstance(resource, dict) or not resource.get("resourceType"):
            raise self._partial(f"page {self.pages} has an entry without a resource")
        if resource["resourceType"] == "OperationOutcome":
            self._remark(resource)
            return None
        if is_subsetted(resource):
            raise self._partial(f"{_reference(resource)} came with elements left out (SUBSETTED)")
        mode = raw.get("search", {}).get("mode", "match") if isinstance(raw.get("search", {}), dict) else "match"
        return Entry(resource, mode, raw.get("fullUrl"))

    def _remark(self, outcome: Mapping[str, Any]) -> None:
        self._remarks += 1
        sentences = safe_issues(outcome)
        if any(sentence.startswith(("error", "fatal")) for sentence in sentences):
            raise self._partial(f"page {self.pages} says {'; '.join(sentences)}")
        for sentence in sentences:
            self._warn(sentence)

    def _is_new(self, entry: Entry) -> bool:
        if not entry.resource.get("id"):
            return True
        version = _version(entry.resource)
        if entry.reference not in self._versions:
            self._versions[entry.reference] = version
            return True
        if self._versions[entry.reference] != version:
            self._warn(f"{entry.reference} changed while the pages were read")
        return False

    def _next(self, bundle: Resource, from_url: str) -> str | None:
        urls = [
            link.get("url")
            for link in _list(bundle.get("link"))
            if isinstance(link, dict) and str(link.get("relation")).strip().lower() == "next"
        ]
        if not urls:
            return None
        url = _joined(from_url, urls[0])
        ours = url and self._to_ours(url, bundle)
        if ours is None:
            raise self._partial(
                f"page {self.pages} names a next page at another address than the server's own; "
                "its own base address is probably set wrongly there: name that address in `also_known_as` of the endpoint"
            )
        if ours != url:
            self._warn("the next page was named at another address of the server; it was asked for at its own")
        return ours

    def _compare_total(self, bundle: Mapping[str, Any]) -> None:
        """Fewer than the server counts is not all of it; that a server counts its remarks too is no loss.

        https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.total: the matches of the whole search, never includes.
        """
        total = bundle.get("total")
        if isinstance(total, str) and total.strip().isdecimal():
            total = int(total)
        if not isinstance(total, int) or isinstance(total, bool) or total == self._matches:
            return
        if total > self._matches + self._remarks:
            raise self._partial(f"the server counts {total}, and {self._matches} came")
        self._warn(f"the server counts {total}, {self._matches} came")

    def _warn(self, remark: str) -> None:
        if (words := f"{self._what}: {remark}") not in self.warnings:  # a page that is read again remarks again
            self.warnings.append(words)

    def _partial(self, problem: str) -> PartialError:
        return PartialError([f"{self._what}: {problem}"])


def self_links(bundle: Mapping[str, Any]) -> set[str]:
    """What a server calls the search it answered."""
    links = [link for link in _list(bundle.get("link")) if isinstance(link, dict)]
    return {
        link["url"] for link in links if link.get("relation") in ("self", "first") and isinstance(link.get("url"), str)
    }


def is_subsetted(resource: Mapping[str, Any]) -> bool:
    """True when the server left elements out (https://hl7.org/fhir/R4/search.html#summary)."""
    meta = resource.get("meta")
    tags = _list(meta.get("tag")) if isinstance(meta, dict) else []
    return any(
        isinstance(tag, dict) and (tag.get("system"), tag.get("code")) in (SUBSETTED, (None, "SUBSETTED"))
        for tag in tags
    )


def _version(resource: Mapping[str, Any]) -> Any:
    meta = resource.get("meta")
    return meta.get("versionId") if isinstance(meta, dict) else None


def _reference(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _joined(base: str, url: Any) -> str | None:
    try:
        return urljoin(base, url.strip().replace(" ", "%20")) if isinstance(url, str) and url.strip() else None
    except ValueError:
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_forgotten(error: PermanentError) -> bool:
    """Whether a refusal says that a search is over: by FHIR's own word, or by Epic's number, which comes with a 400."""
    issues = _list((error.outcome or {}).get("issue"))
    return any(as_dict(one).get("code") == "expired" for one in issues) or EPIC_SESSION_EXPIRED in numbers_in(
        error.outcome
    )
