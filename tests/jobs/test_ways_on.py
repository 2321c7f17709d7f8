"""Nobody is stuck: what cannot travel is left out by a named person, who says why, and the consultant is told."""

import base64
import io

import pytest
from pypdf import PdfReader
from sqlalchemy import select, text

from integration.store import operations, resending, waivers
from integration.store.tables import audit, delivery_items
from integration.store.tables import steps as step_table
from jobs.engine import JOBS
from mappings.model.errors import TemporaryError
from tests.jobs.exchange import Exchange, a_request, load_chart
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["resources", "documents"])
def form(request, tmp_path, database):
    """An exchange in each form of delivery."""
    made = Exchange(tmp_path, database, accepts=request.param)
    yield made
    made.close()


def a_document(exchange, subject: str, **attachment) -> dict:
    """A DocumentReference at Alice with one attachment."""
    return exchange.put(
        "alice",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": subject},
            "content": [{"attachment": {"contentType": "application/pdf", **attachment}}],
        },
    )


def the_parked(exchange, request_id: str):
    with exchange.engine.connect() as conn:
        return conn.execute(
            select(step_table).where(step_table.c.request_id == request_id, step_table.c.status == "parked")
        ).one()


def waive(exchange, request_id: str, item: str, **more) -> waivers.Waived:
    with exchange.engine.begin() as conn:
        return waivers.waive(conn, request_id, item, actor="olga", reason="it went by courier", **more)


def test_a_document_that_cannot_be_had_is_left_out_and_the_consultant_is_told(form):
    chart = load_chart(form, observations=1)
    subject = f"Patient/{chart['patient']['id']}"
    lost = [a_document(form, subject, url=f"Binary/not-there-{number}") for number in range(2)]
    request_id = form.submit(a_request())
    form.drain()
    assert form.parked(request_id) == ["record-partial"], "a partial packet without a waiver stays an error"
    places = [f"DocumentReference/{each['id']}#DocumentReference.content[0].attachment" for each in lost]
    named = the_parked(form, request_id).items
    assert len(named) == 2 and {each.partition("#")[0] for each in named} == {each.partition("#")[0] for each in places}

    first = waive(form, request_id, named[0])
    assert first.due == 0 and first.left == (named[1],)
    form.drain()
    assert form.parked(request_id) == ["record-partial"]
    assert waive(form, request_id, named[1]).due == 1
    form.drain()
    assert form.parked(request_id) == []
    assert form.view(request_id)["records"] == "verified"
    [task] = form.find("bob", "Task")
    [note] = [each for each in task["note"] if not each["text"].startswith("Not among the records")]
    assert all(each in note["text"] for each in named) and "it went by courier" in note["text"]
    form.answer()
    form.watch()
    assert form.view(request_id)["closed"]
    assert [each["item"] for each in form.view(request_id)["waivers"]] == named
    with form.engine.connect() as conn:
        told = conn.execute(select(audit).where(audit.c.action == "item.waived")).all()
    assert [(row.actor, row.subject, row.reason) for row in told] == [
        ("olga", each, "it went by courier") for each in named
    ]


@pytest.mark.long
def test_what_is_too_large_for_the_endpoint_is_left_out(tmp_path, database):
    exchange = Exchange(tmp_path, database, accepts="documents")
    try:
        chart = load_chart(exchange, observations=1)
        large = a_document(
            exchange,
            f"Patient/{chart['patient']['id']}",
            data=base64.b64encode(b"%PDF-1.4 " + b"x" * 100_000).decode(),
        )
        request_id = exchange.submit(a_request())
        limits = exchange.world.config.endpoints["bob"].limits
        object.__setattr__(limits, "max_inline_bytes", 80_000)
        exchange.drain()
        assert exchange.parked(request_id) == ["attachment-too-large"]
        [item] = the_parked(exchange, request_id).items
        assert item.startswith(f"DocumentReference/{large['id']}#")
        assert waive(exchange, request_id, item).due == 1
        exchange.drain()
        assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
        [task] = exchange.find("bob", "Task")
        assert any(item in each["text"] for each in task["note"])
    finally:
        exchange.close()


def test_a_document_that_the_endpoint_refuses_stops_no_other_and_is_left_out(tmp_path, database):
    """The documents were made, and some written, before a person says to send without one of them."""
    refused = base64.b64encode(b"%PDF-1.4 refused").decode()

    def ask(method, path, headers, body):
        if method == "POST" and refused.encode() in (body or b""):
            return 413, [("Content-Length", "0")], b""
        return body

    exchange = Exchange(tmp_path, database, accepts="documents", before={"bob": lambda url: LyingProxy(url, ask=ask)})
    try:
        chart = load_chart(exchange, observations=1)
        subject = f"Patient/{chart['patient']['id']}"
        for data in (refused, base64.b64encode(b"%PDF-1.4 taken").decode()):
            last = a_document(exchange, subject, data=data)
        request_id = exchange.submit(a_request())
        exchange.drain()
        assert exchange.parked(request_id) == ["record-refused"]
        [item] = the_parked(exchange, request_id).items
        assert item.startswith("DocumentReference/") and last["id"] not in item
        titles = {each["content"][0]["attachment"]["title"] for each in exchange.find("bob", "DocumentReference")}
        assert len(titles) == 3 and any(last["id"] in each for each in titles), "the summary, the letter and this one"
        assert waive(exchange, request_id, item).due == 1
        exchange.drain()
        assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
        there = exchange.find("bob", "DocumentReference")
        assert {each["content"][0]["attachment"]["title"] for each in there} == titles and len(there) == 3
        [summary] = [each for each in there if each["content"][0]["attachment"]["title"] == "First-opinion records"]
        pages = PdfReader(io.BytesIO(base64.b64decode(summary["content"][0]["attachment"]["data"]))).pages
        assert "it went by courier" in " ".join("".join(page.extract_text() for page in pages).split())
        [task] = exchange.find("bob", "Task")
        assert any(item in each["text"] for each in task["note"])
    finally:
        exchange.close()


@pytest.mark.long
def test_a_record_that_the_endpoint_refuses_is_named_on_the_step_and_left_out(tmp_path, database):
    def ask(method, path, headers, body):
        if method == "POST" and b"never this one" in (body or b""):
            return 422, [("Content-Length", "0")], b""
        return body

    exchange = Exchange(tmp_path, database, before={"bob": lambda url: LyingProxy(url, ask=ask)})
    try:
        chart = load_chart(exchange, observations=1)
        odd = exchange.change("alice", chart["observation-0"], code={"text": "never this one"})
        request_id = exchange.submit(a_request())
        exchange.drain()
        assert exchange.parked(request_id) == ["record-refused"]
        assert the_parked(exchange, request_id).items == [f"Observation/{odd['id']}"]
        assert waive(exchange, request_id, f"Observation/{odd['id']}").due == 1
        exchange.drain()
        assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
        assert exchange.find("bob", "Observation") == []
    finally:
        exchange.close()


@pytest.mark.long
def test_bytes_with_another_hash_go_as_they_are_when_a_person_says_so(form):
    chart = load_chart(form, observations=1)
    data = base64.b64encode(b"%PDF-1.4 the report").decode()
    doubted = a_document(
        form, f"Patient/{chart['patient']['id']}", data=data, hash=base64.b64encode(b"9" * 20).decode()
    )
    request_id = form.submit(a_request())
    form.drain()
    assert form.parked(request_id) == ["record-partial"]
    [item] = the_parked(form, request_id).items
    assert item.startswith(f"DocumentReference/{doubted['id']}#")
    waive(form, request_id, item, as_it_is=True)
    form.drain()
    assert form.parked(request_id) == [] and "attachment-accepted" in form.causes()
    [task] = form.find("bob", "Task")
    assert all(each["text"].startswith("Not among the records") for each in task.get("note", ())), (
        "nothing was left out"
    )


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("Patient/1", "the patient cannot be left out"),
        ("everything", "name one item"),
        ("Observation/never-heard-of", "names Observation/never-heard-of"),
        ("", "name one item"),
    ],
)
def test_a_waiver_is_of_one_item_that_something_of_the_request_names(exchange, item, why):
    request_id = exchange.submit(a_request())
    with pytest.raises(operations.NotPossible, match=why):
        waive(exchange, request_id, item)


@pytest.mark.long
def test_a_waiver_is_undone_until_a_packet_went_without_the_item(exchange):
    chart = load_chart(exchange, observations=1)
    subject = f"Patient/{chart['patient']['id']}"
    a_document(exchange, subject, url="Binary/not-there-1"), a_document(exchange, subject, url="Binary/not-there-2")
    request_id = exchange.submit(a_request())
    exchange.drain()
    first, second = the_parked(exchange, request_id).items
    waive(exchange, request_id, first)
    with exchange.engine.begin() as conn:
        waivers.undo(conn, request_id, first, actor="olga", reason="they found it")
    assert waive(exchange, request_id, second).left == (first,)
    waive(exchange, request_id, first)
    exchange.drain()
    assert exchange.parked(request_id) == []
    with exchange.engine.begin() as conn, pytest.raises(operations.NotPossible, match="made or sent already"):
        waivers.undo(conn, request_id, first, actor="olga", reason="too late")


def not_yet(ctx):
    """Reading back that has to wait: what was written may be lost meanwhile."""
    raise TemporaryError("not yet", cause="not-readable-yet")


def lose(conn, reference: str) -> None:
    """As their restore of an older backup does: it is nowhere anymore."""
    for table in ("hosted_index", "hosted_versions", "hosted_resources"):
        conn.execute(text(f"DELETE FROM {table} WHERE practice = 'bob' AND id = :id"), {"id": reference.split("/")[1]})


@pytest.mark.parametrize("accepts", ["resources", "documents"])
@pytest.mark.long
def test_one_item_that_is_gone_at_the_target_is_created_again_and_nothing_else(
    tmp_path, database, monkeypatch, accepts
):
    exchange = Exchange(tmp_path, database, accepts=accepts)
    try:
        chart = load_chart(exchange, observations=2)
        request_id = exchange.submit(a_request())
        monkeypatch.setitem(JOBS, "verify_records", not_yet)
        exchange.drain(hurry=False)
        monkeypatch.undo()
        [delivery] = [each for each in exchange.view(request_id)["deliveries"] if each["kind"] == "records"]
        assert delivery["status"] in ("sent", "retrying")
        source = f"Observation/{chart['observation-0']['id']}" if accepts == "resources" else "document:rendition"
        with exchange.engine.begin() as conn:
            item = conn.execute(select(delivery_items).where(delivery_items.c.source == source)).one()
        kind = "Observation" if accepts == "resources" else "DocumentReference"
        before = {each["id"]: each["meta"]["versionId"] for each in exchange.find("bob", kind)}
        with exchange.engine.begin() as conn:
            lose(conn, item.target)
        exchange.watch()
        assert exchange.parked(request_id) in (["verify-missing"], ["not-readable-yet"]), (
            "nothing is sent again before a person decides"
        )
        with exchange.engine.begin() as conn:
            conn.execute(text("UPDATE endpoints SET breaker = 'closed', breaker_until = NULL, failures = 0"))
            resending.resend(conn, delivery["id"], source, actor="olga", reason="their restore lost it")
        exchange.drain()
        assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
        after = {each["id"]: each["meta"]["versionId"] for each in exchange.find("bob", kind)}
        kept = before.keys() - {item.target.split("/")[1]}
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert len(after) == len(before)
    finally:
        exchange.close()
