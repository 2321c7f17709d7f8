"""The patient's questions: typed, put in order without a script, kept as a version of the request."""

import re
from html import unescape

import pytest

from integration.store import requests

pytestmark = pytest.mark.postgres
SCRIPTS = "Why? Warum? Почему? 为什么？ لماذا؟ "


def press(site, request_id, what, questions, **more):
    page = site.get(f"/requests/{request_id}/questions")
    hidden = dict(re.findall(r'name="(token|version)" value="([^"]*)"', page))
    return site.client.post(
        f"/requests/{request_id}/questions", data={**hidden, "question": questions, "press": what, **more}
    )


def typed(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.S)]


def kept(site, request_id) -> tuple[str, ...]:
    with site.engine.connect() as conn:
        return requests.content(requests.get(conn, request_id)).patient_questions


def test_the_order_is_changed_with_buttons_and_nothing_is_kept_before_it_is_right(site):
    request_id = site.request(patient_questions=["one", "two"])
    assert typed(press(site, request_id, "up 1", ["one", "two"]).text) == ["two", "one"]
    assert typed(press(site, request_id, "down 0", ["one", "two"]).text) == ["two", "one"]
    assert typed(press(site, request_id, "remove 0", ["one", "two"]).text) == ["two"]
    assert typed(press(site, request_id, "add", ["one"]).text) == ["one", ""]
    assert typed(press(site, request_id, "up 99", ["one"]).text) == ["one"]
    assert kept(site, request_id) == ("one", "two")
    assert "version 2" in site.told(press(site, request_id, "save", ["two", "", "one"]))
    assert kept(site, request_id) == ("two", "one")


def test_a_question_of_ten_thousand_characters_in_five_scripts_is_kept_letter_by_letter(site):
    request_id, long = site.request(), (SCRIPTS * 400)[:10_000].strip()
    assert site.told(press(site, request_id, "save", [long]))
    assert kept(site, request_id) == (long,)
    answer = press(site, request_id, "save", ["x" * 20_001])
    assert answer.status_code == 409 and "at most 20000 are taken" in answer.text
    assert typed(answer.text) == ["x" * 20_001] and kept(site, request_id) == (long,)
    assert "At most 50 questions" in press(site, request_id, "save", [f"q{n}" for n in range(51)]).text


def test_the_second_of_two_people_is_told_who_was_first_and_loses_nothing(site):
    request_id = site.request(patient_questions=["one"])
    assert site.told(press(site, request_id, "save", ["one", "two"]))
    answer = press(site, request_id, "save", ["mine"], version="1")
    assert answer.status_code == 409 and "version 2 by web" in answer.text and typed(answer.text) == ["mine"]
    answer = press(site, request_id, "save", ["one", "two"])
    assert answer.status_code == 409 and "nothing differs" in answer.text
