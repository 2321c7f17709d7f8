"""Further pages and the largest page, tried with what stands there. https://hl7.org/fhir/R4/http.html#paging"""

from collections.abc import Iterator, Mapping

from integration.checks.tried import Tried, Trying, in_time
from integration.fhir.paging import Page
from mappings.model.errors import ExchangeError, PartialError, PermanentError
from mappings.model.trials import Trial
from mappings.subject import searched_by

LARGEST = 1000
_SMALLER = (LARGEST, 500, 200, 100, 50)
_KINDS = (
    "Observation",
    "DocumentReference",
    "Encounter",
    "Condition",
    "MedicationRequest",
    "Patient",
    "ServiceRequest",
)
_FEW = "no type that we may search shows more than two records"


def pages(trying: Trying) -> Iterator[Tried]:
    """A search of two a page, followed once; then one of a thousand."""
    found = _with_more(trying)
    if found is None:
        hint = "" if trying.patient else ": name a test patient with a chart (--patient)"
        yield Tried(Trial.PAGES, None, f"{_FEW}{hint}")
        yield Tried(Trial.PAGE_SIZE, None, f"{_FEW}{hint}")
        return
    kind, about, first = found
    yield from in_time(
        trying,
        (
            (Trial.PAGES, lambda: _followed(trying, kind, first)),
            (Trial.PAGE_SIZE, lambda: _largest(trying, kind, about)),
        ),
    )


def _with_more(trying: Trying) -> tuple[str, dict[str, str], Page | PartialError] | None:
    """The first type that has more than two records, and the first page of it; PartialError: what is wrong with that."""
    for kind in _KINDS:
        for about in _searches(trying, kind):
            if trying.is_over:
                return None
            try:
                first = trying.server.search(kind, {**about, "_count": "2"}).page(None)
            except PartialError as error:
                return kind, about, error
            except ExchangeError:
                continue
            if first.next_url is not None or len(first.entries) > 2:
                return kind, about, first
    return None


def _searches(trying: Trying, kind: str) -> Iterator[dict[str, str]]:
    if not trying.searched(kind):
        return
    if trying.patient is not None and kind != "Patient":
        yield {searched_by(kind): trying.patient, **trying.part(kind)}
    yield trying.part(kind)


def _followed(trying: Trying, kind: str, first: Page | PartialError) -> Tried:
    if isinstance(first, PartialError):
        return Tried(Trial.PAGES, False, f"{first}: nothing that has two pages can be read whole")
    if first.next_url is None:
        return Tried(
            Trial.PAGES, None, f"{kind}: asked for 2, {len(first.entries)} came at once: `_count` is not obeyed"
        )
    try:
        second = trying.server.search(kind, {}).page(first.next_url)
    except ExchangeError as error:
        return Tried(Trial.PAGES, False, f"{kind}: {error}: nothing that has two pages can be read whole")
    one, two = ({each.reference for each in page.entries if each.mode == "match"} for page in (first, second))
    if one and two <= one:
        return Tried(
            Trial.PAGES, False, f"{kind}: the second page shows the first one again: no chart can be read whole"
        )
    both = one & two
    if both:
        says = f"{len(both)} record(s) stand on two pages; each is taken once, the newest version of it"
        return Tried(Trial.PAGES, True, f"{kind}: {says}")
    return Tried(Trial.PAGES, True, f"{kind}: the second page goes on where the first one ended, at the same address")


def _largest(trying: Trying, kind: str, about: Mapping[str, str]) -> Tried:
    """A server that takes less gives less, or refuses."""
    wanted = trying.endpoint.limits.page_size
    for size in _SMALLER:
        try:
            page = trying.server.search(kind, {**about, "_count": str(size)}).page(None)
        except PermanentError:
            continue
        except ExchangeError as error:
            return Tried(Trial.PAGE_SIZE, None, str(error))
        came, refused = len(page.entries), "" if size == LARGEST else f", more than {size} is refused"
        learned = {"capabilities.max_page": size} if size < wanted else {}
        if page.next_url is None:
            return Tried(Trial.PAGE_SIZE, not learned, f"{kind}: all {came} came on one page{refused}", learned)
        less = f"; we ask for {wanted}, and take what comes" if came < wanted else ""
        return Tried(Trial.PAGE_SIZE, not learned, f"{kind}: asked for {size}, {came} came{refused}{less}", learned)
    return Tried(Trial.PAGE_SIZE, False, f"{kind}: not even {_SMALLER[-1]} is taken")
