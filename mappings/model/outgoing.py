"""A document on its way into another system, as every road takes it: plain values, before any of them changes its shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.model.request import Identifier


@dataclass(frozen=True)
class Outgoing:
    """One document of ours for one endpoint.

    ``resource``: the whole DocumentReference as a generic FHIR server takes it, each attachment inline; roads derive theirs
    from it. ``identifier``: ours, one for each revision. ``visible``: what a person can search for there (``SOE ref ...``).
    ``patient``: ``Patient/id`` there; ``patient_resource``: that Patient as it stands there, for roads that name patients
    otherwise. ``replaces``: our identifier of the copy that this one replaces, and ``replaces_reference`` what that copy
    is called there, None where it is not known. ``author``: the consulting provider's name.
    """

    request_id: str
    delivery_id: str
    identifier: Identifier
    visible: str
    resource: Mapping[str, Any]
    patient: str
    patient_resource: Mapping[str, Any] = field(default_factory=dict)
    author: str | None = None
    replaces: Identifier | None = None
    replaces_reference: str | None = None
    encounter: str | None = None  # Encounter/id there, of this patient, when it is known
    retracts: bool = (
        False  # the copy that ``replaces`` names is to be marked as an error; ``resource`` is that copy, marked
    )


def visible_reference(request_id: str, revision: int) -> str:
    """What stands in text and description, so that a person finds the document in the EHR by its search."""
    return f"SOE ref {request_id}-{revision}"
