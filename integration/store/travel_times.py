"""How long records took so far to get from a source to a consultant, by kind: from our own rows of the last year."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from mappings.checklists.leads import ELECTRONIC, Measured

LOOKED_AT = timedelta(days=365)

# Over the wire: from taking the request in until its first packet was read back.
_ELECTRONIC = text("""
    SELECT count(*) AS number,
           percentile_cont(0.8) WITHIN GROUP (ORDER BY extract(epoch FROM d.verified_at - r.created_at) / 86400.0) AS days
    FROM deliveries d JOIN requests r ON r.id = d.request_id
    WHERE d.kind = 'records' AND d.version = 1 AND d.verified_at IS NOT NULL AND d.verified_at > :since AND r.placer = :placer""")

# By courier: from the day it was asked for or sent until the day it was there, as its moves say; without any, from the first word
# that it was asked for or is on its way until the word that it is there.
_BY_COURIER = text("""
    SELECT kind, count(*) AS number, percentile_cont(0.8) WITHIN GROUP (ORDER BY days) AS days FROM (
        SELECT p.kind, CAST(min(m.day) FILTER (WHERE m.word IN ('delivered', 'counted'))
                          - min(m.day) FILTER (WHERE m.word IN ('requested', 'shipped')) AS double precision) AS days
        FROM parcels p JOIN requests r ON r.id = p.request_id JOIN parcel_moves m ON m.parcel_id = p.id
        WHERE p.created_at > :since AND r.placer = :placer GROUP BY p.id, p.kind
        UNION ALL
        SELECT f.key, extract(epoch FROM min(f.created_at) FILTER (WHERE f.value = 'there')
                                       - min(f.created_at) FILTER (WHERE f.value IN ('requested', 'promised'))) / 86400.0
        FROM checklist_facts f JOIN requests r ON r.id = f.request_id
        WHERE f.topic = 'item' AND f.created_at > :since AND r.placer = :placer
            AND NOT EXISTS (SELECT 1 FROM parcels p WHERE p.request_id = f.request_id AND p.kind = f.key)
        GROUP BY f.request_id, f.key) AS each WHERE days >= 0 GROUP BY kind""")


def measured(conn: Connection, placer: str, now: datetime) -> dict[str, Measured]:
    """``{kind of item: how long it took}`` from one source, `ELECTRONIC` for what goes over the wire."""
    values = {"placer": placer, "since": now - LOOKED_AT}
    wire = conn.execute(_ELECTRONIC, values).one()
    found = {row.kind: Measured(row.number, float(row.days)) for row in conn.execute(_BY_COURIER, values)}
    return found | ({ELECTRONIC: Measured(wire.number, float(wire.days))} if wire.number else {})
