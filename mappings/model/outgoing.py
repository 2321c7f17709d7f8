"""A document on its way into another system, as every road takes it: plain values, before any of them changes its shape."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.model.request import Identifier

_HASH, _SHORT = re.compile(r"([0-9a-f]{8})[0-9a-f]{24}$"), r"\1"  # of what an original is called a person needs less


@dataclass(frozen=True)
class Outgoing:
    """One document of ours for one endpoint.

    ``resource``: the whole DocumentReference as a generic FHIR server takes it, each attachment inline; roads derive theirs
    from it. ``identifier``: ours, one for each revision. ``visible``: what a person can search for there (``SOE ref ...``).
    ``patient``: ``Patient/id`` there; ``patient_resource``: that Patient as it stands there, for roads that name patients
    otherwise. ``replaces``: our identifier of the copy that this one replaces, and ``replaces_reference`` what that copy
    is called there, None where it is not known. ``author``: the name of whose document it is. ``called``: ``report`` or
    ``record``, as sentences say it. ``head``: what stands above its words where only text is taken; empty: a report's own.
    ``part``: which document of how many it is, where a system takes one at a time; None: it is all of the report.
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
    called: str = "report"
    head: tuple[str, ...] = ()
    part: tuple[int, int] | None = None


def report_name(request_id: str, revision: int, number: int = 1) -> str:
    """What our identifier calls a returned report; ``number``: of its documents, where each goes for itself. The first is the report."""
    return f"{request_id}-report-{revision}" + (f".{number}" if number > 1 else "")


def number_in(identifier: Identifier) -> int:
    """Which document of its report it is: 1 for the first, or the only one."""
    found = re.search(r"-report-\d+\.(\d+)$", identifier.value)
    return int(found[1]) if found else 1


def visible_reference(request_id: str, revision: int | str) -> str:
    """What stands in text and description, so that a person finds the document in the EHR by its search."""
    return f"SOE ref {request_id}-{revision}"


def visible_of(request_id: str, identifier: Identifier) -> str:
    """As `visible_reference`, of any document of ours: a report by its revision, a record by its name in the packet."""
    name = identifier.value.partition("/")[2]
    report = re.fullmatch(r"-report-([\d.]+)", name.removeprefix(request_id))
    return visible_reference(request_id, report[1]) if report else f"SOE ref {_HASH.sub(_SHORT, name)}"
