"""Key facts on their page, for programs and on the command line: the same facts, each with its element; looks are recorded."""

import json
import re
from html import unescape

import pytest
from click.testing import CliRunner

import second_opinion
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
