"""Something to read about a diagnosis, from a configured Infobutton service: only the code is sent, and no page waits long for it."""

import re
from dataclasses import dataclass
from datetime import datetime

import nh3
from sqlalchemy import Engine

from integration import fhir_json
from integration.fhir.shared_links import Bounds, Reply, ServerAway, exchange
from integration.settings.health_library import HealthLibrary
from integration.store import audit, library_answers, requests
from integration.store.library_answers import AGAIN, REST
from mappings.infobutton import Entry, askable, is_safe, read_answer, to_query
from mappings.model.errors import MappingError
from mappings.model.request import Code, Diagnosis

SECONDS = 6.0
LARGEST = 2_000_000  # bytes of an answer
_LEADS_NOWHERE = re.compile(r'<a(?: rel="[a-z ]*")?>(.*?)</a>', re.DOTALL)  # a link whose address was taken out
_TAGS = {"p", "ul", "ol", "li", "a", "b", "strong", "i", "em", "br", "h3", "h4"}


@dataclass(frozen=True)
class Reading:
    """One thing to read; ``summary`` is HTML that holds words, lists and links to https addresses alone."""

    title: str
    href: str
    summary: str


@dataclass(frozen=True)
class Shelf:
    """``state``: off, no-code, found, empty, old (what is kept, because the service is away), away."""

    state: str
    source: str = ""
    language: str = "en"
    languages: tuple[str, ...] = ()
    code: Code | None = None
    readings: tuple[Reading, ...] = ()
    read_at: datetime | None = None


def looked_at(
    engine: Engine,
    library: HealthLibrary,
    request_id: str,
    language: str = "",
    *,
    actor: str,
    reason: str | None = None,
) -> tuple[Shelf, Diagnosis | None]:
    """What the library has for a request's diagnosis. The look is recorded: it says what the patient has. Raises UnknownRequest."""
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        audit.record(conn, actor, "library.looked-at", request_id, reason=reason)
    return about(engine, library, content.diagnosis, language), content.diagnosis


def view(request_id: str, shelf: Shelf) -> dict:
    """As JSON."""
    return {
        "request_id": request_id,
        "state": shelf.state,
        "source": shelf.source,
        "language": shelf.language,
        "languages": list(shelf.languages),
        "code": shelf.code.code if shelf.code else None,
        "readings": [{"title": each.title, "href": each.href, "summary": each.summary} for each in shelf.readings],
        "read_at": shelf.read_at,
    }


def about(engine: Engine, library: HealthLibrary, diagnosis: Diagnosis | None, language: str = "") -> Shelf:
    """What the library has for a diagnosis. It never raises for what the service does, and asks it at most once."""
    if library.address is None:
        return Shelf("off")
    language = language if language in library.languages else library.languages[0]
    code = askable(diagnosis.codes) if diagnosis is not None else None
    shelf = Shelf("no-code", library.name, language, library.languages, code)
    return shelf if code is None else _looked_up(engine, library, library.address, code, shelf)


def _looked_up(engine: Engine, library: HealthLibrary, address: str, code: Code, shelf: Shelf) -> Shelf:
    of = (address, code.system, code.code, shelf.language)
    with engine.connect() as conn:
        kept = library_answers.kept(conn, *of, library.cache_hours)
    if kept is not None and kept.is_fresh:
        return _shown(shelf, kept.body, kept.read_at)
    body = _asked(engine, library, address, code, shelf.language)
    if body is None:
        return _shown(shelf, kept.body, kept.read_at, is_old=True) if kept else _with(shelf, "away")
    with engine.begin() as conn:
        library_answers.keep(conn, *of, body)
        kept = library_answers.kept(conn, *of, library.cache_hours)
    return _shown(shelf, body, kept.read_at if kept else None)


def _asked(engine: Engine, library: HealthLibrary, address: str, code: Code, language: str) -> bytes | None:
    with engine.begin() as conn:
        if not library_answers.may_ask(conn, address, library.requests_per_minute):
            return None
    is_local = address.startswith("http://")  # the configuration takes that of a loopback address alone
    networks = ("127.0.0.0/8", "::1/128", *library.networks) if is_local else library.networks
    bounds = Bounds(networks, allow_http=is_local, seconds=SECONDS)
    try:
        reply = exchange("GET", address, bounds, max_bytes=LARGEST, params=to_query(code, language))
    except ServerAway:
        reply = Reply(0, {}, b"")
    if reply.status == 200 and _read(reply.body) is not None:
        return reply.body
    with engine.begin() as conn:
        library_answers.rest(conn, address, REST if reply.status in (403, 429) else AGAIN)
    return None


def _read(body: bytes) -> list[Entry] | None:
    try:
        return read_answer(fhir_json.loads(body, max_depth=50))
    except (ValueError, RecursionError, MappingError):
        return None


def _shown(shelf: Shelf, body: bytes, read_at: datetime | None, *, is_old: bool = False) -> Shelf:
    found = _read(body) or []
    readings = tuple(Reading(_plain(each.title), each.href, safe(each.summary)) for each in found)
    state = "old" if is_old and readings else "away" if is_old else "found" if readings else "empty"
    return Shelf(state, shelf.source, shelf.language, shelf.languages, shelf.code, readings, read_at)


def _with(shelf: Shelf, state: str) -> Shelf:
    return Shelf(state, shelf.source, shelf.language, shelf.languages, shelf.code)


def _plain(title: str) -> str:
    return nh3.clean(title, tags=set()).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").strip()


def safe(summary: str) -> str:
    """Words, lists and https links of a summary; everything else of it is taken out."""

    def only_https(tag: str, attribute: str, value: str) -> str | None:
        return value if (tag, attribute) == ("a", "href") and is_safe(value) else None

    cleaned = nh3.clean(
        summary,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https"},
        attribute_filter=only_https,
        link_rel="noopener noreferrer nofollow",
    )
    return _LEADS_NOWHERE.sub(r"\1", cleaned)
