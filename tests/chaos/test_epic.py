"""The oracle of kills against a placer that behaves as Epic does, where a replay doubles a note."""

import base64
import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.chaos.epic import LAG_SECONDS, EpicChaos
from tests.servers.vendors.charts import note
from tests.servers.vendors.epic import Epic

pytestmark = pytest.mark.chaos


@pytest.fixture
def epic() -> Iterator[Epic]:
    with Epic(lag=LAG_SECONDS) as started:
        yield started


def test_the_oracle_sees_a_note_that_is_lost_doubled_or_nobodys(folder, epic):
    chaos = EpicChaos(folder, epic, seed=1, requests=3)
    for number in range(2):
        chaos.load_patient(number)
    one, other = chaos.patients[0], chaos.patients[1]
    write(epic, one, "SOE ref r1-1")
    found = chaos.count_reports(["r1"])
    assert (found.lost, found.duplicated) == (0, 0)
    assert chaos.count_reports(["r1", "r2"]).lost == 1
    write(epic, one, "SOE ref r1-1")
    assert chaos.count_reports(["r1"]).duplicated == 1
    write(epic, other, "an opinion on nobody knows what")
    assert chaos.count_reports(["r1"]).duplicated == 2


@pytest.mark.long
def test_kills_lose_and_double_no_note(folder, epic):
    """Most loops have to close: where all wait for a person nothing is doubled, and nothing is shown."""
    chaos = EpicChaos(folder, epic, seed=20261129, requests=4)
    try:
        result = chaos.run(10, seconds_between=1.0, settle_seconds=300)
    finally:
        chaos.stop()
    assert not result.wrong(), result


def write(epic: Epic, patient: str, words: str) -> None:
    [visit] = [each["id"] for each in epic.of("Encounter") if each["subject"]["reference"] == patient]
    sent = note(patient, f"Encounter/{visit}", text=words)
    body = json.dumps(sent).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{epic.url}/DocumentReference", body), timeout=10) as answer:
        assert answer.status == 201 and base64.b64decode(sent["content"][0]["attachment"]["data"]).decode() == words
