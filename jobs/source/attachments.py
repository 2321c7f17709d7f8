"""Fetches the bytes behind every attachment of a chart; one that cannot be had makes the chart partial."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from integration.fhir.server import FhirServer
from integration.packets.payloads import Stored
from jobs.source.already_held import AlreadyHeld
from jobs.source.chart import Chart
from jobs.source.problems import Problems
from jobs.world import Context
from mappings.addresses import below, local_reference
from mappings.codes import as_dicts, as_text
from mappings.decoding import fuller_type, words_of
from mappings.document_reference import (
    attachments,
    data_url,
    entered_in_error,
    hash_form,
    inline_bytes,
    stated_size,
)
from mappings.model.errors import MappingError
from mappings.model.packet import ManifestItem
from mappings.received import is_received

# An attachment that says one of these speaks of bytes; without any it only says that there is a document somewhere.
_SPEAKS_OF_BYTES = ("data", "_data", "url", "_url", "hash", "size")

ELSEWHERE = (
    "the attachment is on another host than the placer's server; its address travels as it is, its bytes do not. "
    "Where that host is the placer's too, list it under content_hosts of the endpoint"
)
_IN_A_URL = "".join(chr(code) for code in range(33, 127))  # what is written as a URL stays; a blank is none
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


def attachment_items(ctx: Context, placer: str, chart: Chart, sources: list[str]) -> list[ManifestItem]:
    """A manifest line for each attachment of these resources, its bytes stored; what is missing is a problem of the chart."""
    fetching = _Fetching(ctx, placer, chart)
    items: list[ManifestItem | None] = []
    for source in sources:
        if is_received(source):
            items += fetching.received(source)
            continue
        resource = chart.resources[source]
        found: list = []
        with chart.problems.about(source):
            found = attachments(resource)
        for at in found:
            place = f"{source}#{at.path}"
            with fetching.may_be_missing(place, resource):
                items.append(fetching.item(source, place, resource, at.attachment))
    return [item for item in items if item is not None]


class _Fetching:
    """The attachments of one chart; what two of them name is fetched once."""

    def __init__(self, ctx: Context, placer: str, chart: Chart):
        self.ctx, self.placer, self.chart = ctx, placer, chart
        self.server: FhirServer = ctx.server(placer)
        self.limit = ctx.world.config.records.max_attachment_bytes
        self.as_they_are = {each.item for each in ctx.waivers() if each.as_it_is}
        self.fetched: dict[str, tuple[Stored, str]] = {}  # by address, with the content type
        self.held = AlreadyHeld(ctx, placer, chart.patient)
        self.seen: set[str] = set()
        self.size = 0  # of what was stored, each once

    def received(self, source: str) -> list[ManifestItem]:
        """What arrived by hand is in the payload store already."""
        items = [item for item in self.chart.received if item.source == source]
        for item in items:
            self._count(item.of or source, Stored(item.sha256, item.size))
        return items

    def item(self, source: str, of: str, resource: dict, attachment: dict) -> ManifestItem | None:
        """The manifest line; None, with a finding, where there are no bytes to carry. Raises what `Problems.about` tells."""
        if not any(name in attachment for name in _SPEAKS_OF_BYTES):
            self.ctx.finding("attachment-without-bytes", "the attachment names no document, inline or by address", of)
            return None
        inside = self._inside(resource, attachment)
        if (
            inside is not None
            and attachment.get("data") is not None
            and words_of(inside[0], attachment.get("contentType"))
        ):
            return None  # plain text inside its resource stands in the readable summary, word for word
        found = self._stored(*inside) if inside is not None else self._had_or_fetched(of, attachment)
        if found is None:
            return None
        stored, kind = found
        self._count(of, stored)
        if not stored.size:
            raise MappingError("Attachment", "the document is empty: there is not one byte of it")
        self._check(of, attachment, stored)
        return ManifestItem(
            source=source,
            kind="attachment",
            size=stored.size,
            sha256=stored.sha256,
            of=of,
            content_type=fuller_type(attachment.get("contentType"), kind),
        )

    def _count(self, of: str, stored: Stored) -> None:
        if stored.sha256 not in self.seen:
            self.seen.add(stored.sha256)
            self.size += stored.size
            self.chart.must_fit(of, self.ctx.world.config.records.max_packet_bytes, self.size)

    def _inside(self, resource: dict, attachment: dict) -> tuple[bytes, str | None] | None:
        """What stands in the attachment, or in a Binary that the resource contains."""
        url = as_text(attachment.get("url")) or ""
        if attachment.get("data") is not None:
            return inline_bytes(attachment) or b"", None
        if url.lower().startswith("data:"):
            return data_url(url)
        if url.startswith("#"):
            binary = next((each for each in as_dicts(resource.get("contained")) if each.get("id") == url[1:]), {})
            return inline_bytes(binary) or b"", as_text(binary.get("contentType"))
        return None

    def _stored(self, data: bytes, kind: str | None) -> tuple[Stored, str | None]:
        return self.ctx.world.payloads.put_stream([data]), kind

    def _had_or_fetched(self, of: str, attachment: dict) -> tuple[Stored, str] | None:
        return self.held.same(of, attachment) or self._fetched(of, attachment)

    def _fetched(self, of: str, attachment: dict) -> tuple[Stored, str] | None:
        """What an address names, read block by block; None, with a finding, for one that is not the placer's server's."""
        url = as_text(attachment.get("url"))
        if url is None:
            raise MappingError("Attachment", "it speaks of a document, and holds neither its bytes nor an address")
        path, server = self._path(url), self.server
        if path is None:
            elsewhere = self.ctx.content_host(self.placer, url.strip())
            if elsewhere is None:
                self.ctx.finding("attachment-elsewhere", ELSEWHERE, of)
                return None
            server, path = elsewhere[0], quote(elsewhere[1], safe=_IN_A_URL)
        name = f"{server.transport.base_url}/{path}"
        if name not in self.fetched:
            stated, save = as_text(attachment.get("contentType")), self.ctx.world.payloads.put_stream
            self.fetched[name] = server.save_binary(path, save, content_type=stated, max_bytes=self.limit)
        return self.fetched[name]

    def _path(self, url: str) -> str | None:
        """What to ask the placer's server for; None for an address that is not its own.

        ``/Binary/1`` is below its base address, as those who write it mean it, any other ``/path`` below its host.
        """
        path = below(url, self.chart.bases)
        if path is None and url.startswith("/") and not url.startswith("//"):
            path = url.lstrip("/") if local_reference(url) else url
        elif path is None and not _SCHEME.match(url) and not url.startswith("//"):
            path = url
        return path and quote(path, safe=_IN_A_URL)

    def _check(self, of: str, attachment: dict, stored: Stored) -> None:
        form = hash_form(attachment, lambda: self.ctx.world.payloads.open(stored.sha256))
        if form is None and of in self.as_they_are:
            self.ctx.finding("attachment-accepted", "a person accepted the bytes, though their hash is another one", of)
        elif form is None:
            raise MappingError("Attachment.hash", "the bytes do not have the hash the resource states")
        if form == "other":
            self.ctx.finding(
                "attachment-hash",
                "the hash is theirs, in another form than R4's (SHA-1, base64); the bytes were compared with it",
                of,
                "info",
            )
        if "size" in attachment and stated_size(attachment) != stored.size:
            self.ctx.finding(
                "attachment-size", f"the resource states another size than the {stored.size} bytes read", of
            )

    @contextmanager
    def may_be_missing(self, place: str, resource: dict) -> Iterator[None]:
        """A document that cannot be had is a problem, but for one that its source says should not exist: a finding."""
        problems = Problems() if entered_in_error(resource) else self.chart.problems
        with problems.about(place):
            yield
        if problems is not self.chart.problems and place in problems:
            self.ctx.finding(
                "attachment-of-error",
                "a document of a record that was entered in error could not be had; the record travels without it",
                place,
            )
            self.chart.problems.may_be_missing[place] = "it is of a record that was entered in error"
