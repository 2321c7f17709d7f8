"""The Epic-like server has Epic's habits; each is cited.

[E] Epic's published error codes, CapabilityStatement of May 2026 and conventions, as kept in api-evangelist/epic-systems.
[S] Tests against Epic's sandbox of 2026-09-30, Pegasus-One-USA/Segue docs/backend/20-epic-r4-write-back.md.
"""

import base64

import pytest
import requests

from tests.servers.vendors.charts import MRN, attachment, load, note, person
from tests.servers.vendors.epic import Epic


@pytest.fixture
def epic():
    with Epic() as started:
        yield started


def post(epic, resource, **headers):
    return requests.post(f"{epic.url}/{resource['resourceType']}", json=resource, headers=headers, timeout=10)


def search(epic, kind, **params):
    return requests.get(f"{epic.url}/{kind}", params=params, timeout=10)


def codes(body: dict) -> list[str]:
    """Epic's numbers in an OperationOutcome, or in those of a Bundle."""
    outcomes = [body] if body.get("resourceType") == "OperationOutcome" else []
    outcomes += [each["resource"] for each in body.get("entry", ()) if each["search"]["mode"] == "outcome"]
    return [each["details"]["coding"][0]["code"] for one in outcomes for each in one["issue"]]


def shown(body: dict) -> list[dict]:
    return [each["resource"] for each in body.get("entry", ()) if each["search"]["mode"] == "match"]


def test_a_create_answers_201_with_nothing_and_a_relative_location(epic):
    """[S] section 2: "201 with an empty body", "Location is always relative", "No ETag"."""
    patient, visit = load(epic)
    answer = post(epic, note(patient, visit))
    [there] = epic.ours_of(patient)
    assert (answer.status_code, answer.content, answer.headers.get("ETag")) == (201, b"", None)
    assert answer.headers["Location"] == there.reference and there.data == b"We agree.\nSOE ref r1-1"


def test_it_shows_what_it_filed_when_asked(epic):
    """[S] section 2: ``return=representation`` "returns the filed resource"; the note is under the background user."""
    filed = post(epic, note(*load(epic)), Prefer="return=representation").json()
    assert filed["author"][0]["display"] == "User Interconnect"
    assert filed["category"][0]["coding"][0]["code"] == "clinical-note"
    assert "second-opinion" not in str(filed["identifier"]), "our identifier is not kept"


def test_a_condition_before_the_create_is_not_looked_at_and_a_replay_is_a_second_note(epic):
    """[E] ``conditionalCreate: false`` on every type; [S] section 6, test 3: replays made a second record each time."""
    patient, visit = load(epic)
    for _ in range(2):
        post(epic, note(patient, visit), **{"If-None-Exist": "identifier=x|y"})
    assert len(epic.ours_of(patient)) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(context={}), "Valid encounter required"),  # [S] and CapabilityReport of a second site: 400
        (dict(context={"encounter": [{"reference": "Encounter/of-somebody"}]}), "Valid encounter required"),
        (dict(subject={"reference": "Patient/nobody"}), "Invalid subject received"),
        (dict(content=[attachment(b"%PDF-1.4", "application/pdf")]), "contentType"),  # [S]: text/plain base64 only
        (dict(type={"coding": [{"code": "18842-5"}]}), "type"),  # discharge summary
        (dict(type={"coding": [{"code": "34105-7"}]}), "type"),
        (dict(type={"coding": [{"code": "69730-0"}]}), "type"),  # patient instructions
        (dict(docStatus="amended"), "docStatus"),  # [S] section 3: final is signed, preliminary a draft
    ],
)
def test_a_note_that_it_does_not_take_is_refused_and_nothing_stands_there(epic, change, words):
    patient, visit = load(epic)
    answer = post(epic, note(patient, visit) | change)
    assert answer.status_code == 400 and words in answer.text
    assert epic.ours_of(patient) == []


def test_an_encounter_of_another_patient_is_no_encounter(epic):
    """[S] section 1: "an existing encounter of the same patient"; a finished one is accepted."""
    patient, visit = load(epic)
    _, elsewhere = load(epic, 2)
    assert post(epic, note(patient, elsewhere)).status_code == 400
    assert post(epic, note(patient, visit)).status_code == 201


def test_only_the_first_attachment_is_kept(epic):
    """[S] section 2, lengths: "Epic only saves the first attachment"."""
    patient, visit = load(epic)
    post(epic, note(patient, visit, content=[attachment(b"first"), attachment(b"second")]))
    assert [each.data for each in epic.ours_of(patient)] == [b"first"]


def test_an_unknown_parameter_is_ignored_with_a_warning_and_everything_is_shown(epic):
    """[E] 4122, Warning: "An unknown query parameter was supplied by the client"; ``identifier`` of DocumentReference stands
    in the CapabilityStatement without documentation, after ``_id``."""
    patient, visit = load(epic)
    epic.put(note(patient, visit, text="somebody else's"))
    answer = search(epic, "DocumentReference", patient=patient, identifier="urn:ours|not there").json()
    assert len(shown(answer)) == 1 and codes(answer) == ["4122"]
    assert "identifier" in answer["link"][0]["url"], "it is repeated in the link to itself, and means nothing"


def test_documented_parameters_are_evaluated(epic):
    """[E] CapabilityStatement: author, category, date, docstatus, encounter, patient, period, status, subject, type."""
    patient, visit = load(epic)
    post(epic, note(patient, visit))
    ask = dict(patient=patient, category="clinical-note", type="http://loinc.org|11488-4", date="ge2026-01-01")
    assert len(shown(search(epic, "DocumentReference", **ask).json())) == 1
    assert shown(search(epic, "DocumentReference", **ask | dict(date="lt2026-01-01")).json()) == []


def test_beside_ids_everything_else_is_ignored(epic):
    """[E] documentation of ``_id``: "All others will be ignored"."""
    patient, _ = load(epic)
    key = patient.split("/")[1]
    assert len(shown(search(epic, "Patient", _id=key, family="Nobody").json())) == 1


def test_a_note_is_told_by_address_in_the_forms_that_notes_have_there(epic):
    """Epic's own notes are text/html and text/rtf by ``Binary``: nothing is inline, and the bytes are not those sent."""
    patient, visit = load(epic)
    post(epic, note(patient, visit, text="2 < 3\nSOE ref r1-1"))
    [there] = shown(search(epic, "DocumentReference", patient=patient).json())
    told = [each["attachment"] for each in there["content"]]
    assert [each["contentType"] for each in told] == ["text/html", "text/rtf"] and "data" not in told[0]
    page, rich = (requests.get(f"{epic.url}/{each['url']}", timeout=10) for each in told)
    assert "2 &lt; 3" in page.text and "SOE ref r1-1" in page.text and page.headers["Content-Type"] == "text/html"
    assert rich.text.startswith("{\\rtf1") and "SOE ref r1-1" in rich.text
    wrapped = requests.get(
        f"{epic.url}/{told[0]['url']}", headers={"Accept": "application/fhir+json"}, timeout=10
    ).json()
    assert base64.b64decode(wrapped["data"]) == page.content


def test_what_is_not_on_the_client_is_403_with_nothing(epic):
    """[S] section 4: "A call to an API that is not on the app returns 403 with an empty body"."""
    patient, visit = load(epic)
    epic.unregister_reads()
    assert post(epic, note(patient, visit)).status_code == 201
    for answer in (
        search(epic, "DocumentReference", patient=patient),
        requests.get(f"{epic.url}/{epic.ours_of(patient)[0].reference}", timeout=10),
        post(epic, {"resourceType": "ServiceRequest"}),
        requests.put(f"{epic.url}/{epic.ours_of(patient)[0].reference}", json=note(patient, visit), timeout=10),
    ):
        assert (answer.status_code, answer.content) == (403, b"")


@pytest.mark.parametrize("kind", ["Task", "Encounter"])
def test_tasks_and_encounters_cannot_be_created(epic, kind):
    """[E] Task: read, search, update; Encounter: read, search; a second site's report: 405."""
    assert post(epic, {"resourceType": kind}).status_code == 405


def test_there_are_no_transactions(epic):
    """[E] no system interactions in the CapabilityStatement."""
    answer = requests.post(epic.url, json={"resourceType": "Bundle", "type": "transaction"}, timeout=10)
    assert answer.status_code == 404
    assert "interaction" not in requests.get(f"{epic.url}/metadata", timeout=10).json()["rest"][0]


def test_the_statement_says_what_epics_says(epic):
    """[E] CapabilityStatement of May 2026."""
    said = requests.get(f"{epic.url}/metadata", timeout=10).json()
    kinds = {each["type"]: each for each in said["rest"][0]["resource"]}
    assert said["software"] == {"name": "Epic", "version": "May 2026"}
    assert not any(each["conditionalCreate"] for each in kinds.values())
    documents = {each["name"]: each for each in kinds["DocumentReference"]["searchParam"]}
    assert "documentation" in documents["patient"] and "documentation" not in documents["identifier"]
    epic.upgrade("August 2026")
    assert requests.get(f"{epic.url}/metadata", timeout=10).json()["software"]["version"] == "August 2026"


def test_after_so_many_requests_about_documents_it_says_tomorrow(epic):
    """[E] 4135: "Maximum document queries has been reached for the day"."""
    patient, visit = load(epic)
    epic.ceiling = 2
    for _ in range(2):
        assert search(epic, "DocumentReference", patient=patient).ok
    answer = post(epic, note(patient, visit))
    assert codes(answer.json()) == ["4135"] and epic.ours_of(patient) == []
    assert search(epic, "Encounter", patient=patient).ok, "other types are answered"
    epic.new_day()
    assert post(epic, note(patient, visit)).ok


def test_a_page_that_is_asked_for_too_late_is_gone(epic):
    """[E] 4113: "Session ID for cached search results has expired"."""
    patient, _ = load(epic, results=5)
    first = search(epic, "Observation", patient=patient, category="laboratory", _count=2).json()
    following = next(each["url"] for each in first["link"] if each["relation"] == "next")
    assert len(shown(requests.get(following, timeout=10).json())) == 2
    epic.expire_sessions()
    gone = requests.get(following, timeout=10)
    assert gone.status_code == 400 and codes(gone.json()) == ["4113"]


@pytest.mark.parametrize(
    ("kind", "params", "number"),
    [
        (
            "Observation",
            {"patient": "Patient/1"},
            "59108",
        ),  # [E] "either the category or code parameter must be specified"
        ("CarePlan", {"patient": "Patient/1"}, "59108"),
        ("Observation", {"patient": "Patient/1", "category": "labresults"}, "59111"),  # [E] 59111, its own example
        ("Condition", {"category": "problem-list-item"}, "4111"),  # [E] 4111: required search parameter missing
        ("ServiceRequest", {"status": "active"}, "4111"),
        ("Encounter", {}, "4110"),  # [E] 4110: no parameters
    ],
)
def test_some_searches_are_refused(epic, kind, params, number):
    epic.registered.add("CarePlan.search-type")
    answer = search(epic, kind, **params)
    assert answer.status_code == 400 and codes(answer.json()) == [number]


def test_nothing_found_is_said_with_a_warning(epic):
    """[E] 4101, Warning: "Resource request returns no results"."""
    answer = search(epic, "Patient", identifier=f"{MRN}|M404")
    assert answer.status_code == 200 and shown(answer.json()) == [] and codes(answer.json()) == ["4101"]


def test_more_than_a_hundred_patients_are_refused(epic):
    """[E] 4127: "logged whenever Patient.Search exceeds 100 results"."""
    for number in range(101):
        epic.put(person(number))
    assert codes(search(epic, "Patient", birthdate="1960-01-01").json()) == ["4127"]
    assert len(shown(search(epic, "Patient", identifier=f"{MRN}|M7").json())) == 1


def test_whoever_is_behind_glass_is_refused(epic):
    """[E] 4130: "Break-the-Glass security does not authorize you"."""
    patient, _ = load(epic)
    epic.restricted.add(patient)
    for answer in (search(epic, "Encounter", patient=patient), requests.get(f"{epic.url}/{patient}", timeout=10)):
        assert answer.status_code == 403 and codes(answer.json()) == ["4130"]


def test_duplicates_that_are_no_notes_are_refused(epic):
    """[E] 59141: "An attempt was made to create a duplicate record"; [S]: not raised for notes."""
    patient, _ = load(epic)
    epic.registered.add("AllergyIntolerance.create")
    allergy = {"resourceType": "AllergyIntolerance", "code": {"text": "bees"}, "patient": {"reference": patient}}
    assert post(epic, allergy).status_code == 201
    assert codes(post(epic, allergy).json()) == ["59141"]


def test_a_search_by_post_does_not_look_at_the_address(epic):
    """[E] conventions: from February 2026 "query string parameters are ignored by the _search endpoint"."""
    patient, _ = load(epic)
    answer = requests.post(f"{epic.url}/Encounter/_search?patient=nobody", data={"patient": patient}, timeout=10)
    assert len(shown(answer.json())) == 1


def match(epic, patient, only=None):
    parameters = [{"name": "resource", "resource": patient}]
    parameters += [{"name": "onlyCertainMatches", **(only or {"valueBoolean": True})}]
    body = {"resourceType": "Parameters", "parameter": parameters}
    return requests.post(f"{epic.url}/Patient/$match", json=body, timeout=10)


def test_match_wants_certain_matches_as_a_boolean(epic):
    """[S] section 2, $match: the string fails with 59102, false with 59138."""
    assert codes(match(epic, person(), {"valueString": "true"}).json()) == ["59102"]
    assert codes(match(epic, person(), {"valueBoolean": False}).json()) == ["59138"]


def test_match_by_name_birth_date_and_sex_alone_is_an_error(epic):
    """[S]: "Name, birth date and gender alone gave 59013", HTTP 400; with phone and address it is certain."""
    patient, _ = load(epic)
    bare = {name: value for name, value in person().items() if name not in ("telecom", "address")}
    answer = match(epic, bare)
    assert answer.status_code == 400 and codes(answer.json()) == ["59013"]
    certain = match(epic, person()).json()
    assert certain["entry"][0]["fullUrl"].endswith(patient) and certain["entry"][0]["search"]["score"] == 1


def test_match_ignores_numbers_and_says_when_nobody_is_there(epic):
    """[S]: identifiers "are ignored with information-level 59109"; nobody: 4101 in a 200."""
    load(epic)
    other = match(epic, person(7, identifier=person()["identifier"]))
    assert other.status_code == 200 and codes(other.json()) == ["59109", "4101"]


def test_a_token_names_scopes_as_version_1_and_needs_none(keys, token):
    """[S] section 4: every ``scope`` gives the same granted set, in v1 spelling."""
    with Epic(keys) as epic:
        answer = token(epic.token_url).json()
        assert "system/DocumentReference.write" in answer["scope"].split() and "system/Patient.read" in answer["scope"]
        assert token(epic.token_url, scope="system/DocumentReference.c").json()["scope"] == answer["scope"]
        bearer = {"Authorization": f"Bearer {answer['access_token']}"}
        assert requests.get(f"{epic.url}/Patient", params={"_id": "1"}, headers=bearer, timeout=10).ok
        assert requests.get(f"{epic.url}/Patient", params={"_id": "1"}, timeout=10).status_code == 401
        assert requests.get(f"{epic.url}/metadata", timeout=10).ok


def test_an_assertion_for_longer_than_five_minutes_is_refused(keys, token):
    """[S] section 4: "exp at most 5 minutes out"."""
    with Epic(keys) as epic:
        assert token(epic.token_url, lasts=900).json()["error"] == "invalid_client"


def test_who_has_no_background_user_or_is_revoked_is_told_apart(keys, token):
    """[S] section 4: missing mapping: 400 ``unauthorized_client``; not registered yet or any more: ``invalid_client``."""
    with Epic(keys) as epic:
        epic.sign_in.may_use_grant = False
        assert (token(epic.token_url).status_code, token(epic.token_url).json()["error"]) == (
            400,
            "unauthorized_client",
        )
        epic.sign_in.revoke_client()
        assert token(epic.token_url).json()["error"] == "invalid_client"
