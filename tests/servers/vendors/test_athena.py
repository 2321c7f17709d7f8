"""The athena-like server has athenahealth's habits; each is cited.

[A] Conventions and specifications as kept in api-evangelist/athenahealth. [R] athenahealth's reference of clinical documents
(docs.athenahealth.com, "Management of Class-Specific Documents") and clients of it that are public.
"""

import base64

import pytest
import requests

from tests.servers.vendors.athena import PRACTICE, Athena
from tests.servers.vendors.charts import load, note

PDF = b"%PDF-1.4 synthetic"
FORM = {
    "departmentid": "1",
    "documentsubclass": "CONSULTNOTE",
    "attachmentcontents": base64.b64encode(PDF).decode(),
    "internalnote": "SOE ref r1-1",
}


@pytest.fixture
def athena():
    with Athena() as started:
        yield started


def place_of(athena, patient: str) -> str:
    return f"{athena.v1}/patients/{patient.rpartition('E-')[2]}/documents/clinicaldocument"


def test_a_patient_has_a_number_of_the_practice_in_its_id(athena):
    """FHIR ids as athenahealth's own examples have them: ``a-14523.E-857``, in the system ah-patient."""
    patient, _ = load(athena)
    assert patient.startswith(f"Patient/a-{PRACTICE}.E-")
    [own] = [each for each in athena.of("Patient")[0]["identifier"] if "athena" in each["system"]]
    assert own["value"] == patient.split("/")[1]


def test_a_document_is_a_form_and_a_replay_is_a_second_document(athena):
    """[R] POST …/documents/clinicaldocument answers ``clinicaldocumentid``; [A] "A retried write is a second write"."""
    patient, _ = load(athena)
    answers = [requests.post(place_of(athena, patient), data=FORM, timeout=10).json() for _ in range(2)]
    assert answers[0]["success"] and answers[0]["clinicaldocumentid"] != answers[1]["clinicaldocumentid"]
    assert [each.data for each in athena.ours_of(patient)] == [PDF, PDF]


def test_what_was_filed_can_be_listed_and_fetched(athena):
    """[R] the list of a patient's clinical documents wants the department; the original comes by its address."""
    patient, _ = load(athena)
    place = place_of(athena, patient)
    number = requests.post(place, data=FORM, timeout=10).json()["clinicaldocumentid"]
    assert requests.get(place, timeout=10).status_code == 400
    listed = requests.get(place, params={"departmentid": "1"}, timeout=10).json()
    assert (listed["totalcount"], listed["clinicaldocuments"][0]["internalnote"]) == (1, "SOE ref r1-1")
    [one] = requests.get(f"{place}/{number}", timeout=10).json()
    original = requests.get(f"{athena.origin}{one['originaldocument']['href']}", timeout=10)
    assert (original.content, original.headers["Content-Type"]) == (PDF, "application/pdf")


@pytest.mark.parametrize(
    "change",
    [
        {"departmentid": ""},  # [R] "PatientID and DepartmentID are fields required for all document classes"
        {"departmentid": "404"},
        {"documentsubclass": "LETTER"},
        {"attachmentcontents": base64.b64encode(b"plain words").decode()},  # [R] PDF, no other format is accepted now
        {"attachmentcontents": "not base64!"},
    ],
)
def test_a_form_that_it_does_not_take_is_refused_and_nothing_stands_there(athena, change):
    patient, _ = load(athena)
    assert requests.post(place_of(athena, patient), data=FORM | change, timeout=10).status_code == 400
    assert athena.ours_of(patient) == []


def test_what_failed_may_be_answered_with_200(athena):
    """[R] "errormessage: If the operation failed, this will contain an error message. success: Returns true/false"; the
    number of a document is an integer in the reference and text in some answers."""
    patient, _ = load(athena)
    athena.fails_with_200, athena.says_numbers_as_text = 1, True
    failed = requests.post(place_of(athena, patient), data=FORM, timeout=10)
    assert failed.ok and not failed.json()["success"] and athena.ours_of(patient) == []
    assert requests.post(place_of(athena, patient), data=FORM, timeout=10).json()["clinicaldocumentid"] == "9001"


def test_a_document_may_be_shown_as_pictures_of_its_pages(athena):
    """[R] ``pages`` of a document, each an image; ``originaldocument`` where there is one."""
    patient, _ = load(athena)
    athena.shows_original = False
    number = requests.post(place_of(athena, patient), data=FORM, timeout=10).json()["clinicaldocumentid"]
    [one] = requests.get(f"{place_of(athena, patient)}/{number}", timeout=10).json()
    assert "originaldocument" not in one and one["pages"][0]["contenttype"] == "image/png"


def test_a_list_goes_by_offset_and_may_ignore_it(athena):
    """[R] ``limit`` and ``offset``; [A] paging of v1: not published in any form that a machine reads."""
    patient, _ = load(athena)
    athena.page = 2
    for _ in range(3):
        requests.post(place_of(athena, patient), data=FORM, timeout=10)
    asked = {"departmentid": "1", "offset": "2"}
    shown = requests.get(place_of(athena, patient), params=asked, timeout=10).json()["clinicaldocuments"]
    assert [each["clinicaldocumentid"] for each in shown] == [9003]
    athena.ignores_offset = True
    shown = requests.get(place_of(athena, patient), params=asked, timeout=10).json()["clinicaldocuments"]
    assert [each["clinicaldocumentid"] for each in shown] == [9001, 9002]


def test_a_patient_or_practice_that_is_not_there(athena):
    """[A] tenancy: the practice is a segment of the path."""
    elsewhere = f"{athena.origin}/v1/1/patients/1/documents/clinicaldocument"
    for place in (place_of(athena, "Patient/a-195900.E-1"), elsewhere):
        assert requests.post(place, data=FORM, timeout=10).status_code == 404


def test_nothing_is_written_over_fhir(athena):
    """[A] CapabilityStatement: read and search-type on every type."""
    patient, visit = load(athena)
    for kind in ("DocumentReference", "ServiceRequest", "Patient", "Task", "Communication"):
        sent = note(patient, visit) if kind == "DocumentReference" else {"resourceType": kind}
        assert requests.post(f"{athena.url}/{kind}", json=sent, timeout=10).status_code in (404, 405)
    assert athena.ours_of(patient) == []


def test_a_practice_can_be_named_in_a_search(athena):
    """[A] tenancy: ``ah-practice`` and others of its own on most types."""
    patient, _ = load(athena)
    for practice, status in ((f"Organization/a-1.Practice-{PRACTICE}", 200), ("Organization/a-1.Practice-7", 403)):
        params = {"patient": patient, "ah-practice": practice}
        assert requests.get(f"{athena.url}/Encounter", params=params, timeout=10).status_code == status


def test_scopes_are_of_version_1(keys, token):
    """[A] ``athena/service/Athenanet.MDP.*`` for the form."""
    with Athena(keys) as athena:
        answer = token(athena.token_url).json()
        assert "athena/service/Athenanet.MDP.*" in answer["scope"]
        patient, _ = load(athena)
        place, bearer = place_of(athena, patient), {"Authorization": f"Bearer {answer['access_token']}"}
        assert requests.post(place, data=FORM, timeout=10).status_code == 401
        assert requests.post(place, data=FORM, headers=bearer, timeout=10).ok


def test_a_document_shows_in_the_list_when_its_index_is_ready(athena):
    patient, _ = load(athena)
    athena.lag = 60
    requests.post(place_of(athena, patient), data=FORM, timeout=10)
    listed = requests.get(place_of(athena, patient), params={"departmentid": "1"}, timeout=10).json()
    assert listed["totalcount"] == 0 and len(athena.ours_of(patient)) == 1
