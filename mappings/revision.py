"""What a correction of a request changes, by path, and which of our resources say it: the reader of both sides sees the same."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from mappings.model.packet import Manifest
from mappings.model.request import SecondOpinionRequest
from mappings.service_request import Refs, to_service_request

# What makes it this request: with another one of these it is another request.
FIXED = ("key", "placer", "fulfiller", "service_request", "placer_order", "follows", "requisition")


@dataclass(frozen=True)
class Change:
    """One value that a correction changes. ``path`` may be shown to everyone; ``old`` and ``new`` are about a patient."""

    path: str
    old: str | None
    new: str | None

    @property
    def field(self) -> str:
        """The field of the request it belongs to."""
        return self.path.partition(".")[0].partition("[")[0]


def changes(old: SecondOpinionRequest, new: SecondOpinionRequest) -> tuple[Change, ...]:
    """Every value that differs, in the order of the request."""
    before, after = dict(_leaves(old.model_dump(mode="json"))), dict(_leaves(new.model_dump(mode="json")))
    paths = dict.fromkeys([*before, *after])
    return tuple(
        Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    )


def told_by(old: SecondOpinionRequest, new: SecondOpinionRequest) -> tuple[str, ...]:
    """The types of our resources that say something else now; none when nothing of it is sent.

    The Task goes with any of them, because a consultant works from it.
    """
    told = []
    if _service_request(old) != _service_request(new):
        told.append("ServiceRequest")
    if old.patient_questions != new.patient_questions:
        told.append("Communication")
    return (*told, "Task") if told else ()


def in_words(paths: Iterable[str]) -> str:
    """The fields of changed paths for people: ``question, wanted by``."""
    fields = (Change(path, None, None).field.replace("_", " ") for path in paths)
    return ", ".join(dict.fromkeys(fields))


def correction_note(manifest: Manifest, known: Set[str], number: int) -> str:
    """For whoever works from the records: what this correction of them holds, by kind, and no values."""
    corrected = [item.source for item in manifest.resources if item.source in known]
    new = [item.source for item in manifest.resources if item.source not in known]
    gone = [item.source for item in manifest.withdrawn]
    parts = [
        f"{len(sources)} {word} ({_kinds(sources)})"
        for word, sources in (("corrected", corrected), ("new", new), ("withdrawn, not to be used", gone))
        if sources
    ]
    return f"Correction {number} to the records, gathered {manifest.gathered_at}: {'; '.join(parts)}."


def _kinds(sources: Iterable[str]) -> str:
    counted = Counter(source.partition("/")[0] for source in sources)
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in sorted(counted.items()))


def _service_request(request: SecondOpinionRequest) -> dict:
    """As it would be written where nobody is known: then it tells of everyone in it."""
    return to_service_request(
        request, request_id="request", refs=Refs(patient="Patient/1"), identifier_system="urn:ids"
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths with their values as text; a list of texts is one value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    elif isinstance(value, list):
        if value:
            yield path, "\n".join(str(each) for each in value)
    elif value is not None:
        yield path, str(value)
