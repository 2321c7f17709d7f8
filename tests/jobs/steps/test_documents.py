"""Records as documents: every letter and every document arrives, a correction is seen, and nothing is made a second time."""

import base64
import io

import pytest
from pypdf import PdfReader
from sqlalchemy import text

from integration.queue import dispatch
from jobs.engine import limits_of, run_step
from jobs.target import rendering
from tests.jobs.exchange import a_request, load_chart, patient

pytestmark = pytest.mark.postgres
LETTERS = {
    "emoji": "🙂🧬", "check boxes": "✓ ☐ ☑", "signs": "℃ ℞ ⅓", "pasted bullet": "\uf0b7 item", "C1": "it\x92s",
    "Chinese": "中文", "Korean": "진단", "Japanese": "カルテ", "Hebrew": "שלום", "Arabic": "مرحبا", "Armenian": "Հայ",
    "Amharic": "አማርኛ", "Tamil": "தமிழ்", "Hindi": "हिन्दी",
}  # fmt: skip
BEFUND = "Befund: Größe 5 µm, “stabil”"
TEXTS = {  # content type, bytes; those that are surely text stand in the summary, the others are sent as they are
    "text/plain; Charset=Windows-1252": BEFUND.encode("cp1252"),
    "text/plain; charset=utf-16": BEFUND.encode("utf-16"),
    "text/plain; charset=ansi": BEFUND.encode("cp1252"),
    "text/plain": "Über 5 µm".encode("cp1252"),  # no charset, and not the one meant then
    "text/plain; charset=x-none": b"plain words in an unknown charset",
    "text/plain; charset=utf-8": "診断書".encode(),
    "application/pdf": b"%PDF-1.4 synthetic",
}
SENT_BESIDE = ("text/plain", "text/plain; charset=x-none", "text/plain; charset=utf-8", "application/pdf")


def attachment(content_type: str, data: bytes) -> dict:
    return {"contentType": content_type, "data": base64.b64encode(data).decode()}


def _put_about(exchange, subject: dict, resource: dict) -> dict:
    return exchange.put("alice", {"status": "final", "code": {"text": "synthetic"}, "subject": subject, **resource})


def odd_chart(exchange) -> dict:
    """Every script, a modifier extension, and texts in every charset, also as presentedForm and valueAttachment."""
    chart = {
        "patient": exchange.put(
            "alice", patient(name=[{"text": "李秀英", "family": "Synthetic-Test", "given": ["Ada"]}])
        )
    }
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    for name, letters in LETTERS.items():
        chart[name] = _put_about(
            exchange, subject, {"resourceType": "Observation", "code": {"text": name}, "valueString": letters}
        )
    modifier = [{"url": "https://a.example/negated", "valueBoolean": True}]
    _put_about(exchange, subject, {"resourceType": "Observation", "modifierExtension": modifier, "valueString": "x"})
    forms = [attachment(*each) for each in TEXTS.items()]
    _put_about(exchange, subject, {"resourceType": "DiagnosticReport", "presentedForm": forms[:3]})
    carried = [{"url": "https://a.example/file", "valueAttachment": forms[3]}]
    _put_about(exchange, subject, {"resourceType": "Observation", "extension": carried, "valueString": "x"})
    content = [{"attachment": each} for each in forms[4:]]
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {"text": "letter"},
        "subject": subject,
    }
    exchange.put("alice", {**document, "content": content})
    return chart


def documents(exchange) -> list[tuple[dict, str, bytes]]:
    """The documents at Bob's: resource, content type, bytes."""
    return [
        (
            each,
            each["content"][0]["attachment"]["contentType"],
            base64.b64decode(each["content"][0]["attachment"]["data"]),
        )
        for each in exchange.find("bob", "DocumentReference")
    ]


def shown(data: bytes) -> str:
    return " ".join("".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages).split())


def test_every_letter_and_every_document_arrives_and_corrections_are_seen(make_exchange):
    exchange = make_exchange(accepts="documents")
    chart = odd_chart(exchange)
    request_id = exchange.submit(a_request(patient_questions=["Can I wait? 🙂"]))
    exchange.drain()
    assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
    assert exchange.causes() >= {"render.glyph-missing", "render.script-unshaped", "render.modifier-extension"}
    there = documents(exchange)
    sent = [(kind, data) for _, kind, data in there]
    for kind in SENT_BESIDE:
        assert (kind, TEXTS[kind]) in sent, kind
    assert not [kind for kind, data in sent if data == TEXTS["text/plain; charset=utf-16"]]
    [summary] = [
        data for resource, kind, data in there if "rendition" in resource["identifier"][0]["value"] and "pdf" in kind
    ]
    assert shown(summary).count("Befund: Größe 5 µm, “stabil”") == 3
    [letters] = [data.decode() for each, _, data in there if each["description"].startswith("Words in other letters")]
    assert [name for name, words in LETTERS.items() if words not in letters] == [] and "Can I wait? 🙂" in letters

    [(first, *_)] = _titled(exchange, "First-opinion records")
    [task] = exchange.find("bob", "Task")
    exchange.change("alice", chart["Chinese"], status="corrected", valueString="更正")
    exchange.watch()
    assert exchange.parked(request_id) == []
    [(correction, _, data)] = _titled(exchange, "Correction 1 to first-opinion records")
    assert correction["relatesTo"] == [{"code": "appends", "target": {"reference": f"DocumentReference/{first['id']}"}}]
    assert "Correction 1 to medical records" in shown(data) and "Corrected: it replaces what was sent before" in shown(
        data
    )
    assert "Synthetic-Test" in shown(data)
    assert exchange.find("bob", "DocumentReference", _id=first["id"])[0]["status"] == "current"
    _told(exchange, task, "Correction 1 to the records", f"DocumentReference/{correction['id']}")

    exchange.change("alice", chart["Chinese"], status="corrected", valueString="再更正")
    exchange.watch()
    assert exchange.parked(request_id) == []
    [(second, *_)] = _titled(exchange, "Correction 2 to first-opinion records")
    codes = {each["code"]: each["target"]["reference"] for each in second["relatesTo"]}
    assert codes == {
        "replaces": f"DocumentReference/{correction['id']}",
        "appends": f"DocumentReference/{first['id']}",
    }
    assert _titled(exchange, "Correction 1 to first-opinion records")[0][0]["status"] == "superseded"
    _told(exchange, task, "Correction 2 to the records", f"DocumentReference/{second['id']}")


def _titled(exchange, title: str) -> list[tuple[dict, str, bytes]]:
    """By the title, before the words that a person can search for."""
    return [each for each in documents(exchange) if each[0]["description"].partition(", SOE ref ")[0] == title]


def _told(exchange, before: dict, note: str, reference: str) -> None:
    """The Task says what was corrected, and names it."""
    [task] = exchange.find("bob", "Task")
    assert int(task["meta"]["versionId"]) > int(before["meta"]["versionId"])
    assert any(each["text"].startswith(note) for each in task["note"])
    assert reference in [each["valueReference"]["reference"] for each in task["input"]]


@pytest.mark.long
def test_the_consultant_is_told_of_corrected_resources_too(exchange):
    chart = load_chart(exchange, observations=2)
    request_id = exchange.submit(a_request())
    exchange.drain()
    [task] = exchange.find("bob", "Task")
    exchange.change("alice", chart["observation-1"], status="corrected", valueQuantity={"value": 9.5})
    exchange.watch()
    [there] = exchange.find(
        "bob", "Observation", identifier=f"urn:test:alice|Observation/{chart['observation-1']['id']}"
    )
    _told(exchange, task, "Correction 1 to the records", f"Observation/{there['id']}")
    assert exchange.parked(request_id) == []


@pytest.mark.long
def test_an_original_with_other_bytes_replaces_the_copy_sent_before(make_exchange):
    exchange = make_exchange(accepts="documents")
    subject = {"reference": f"Patient/{exchange.put('alice', patient())['id']}"}
    document = {"resourceType": "DocumentReference", "status": "current", "subject": subject}
    letter = {**attachment("application/pdf", b"%PDF-1.4 benign"), "title": "Pathology"}
    made = exchange.put("alice", {**document, "content": [{"attachment": letter}]})
    request_id = exchange.submit(a_request())
    exchange.drain()
    letter = {**attachment("application/pdf", b"%PDF-1.4 malignant"), "title": "Pathology"}
    exchange.change("alice", made, content=[{"attachment": letter}])
    exchange.watch()
    assert exchange.parked(request_id) == []
    there = {data: each for each, _, data in documents(exchange)}
    old, new = there[b"%PDF-1.4 benign"], there[b"%PDF-1.4 malignant"]
    assert (old["status"], new["status"]) == ("superseded", "current")
    assert new["relatesTo"] == [{"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}]
    assert new["description"].startswith(f"Pathology (original of DocumentReference/{made['id']}), SOE ref ")


def _do(exchange, kind: str) -> None:
    """Do what is due until a step of this kind was done."""
    for _ in range(50):
        dispatch(exchange.engine, limits_of(exchange.world))
        with exchange.engine.connect() as conn:
            leased = conn.execute(text("SELECT id, lease_no, kind FROM steps WHERE status = 'leased' LIMIT 1")).all()
        for step_id, lease_no, done in leased:
            run_step(exchange.world, exchange.heartbeat, step_id, lease_no)
            if done == kind:
                return
    raise AssertionError(f"no {kind} was due")


@pytest.mark.long
def test_an_upgrade_between_sending_and_reading_back_changes_nothing(make_exchange, monkeypatch):
    exchange = make_exchange(accepts="documents")
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    _do(exchange, "push_records")
    monkeypatch.setattr(rendering, "to_pdfs", lambda rendition, **_: [b"%PDF-1.4 of another version"])
    exchange.drain()
    assert exchange.parked(request_id) == [] and exchange.view(request_id)["records"] == "verified"
    assert b"%PDF-1.4 of another version" not in [data for _, _, data in documents(exchange)]


def test_a_document_that_would_be_in_none_stops_the_delivery_and_is_named(make_exchange, monkeypatch):
    exchange = make_exchange(accepts="documents")
    chart = load_chart(exchange, observations=1)
    pages = rendering._pages
    monkeypatch.setattr(rendering, "_pages", lambda *arguments: list(pages(*arguments))[:1])
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["document-left-out"]
    [step] = [each for each in exchange.view(request_id)["owed"] if each["status"] == "parked"]
    assert f"DocumentReference/{chart['document']['id']}#" in step["message"]
    assert documents(exchange) == []


@pytest.mark.long
def test_a_record_that_cannot_be_shown_is_sent_as_it_came(make_exchange, monkeypatch):
    exchange = make_exchange(accepts="documents")
    chart = load_chart(exchange, observations=2)
    source = f"Observation/{chart['observation-0']['id']}"
    row = rendering.packets.render.__globals__["RowMaker"].row

    def too_wrong(self, resource, table):
        if resource["id"] == chart["observation-0"]["id"]:
            raise RecursionError
        return row(self, resource, table)

    monkeypatch.setattr("mappings.rendition.rows.RowMaker.row", too_wrong)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == [] and "render.record-unshown" in exchange.causes()
    [(_, kind, data)] = _titled(exchange, f"{source} as it came")
    assert kind == "application/fhir+json" and b'"lab 0"' in data


def test_what_takes_a_record_back_stands_until_something_says_otherwise_of_that_record(make_exchange):
    """Else a later correction of another record hid it, and the first summary went on showing what is another patient's."""
    exchange = make_exchange(accepts="documents")
    chart = load_chart(exchange, observations=3)
    request_id = exchange.submit(a_request())
    exchange.drain()
    refiled, corrected = chart["observation-0"], chart["observation-1"]
    other = exchange.put("alice", {"resourceType": "Patient", "name": [{"family": "Other-Test"}]})
    exchange.change("alice", refiled, subject={"reference": f"Patient/{other['id']}"})
    exchange.watch()
    exchange.change("alice", corrected, status="corrected", valueQuantity={"value": 9.5})
    exchange.watch()
    assert exchange.parked(request_id) == []
    [(withdrawn, _, data)] = _titled(exchange, "Correction 1 to first-opinion records")
    assert f"Observation/{refiled['id']}: its source says now that it is about another patient" in shown(data)
    assert withdrawn["status"] == "current"
    [(second, *_)] = _titled(exchange, "Correction 2 to first-opinion records")
    assert [each["code"] for each in second["relatesTo"]] == ["appends"]
