"""The second opinion beside the first: its words as they stand in it, who has read it, nothing typed is lost."""

import json
import re
from html import unescape

import pytest

from integration import fhir_json
from integration.opinions import each_once
from integration.store import reports
from integration.store.roles import Role
from integration.views.opinion import ReportDocument
from mappings.model.request import Code
from mappings.model.written_report import Agreement, Answer, Point, Test, WrittenReport
from mappings.written_report import to_extension
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
OF_WHO_ASKS = ("Ask another doctor", "Clinician who read it")
WORDS = "Findings\n  We agree. 肝臓 ≥ 3 cm <b>bold</b>"


def with_report(
    site: Site,
    *documents: bytes,
    kinds: tuple[str, ...] = ("text/plain",),
    state: str = "final",
    key: str = "k1",
    written: WrittenReport | None = None,
) -> str:
    request_id = site.request(key)
    content = [{"attachment": {"contentType": kind}} for kind in kinds]
    coded = {"extension": [to_extension(written)]} if written else {}
    resource = fhir_json.dumps({"resourceType": "DocumentReference", "content": content, **coded})
    with site.engine.begin() as conn:
        of = dict(source="DocumentReference/1", version="1", state=state)
        reports.add(conn, request_id, 1, resource_sha256=site.payloads.put(resource), **of)
        hashes = json.dumps([site.payloads.put(each) for each in documents]).encode()
        reports.set_returned(conn, request_id, 1, site.payloads.put(hashes))
    return request_id


def post(site: Site, request_id: str, path: str = "", **fields):
    page = site.get(f"/requests/{request_id}/opinion")
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    return site.client.post(f"/requests/{request_id}/opinion{path}", data={"token": token, **fields})


WRITTEN = WrittenReport(
    diagnosis=Agreement.AGREES,
    plan=Agreement.DIFFERS,
    summary="Stage III is confirmed; three months are enough.",
    points=(
        Point("six months of chemotherapy", Agreement.DIFFERS, "three months are enough"),
        Point("margins are free <b>", Agreement.CANNOT_TELL),
    ),
    tests=(Test("MSI testing", Code(system="http://loinc.org", code="81695-9")),),
    answers=(Answer("Can I wait?", "Yes, until June."),),
    signed_by="Dr. Bob Example",
)


def words_of(page: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_it_stands_point_by_point_each_with_its_source(site):
    page = site.get(f"/requests/{with_report(site, WORDS.encode(), written=WRITTEN)}/opinion")
    words = words_of(page)
    assert "Diagnosis Agrees First opinion synthetic diagnosis from the request: Charlie" in words
    assert "Plan Differs First opinion The plan is not stated in the request." in words
    assert (
        "six months of chemotherapy as the consultant quotes it" in words
        and "Differs: three months are enough" in words
    )
    assert (
        "margins are free <b>" in words
        and "Cannot tell from the report, revision 1, signed by Dr. Bob Example" in words
    )
    assert "MSI testing 81695-9" in words and "Can I wait? Yes, until June." in words
    assert "nothing coded" not in words.lower()


def test_a_report_without_codes_says_so_and_nothing_is_derived(site):
    words = words_of(site.get(f"/requests/{with_report(site, b'I agree with the diagnosis.')}/opinion"))
    assert "The report says nothing coded." in words and "Agrees" not in words


def test_what_a_retracted_report_said_point_by_point_is_not_shown(site):
    request_id = with_report(site, b"x", written=WRITTEN, state="retracted")
    words = words_of(site.get(f"/requests/{request_id}/opinion"))
    assert "what it said point by point is not shown" in words and "MSI testing" not in words


RIGHT = {"revision": "1", "by": "Dr. Alice Example", "decision": "keep-plan", "note": "told on the phone"}


def test_its_words_stand_as_they_came_and_the_look_is_recorded(site):
    request_id = with_report(site, WORDS.encode())
    page = site.get(f"/requests/{request_id}/opinion")
    assert WORDS in unescape(page) and "<b>bold</b>" not in page
    assert "Nobody has said that they read this report." in page
    assert site.audited("opinion.looked-at")[0].subject == "report 1"
    assert f"/requests/{request_id}/opinion" in site.get(f"/requests/{request_id}")


def test_a_document_without_words_says_why_and_the_others_are_shown(site):
    request_id = with_report(
        site, b"%PDF-1.4 broken", WORDS.encode(), b"\x89PNG", kinds=("application/pdf", "text/plain", "image/png")
    )
    page = unescape(site.get(f"/requests/{request_id}/opinion"))
    assert WORDS in page and page.count("Its words cannot be shown here") == 2 and "Document 3 of 3" in page


def test_who_has_read_it_is_kept_and_shown_and_taken_back(site):
    request_id = with_report(site, WORDS.encode())
    assert "Kept: Dr. Alice Example has read the report." in site.told(post(site, request_id, **RIGHT))
    page = unescape(site.get(f"/requests/{request_id}/opinion"))
    assert "Dr. Alice Example read revision 1: Keep the plan" in page and "told on the phone" in page
    assert "told on the phone" not in str(site.audited("report.acknowledged"))
    number = re.search(r"/opinion/(\d+)/take-back", page).group(1)
    assert post(site, request_id, f"/{number}/take-back").status_code == 400
    assert "Taken back" in site.told(post(site, request_id, f"/{number}/take-back", reason="another patient"))
    assert post(site, request_id, f"/{number}/take-back", reason="again").status_code == 409
    page = unescape(site.get(f"/requests/{request_id}/opinion"))
    assert "Taken back by web: another patient" in page and "Nobody has said that they read this report." in page


def test_what_the_side_that_asks_does_is_not_offered_to_one_who_only_consults(guarded):
    """Somebody who asks for other practices, and is asked here."""
    request_id = with_report(guarded, b"we agree", kinds=("text/plain",))
    both = (Role.COORDINATOR, Role.CONSULTANT)
    guarded.as_(*both, name="bo", practices=("mercy", "bob"))
    seen = words_of(guarded.get(f"/requests/{request_id}/opinion")) + words_of(guarded.get(f"/cases/{request_id}"))
    assert "we agree" in seen and not [each for each in OF_WHO_ASKS if each in seen]
    guarded.as_(*both, name="al", practices=("alice",))
    seen = words_of(guarded.get(f"/requests/{request_id}/opinion"))
    assert not [each for each in OF_WHO_ASKS if each not in seen]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"by": ""}, 400, "by name"),
        ({"revision": "2"}, 400, "revision 1 is the newest"),
        ({"decision": "cured"}, 400, "say what was decided"),
        ({"note": "x" * 4001}, 400, "at most 4000"),
        ({"token": "forged"}, 403, ""),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(site, fields, status, words):
    request_id = with_report(site, WORDS.encode())
    answer = post(site, request_id, **{**RIGHT, **fields})
    page = unescape(answer.get_data(as_text=True))
    assert answer.status_code == status and words in page
    assert "told on the phone" in page or "note" in fields
    assert not site.audited("report.acknowledged")


def test_without_a_report_there_is_nothing_to_say_and_a_preliminary_one_is_none(site):
    request_id = with_report(site, WORDS.encode(), state="preliminary")
    page = site.get(f"/requests/{request_id}/opinion")
    assert "There is no final report yet." in page and 'name="decision"' not in page
    assert site.client.get("/requests/none/opinion").status_code == 404


def test_the_api_keeps_it_too(site):
    request_id = with_report(site, WORDS.encode())
    address = f"/api/requests/{request_id}/acknowledgments"
    body = {"revision": 1, "by": "Dr. A", "decision": "another-opinion"}
    assert site.client.post(address, json=body).json["changed"] is True
    assert site.client.post(address, json=body).json["changed"] is False
    assert site.client.post(address, json=body | {"revision": 7}).status_code == 409
    [word] = site.client.get(address).json["acknowledgments"]
    assert word["decision"] == "another-opinion" and site.client.get(address).json["standing"] == "decided"
    back = site.client.post(f"{address}/{word['id']}/take-back", json={"reason": "mistake"})
    assert back.json["changed"] is True and site.client.get(address).json["standing"] == "unread"


def test_a_pdf_of_the_same_words_is_named_and_not_read_twice():
    text = ReportDocument("text/plain", 9, "We agree:\n\noperate.", "")
    pdf = ReportDocument("application/pdf", 9, "We agree: operate.\npage 1 of 1", "")
    other = ReportDocument("application/pdf", 9, "We agree: do not operate.", "")
    cut = ReportDocument("application/pdf", 9, "We agree: operate.", "2 pictures in it are not shown here")
    assert [each.same_as for each in each_once([text, pdf, other, cut])] == [None, 1, None, None]
