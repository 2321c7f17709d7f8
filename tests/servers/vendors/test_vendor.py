"""What all vendor-like servers share: faults, an index that is late, and an oracle that is asked instead of the server."""

import pytest
import requests

from tests.servers.vendors.athena import Athena
from tests.servers.vendors.charts import load, note
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.meditech import Meditech
from tests.servers.vendors.oracle_health import OracleHealth


@pytest.fixture
def epic():
    with Epic() as started:
        yield started


def write(epic, patient, visit):
    return requests.post(f"{epic.url}/DocumentReference", json=note(patient, visit), timeout=10)


def test_a_swallowed_answer_is_of_a_write_that_was_done(epic):
    patient, visit = load(epic)
    epic.faults.swallow = 1
    with pytest.raises(requests.ConnectionError):
        write(epic, patient, visit)
    assert len(epic.ours_of(patient)) == 1 and epic.faults.met == {"swallow": 1}
    assert write(epic, patient, visit).ok


def test_a_connection_that_is_cut_in_mid_write_left_nothing(epic):
    patient, visit = load(epic)
    epic.faults.cut = 1
    with pytest.raises(requests.ConnectionError):
        write(epic, patient, visit)
    assert epic.ours_of(patient) == []


def test_a_refused_write_left_nothing(epic):
    patient, visit = load(epic)
    epic.faults.refuse.append((503, None))
    assert write(epic, patient, visit).status_code == 503
    assert epic.ours_of(patient) == [] and write(epic, patient, visit).ok


def test_who_watches_learns_of_a_write_before_its_client_does(epic):
    patient, visit = load(epic)
    seen = []
    epic.faults.written = lambda method, path: seen.append((method, len(epic.ours_of(patient))))
    write(epic, patient, visit)
    assert seen == [("POST", 1)]


def test_a_late_index_shows_a_note_later_and_reads_it_at_once():
    with Epic(lag=60) as epic:
        patient, visit = load(epic)
        place = write(epic, patient, visit).headers["Location"]
        assert requests.get(f"{epic.url}/{place}", timeout=10).ok
        found = requests.get(f"{epic.url}/DocumentReference", params={"patient": patient}, timeout=10).json()
        assert found["total"] == 0
        epic.lag = 0
        found = requests.get(f"{epic.url}/DocumentReference", params={"patient": patient}, timeout=10).json()
        assert found["total"] == 1


def test_a_server_that_is_away_answers_nothing(epic):
    epic.faults.away = True
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{epic.url}/metadata", timeout=10)


def test_the_oracle_tells_what_came_from_what_people_there_wrote(epic):
    patient, visit = load(epic)
    other, _ = load(epic, 2)
    epic.put(note(patient, visit, text="theirs"))
    write(epic, patient, visit)
    assert len(epic.documents_of(patient)) == 2 and epic.documents_of(other) == []
    [ours] = epic.ours_of(patient)
    assert ours.data.startswith(b"We agree")


@pytest.mark.parametrize("vendor", [Epic, OracleHealth, Athena, Meditech])
def test_each_says_where_it_gives_tokens_and_lets_nobody_in_without(vendor, keys):
    with vendor(keys) as started:
        said = requests.get(f"{started.url}/.well-known/smart-configuration", timeout=10).json()
        assert said["token_endpoint"] == started.token_url and "client_credentials" in said["grant_types_supported"]
        assert requests.get(f"{started.url}/Patient", params={"_id": "1"}, timeout=10).status_code == 401
