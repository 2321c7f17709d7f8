"""A statement of consent as an R4 Consent: valid by the official schema, and it says what was said."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.consent import to_consent
from mappings.model.consent import ALWAYS, KIND_OF, Consent, RecordKind, Said
from mappings.structure import structure_issues
from tests.mappings.mapping_factories import check_with_fhir_resources, needs_data, schema_errors

AT = datetime(2026, 5, 3, 12, 30, tzinfo=UTC)


def made(consent: Consent) -> dict:
    return to_consent(
        consent,
        identifier={"system": "urn:x", "value": "Consent/r1"},
        patient="Patient/1",
        at=AT,
        organization="Hillside",
        recipients=["Mercy"],
    )


@given(
    st.none() | st.frozensets(st.sampled_from(RecordKind), min_size=1),
    st.none() | st.just(date(2027, 6, 30)),
    st.sampled_from(Said),
)
def test_what_is_denied_or_not_permitted_is_what_stays_home(kinds, until, said):
    resource = made(Consent(said, kinds if said is Said.GIVEN else None, None, until))
    rule = resource["provision"]
    assert resource["status"] == ("active" if said is Said.GIVEN else "inactive")
    assert rule["type"] == ("permit" if said is Said.GIVEN else "deny")
    if said is Said.WITHDRAWN:
        assert "class" not in rule and resource["policyRule"]["coding"][0]["code"] == "OPTOUT"
        return
    permitted = {each["code"] for each in rule.get("class", ())} or None
    denied = {each["code"] for inner in rule.get("provision", ()) for each in inner.get("class", ())}
    for name, kind in KIND_OF.items():
        goes = (permitted is None or name in permitted) and name not in denied
        assert goes == (kinds is None or kind in kinds), name
    assert permitted is None or permitted >= ALWAYS
    labels = [each for inner in rule.get("provision", ()) for each in inner.get("securityLabel", ())]
    assert bool(labels) == (kinds is not None and RecordKind.SENSITIVE not in kinds)
    assert rule["period"].get("end") == (f"{until}T23:59:59+00:00" if until else None)


@needs_data
@pytest.mark.parametrize("consent", [
    Consent(Said.GIVEN), Consent(Said.WITHDRAWN), Consent(Said.GIVEN, frozenset({RecordKind.NOTES})),
    Consent(Said.GIVEN, frozenset(RecordKind) - {RecordKind.SENSITIVE, RecordKind.IMAGES}, None, date(2027, 1, 1)),
])  # fmt: skip
def test_it_is_r4(consent):
    resource = made(consent)
    check_with_fhir_resources(resource)
    assert list(structure_issues(resource)) == [] and schema_errors(resource) == []
