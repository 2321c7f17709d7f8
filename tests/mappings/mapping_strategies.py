"""Hypothesis strategies for the values the mappings write and read back."""

from datetime import date

from hypothesis import strategies as st

from mappings import codes
from mappings.model.request import (
    Code,
    Diagnosis,
    FirstOpinion,
    HumanName,
    Identifier,
    OrganizationRef,
    PatientRef,
    PractitionerRef,
    RecordsWanted,
    SecondOpinionRequest,
)

# FHIR strings hold no control characters; ours are stripped of surrounding white space.
text = (
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)
token = st.from_regex(r"[A-Za-z0-9.\-]{1,12}", fullmatch=True)
system = token.map(lambda name: f"https://{name}.example")
identifiers = st.builds(Identifier, system=system, value=text)
coded = st.builds(Code, system=system, code=token, display=st.none() | text)
names = st.builds(HumanName, family=text, given=st.lists(text, max_size=2).map(tuple))
dates = st.dates(date(1900, 1, 1), date(2100, 1, 1))
organizations = st.builds(OrganizationRef, name=text, identifiers=st.lists(identifiers, max_size=2).map(tuple))
practitioners = st.builds(
    PractitionerRef,
    identifiers=st.lists(identifiers, min_size=1, max_size=2).map(tuple),
    name=st.none() | names,
    specialty=st.none() | coded,
    organization=st.none() | organizations,
)
patients = st.builds(
    PatientRef,
    identifiers=st.lists(identifiers, min_size=1, max_size=3).map(tuple),
    name=st.none() | names,
    birth_date=st.none() | dates,
    sex=st.none() | st.sampled_from(["male", "female", "other", "unknown"]),
)
first_opinions = st.builds(
    FirstOpinion,
    doctor=practitioners,
    given_on=st.none() | dates,
    diagnosis=st.builds(Diagnosis, text=text, codes=st.lists(coded, max_size=2).map(tuple)),
)
requests = st.builds(
    SecondOpinionRequest,
    key=st.just("harbour:ServiceRequest/9"),
    placer=st.just("harbour"),
    fulfiller=st.just("summit"),
    service_request=st.just("ServiceRequest/9"),
    patient=patients,
    requester=practitioners,
    first_opinion=first_opinions,
    question=text,
    reasons=st.lists(coded, max_size=3).map(tuple),
    specialty=coded,
    consultant=st.none() | practitioners,
    priority=st.sampled_from(["routine", "urgent", "asap"]),
    authored_at=st.none() | st.just("2026-06-01T09:00:00-07:00"),
    wanted_by=st.none() | dates,
    patient_questions=st.lists(text, max_size=3).map(tuple),
    records=st.builds(
        RecordsWanted,
        types=st.lists(st.sampled_from(["Condition", "Media"]), unique=True).map(tuple),
        since=st.none() | dates,
    ),
    consent=st.none() | st.just("Consent/c1"),
    coverage=st.lists(token.map(lambda each: f"Coverage/{each}"), max_size=2).map(tuple),
    opinion_number=st.integers(2, 5),
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["requested", "completed", codes.SYSTEM_BSER_STATUS, "7.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "coding",
                    "system",
                    "code",
                    "reference",
                    "text",
                    "valueReference",
                    "versionId",
                    "display",
                    "url",
                    "extension",
                    "resourceType",
                    "id",
                    "family",
                    "given",
                    "use",
                    "value",
                    "identifier",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
