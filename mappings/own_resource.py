"""Whether a resource that stands in a system is the one of ours that was sent: by our identifier, else by what it says.

For systems where no search finds our identifier, or that do not keep it. Pure: resources in, a verdict out.
"""

from collections.abc import Mapping
from typing import Any

from mappings.identifiers import identifiers_in
from mappings.merging import contains
from mappings.model.request import Identifier
from mappings.same_document import Verdict
from mappings.task import THEIRS

_TELLS_APART = (
    "focus",
    "basedOn",
    "code",
    "subject",
    "for",
    "target",
    "about",
)  # two that differ in one of these are never one


def verdict(sent: Mapping[str, Any], there: Mapping[str, Any], own: Identifier) -> Verdict:
    """``there``: of the same type and patient, written since. UNCLEAR: it may be it, in other words: a person has to look."""
    carried = {each for each in identifiers_in(dict(there)) if each.system == own.system}
    if carried:
        return Verdict.SAME if own in carried else Verdict.OTHER
    wanted = _ours(sent)
    if sent.get("resourceType") == "Provenance" and sent.get("recorded") != there.get("recorded"):
        return Verdict.OTHER  # others write theirs about the same document
    if any(
        name in sent and name in there and not contains(_only(sent, name), _only(there, name)) for name in _TELLS_APART
    ):
        return Verdict.OTHER
    return Verdict.SAME if contains(wanted, dict(there)) else Verdict.UNCLEAR


def _ours(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Without our identifier, which is not kept there; of a Task without what the consultant moves on."""
    left_out = {"identifier", *(THEIRS if sent.get("resourceType") == "Task" else ())}
    return {name: value for name, value in sent.items() if name not in left_out}


def _only(resource: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: resource[name]}
