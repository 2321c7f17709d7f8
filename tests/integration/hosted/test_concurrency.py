"""Many writers at once, over a real waitress: nothing stored twice, nothing shown out of order."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import waitress
from sqlalchemy import Engine, text

from integration import fhir_json
from tests.integration.hosted.conftest import identified, make_app, patient, post, transaction_of


@pytest.fixture
def port(engine: Engine) -> Iterator[int]:
    """A waitress that serves the hosted endpoint."""
    server = waitress.create_server(make_app(engine), host="127.0.0.1", port=0, threads=16)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    thread.join(5)


def send(port: int, method: str, path: str, body: dict | None = None, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(
            method,
            f"/fhir/oakwood{path}",
            fhir_json.dumps(body) if body else None,
            {"Content-Type": "application/fhir+json"} | headers,
        )
        response = connection.getresponse()
        return response.status, fhir_json.loads(response.read())
    finally:
        connection.close()


def all_at_once(work, times: int) -> list:
    gate = threading.Barrier(times)

    def one(number: int):
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.parametrize("round_", range(3))
def test_sixteen_racing_conditional_creates_store_one(port, round_):
    task = identified("Task", "T", status="requested")
    answers = all_at_once(lambda _: send(port, "POST", "/Task", task, **{"If-None-Exist": "identifier=T"}), 16)
    assert Counter(status for status, _ in answers) == {201: 1, 200: 15}
    assert len({body["id"] for _, body in answers}) == 1
    assert send(port, "GET", "/Task")[1]["total"] == 1


def test_racing_transactions_and_creates_store_one(port):
    bundle = transaction_of(post(patient("9"), ifNoneExist="identifier=https://oakwood.example/mrn|9"))

    def work(number: int):
        if number % 2:
            return send(port, "POST", "", bundle)
        return send(port, "POST", "/Patient", patient("9"), **{"If-None-Exist": "identifier=9"})

    assert {status for status, _ in all_at_once(work, 16)} <= {200, 201}
    assert send(port, "GET", "/Patient")[1]["total"] == 1


def test_of_sixteen_racing_updates_of_one_version_one_wins(port):
    task = send(port, "POST", "/Task", {"resourceType": "Task", "status": "requested"})[1]
    answers = all_at_once(lambda _: send(port, "PUT", f"/Task/{task['id']}", task, **{"If-Match": 'W/"1"'}), 16)
    assert Counter(status for status, _ in answers) == {200: 1, 412: 15}


def test_a_poll_by_last_updated_misses_no_write(port):
    """Whoever reads up to the newest time it saw, and asks for later ones, has seen all."""
    stop, seen = threading.Event(), []

    def poll() -> None:
        mark = "2020-01-01T00:00:00.000Z"
        while True:
            is_last = stop.is_set()
            page = send(port, "GET", f"/Patient?_count=500&_lastUpdated=gt{mark}")[1]
            for entry in page.get("entry", []):
                seen.append(entry["resource"]["id"])
                mark = entry["resource"]["meta"]["lastUpdated"]
            if is_last:
                return

    reader = threading.Thread(target=poll)
    reader.start()
    made = all_at_once(
        lambda number: [send(port, "POST", "/Patient", patient(f"{number}-{again}"))[1] for again in range(12)], 8
    )
    stop.set()
    reader.join(30)
    assert len(seen) == len(set(seen)) == 96
    assert set(seen) == {one["id"] for each in made for one in each}
    assert len({one["meta"]["lastUpdated"] for each in made for one in each}) == 96


def test_a_practice_that_is_busy_does_not_stop_another(port, engine):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO hosted_clock VALUES ('elmhurst', now())"))
        assert send(port, "POST", "/Patient", patient())[0] == 201
