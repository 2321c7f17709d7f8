"""The bytes that were written at a target, kept so that what is read back is compared with them and with nothing else.

A chunk's records are lines of one payload: thousands of small payloads would each wait for the disk. Inside a transaction
records name each other by urn; who reads a line says what these are called at the target by now.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from integration import fhir_json
from integration.packets.payloads import PayloadMissing, Payloads
from mappings.model.link import Link

_URN = re.compile(rb"urn:uuid:[0-9a-f-]{36}")


@dataclass(frozen=True)
class Kept:
    """Where lines are: the payload that holds them, and the hash of each."""

    pack: str
    hashes: tuple[str, ...]


def keep(payloads: Payloads, lines: list[bytes]) -> Kept:
    """Store lines; on disk when this returns."""
    return Kept(payloads.put(b"\n".join(lines)), tuple(hashlib.sha256(line).hexdigest() for line in lines))


def lines_of(payloads: Payloads, wanted: Iterable[tuple[str | None, str | None]]) -> dict[str, bytes]:
    """``{hash: bytes}`` of (hash, payload that holds it as a line, or None: it is one); what is not kept is left out."""
    found: dict[str, bytes] = {}
    alone: set[str] = set()
    by_pack: dict[str, set[str]] = {}
    for digest, pack in wanted:
        if digest is not None:
            (alone if pack is None else by_pack.setdefault(pack, set())).add(digest)
    for digest in alone:
        try:
            found[digest] = payloads.get(digest)
        except PayloadMissing:  # older versions stored a hash of the source here
            continue
    for pack, digests in by_pack.items():
        lines = {hashlib.sha256(line).hexdigest(): line for line in payloads.get(pack).split(b"\n")}
        found |= {digest: lines[digest] for digest in digests & lines.keys()}
    return found


def last_written(payloads: Payloads, links: Iterable[Link], names: Mapping[str, str]) -> dict[str, dict]:
    """``{source: what we last wrote there}`` of these links, as far as it is kept; ``names`` as in `named`."""
    links = list(links)
    lines = lines_of(payloads, ((link.sha256, link.written_in) for link in links))
    return {link.value: fhir_json.loads(named(lines[link.sha256], names)) for link in links if link.sha256 in lines}


def named(line: bytes, names: Mapping[str, str]) -> bytes:
    """The line with each urn of ``names`` replaced by what it is called at the target."""
    return _URN.sub(lambda found: names.get(found[0].decode(), found[0].decode()).encode(), line)


def urns_in(line: bytes, among: Mapping[str, str]) -> set[str]:
    """The urns of ``among`` that a line still names."""
    return {found.decode() for found in _URN.findall(line)}.intersection(among)
