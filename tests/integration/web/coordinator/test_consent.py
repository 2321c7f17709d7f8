"""Consent as a coordinator records it: by page, API and command the same, nothing typed is lost, nobody writes over another."""

import json
import re
from html import unescape

import pytest

from integration.store import consents
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
RIGHT = {"said": "given", "kinds": ["notes", "results"], "recipients": ["alice", "mercy"], "how": "in-person", "by": "her daughter, power of attorney"}  # fmt: skip


def post(site: Site, request_id: str, **fields):
    page = site.get(f"/requests/{request_id}/consent")
    given = {name: re.search(rf'name="{name}" value="([^"]*)"', page).group(1) for name in ("token", "seen")}
    return site.client.post(f"/requests/{request_id}/consent", data=given | fields)


def test_it_is_recorded_limited_and_withdrawn_and_every_statement_stays(site):
    request_id = site.request()
    assert "Nobody has recorded what the patient agrees to." in site.get(f"/requests/{request_id}/consent")
    assert "Recorded." in site.told(post(site, request_id, **RIGHT))
    page = unescape(site.get(f"/requests/{request_id}/consent"))
    assert "The patient agrees, with limits." in page and "her daughter, power of attorney, In person" in page
    assert "Not sent: Images, Medications, Conditions" in page
    assert "Recorded." in site.told(post(site, request_id, said="withdrawn", how="by-phone", by="the patient"))
    page = unescape(site.get(f"/requests/{request_id}/consent"))
    assert "nothing more leaves" in page and "her daughter" in page and page.count("written down by web") == 2
    case = unescape(site.get(f"/cases/{request_id}"))
    assert "The patient has withdrawn consent" in case and "Ask the patient, and record what they say" in case
    told = json.dumps([dict(each._mapping) for each in site.audited("consent.recorded")], default=str)
    assert "daughter" not in told and '"said": "withdrawn"' in told
    assert site.audited("consent.looked-at")


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"said": ""}, 400, "say whether consent is given or withdrawn"),
        ({"kinds": []}, 400, "choose at least one kind"),
        ({"recipients": ["bob"]}, 400, "takes no part in this request"),
        ({"until": "2020-01-01"}, 400, "is over"),
        ({"how": "own-page"}, 400, "what the patient's own page says"),
        ({"by": ""}, 400, "say who said it"),
        ({"seen": "77"}, 400, "somebody recorded another statement"),
        ({"token": "forged"}, 403, ""),
    ],
)
def test_what_is_wrong_is_named_and_nothing_typed_is_lost(site, fields, status, words):
    request_id = site.request()
    answer = post(site, request_id, **{**RIGHT, "note": "form in drawer 3"} | fields)
    page = unescape(answer.text)
    assert answer.status_code == status and words in page and "form in drawer 3" in page
    with site.engine.connect() as conn:
        assert consents.of_request(conn, request_id) == []


def test_page_api_and_command_say_the_same(site):
    request_id = site.request()
    body = RIGHT | {"until": "2999-01-01"}
    refused = site.client.post(f"/api/requests/{request_id}/consent", json=body)
    assert refused.status_code == 400 and "years away" in refused.text
    done = site.client.post(f"/api/requests/{request_id}/consent", json=RIGHT)
    assert done.json == {"changed": True, "message": "Recorded."} | {key: done.json[key] for key in done.json if key not in ("changed", "message")}  # fmt: skip
    found = site.client.get(f"/api/requests/{request_id}/consent").json
    assert found["standing"] == "limited" and "images" in found["kinds_left_out"] and found["nothing_leaves_for"] == []
    assert found["statements"][0]["said_by"] == RIGHT["by"] and found["newest"] == found["statements"][0]["id"]
    again = site.client.post(f"/api/requests/{request_id}/consent", json=RIGHT)
    assert again.json["changed"] is False
    stale = site.client.post(
        f"/api/requests/{request_id}/consent", json=RIGHT | {"said": "withdrawn", "recipients": []}
    )
    assert stale.status_code == 400 and "another statement" in stale.text
    assert site.client.get("/api/requests/nobody/consent").status_code == 404
