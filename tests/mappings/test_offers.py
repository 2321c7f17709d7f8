"""What a chart offers: only of this patient, never what is refuted, and with words, dates and where it is from."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import offers
from mappings.model.request import Code

ME = {"resourceType": "Patient", "id": "p1"}
BASES = ("https://ehr.example.org/fhir",)
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def coded(system: str, code: str) -> dict:
    return {"coding": [{"system": system, "code": code}]}


def condition(id: str = "c1", about: str = "Patient/p1", **more) -> dict:
    return {
        "resourceType": "Condition",
        "id": id,
        "subject": {"reference": about},
        "code": {"text": "synthetic"},
        **more,
    }


def test_the_newest_active_problem_comes_first_with_code_dates_and_both_statuses():
    old = condition("old", recordedDate="2020-01-01", clinicalStatus=coded(CLINICAL, "active"))
    new = condition(
        "new",
        code={"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": "one"}]},
        onsetDateTime="2024-05",
        recordedDate="2025-01-01T10:00:00Z",
        clinicalStatus=coded(CLINICAL, "recurrence"),
        verificationStatus=coded(VERIFICATION, "provisional"),
    )
    first, second = offers.diagnoses([old, new], ME, BASES)
    assert (first.reference, first.words, second.reference) == ("Condition/new", "one", "Condition/old")
    assert first.facts == ("SNOMED CT 1", "since 2024-05", "recorded 2025-01-01", "recurrence", "provisional")
    assert first.value == {
        "text": "one",
        "codes": [{"system": "http://snomed.info/sct", "code": "1", "display": "one"}],
    }
    assert second.value == {"text": "synthetic"} and "verification not stated" in second.facts


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["active", "recurrence", "relapse", "inactive", "remission", "resolved", None]),
    st.sampled_from(["confirmed", "provisional", "unconfirmed", "refuted", "entered-in-error", None]),
    st.sampled_from(["Patient/p1", "https://ehr.example.org/fhir/Patient/p1", "Patient/p2", "#x", "urn:uuid:1", ""]),
)
def test_only_what_is_active_not_refuted_and_this_patients_is_offered(clinical, verification, about):
    made = condition(about=about)
    made |= {"clinicalStatus": coded(CLINICAL, clinical)} if clinical else {}
    made |= {"verificationStatus": coded(VERIFICATION, verification)} if verification else {}
    may = clinical in ("active", "recurrence", "relapse", None) and verification not in ("refuted", "entered-in-error")
    assert bool(offers.diagnoses([made], ME, BASES)) == (may and about.endswith("Patient/p1"))


def test_insurance_consents_and_orders_in_force_are_offered_by_their_reference():
    plan = {"resourceType": "Coverage", "id": "v1", "status": "active", "beneficiary": {"reference": "Patient/p1"}, "payor": [{"display": "Plan"}], "period": {"end": "2027-01-01"}}  # fmt: skip
    [offer] = offers.coverages([plan, {**plan, "id": "v2", "status": "cancelled"}], ME, BASES)
    assert (offer.value, offer.words, offer.facts) == ("Coverage/v1", "Plan", ("ends 2027-01-01",))
    agreed = {"resourceType": "Consent", "id": "k1", "status": "active", "patient": {"reference": "Patient/p1"}, "category": [{"text": "Sharing"}]}  # fmt: skip
    [offer] = offers.consents([agreed, {**agreed, "id": "k2", "status": "inactive"}], ME, BASES)
    assert (offer.value, offer.words, offer.facts) == ("Consent/k1", "Sharing", ("no date stated",))
    order = {"resourceType": "ServiceRequest", "id": "s1", "status": "active", "intent": "order", "subject": {"reference": "Patient/p1"}, "code": coded("urn:site", "2ND-OP"), "authoredOn": "2026-01-01"}  # fmt: skip
    other = {**order, "id": "s2", "code": coded("urn:site", "XRAY")}
    found = offers.orders(
        [order, other, {**order, "id": "s3", "status": "revoked"}], ME, BASES, [Code(system="urn:site", code="2ND-OP")]
    )
    assert [(each.value, each.facts) for each in found] == [("ServiceRequest/s1", ("ordered 2026-01-01",))]


def test_clinicians_of_problems_and_visits_stand_once_with_why():
    problem = condition(
        asserter={"reference": "Practitioner/1", "display": "Dr One"}, recorder={"reference": "Practitioner/2"}
    )
    visit = {"resourceType": "Encounter", "id": "e1", "subject": {"reference": "Patient/p1"}, "period": {"start": "2026-01-01"}, "participant": [{"individual": {"reference": "Practitioner/1"}}, {"individual": {"reference": "RelatedPerson/9"}}]}  # fmt: skip
    mine = condition("self", asserter={"reference": "Patient/p1"})
    found = offers.clinicians([problem, visit, mine], ME, BASES)
    assert [(each.reference, each.words) for each in found] == [("Practitioner/1", "Dr One"), ("Practitioner/2", "")]
    assert found[0].facts == ("stated synthetic", "visit 2026-01-01")


def test_an_npi_with_a_wrong_check_digit_is_left_out_and_the_name_stays():
    npi = "http://hl7.org/fhir/sid/us-npi"
    person = {"resourceType": "Practitioner", "id": "1", "name": [{"family": "One", "given": ["A"]}], "identifier": [{"system": npi, "value": "1234567890"}]}  # fmt: skip
    assert offers.clinician(person).value == {"name": {"family": "One", "given": ["A"]}}
    person["identifier"][0]["value"] = "1234567893"
    assert offers.clinician(person).facts == ("NPI 1234567893",)
