"""Records of other providers as JSON, for the API and commands."""

from integration.record_sources import Standing


def view(standing: Standing) -> dict:
    """One provider: how it stands, what was read there, what was odd."""
    source = standing.source
    return {
        "endpoint": source.endpoint,
        "name": standing.name,
        "state": standing.state,
        "cause": standing.cause,
        "whole": source.whole,
        "named_by": source.named_by,
        "reason": source.reason,
        "read_at": source.read_at,
        "ended_by": source.ended_by,
        "records": [
            {
                "source": each.source,
                "source_reference": each.name,
                "what": each.what,
                "dated": each.dated,
                "sent": each.where == "sent",
            }
            for each in standing.records
        ],
        "remarks": [
            {"cause": each.cause, "severity": each.severity, "message": each.message, "path": each.path}
            for each in standing.remarks
        ],
    }
