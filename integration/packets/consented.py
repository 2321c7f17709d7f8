"""Packets as the patient's consent lets them be seen outside: one rule for what is sent, what a link carries, and what is read here.

Records of kinds that are left out are gone, with their documents; the kinds stand in the manifest instead, as waived. So a
reader is told which kinds those are, and not whether there is anything of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from integration.packets.stored import Packet
from mappings.model.consent import BY_THE_PATIENT, LEFT_HOME, Consent
from mappings.model.packet import ManifestItem


def consented(packet: Packet, consent: Consent | None) -> Packet:
    """One packet, as it leaves."""
    if consent is None or not consent.left_home:
        return packet
    return _without(packet, _home(packet, consent), consent)


def all_consented(loaded: Sequence[Packet], consent: Consent | None) -> list[Packet]:
    """All packets of a request, the oldest first, to be read together.

    A record whose newest copy may not go is in none of them, and what takes back a record that may not go is not named.
    """
    if consent is None or not consent.left_home:
        return list(loaded)
    homes, may_go = [_home(packet, consent) for packet in loaded], dict[str, bool]()
    for packet, home in zip(loaded, homes, strict=True):
        may_go |= {source: source not in home for source in packet.resources}
        for item in packet.manifest.withdrawn:
            may_go.setdefault(item.source, consent.lets_go({"resourceType": item.source.partition("/")[0]}))
    shut = {source for source, goes in may_go.items() if not goes}
    return [_without(packet, home | shut, consent) for packet, home in zip(loaded, homes, strict=True)]


def _home(packet: Packet, consent: Consent) -> set[str]:
    return {source for source, resource in packet.resources.items() if not consent.lets_go(resource)}


def _without(packet: Packet, home: set[str], consent: Consent) -> Packet:
    items = [each for each in packet.manifest.items if (each.of or each.source).partition("#")[0] not in home]
    items += [
        ManifestItem(source=LEFT_HOME[kind], kind="waived", size=0, sha256="", why=BY_THE_PATIENT)
        for kind in consent.left_home
    ]
    kept = {item.source for item in items if item.kind == "resource"}
    manifest = packet.manifest.model_copy(update={"items": tuple(items)})
    return replace(packet, manifest=manifest, resources=Kept(packet.resources, kept))


class Kept(Mapping[str, dict]):
    """The resources that are kept of others, each read when it is asked for."""

    def __init__(self, resources: Mapping[str, dict], kept: set[str]):
        self._resources, self._kept = resources, kept

    def __getitem__(self, source: str) -> dict:
        if source not in self._kept:
            raise KeyError(source)
        return self._resources[source]

    def __iter__(self) -> Iterator[str]:
        return (source for source in self._resources if source in self._kept)

    def __len__(self) -> int:
        return sum(1 for _ in self)
