"""Makes the key facts of long charts before anybody opens them: a first opening of 10,000 records would take seconds.

A short chart is read at once when it is opened, and so is one that this did not get to.
"""

import time

from integration import reading
from integration.packets.payloads import PayloadsAway
from integration.store import key_facts
from integration.visit_reading import House
from jobs.world import Context, Outcome
from mappings.model.errors import ExchangeError
from mappings.reading.model import VERSION

NOT_MADE = "key-facts-not-made"
MOST_SECONDS = 60.0  # then the step ends and begins again, so that nothing else of the house waits for it


def prepare_reading(ctx: Context) -> Outcome:
    """One chart after the other, one in memory at a time; one that cannot be read is a finding and stops no other."""
    house = House(ctx.world.engine, ctx.world.payloads, ctx.world.config)
    with ctx.world.engine.connect() as conn:
        left = key_facts.to_make(conn, VERSION)
    until, made = time.monotonic() + MOST_SECONDS, 0
    is_all = len(left) < key_facts.AT_ONCE
    for request_id, packet_id in left:
        if time.monotonic() > until:
            is_all = False
            break
        made += _prepare(ctx, house, request_id, packet_id)
    return Outcome(again_at=None if is_all or not made else ctx.now)


def _prepare(ctx: Context, house: House, request_id: str, packet_id: str) -> int:
    try:
        reading.prepare(house, request_id)
    except PayloadsAway:
        raise
    except ExchangeError as error:
        ctx.finding(NOT_MADE, f"the key facts of packet {packet_id} could not be made ahead: {error}", packet_id)
        return 0
    return 1
