"""The payload store: immutable bytes by their hash, whole or as they come."""

import hashlib
import os

import pytest

from integration.packets.payloads import PayloadMissing, Payloads


@pytest.fixture(params=["folder", "memory"])
def payloads(request, tmp_path):
    return Payloads(tmp_path / "payloads" if request.param == "folder" else f"memory://{tmp_path.name}")


def test_what_came_in_blocks_is_what_was_put_whole(payloads):
    data = os.urandom(700_000)
    stored = payloads.put_stream(data[at : at + 1000] for at in range(0, len(data), 1000))
    assert stored == (stored.__class__)(hashlib.sha256(data).hexdigest(), len(data))
    assert payloads.put(data) == stored.sha256 and list(payloads.all()) == [stored.sha256]
    assert payloads.get(stored.sha256) == data == b"".join(payloads.open(stored.sha256))


def test_nothing_is_a_payload_too(payloads):
    stored = payloads.put_stream(())
    assert (payloads.get(stored.sha256), list(payloads.open(stored.sha256))) == (b"", [])


def test_what_breaks_off_leaves_nothing(tmp_path):
    def broken():
        yield b"half"
        raise RuntimeError

    payloads = Payloads(tmp_path)
    with pytest.raises(RuntimeError):
        payloads.put_stream(broken())
    assert not list(tmp_path.rglob("*"))


def test_damaged_bytes_are_never_given_whole(tmp_path):
    payloads = Payloads(tmp_path)
    stored = payloads.put_stream([b"a" * 600_000])
    (tmp_path / stored.sha256[:2] / stored.sha256).write_bytes(b"a" * 599_999 + b"b")
    given = []
    with pytest.raises(PayloadMissing, match="changed on disk"):
        for block in payloads.open(stored.sha256):
            given.append(block)
    assert sum(map(len, given)) < 600_000
    with pytest.raises(PayloadMissing, match="not in the payload store"):
        list(payloads.open("0" * 64))


def test_what_a_killed_process_had_begun_is_removed_when_it_is_old(tmp_path):
    payloads = Payloads(tmp_path)
    kept = payloads.put(b"kept")
    for name, age in (("old", 200_000), ("young", 10)):
        path = tmp_path / f".new-{name}"
        path.write_bytes(b"x")
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime - age))
    assert payloads.drop_unfinished(86_400) == 1
    assert payloads.get(kept) == b"kept" and (tmp_path / ".new-young").exists()
