"""The manifest of a long chart takes 100 MB to read: each step reads that of its own packet once."""

from collections import Counter

import pytest
from sqlalchemy import select

from integration.packets import stored
from integration.store.tables import packets
from jobs.engine import JOBS
from tests.servers.unkind_source import b64, document, observation

pytestmark = pytest.mark.postgres
OF_PACKETS = ("match_people", "push_records", "verify_records")


@pytest.fixture
def readings(monkeypatch) -> Counter:
    """How often each step of a kind read each manifest: ``{(kind, delivery, hash): times}``, each attempt by itself."""
    found: Counter = Counter()
    now: list[tuple] = []
    manifest_of = stored.manifest_of

    def counted(payloads, digest):
        if now:
            found[(*now[-1], digest)] += 1
        return manifest_of(payloads, digest)

    def within(kind, job):
        def done(ctx):
            now.append((kind, ctx.step.id, ctx.step.lease_no))
            try:
                return job(ctx)
            finally:
                now.pop()

        return done

    monkeypatch.setattr(stored, "manifest_of", counted)
    for kind in OF_PACKETS:
        monkeypatch.setitem(JOBS, kind, within(kind, JOBS[kind]))
    return found


@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_a_step_reads_its_packet_once_also_when_it_takes_something_back(gathering, readings, accepts):
    gathering.accepts = accepts
    letter = {"contentType": "application/pdf", "url": "Binary/b1"}
    pdf = {"resourceType": "Binary", "id": "b1", "contentType": "application/pdf", "data": b64(b"%PDF-1.4 letter")}
    gathering.source.put(observation(1), document(letter), pdf)
    request_id = gathering.gather()
    gathering.source.put(observation(2))
    gathering.source.delete("DocumentReference/d1")
    gathering.exchange.later(days=2)
    gathering.exchange.watch()
    with gathering.exchange.engine.connect() as conn:
        own = list(conn.execute(select(packets.c.manifest_sha256).order_by(packets.c.version)).scalars())
    assert len(own) == 2 and gathering.exchange.view(request_id)["records"] == "verified"
    kinds = Counter(kind for kind, *_ in readings)
    assert set(kinds) == set(OF_PACKETS), "every step that needs the packet was counted"
    of_the_first = {key: times for key, times in readings.items() if key[-1] == own[0]}
    of_the_newest = {key: times for key, times in readings.items() if key[-1] == own[1]}
    assert set(of_the_newest.values()) == {1}
    words = "an earlier one is compared with, looked through for what is taken back, and held against the checklist"
    assert max(of_the_first.values()) <= 3, words
