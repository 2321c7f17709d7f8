"""What a FHIR directory says becomes entries; what it does not say stays unknown, and what does not resolve is a finding."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.directory.entry import Entry
from mappings.directory.fhir import Ask, Known, missing, of_practitioner, of_role
from mappings.directory.services import Service

NEW = "http://hl7.org/fhir/us/davinci-pdex-plan-net/StructureDefinition/newpatients"
WHERE = "http://hl7.org/fhir/us/ndh/StructureDefinition/base-ext-qualification"
PERSON = {
    "resourceType": "Practitioner",
    "id": "p",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1992979116"}],
    "name": [{"family": "Lopez", "given": ["Ana"], "suffix": ["MD"]}],
    "gender": "female",
    "communication": [{"coding": [{"system": "urn:ietf:bcp:47", "code": "es-MX"}]}, {"text": "Cantonese"}],
    "qualification": [
        {
            "code": {"text": "MD"},
            "extension": [
                {
                    "url": WHERE,
                    "extension": [{"url": "whereValid", "valueCodeableConcept": {"coding": [{"code": "WA"}]}}],
                }
            ],
        }
    ],
}
PLACE = {
    "resourceType": "Location",
    "id": "l",
    "address": {"line": ["1 Main St"], "city": "Seattle", "state": "Washington", "postalCode": "98101-1234"},
    "position": {"latitude": 47.6, "longitude": -122.3},
    "telecom": [{"system": "phone", "value": "206 555 0100"}],
}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "r",
    "meta": {"versionId": "3", "lastUpdated": "2026-11-01T10:00:00Z"},
    "practitioner": {"reference": "Practitioner/p"},
    "organization": {"reference": "#o"},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Cancer Center"}],
    "location": [{"reference": "Location/l"}],
    "endpoint": [{"reference": "Endpoint/e"}],
    "healthcareService": [{"reference": "HealthcareService/h"}],
    "specialty": [
        {"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"}]},
        {"coding": [{"system": "http://snomed.info/sct", "code": "394591006"}]},
        {"text": "Hand therapy"},
    ],
    "extension": [
        {
            "url": NEW,
            "extension": [{"url": "acceptingPatients", "valueCodeableConcept": {"coding": [{"code": "newpt"}]}}],
        }
    ],
}
SERVER = {
    "Practitioner/p": PERSON,
    "Location/l": PLACE,
    "Endpoint/e": {
        "status": "active",
        "connectionType": {"code": "hl7-fhir-rest"},
        "address": "https://x.example.org/r4",
    },
    "HealthcareService/h": {"program": [{"text": "Second opinion program"}]},
}


def test_a_role_with_all_it_names():
    [entry], findings = of_role(ROLE, Known(SERVER))
    assert findings == []
    assert entry == Entry(
        source_id="PractitionerRole/r",
        npi="1992979116",
        family="Lopez",
        given="Ana",
        credentials="MD",
        gender="female",
        languages=("es-MX", "Cantonese"),
        specialties=("207RX0202X", "2084N0400X"),
        specialty_texts=("Hand therapy",),
        organization="Cancer Center",
        line="1 Main St",
        city="Seattle",
        state="WA",
        postal_code="98101-1234",
        zip="98101",
        lat=47.6,
        lon=-122.3,
        phone="206 555 0100",
        licensed_in=("WA",),
        second_opinions=True,
        accepting=True,
        fhir_address="https://x.example.org/r4",
        services=(Service(is_for_second_opinions=True, programs=("Second opinion program",)),),
        version="3",
        updated_on=entry.updated_on,
    )


def test_what_is_not_said_is_unknown():
    [entry], _ = of_role({"id": "r", "practitioner": {"display": "Ana Lopez"}}, Known({}))
    assert entry.family == "Ana Lopez" and entry.active
    for name in ("gender", "languages", "specialties", "second_opinions", "accepting", "licensed_in", "npi", "zip"):
        assert getattr(entry, name) is None, name


def test_references_that_lead_nowhere_are_findings_and_are_read_one_by_one():
    known = Known({name: each for name, each in SERVER.items() if name != "Location/l"})
    assert list(missing(ROLE, known)) == ["Location/l"]
    [entry], [finding] = of_role(ROLE, known)
    assert (
        finding.cause == "reference-unresolved" and finding.path == "PractitionerRole/r#location" and entry.zip is None
    )
    assert of_role({"id": "r", "practitioner": {"reference": "Practitioner/gone"}}, Known({}))[0] == []


def test_each_place_is_an_entry_and_a_home_is_none():
    two = {**SERVER, "Location/m": {**PLACE, "id": "m"}}
    entries, _ = of_role({**ROLE, "location": [{"reference": "Location/l"}, {"reference": "Location/m"}]}, Known(two))
    assert [each.source_id for each in entries] == ["PractitionerRole/r", "PractitionerRole/r m"]
    home = {**PERSON, "address": [{"use": "home", "postalCode": "98101"}, {"type": "postal", "postalCode": "98102"}]}
    assert of_practitioner(home)[0][0].zip is None


def test_an_npi_that_fails_its_check_digit_is_left_away_and_said():
    wrong = {**PERSON, "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "0"}]}
    [entry], [finding] = of_practitioner(wrong)
    assert entry.npi is None and finding.cause == "directory-npi"


def test_who_left_is_not_active():
    assert not of_role({**ROLE, "active": False}, Known(SERVER))[0][0].active
    assert not of_role(ROLE, Known({**SERVER, "Practitioner/p": {**PERSON, "active": False}}))[0][0].active


def test_what_was_not_asked_for_is_seen_here():
    [entry], _ = of_role(ROLE, Known(SERVER))
    assert Ask().wants(entry) and Ask(states=("WA",)).wants(entry) and not Ask(states=("MA",)).wants(entry)
    assert Ask(specialties=("2084N0400X",)).wants(entry) and not Ask(specialties=("207T00000X",)).wants(entry)
    assert Ask(states=("MA",), specialties=("207T00000X",)).wants(Entry("x"))  # not stated is no no


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(sorted({*ROLE, *PERSON, *PLACE})), each, max_size=4)
    ),
    max_leaves=20,
)


@given(
    role=st.dictionaries(st.sampled_from(sorted(ROLE)), _JSON),
    person=st.dictionaries(st.sampled_from(sorted(PERSON)), _JSON),
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_server_sends_is_an_entry_or_a_finding(role, person):
    known = Known({"Practitioner/p": person, "Location/l": role})
    entries, findings = of_role({"practitioner": {"reference": "Practitioner/p"}, **role}, known)
    assert entries or findings
    of_practitioner(person)
