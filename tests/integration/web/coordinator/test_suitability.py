"""Should I ask? What the program takes, what is asked, going on by one's own word; nothing done by another site's form."""

import re
from html import unescape

import pytest

pytestmark = pytest.mark.postgres


def post(site, request_id, **fields):
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}/suitability")).group(1)
    return site.client.post(f"/requests/{request_id}/suitability", data={"token": token, **fields})


def test_it_says_what_to_do_in_an_emergency_and_the_look_is_recorded(site):
    request_id = site.request()
    page = unescape(site.get(f"/requests/{request_id}/suitability"))
    assert "Call 911" in page and "Nobody has written down" in page and "Is this everyday care" in page
    assert site.audited("suitability.looked-at")[0].request_id == request_id
    assert f"/requests/{request_id}/suitability" in site.get(f"/requests/{request_id}")


def test_an_answer_is_kept_and_an_emergency_stops(site):
    request_id = site.request()
    assert "Kept" in site.told(post(site, request_id, say="everyday-care no"))
    assert "Is this everyday care" not in unescape(site.get(f"/requests/{request_id}/suitability"))
    post(site, request_id, say="emergency yes")
    assert "It is no emergency after all" in unescape(site.get(f"/requests/{request_id}/suitability"))
    assert post(site, request_id, say="go-on yes", reason="all the same").status_code == 409


def test_the_good_reasons_are_kept_and_the_second_person_is_told(site):
    request_id = site.request()
    page = site.get(f"/requests/{request_id}/suitability")
    version = re.search(r'name="version" value="(\d+)"', page).group(1)
    assert "Kept" in site.told(post(site, request_id, say="reasons", good=["serious-diagnosis"], version=version))
    assert re.search(r'value="serious-diagnosis" checked', site.get(f"/requests/{request_id}/suitability"))
    late = post(site, request_id, say="reasons", good=["fresh-perspective"], version=version)
    assert late.status_code == 409 and "when you looked" in unescape(late.text)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"say": "age yes"}, 409),
        ({"say": ""}, 409),
        ({"say": "emergency maybe"}, 409),
        ({"say": "emergency yes", "token": "x"}, 403),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(site, fields, status):
    request_id = site.request()
    answer = post(site, request_id, **fields)
    assert answer.status_code == status and 'role="alert"' in answer.text
    assert not site.audited("suitability.answered")


def test_an_unknown_request_is_404(site):
    site.get("/requests/nobody/suitability", 404)
