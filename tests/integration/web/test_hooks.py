"""Hints over a real HTTP server: whatever they say, they change a due time and nothing else."""

import http.client
import json
import time

import pytest
from sqlalchemy import select, text

from integration.store.tables import hints, steps
from jobs.schedule import take_up_hints
from mappings.model.steps import OPEN
from tests.integration.web.serving import serving
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
SECRET = "0123456789abcdef" * 4  # the same in every process: it stands in the names of tests


class Hooked(Site):
    """Alice and Bob may tell us of news; Mercy may not."""

    def __init__(self, folder, database):
        (folder / "hints").write_text(SECRET + "\n")
        super().__init__(folder, database)
        path = folder / "config.yaml"
        written = path.read_text()
        for name in ("alice", "bob"):
            written = written.replace(f"{name}: {{base_url", f"{name}: {{hints: {{secret_file: hints}}, base_url")
        path.write_text(written)
        self.__dict__.update(Reloaded(path, database).__dict__)

    def said(self) -> dict[str, str]:
        with self.engine.connect() as conn:
            return {row.endpoint: row.kind for row in conn.execute(select(hints))}

    def rest(self) -> None:
        """The seconds pass in which a hint makes nothing due."""
        with self.engine.begin() as conn:
            conn.execute(text("UPDATE hints SET heard_at = heard_at - interval '6 seconds', "
                              "taken_at = taken_at - interval '6 seconds'"))  # fmt: skip

    def take_up(self) -> int:
        return take_up_hints(self)  # type: ignore[arg-type]  a configuration and an engine are all it asks for

    def polls(self) -> list[str]:
        with self.engine.connect() as conn:
            return list(conn.execute(select(steps.c.status).where(steps.c.kind == "poll_requests")).scalars())

    def everything(self) -> dict[str, int]:
        with self.engine.connect() as conn:
            names = conn.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
            return {
                name: conn.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()
                for name in names
                if name != "hints"
            }


class Reloaded(Site):
    """The same with what the file says now."""

    def __init__(self, path, database):
        from integration.packets.payloads import Payloads
        from integration.settings.config import load_config
        from integration.web import create_app

        self.config, self.engine = load_config(path, {}), database.engine
        self.payloads = Payloads(self.config.payloads.url)
        self.app = create_app(self.config, self.engine, self.payloads)
        self.client = self.app.test_client()


@pytest.fixture
def hooked(tmp_path, database) -> Hooked:
    return Hooked(tmp_path, database)


@pytest.fixture
def tell(hooked):
    """Sends bytes over a real connection: ``tell(endpoint, body)`` gives the status."""
    with serving(hooked.app) as port:

        def _tell(key="alice", body=b"", *, secret=SECRET, method="POST", below="", headers=()) -> int:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            sent = {"Content-Type": "application/fhir+json", **dict(headers)}
            if secret is not None:
                sent["Authorization"] = f"Bearer {secret}"
            line.request(method, f"/hooks/{key}{below}", body, sent)
            status = line.getresponse().status
            line.close()
            return status

        yield _tell


def notification(kind: str) -> bytes:
    status = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": kind}]}
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}).encode()


def test_an_empty_post_makes_the_poll_due_and_nothing_else(hooked, tell):
    before = hooked.everything()
    assert tell() == 204
    assert hooked.everything() == before, "only a tick makes anything due"
    assert hooked.take_up() == 1 and hooked.polls() == ["due"]
    assert {name for name, rows in hooked.everything().items() if rows != before[name]} == {"steps"}


@pytest.mark.parametrize(
    "kind, is_news",
    [("handshake", False), ("heartbeat", False), ("query-status", False), ("event-notification", True)],
)
def test_each_notification_of_the_backport_is_answered_and_only_news_make_a_poll_due(hooked, tell, kind, is_news):
    assert tell(body=notification(kind)) == 204
    assert hooked.said() == {"alice": kind}
    assert hooked.take_up() == is_news and len(hooked.polls()) == is_news


def test_a_thousand_hints_are_one_poll_more_every_few_seconds(hooked, tell):
    for _ in range(1000):
        assert tell(body=notification("event-notification")) == 204
    assert [hooked.take_up() for _ in range(5)] == [1, 0, 0, 0, 0] and hooked.polls() == ["due"]
    with hooked.engine.begin() as conn:
        conn.execute(steps.update().values(status="done"))
    assert tell() == 204
    assert hooked.take_up() == 0, "the seconds are not over"
    hooked.rest()
    assert hooked.take_up() == 1 and sorted(hooked.polls()) == ["done", "due"]


def test_a_hint_that_comes_while_the_orders_are_read_is_kept_until_they_were(hooked, tell):
    assert tell() == 204 and hooked.take_up() == 1
    with hooked.engine.begin() as conn:
        conn.execute(steps.update().values(status="leased", lease_until=text("now() + interval '1 minute'")))
    hooked.rest()
    assert tell() == 204 and hooked.take_up() == 0
    with hooked.engine.begin() as conn:
        conn.execute(steps.update().values(status="done"))
    assert hooked.take_up() == 1


def test_a_poll_that_waits_for_its_retry_or_for_a_person_is_not_hurried(hooked, tell):
    for status in ("waiting", "parked"):
        with hooked.engine.begin() as conn:
            conn.execute(steps.delete())
        step = hooked.step("poll_requests", "alice", status)
        hooked.rest()
        assert tell() == 204 and hooked.take_up() == 0 and hooked.row(step).status == status


def test_news_of_a_fulfiller_bring_forward_what_waits_for_it_but_no_retry(hooked, tell):
    waits = hooked.step("watch_fulfiller", "bob", "waiting", attempts=0, request_id=hooked.request("k1"))
    retries = hooked.step("watch_fulfiller", "bob", "waiting", attempts=2, request_id=hooked.request("k2"))
    others = hooked.step("watch_fulfiller", "mercy", "waiting", attempts=0, request_id=hooked.request("k3"))
    assert tell("bob") == 204 and hooked.take_up() == 1
    assert [hooked.row(each).status for each in (waits, retries, others)] == ["due", "waiting", "waiting"]


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\xff" * 500,
        b"{" * 60_000,
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a":1,"a":2}',
        b"<Bundle/>",
        b'{"entry":' + b"9" * 40_000 + b"}",
        b"x" * 300_000,
        b"x" * 8_000_000,
    ],
    ids=["bytes", "open", "deep", "doubled", "xml", "number", "large", "huge"],
)
def test_a_broken_or_huge_body_is_a_hint_without_a_word(hooked, tell, body):
    began = time.monotonic()
    assert tell(body=body) == 204 and time.monotonic() - began < 10
    assert hooked.said() == {"alice": "rest-hook"} and hooked.take_up() == 1


def test_a_payload_is_put_below_the_address_and_is_not_looked_at(hooked, tell):
    patient = json.dumps({"resourceType": "Patient", "id": "p1", "name": [{"family": "Nobody"}]}).encode()
    assert tell(body=patient, method="PUT", below="/Patient/p1") == 204
    assert tell(method="DELETE", below="/Patient/p1") == 204
    assert hooked.said() == {"alice": "rest-hook"}


@pytest.mark.parametrize(
    "key, secret",
    [("alice", None), ("alice", ""), ("alice", SECRET[:-1]), ("alice", "é"), ("mercy", SECRET), ("nobody", SECRET)]
    + [("mercy", ""), ("%00", SECRET), ("a" * 5000, SECRET)],
)
def test_without_the_secret_of_that_endpoint_nothing_is_noted_and_nothing_is_told(hooked, tell, key, secret):
    assert tell(key, secret=secret and secret.encode("latin-1").decode("latin-1")) == 403
    assert hooked.said() == {} and hooked.take_up() == 0


def test_a_new_secret_counts_without_a_restart_and_a_short_one_opens_nothing(hooked, tell, tmp_path):
    (tmp_path / "hints").write_text("short")
    assert (tell(secret="short"), tell()) == (403, 403)
    (tmp_path / "hints").write_text("another secret of more than 24 characters")
    assert tell(secret="another secret of more than 24 characters") == 204


def test_the_step_that_a_hint_makes_due_is_the_one_that_the_clock_would_make(hooked, tell):
    tell()
    hooked.take_up()
    with hooked.engine.connect() as conn:
        row = conn.execute(select(steps)).one()
    assert (row.kind, row.endpoint, row.status, row.request_id) == ("poll_requests", "alice", "due", None)
    assert row.status in OPEN
