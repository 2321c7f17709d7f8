"""Key facts on their page, for programs and on the command line: the same facts, each with its element; looks are recorded."""

import base64
import json
import re
from html import unescape

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

import second_opinion
from integration import reading
from integration.packets.text_pdf import pdf_of_text
from integration.store import tables
from mappings.model.packet import ManifestItem
from tests.integration.arriving.made import pdf
from tests.mappings.reading.chart_factory import allergy, condition, flag, medication, report, result

pytestmark = pytest.mark.postgres
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def request_id(site) -> str:
    """A request whose packet holds one of everything."""
    made = site.request(
        first_opinion={
            "doctor": {"name": {"family": "Charlie"}},
            "diagnosis": {"text": "synthetic diagnosis"},
            "given_on": "2026-01-15",
        }
    )
    chart = (
        condition(1, code={"text": f"Breast cancer {HOSTILE}"}),
        condition(2, "refuted"),
        allergy(1),
        medication(1),
        report(1, "2026-01-20", "Two nodules, unchanged."),
        *(result(number, 11 + number, f"2026-01-1{number}", interpretation=flag("L")) for number in range(4)),
        {"resourceType": "DocumentReference", "id": "d1", "status": "current", "type": {"text": "Operative note"}},
        *({"resourceType": "Basic", "id": f"b{number}"} for number in range(3)),
    )
    site.packet(made, *chart)
    return made


def test_the_page_shows_each_fact_with_its_element_and_the_look_is_recorded(site, request_id):
    page = site.get(f"/requests/{request_id}/read")
    words = unescape(page)
    assert "Is surgery needed?" in words and "synthetic diagnosis" in words and "Penicillin" in words
    assert HOSTILE not in page and f"Breast cancer {HOSTILE}" in words
    assert '<blockquote class="words" dir="auto"><bdi>Two nodules, unchanged.</bdi></blockquote>' in page
    assert "Quoted: conclusion of the report" in page and "Dated after 2026-01-15: Reports 1" in re.sub(
        r"<[^>]*>|\s+", " ", words
    ).replace("  ", " ")
    assert 'class="dot flagged"' in page and "style=" not in page and "Marked as wrong by their source" in page
    assert words.index("Is surgery needed?") < words.index("How much of the packet") < words.index("Penicillin")
    [row] = site.audited("key-facts.looked-at")
    assert row.request_id == request_id and "Penicillin" not in str(row)
    assert f"/requests/{request_id}/read" in site.get(f"/cases/{request_id}")


def test_every_line_opens_the_element_it_came_from(site, request_id):
    page = site.get(f"/requests/{request_id}/read")
    links = {unescape(each) for each in re.findall(r'href="(/requests/[^"]*/element[^"]*)"', page)}
    assert len(links) > 20
    for link in sorted(links):
        opened = site.get(link)
        assert ('<mark id="element"></mark>' in opened) is False, link
    [marked] = re.findall(
        r'<mark id="element">([^<]*)</mark>',
        site.get(f"/requests/{request_id}/read/element?of=AllergyIntolerance/a1&at=reaction[0].manifestation[0].text"),
    )
    assert unescape(marked) == '"hives"'
    assert site.audited("key-facts.element-opened")[0].subject


def test_digits_stay_as_they_came_and_bytes_are_told_by_their_size(site):
    made = site.request("digits")
    chart = result(1, 1, valueQuantity=None, valueString="x")
    chart["referenceRange"] = [{"text": "1.10"}]
    site.packet(
        made, chart, {"resourceType": "Binary", "id": "b", "contentType": "application/pdf", "data": "QUJD" * 5000}
    )
    page = site.get(f"/requests/{made}/read/element?of=Binary/b&at=contentType")
    assert "15000 bytes, not shown here" in page and "QUJDQUJD" not in page


@pytest.mark.parametrize(
    "address",
    [
        "read/element",
        "read/element?of=Condition/none",
        "read/element?of=Condition/c1&at=code[7]",
        "read/element?of=Condition/c1&at=__class__",
        "read/element?of=../../etc/passwd&at=x",
        "read/element?of=%00&at=%00",
        "read/list/nothing",
    ],
)
def test_what_is_not_there_is_a_sentence(site, request_id, address):
    page = site.get(f"/requests/{request_id}/{address}", 404)
    assert re.search(r"<main.*?<p>[^<]*\w[^<]*\.", page, re.S)


def test_without_a_packet_the_question_stands_alone(site):
    page = site.get(f"/requests/{site.request('bare')}/read")
    assert "Is surgery needed?" in page and "How much of the packet" not in page
    assert site.client.get("/requests/none/read").status_code == 404


def test_everything_else_is_listed_page_by_page(site, request_id):
    page = site.get(f"/requests/{request_id}/read/list/other")
    assert "1 to 3 of 3" in page and page.count("Basic/b") >= 3
    many = site.request("many")
    site.packet(many, *({"resourceType": "Basic", "id": f"b{number:04}"} for number in range(450)))
    seen = set()
    for start in (0, 200, 400):
        seen |= set(re.findall(r"of=Basic/(b\d+)", site.get(f"/requests/{many}/read/list/other?from={start}")))
    assert len(seen) == 450
    assert "450 to 450 of 450" in site.get(f"/requests/{many}/read/list/other?from=900")


def test_programs_and_the_command_line_are_told_the_same(site, request_id, tmp_path, database):
    answer = site.client.get(f"/api/requests/{request_id}/key-facts")
    assert answer.status_code == 200 and answer.json["question"] == "Is surgery needed?"
    [fact] = answer.json["facts"]["allergies"]
    assert fact["source"] == "AllergyIntolerance/a1" and fact["name"] == {
        "words": "Penicillin",
        "at": "code",
        "cut": False,
    }
    assert site.client.get("/api/requests/none/key-facts").status_code == 404
    runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
    words = ["--config", str(tmp_path / "config.yaml"), "packet", "key-facts", request_id]
    told = runner.invoke(second_opinion.cli, [*words, "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["facts"] == answer.json["facts"]
    said = runner.invoke(second_opinion.cli, words).output
    assert "Allergies: Penicillin" in said and "Allergies: 1 of 1 shown, 0 listed" in said
    assert {row.reason for row in site.audited("key-facts.looked-at")} == {"API", "command line"}


def test_what_is_missing_and_what_somebody_went_without_stands_on_the_page(site, request_id):
    words = unescape(site.get(f"/requests/{request_id}/read"))
    assert "What is missing" in words and f"/requests/{request_id}/checklist" in words
    missing = words[
        words.index("What is missing") : words.index("Problems and diagnoses", words.index("What is missing"))
    ]
    assert missing.count('<span class="chip">') >= 3
    site.packet(
        request_id,
        version=2,
        items=(
            ManifestItem(
                source="DocumentReference/gone", kind="waived", size=0, sha256="", why="sent without it by ann: lost"
            ),
        ),
    )
    assert "sent without it by ann: lost" in unescape(site.get(f"/requests/{request_id}/read"))


def kept_of(site) -> list:
    with site.engine.connect() as conn:
        return conn.execute(select(tables.key_facts)).all()


def test_the_facts_of_a_packet_are_made_once_and_anew_when_they_would_be_others(site, request_id, monkeypatch):
    made = []
    make = reading.made
    monkeypatch.setattr(reading, "made", lambda *given: made.append(1) or make(*given))
    first = site.get(f"/requests/{request_id}/read")
    again = site.get(f"/requests/{request_id}/read")
    assert len(made) == 1 and body_of(first) == body_of(again)
    [row] = kept_of(site)
    for digest in (row.page_sha256, row.whole_sha256, row.chart_sha256):
        site.payloads.get(digest)
    site.packet(request_id, allergy(7, "Latex"), version=2)
    assert "Latex" in site.get(f"/requests/{request_id}/read") and len(made) == 2
    with site.engine.begin() as conn:
        conn.execute(update(tables.key_facts).values(made_of="0 older rules"))
    site.get(f"/requests/{request_id}/read")
    assert len(made) == 3


def test_facts_whose_bytes_are_gone_are_made_again(site, request_id):
    before = body_of(site.get(f"/requests/{request_id}/read"))
    [row] = kept_of(site)
    for digest in (row.page_sha256, row.chart_sha256):
        site.payloads._path(digest).unlink()
    assert body_of(site.get(f"/requests/{request_id}/read")) == before
    site.payloads._path(row.page_sha256).write_bytes(b"changed on disk")
    assert body_of(site.get(f"/requests/{request_id}/read")) == before


def test_what_came_by_hand_counts_for_what_is_missing_as_on_the_checklist(site, request_id):
    page, checklist = (
        site.get(f"/requests/{request_id}/read"),
        site.client.get(f"/api/requests/{request_id}/checklist").json,
    )
    still = {item["label"] for item in checklist["items"] if item["state"] == "missing"}
    shown = {unescape(each) for each in re.findall(r'<span class="chip">missing</span> <strong><bdi>([^<]*)', page)}
    assert shown == still and still


def body_of(page: str) -> str:
    return page[page.index("<main") : page.index("</main>")]


# --- documents in place -------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
WORDS = "FINDINGS: none\nIMPRESSION: clear \u2265 3 cm <b>"


def note(data: bytes, content_type: str, title: str = "Scan") -> dict:
    attachment = {"contentType": content_type, "title": title, "data": base64.b64encode(data).decode()}
    return {
        "resourceType": "DocumentReference",
        "id": "n",
        "type": {"text": "Note"},
        "content": [{"attachment": attachment}],
    }


def opened(site, data: bytes, content_type: str) -> tuple[str, str]:
    """(the page of a document, the address of its bytes)."""
    made = site.request(f"d{len(data)}{content_type}")
    site.packet(made, note(data, content_type))
    page = site.get(f"/requests/{made}/read")
    link = unescape(re.search(r'href="([^"]*read/document\?[^"]*)"', page).group(1))
    return site.get(link), link.replace("/document?", "/document/bytes?")


def test_words_and_pictures_open_in_place_and_nothing_in_them_runs(site):
    page, _ = opened(site, WORDS.encode(), "text/plain; charset=utf-8")
    assert WORDS in unescape(page) and "<b>" not in page[page.index("<blockquote") :]
    page, address = opened(site, PNG, "text/html")  # whatever it says of itself
    assert '<img class="picture"' in page
    answer = site.client.get(address + "&show=1")
    assert answer.headers["Content-Type"] == "image/png" and answer.data == PNG
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
    assert len(site.audited("key-facts.element-opened")) == 3


@pytest.mark.parametrize(
    ("data", "content_type", "says"),
    [
        (b"<script>alert(1)</script>", "text/html", "of a kind that is not shown here"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
            "image/svg+xml",
            "of a kind that is not shown here",
        ),
        (b"\x00" * 128 + b"DICM", "application/dicom", "not shown here"),
        (b"%PDF-1.4 broken", "application/pdf", "Its words cannot be shown here"),
    ],
)
def test_what_cannot_be_shown_is_a_download_and_says_so(site, data, content_type, says):
    page, address = opened(site, data, content_type)
    assert says in unescape(page)
    for asked in (address, address + "&show=1"):
        answer = site.client.get(asked)
        assert answer.headers["Content-Disposition"].startswith("attachment") and answer.data == data
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_pdf_is_read_in_words_and_opened_only_when_it_does_nothing_by_itself(site):
    page, address = opened(site, pdf_of_text("Stage III is confirmed.", "report"), "application/pdf")
    assert "Stage III is confirmed." in unescape(page) and "Open the PDF" in page
    answer = site.client.get(address + "&show=1")
    assert answer.headers["Content-Type"] == "application/pdf" and answer.headers["Content-Disposition"] == "inline"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    page, address = opened(site, pdf(action="<< /S /JavaScript /JS (app.alert(1)) >>"), "application/pdf")
    assert "Open the PDF" not in page
    assert site.client.get(address + "&show=1").headers["Content-Disposition"].startswith("attachment")


def test_a_document_without_bytes_is_a_sentence(site):
    made = site.request("bytes")
    card = note(b"x", "text/plain")
    card["content"][0]["attachment"] = {"contentType": "application/pdf", "url": "Binary/9"}
    site.packet(made, card)
    assert "holds no bytes of that document" in site.get(
        f"/requests/{made}/read/document?of=DocumentReference/n&at=content[0].attachment", 404
    )
    assert site.client.get(f"/requests/{made}/read/document?of=DocumentReference/n&at=type").status_code == 404


def test_a_stored_document_is_found_by_the_place_that_the_manifest_names(site):
    made = site.request("stored")
    card = note(b"x", "text/plain")
    card["content"][0]["attachment"] = {"contentType": "text/plain", "url": "Binary/9"}
    item = ManifestItem(
        source="Binary/9", kind="attachment", size=len(WORDS.encode()), sha256=site.payloads.put(WORDS.encode()),
        content_type="text/plain", of="DocumentReference/n#DocumentReference.content[0].attachment",
    )  # fmt: skip
    site.packet(made, card, items=(item,))
    assert WORDS in unescape(
        site.get(f"/requests/{made}/read/document?of=DocumentReference/n&at=content[0].attachment")
    )
