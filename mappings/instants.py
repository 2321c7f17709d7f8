"""Instants as FHIR writes them (https://hl7.org/fhir/R4/datatypes.html#instant)."""

from datetime import UTC, datetime

from mappings.codes import as_dict


def in_whole_seconds(at: datetime) -> str:
    """An instant in whole seconds, with Z: some servers take no +00:00 in an address."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def last_updated(resource: dict) -> datetime | None:
    """When a resource says it was changed; None unless it says so with a zone."""
    meta = as_dict(resource.get("meta"))
    try:
        at = datetime.fromisoformat(meta["lastUpdated"])
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
