"""The checklist's page: what is open first, a word with a reason, nothing done by another site's form, each look recorded."""

import re
from html import unescape

import pytest

from tests.mappings.checklists.charts import report, result

pytestmark = pytest.mark.postgres


def page_of(site, request_id):
    return unescape(site.get(f"/requests/{request_id}/checklist"))


def post(site, request_id, **fields):
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}/checklist")).group(1)
    return site.client.post(f"/requests/{request_id}/checklist", data={"token": token, **fields})


def test_it_says_what_is_missing_why_and_who_says_so_and_the_look_is_recorded(site):
    request_id = site.request()
    site.packet(request_id, report("11526-1", "2026-06-01"), result("718-7", "2020-01-01"))
    page = page_of(site, request_id)
    assert "Oncology, any solid tumor" in page and "Allergies and intolerances" in page
    assert "older than 1 month at the visit" in page and "City of Hope" in page and "matched by its code" in page
    assert site.audited("checklist.looked-at")[0].request_id == request_id
    assert f"/requests/{request_id}/checklist" in site.get(f"/requests/{request_id}")


def test_a_word_needs_a_reason_and_moves_the_item(site):
    request_id = site.request()
    assert post(site, request_id, say="item glass-slides promised").status_code == 400
    answer = post(site, request_id, say="item glass-slides promised", reason="by courier, Tuesday")
    assert "Kept" in site.told(answer)
    assert "by courier, Tuesday" in page_of(site, request_id)


def test_an_answer_is_remembered_and_a_record_is_moved_from_the_page(site):
    request_id, path = site.request(), report("11526-1", "2026-06-01")
    site.packet(request_id, path)
    post(site, request_id, say="answer done:operative-note no", reason="asked the patient")
    assert "said no" in page_of(site, request_id)
    post(site, request_id, say="record", record=f"DiagnosticReport/{path['id']}", word="labs-cbc", reason="wrong code")
    post(site, request_id, say="checklist", word="lung", reason="it is lung cancer")
    page = page_of(site, request_id)
    assert "a person put it here" in page and "Lung cancer" in page


@pytest.mark.parametrize(
    "fields, status",
    [
        ({"say": "item glass-slides eaten", "reason": "x"}, 409),
        ({"say": "", "reason": "x"}, 400),
        ({"say": "nonsense a b", "reason": "x"}, 400),
        ({"say": "item glass-slides there", "reason": "x", "token": "forged"}, 403),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(site, fields, status):
    request_id = site.request()
    answer = post(site, request_id, **fields)
    assert answer.status_code == status and 'role="alert"' in answer.text
    assert not site.audited("checklist.item")


def test_an_unknown_request_is_404(site):
    site.get("/requests/nobody/checklist", 404)
