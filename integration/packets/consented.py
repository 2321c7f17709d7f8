"""Packets as the patient's consent lets them be seen outside: one rule for what is sent, what a link carries, and what is read here.

Records of kinds that are left out are gone, with their documents; the kinds stand in the manifest instead, as waived. So a
reader is told which kinds those are, and not whether there is anything of them. What would tell of them goes with them
(`mappings.staying_home`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from integration.packets.stored import Packet
from mappings.model.consent import BY_THE_PATIENT, LEFT_HOME, Consent
from mappings.model.packet import Manifest, ManifestItem
from mappings.staying_home import Staying, staying


def consented(packet: Packet, consent: Consent | None, earlier: Sequence[Packet] = ()) -> Packet:
    """One packet, as it leaves. ``earlier``: those before it, the oldest first; it may refer to what they hold."""
    if consent is None or not consent.left_home:
        return packet
    stays = what_stays([*earlier, packet], consent)
    return _without(packet, set(), stays)


def all_consented(loaded: Sequence[Packet], consent: Consent | None) -> list[Packet]:
    """All packets of a request, the oldest first, to be read together.

    A record whose newest copy may not go is in none of them, and what takes back a record that may not go is not named.
    """
    if consent is None or not consent.left_home:
        return list(loaded)
    stays = what_stays(loaded, consent)
    known = {source for packet in loaded for source in packet.resources}
    withdrawn = {item.source for packet in loaded for item in packet.manifest.withdrawn} - known
    shut = {each for each in withdrawn if not consent.lets_go({"resourceType": each.partition("/")[0]})}
    return [_without(packet, stays.why.keys() | shut, stays) for packet in loaded]


def what_stays(loaded: Sequence[Packet], consent: Consent) -> Staying:
    """What of these packets, the oldest first, stays home, and why."""
    return staying([each.resources for each in loaded], [documents_of(each.manifest) for each in loaded], consent)


def documents_of(manifest: Manifest) -> Mapping[str, set[str]]:
    """The hashes of the documents of each record."""
    return hashes_by_record(item for item in manifest.items if item.kind == "attachment")


def hashes_by_record(attachments: Iterable[ManifestItem]) -> Mapping[str, set[str]]:
    """The hashes of these documents by the record that each belongs to."""
    found: dict[str, set[str]] = {}
    for item in attachments:
        found.setdefault((item.of or item.source).partition("#")[0], set()).add(item.sha256)
    return found


def _read(packet: Packet, stays: Staying) -> tuple[set[str], frozenset[str]]:
    """What of a packet stays, as it was last or because that copy had to; and what goes without a reference."""
    home, cut = set(), set()
    for source, resource in packet.resources.items():
        made = None if source in stays.why or not stays.consent.lets_go(resource) else stays.cut(resource)
        if made is None or stays.is_about(resource):
            home.add(source)
        elif made is not resource:
            cut.add(source)
    return home, frozenset(cut)


def _without(packet: Packet, unnamed: Set[str], stays: Staying) -> Packet:
    """``unnamed``: what is not even named as taken back."""
    own, cut = _read(packet, stays)
    home = own | unnamed
    items = [each for each in packet.manifest.items if (each.of or each.source).partition("#")[0] not in home]
    items += [
        ManifestItem(source=LEFT_HOME[kind], kind="waived", size=0, sha256="", why=BY_THE_PATIENT)
        for kind in stays.consent.left_home
    ]
    kept = {item.source for item in items if item.kind == "resource"}
    manifest = packet.manifest.model_copy(update={"items": tuple(items)})
    return replace(packet, manifest=manifest, resources=_Cut(packet.resources, kept, stays), cut=cut)


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


class _Cut(Kept):
    """The same, each without what leads to a record that stays home."""

    def __init__(self, resources: Mapping[str, dict], kept: set[str], stays: Staying):
        super().__init__(resources, kept)
        self._stays = stays

    def __getitem__(self, source: str) -> dict:
        made = self._stays.cut(super().__getitem__(source))
        if made is None:
            raise KeyError(source)
        return made
