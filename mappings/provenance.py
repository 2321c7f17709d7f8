"""Provenance that says what the Exchange is to the records it carried: their transmitter, never their author.

https://hl7.org/fhir/R4/provenance.html (US Core 9: us-core-provenance, "last hop")
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mappings import codes
from mappings.codes import concept
from mappings.model.errors import MappingError
from mappings.model.request import Identifier

_ACTIVITIES = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
CREATE, UPDATE, NULLIFY = "CREATE", "UPDATE", "NULLIFY"
ACCEPTED = "received from elsewhere and accepted"


@dataclass(frozen=True)
class Activity:
    """What was done: a code of v3-DataOperation, and words."""

    code: str
    words: str

    def to_fhir(self) -> dict:
        """As a CodeableConcept."""
        return {"coding": [{"system": _ACTIVITIES, "code": self.code}], "text": self.words}


def from_place(name: str) -> dict:
    """The entity that says by name where what it is about came from."""
    return {"role": "source", "what": {"display": name}}


def to_provenance(
    *,
    targets: Sequence[str],
    recorded: str,
    exchange_name: str,
    on_behalf_of: str | None = None,
    on_behalf_of_display: str | None = None,
    sources: Sequence[str | Identifier] = (),
    author: str | None = None,
    author_for: str | None = None,
    activity: Activity | None = None,
    came_from: str | None = None,
) -> dict:
    """Who transmitted the ``targets``; ``on_behalf_of`` is the placer's organization as reference, or only its name.

    ``sources`` name what the targets were copied from. ``recorded`` is an instant. ``author``: by name, where what was
    transmitted says it itself, and ``author_for`` whose system that is. ``came_from``: the name of a place.
    """
    if not targets:
        raise MappingError("Provenance.target", "is required")
    agent = {"type": concept(codes.TRANSMITTER), "who": {"type": "Organization", "display": exchange_name}}
    behalf = {name: value for name, value in (("reference", on_behalf_of), ("display", on_behalf_of_display)) if value}
    if behalf:
        agent["onBehalfOf"] = behalf
    agents = [agent]
    if author:
        of = {"onBehalfOf": {"type": "Organization", "display": author_for}} if author_for else {}
        agents.append({"type": concept(codes.AUTHOR), "who": {"display": author}, **of})
    made: dict = {
        "resourceType": "Provenance",
        "target": [{"reference": each} for each in targets],
        "recorded": recorded,
        "agent": agents,
    }
    if activity:
        made["activity"] = activity.to_fhir()
    entities = [{"role": "source", "what": _what(each)} for each in sources]
    entities += [from_place(came_from)] if came_from else []
    return {**made, "entity": entities} if entities else made


def _what(source: str | Identifier) -> dict:
    return {"identifier": source.model_dump()} if isinstance(source, Identifier) else {"reference": source}
