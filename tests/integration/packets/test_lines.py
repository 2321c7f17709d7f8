"""A chart in a file: what is asked for is read, and is what was stored."""

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from integration.packets import stored
from integration.packets.lines import ByteSpool, Spool
from integration.packets.payloads import Payloads
from mappings.model.errors import ExchangeError
from mappings.model.packet import Manifest


def observation(number: int) -> dict:
    return {
        "resourceType": "Observation",
        "id": str(number),
        "meta": {"versionId": "3"},
        "valueQuantity": {"value": Decimal("1.10")},
        "note": [{"text": "ü\n" * 200}],
    }


def packed(payloads: Payloads, spool: Spool) -> str:
    items = tuple(stored.resource_item(source, spool.about(source)) for source in spool)
    about = dict(packet_id="p", request_id="r", source_endpoint="a", identifier_system="urn:a", patient="Patient/1")
    return stored.store(payloads, Manifest(**about, gathered_at="now", items=items), map(spool.line, spool))


@pytest.fixture(params=["folder", "memory"])
def payloads(request, tmp_path):
    return Payloads(tmp_path / "payloads" if request.param == "folder" else f"memory://{tmp_path.name}")


def test_a_packet_is_read_as_it_was_gathered(payloads):
    spool = Spool(payloads.spool(), {f"Observation/{number}": observation(number) for number in (9, 1, 5)})
    spool["Observation/5"] = observation(5) | {"status": "amended"}
    del spool["Observation/9"]
    spool["Observation/2"] = observation(2)
    spool.sort()
    packet = stored.load(payloads, packed(payloads, spool))
    assert list(packet.resources) == ["Observation/1", "Observation/2", "Observation/5"]
    assert dict(packet.resources) == dict(spool)
    assert packet.resources["Observation/5"]["status"] == "amended" and packet.manifest.items[0].version == "3"
    assert "Observation/9" not in packet.resources and packet.resources.get("Observation/9") is None
    assert str(packet.resources["Observation/1"]["valueQuantity"]["value"]) == "1.10"


def test_several_threads_read_it(payloads):
    spool = Spool(payloads.spool(), {f"Observation/{number}": observation(number) for number in range(200)})
    packet = stored.load(payloads, packed(payloads, spool))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda source: packet.resources[source]["id"], packet.resources))
    assert ids == [str(number) for number in range(200)]


def test_a_packet_without_records_is_one_too(payloads):
    assert dict(stored.load(payloads, packed(payloads, Spool(payloads.spool()))).resources) == {}


def test_a_line_that_was_changed_on_disk_is_named(tmp_path):
    payloads = Payloads(tmp_path)
    spool = Spool(payloads.spool(), {f"Observation/{number}": observation(number) for number in range(3)})
    digest = packed(payloads, spool)
    pack = stored.manifest_of(payloads, digest).pack_sha256
    path = tmp_path / pack[:2] / pack
    path.write_bytes(path.read_bytes().replace(b'"id":"1"', b'"id":"7"'))
    packet = stored.load(payloads, digest)
    assert packet.resources["Observation/0"]["id"] == "0"
    with pytest.raises(ExchangeError, match="Observation/1 does not have the hash"):
        packet.resources["Observation/1"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ExchangeError, match="does not fit its manifest"):
        stored.load(payloads, digest)


def test_a_long_chart_is_not_in_memory(tmp_path):
    payloads = Payloads(tmp_path)
    tracemalloc.start()
    try:
        spool = Spool(payloads.spool())
        for number in range(20_000):
            spool[f"Observation/{number}"] = observation(number)
        digest = packed(payloads, spool)
        for source, resource in stored.load(payloads, digest).resources.items():
            assert source.endswith(resource["id"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spool.size > 12_000_000 and peak < 60_000_000, f"{peak} bytes"


def test_bytes_by_name_are_what_was_stored_last(payloads):
    spool = ByteSpool(payloads.spool())
    spool["a"], spool["b"] = b"first", b"other"
    spool["a"] = b"second one"
    assert (spool["a"], spool["b"], spool.size("a"), list(spool), "c" in spool) == (
        b"second one",
        b"other",
        10,
        ["a", "b"],
        False,
    )
    del spool["b"]
    assert len(spool) == 1 and spool.get("b") is None


def test_a_full_disk_under_the_lines_is_a_payload_store_that_is_away(tmp_path):
    """Needs no mount: the kernel refuses the write. A step that meets it waits; it is no mistake of ours."""
    code = (
        "import resource, signal, sys; from integration.packets.lines import ByteSpool, Spool\n"
        "from integration.packets.payloads import Payloads, PayloadsAway\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "spool = Payloads(sys.argv[1]).spool\n"
        "for attempt in (lambda: Spool(spool(), {'Basic/1': {'x': 'x' * 4096}}), lambda: ByteSpool(spool()).update(a=b'x' * 4096)):\n"
        "    try: attempt()\n"
        "    except PayloadsAway: print('away')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.stdout == "away\naway\n", done.stderr
