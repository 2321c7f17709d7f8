"""The form that corrects a request: what it showed and nobody touched stays, what changes is said first, a stale page is told."""

import json
import re
from html import unescape

import pytest
from click.testing import CliRunner

import second_opinion
from integration.store import requests as store
from integration.store import revisions
from tests.integration.web.site import a_request

pytestmark = pytest.mark.postgres
HOSTILE = "<script>alert(1)</script>\u202e & \"'>"
WHOLE = {
    "question": f"Is surgery needed? {HOSTILE}",
    "wanted_by": "2030-01-10",
    "patient": {
        "identifiers": [{"system": "urn:test:mrn", "value": "M1"}, {"system": "urn:test:other", "value": "O2"}],
        "name": {"family": "Synthetic-Test", "given": ["Ada", "Maria"]},
        "birth_date": "1960-01-01",
    },
    "consultant": {"name": {"family": "Bob"}, "identifiers": [{"system": "urn:test:staff", "value": "7"}]},
    "reasons": [{"system": "urn:test:codes", "code": "x"}],
    "patient_questions": ["Can I wait?", "Does it hurt?"],
}


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the page's last form."""
    form = page[page.rindex("<form") :]
    found = {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input [^>]*?name="([^"]+)"[^>]*? value="([^"]*)"', form)
    }
    found |= {
        unescape(name): unescape(text)
        for name, text in re.findall(r'<textarea [^>]*?name="([^"]+)"[^>]*>([^<]*)</textarea>', form)
    }
    for name, options in re.findall(r'<select [^>]*?name="([^"]+)"[^>]*>(.*?)</select>', form, re.S):
        found[name] = next(iter(re.findall(r'value="([^"]*)" selected', options)), "")
    found.pop("back", None)
    return found


def token(site, request_id):
    return re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}")).group(1)


def opened(site, request_id, **fields):
    return site.client.post(
        f"/requests/{request_id}/correct", data={"token": token(site, request_id), "reason": "typed wrongly", **fields}
    )


def looks(site) -> list[str]:
    return [row.subject for row in site.audited("request.looked-at")]


def content(site, request_id):
    with site.engine.connect() as conn:
        return store.content(store.get(conn, request_id))


@pytest.fixture
def request_id(site):
    return site.request(**WHOLE)


def test_the_form_opens_filled_in_and_only_after_the_look_is_recorded(site, request_id):
    for answer in (opened(site, request_id, token="forged"), opened(site, request_id, reason="")):
        assert answer.status_code == 303 and looks(site) == []
    answer = opened(site, request_id)
    assert answer.status_code == 200 and looks(site) == ["version 1 to correct it"]
    assert site.audited("request.looked-at")[0].reason == "typed wrongly"
    shown = fields_of(answer.text)
    assert shown["patient.birth_date"] == "1960-01-01" and shown["patient.name.given[0]"] == "Ada"
    assert shown["patient_questions"] == "Can I wait?\nDoes it hurt?" and shown["reason"] == "typed wrongly"
    assert shown["question"] == WHOLE["question"] and "<script>alert" not in answer.text
    assert shown["consultant.identifiers[0].value"] == "", "a staff number is no NPI"
    assert shown["specialty.code"] == "207RX0202X", "a specialty that the form does not offer stays"
    assert not {"placer", "fulfiller", "key", "service_request"} & set(shown) and "Mercy Hospital" in answer.text
    assert site.client.get(f"/requests/{request_id}/correct").status_code == 405, "nothing of it is in an address"


def test_nothing_touched_changes_nothing(site, request_id):
    answer = site.client.post(f"/requests/{request_id}/correct/check", data=fields_of(opened(site, request_id).text))
    assert answer.status_code == 409 and "nothing differs from version 1" in unescape(answer.text)


def test_what_changes_is_confirmed_from_old_to_new_and_stored_once(site, request_id):
    typed = fields_of(opened(site, request_id).text) | {
        "question": f"Another? {HOSTILE}",
        "consultant.identifiers[0].value": "1234567893",
        "wanted_by": "2030-02-10",
        "patient.name.given[0]": "Eve",
        "patient_questions": "",
    }
    answer = site.client.post(f"/requests/{request_id}/correct/check", data=typed)
    page = unescape(re.sub(r"<[^>]*>", " ", answer.text))
    assert answer.status_code == 200 and "<script>alert" not in answer.text and "\u202e" not in page
    assert (
        "The question: What should the second opinion answer?" in page and "2030-01-10" in page and "2030-02-10" in page
    )
    assert "Who should answer: Consultant's NPI" in page and "Patient: First and middle names" in page
    assert (
        "Nothing of the request was sent to Mercy Hospital yet" in page
        and "Records due: 2030-01-07 becomes 2030-02-07" in page
    )
    with site.engine.connect() as conn:
        assert len(revisions.versions(conn, request_id)) == 1, "only asked yet"
    fields = fields_of(answer.text)
    again = site.client.post(f"/requests/{request_id}/correct/check", data={**fields, "back": "1"})
    assert fields_of(again.text)["question"] == typed["question"], "back to the form, nothing is lost"
    told = site.told(site.client.post(f"/requests/{request_id}/correct/do", data=fields))
    assert told == f"Request {request_id} is corrected; it is at version 2."
    made = content(site, request_id)
    assert (
        made.question == f"Another? {HOSTILE}".strip()
        and made.patient_questions == ()
        and made.wanted_by.isoformat() == "2030-02-10"
    )
    assert made.patient.name.given == ("Eve", "Maria") and len(made.patient.identifiers) == 2, (
        "what the form cannot show stays"
    )
    assert (
        [each.value for each in made.consultant.identifiers] == ["1234567893", "7"]
        and made.reasons
        and made.specialty.code == "207RX0202X"
    )
    [row] = site.audited("request.corrected")
    assert row.reason == "typed wrongly" and "question" in row.detail["fields"]
    twice = site.client.post(f"/requests/{request_id}/correct/do", data=fields)
    assert twice.status_code == 409 and "was at version 1 when you looked and is at version 2 now" in unescape(
        twice.text
    )
    with site.engine.connect() as conn:
        assert len(revisions.versions(conn, request_id)) == 2


def test_mistakes_stand_beside_their_fields_as_when_it_is_entered(site, request_id):
    typed = fields_of(opened(site, request_id).text) | {
        "wanted_by": "soon",
        "question": "",
        "specialty.code": "",
        "consultant.name.family": "",
    }
    answer = site.client.post(f"/requests/{request_id}/correct/check", data=typed)
    assert answer.status_code == 400 and 'id="wanted_by-error"' in answer.text and 'id="question-error"' in answer.text
    assert fields_of(answer.text)["wanted_by"] == "soon"
    no_reason = site.client.post(f"/requests/{request_id}/correct/check", data=typed | {"reason": " "})
    assert no_reason.status_code == 400 and "Write why" in no_reason.text


def test_a_stale_form_is_told_what_changed_and_keeps_what_was_typed(site, request_id):
    typed = fields_of(opened(site, request_id).text) | {"question": "Mine?"}
    with site.engine.begin() as conn:
        other = a_request(**WHOLE | {"wanted_by": "2030-03-10"})
        revisions.revise(conn, request_id, other, actor="dr-charlie", reason="later")
    for step in ("check", "do"):
        answer = site.client.post(f"/requests/{request_id}/correct/{step}", data=typed)
        words = unescape(answer.text)
        assert answer.status_code == 409 and "version 2 by dr-charlie" in words and "(wanted by)" in words
    shown = fields_of(answer.text)
    assert (shown["question"], shown["wanted_by"], shown["expected"]) == ("Mine?", "2030-03-10", "2"), (
        "theirs is not turned back"
    )
    assert content(site, request_id).question == WHOLE["question"].strip()
    confirm = site.client.post(f"/requests/{request_id}/correct/check", data=shown)
    assert confirm.status_code == 200 and "2030-03-10" not in confirm.text.partition("<form")[0]


def test_a_forged_form_is_refused_and_nothing_typed_is_lost(site, request_id):
    typed = fields_of(opened(site, request_id).text) | {"question": "Mine?", "token": "forged"}
    for step in ("check", "do"):
        answer = site.client.post(f"/requests/{request_id}/correct/{step}", data=typed)
        assert answer.status_code == 403 and "Mine?" in answer.text
    assert content(site, request_id).question == WHOLE["question"].strip()


def test_the_history_names_fields_and_shows_values_only_after_a_recorded_look(site, request_id):
    with site.engine.begin() as conn:
        revisions.revise(
            conn, request_id, a_request(**WHOLE | {"question": "Another?"}), actor="dr-charlie", reason="typed wrongly"
        )
    page = site.get(f"/requests/{request_id}")
    table = page[page.index('id="versions"') :]
    assert (
        "dr-charlie" in table
        and "question" in table
        and "typed wrongly" in table
        and "Another?" not in page
        and "surgery" not in page
    )

    def look(**fields):
        return site.client.post(
            f"/requests/{request_id}/versions/look", data={"token": token(site, request_id), "reason": "why", **fields}
        )

    assert look(version="1", reason="").status_code == 303 and looks(site) == []
    answer = look(version="1")
    assert "Is surgery needed?" in answer.text and "<script>alert" not in answer.text and looks(site) == ["version 1"]
    assert "Another?" in look(version="2").text and look(version="3").status_code == 409


def test_an_ended_request_offers_no_correction(site, request_id):
    assert "Correct this request" in site.get(f"/requests/{request_id}")
    with site.engine.begin() as conn:
        store.ask_to_cancel(conn, request_id, actor="test", reason="x")
    assert "Correct this request" not in site.get(f"/requests/{request_id}")
    assert site.client.post("/requests/r0/correct").status_code == 404


def test_the_command_line_prints_checks_and_corrects(site, request_id, tmp_path, database):
    def run(*words, code=0):
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "requests", *words]
        )
        assert result.exit_code == code, result.output
        return result.output

    whole = json.loads(run("content", request_id, "--reason", "to correct it"))
    assert looks(site) == ["version 1"] and whole["patient"]["birth_date"] == "1960-01-01"
    file = tmp_path / "request.json"
    file.write_text(json.dumps(whole))
    assert "nothing differs" in run("revise", request_id, str(file), "--reason", "x", code=1)
    file.write_text(json.dumps(whole | {"question": "Another?", "wanted_by": "2030-02-10"}))
    said = run("revise", request_id, str(file), "--reason", "x", "--check")
    assert (
        "version 2 would change question, wanted_by" in said
        and "Nothing of the request was sent to Mercy Hospital yet" in said
    )
    assert "Another" not in said and content(site, request_id).question != "Another?"
    done = json.loads(run("revise", request_id, str(file), "--reason", "typed wrongly", "--expect", "1", "--json"))
    assert (done["version"], done["stored"], done["changed"]) == (2, True, ["question", "wanted_by"])
    assert content(site, request_id).question == "Another?"
    assert "was at version 1 when you looked" in run(
        "revise", request_id, str(file), "--reason", "x", "--expect", "1", code=1
    )
    file.write_text(json.dumps(whole | {"fulfiller": "bob"}))
    assert "fulfiller cannot be corrected" in run("revise", request_id, str(file), "--reason", "x", code=1)
    file.write_text(json.dumps(whole | {"wanted_by": "soon"}))
    assert "wanted_by" in run("revise", request_id, str(file), "--reason", "x", code=2)
