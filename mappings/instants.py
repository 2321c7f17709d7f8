"""Instants as FHIR writes them (https://hl7.org/fhir/R4/datatypes.html#instant)."""

from datetime import UTC, datetime

from mappings.codes import as_dict


def last_updated(resource: dict) -> datetime | None:
    """When a resource says it was changed; None unless it says so with a zone."""
    meta = as_dict(resource.get("meta"))
    try:
        at = datetime.fromisoformat(meta["lastUpdated"])
        return at.astimezone(UTC) if at.tzinfo else None
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
