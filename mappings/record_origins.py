"""Where records of a packet came from that are none of the chart itself, as a Provenance at the consulting provider says it.

https://hl7.org/fhir/R4/provenance.html. Its words are those of a practice that keeps what it received (`received_at_home.py`):
created, then corrected, then taken back, each about the copies that stand there, with the place that they came from as its source.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mappings.model.packet import Manifest
from mappings.provenance import ACCEPTED, CREATE, NULLIFY, UPDATE, Activity
from mappings.received import PREFIX, is_received

MOST = 200  # targets of one Provenance

_GATHERED = "gathered from another provider because a person named it"
_CORRECTED = "corrected at its source"


@dataclass(frozen=True)
class Sent:
    """One packet that arrived. ``there``: what its records that we created are called at the target, by their name in it."""

    version: int
    manifest: Manifest
    there: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """One Provenance. ``name``: unique in its request and the same whenever it is asked for; ``targets``: what they are called there."""

    name: str
    version: int
    came_from: str
    activity: Activity
    targets: tuple[str, ...]


def origins(packets: Iterable[Sent], places: Mapping[str, str]) -> Iterator[Told]:
    """What there is to say of these packets, the oldest first. ``places``: how the ids of an origin's records begin -> its name."""
    known: set[str] = set()
    for sent in packets:
        for beginning, place in places.items():
            for activity, names in _said(sent, beginning, known):
                targets = tuple(dict.fromkeys(sent.there[each] for each in names))
                for number in range(0, len(targets), MOST):
                    name = f"{sent.version}-{beginning}{activity.code.lower()}-{number // MOST + 1}"
                    yield Told(name, sent.version, place, activity, targets[number : number + MOST])
        known |= sent.there.keys()


def _said(sent: Sent, beginning: str, known: set[str]) -> Iterator[tuple[Activity, list[str]]]:
    """(what was done, to which) of the records of one origin; several reasons why records are taken back are several."""
    carried = [
        each.source for each in sent.manifest.resources if _is_of(each.source, beginning) and each.source in sent.there
    ]
    new, again = [each for each in carried if each not in known], [each for each in carried if each in known]
    if new:
        yield Activity(CREATE, ACCEPTED if beginning.startswith(PREFIX) else _GATHERED), new
    if again:
        yield Activity(UPDATE, _CORRECTED), again
    gone = [each for each in sent.manifest.withdrawn if _is_of(each.source, beginning) and each.source in known]
    for why in sorted({each.why or "" for each in gone}):
        there = [each.source for each in gone if (each.why or "") == why and each.source in sent.there]
        if there:
            yield Activity(NULLIFY, why or "withdrawn"), there


def _is_of(name: str, beginning: str) -> bool:
    return is_received(name) and name.partition("/")[2].startswith(beginning)
