"""Reads a FHIR directory, from its server page by page or from a Bundle in a file, and merges it: all of it or nothing."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from integration.directory import zip_codes
from integration.directory.tables_in_files import wrong
from integration.fhir.paging import Search
from integration.fhir.server import FhirServer
from integration.fhir_json import loads
from integration.settings.directory import DirectorySource
from integration.store import directory
from integration.store.directory import Load, Merged
from integration.views.languages import primaries, understood
from mappings.codes import as_dict, as_dicts
from mappings.directory import fhir
from mappings.directory.entry import Entry
from mappings.directory.fhir import PROFILES, Ask, Known
from mappings.model.errors import PartialError, PermanentError
from mappings.model.findings import Finding

FHIR = "fhir"
KEPT = 20_000  # resources of earlier pages that references may name
MOST_READS = 5_000  # of what no page brought
LARGEST_FILE = 256 << 20
LISTED = 20
_INCLUDES = tuple(
    f"PractitionerRole:{name}" for name in ("practitioner", "organization", "location", "endpoint", "service")
)
Progress = Callable[[int], object]


def sync(
    engine: Engine,
    server: FhirServer,
    source: DirectorySource,
    today: date,
    *,
    actor: str,
    fewer: bool = False,
    progress: Progress = lambda read: None,
) -> Merged:
    """Read a server; what changed. Raises the errors of an exchange, and NotPossible; then nothing is changed."""
    ask = Ask(source.states, source.specialties)
    reading = _Reading(server, ask, source, progress)
    name = getattr(server.endpoint, "name", server.name)
    load = Load(f"{FHIR}:{server.name}", FHIR, name, today, is_whole=True, actor=actor)
    return _merged(engine, reading, reading.roles(), load, fewer)


def load_bundle(engine: Engine, path: Path, key: str, today: date, *, actor: str, whole: bool, fewer: bool) -> Merged:
    """Read a Bundle in a file, as what the source ``key`` says. Raises FileError and NotPossible."""
    resources = _resources(path)
    reading = _Reading(None, Ask(), None)
    load = Load(f"{FHIR}:{key}", FHIR, path.name, today, is_whole=whole, actor=actor)
    return _merged(engine, reading, reading.of_file(resources), load, fewer)


def _merged(engine: Engine, reading: "_Reading", entries: Iterator[Entry], load: Load, fewer: bool) -> Merged:
    zip_codes.ensure(engine)
    with directory.staging(engine) as staged:
        staged.take(enumerate(map(reading.understood, entries), 1))
        merged = staged.merge(load, left_out=reading.left_out, notes=reading.notes, fewer=fewer)
    directory.settle(engine)
    return merged


def _resources(path: Path) -> dict[str, dict]:
    if path.stat().st_size > LARGEST_FILE:
        raise wrong(
            path.name, f"is larger than {LARGEST_FILE >> 20} MB: ask the server itself (second-opinion directory sync)"
        )
    try:
        bundle = loads(path.read_bytes())
    except ValueError:
        raise wrong(path.name, "is not JSON: it was cut, or is something else") from None
    if as_dict(bundle).get("resourceType") != "Bundle":
        raise wrong(path.name, "is no FHIR Bundle")
    return _by_name((each.get("fullUrl"), as_dict(each.get("resource"))) for each in as_dicts(bundle.get("entry")))


def _by_name(entries: Iterable[tuple[Any, dict]]) -> dict[str, dict]:
    known: dict[str, dict] = {}
    for full_url, resource in entries:
        known[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
        if isinstance(full_url, str):
            known[full_url] = resource
    return known


class _Reading:
    """One reading of a directory: what was found odd on the way, and how many were left out."""

    def __init__(
        self,
        server: FhirServer | None,
        ask: Ask,
        source: DirectorySource | None,
        progress: Progress = lambda read: None,
    ):
        self._server, self._ask, self._source, self._progress = server, ask, source, progress
        self._kept: OrderedDict[str, dict] = OrderedDict()
        self._absent: set[str] = set()
        self._found: dict[str, int] = {}
        self._first: list[str] = []
        self.left_out = self._read = self._others = 0

    @property
    def notes(self) -> list[str]:
        """What an operator should know; each kind of oddity once with its number."""
        said = [f"{number:,} times {cause}" for cause, number in self._found.items()]
        if self._others:
            said.append(
                f"{self._others:,} entries of other states or specialties came although they were not asked for: the server does not "
                "filter by them, so they were left out here"
            )
        return [*said, *self._first]

    def roles(self) -> Iterator[Entry]:
        """Every entry of a server, page by page."""
        assert self._server is not None and self._source is not None
        names: dict[str, str] = {**PROFILES[self._source.profile]}
        names |= {str(name): said for name, said in self._source.parameters.items()}
        params = [("_include", each) for each in _INCLUDES]
        params += [(names["state"], ",".join(self._ask.states))] if self._ask.states else []
        params += [(names["specialty"], ",".join(self._ask.specialties))] if self._ask.specialties else []
        try:
            yield from self._all(self._server, "PractitionerRole", params)
        except PermanentError as error:
            if self._read or error.status_code not in (400, 403, 404, 405, 422, 501):
                raise
            self._first.append(
                "the server shows no PractitionerRole: only its Practitioners were read, without specialty or place"
            )
            yield from self._all(self._server, "Practitioner", [])

    def of_file(self, resources: Mapping[str, dict]) -> Iterator[Entry]:
        """Every entry of a file: roles, and people who have none."""
        known = Known(resources)
        each_once = {id(resource): resource for resource in resources.values()}.values()
        named = set()
        for role in each_once:
            if role.get("resourceType") == "PractitionerRole":
                named.add(id(known.of(role.get("practitioner"), role)))
                yield from self._wanted(*fhir.of_role(role, known))
        for person in each_once:
            if person.get("resourceType") == "Practitioner" and id(person) not in named:
                yield from self._wanted(*fhir.of_practitioner(person))

    def understood(self, entry: Entry) -> Entry:
        """With the languages as tags; what is no language stays as it was written, and is noted."""
        if entry.languages is None:
            return entry
        for each in entry.languages:
            if understood(each) is None:
                self._note(Finding("directory-language", "a language is neither a tag nor a name that is known"))
        tags = [found.tag if (found := understood(each)) else each for each in entry.languages]
        return replace(entry, languages=tuple(dict.fromkeys(tags)), spoken=primaries(entry.languages) or None)

    def _all(self, server: FhirServer, kind: str, params: list[tuple[str, str]]) -> Iterator[Entry]:
        search: Search = server.search(kind, params)
        url: str | None = None
        seen: set[str] = set()
        while True:
            page = search.page(url)
            for problem in page.problems:
                self._first.append(problem)
            self._keep(_by_name((each.full_url, each.resource) for each in page.entries))
            for entry in page.entries:
                if entry.resource.get("resourceType") == kind:
                    yield from self._entries(server, entry.resource)
            self._progress(self._read)
            url = page.next_url
            if url is None:
                return
            if url in seen:
                raise PartialError(
                    [f"search for {kind} at {server.name}: a page names an earlier page as the next one"]
                )
            seen.add(url)

    def _entries(self, server: FhirServer, resource: dict) -> Iterator[Entry]:
        if resource["resourceType"] == "Practitioner":
            yield from self._wanted(*fhir.of_practitioner(resource))
            return
        known = Known(self._kept, server.endpoint.bases)
        for reference in fhir.missing(resource, known):
            self._fetch(server, reference)
        yield from self._wanted(*fhir.of_role(resource, known))

    def _fetch(self, server: FhirServer, reference: str) -> None:
        if reference in self._absent or len(self._absent) > MOST_READS:
            return
        found = server.read_if_there(reference)
        if found is None:
            self._absent.add(reference)
        else:
            self._keep({reference: found})

    def _keep(self, resources: Mapping[str, dict]) -> None:
        self._kept.update(resources)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _wanted(self, entries: list[Entry], findings: list[Finding]) -> Iterator[Entry]:
        for finding in findings:
            self._note(finding)
        self.left_out += not entries
        for entry in entries:
            self._read += 1
            if self._ask.wants(entry):
                yield entry
            else:
                self._others += 1

    def _note(self, finding: Finding) -> None:
        self._found[finding.cause] = self._found.get(finding.cause, 0) + 1
        if len(self._first) < LISTED:
            self._first.append(finding.message)
