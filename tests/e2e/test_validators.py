"""Everything we emit passes three validators: fhir.resources, the official R4 JSON schema, HAPI with US Core.

`WRITE_VALIDATION=1 pytest tests/e2e/test_validators.py` writes the table to docs/reference/validation.md.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from pydantic import ValidationError

from integration import fhir_json
from tests.e2e.emitted_samples import US_CORE, Sample, samples
from tests.e2e.terminology import load_terminology
from tests.mappings.mapping_factories import check_with_fhir_resources, needs_data, schema_errors
from tests.servers.us_core import load_us_core

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "validation.md"
SAMPLES = {sample.name: sample for sample in samples()}
every = pytest.mark.parametrize("name", SAMPLES)
POSITION = re.compile(r"\[[^\]]*\]|/\*[^*]*\*/")
HTTP = requests.Session()
HTTP.trust_env = False

# Message id, or message id and element: why the warning is right and we write it all the same.
ACCEPTED = {
    "dom-6": "FHIR recommends a narrative in every resource; ours are made of coded parts and of words in `text` elements, "
    "and a second telling of them could come to differ from the first.",
    "Terminology_TX_NoValid_2_CC ServiceRequest.reasonCode": "US Core would have a condition here, unless none is suitable: that an opinion is asked for (v2-0336 `S`) or "
    "that the patient wishes it (v3-ActReason) is a reason and no condition. The diagnosis stands beside it.",
    "Terminology_TX_Code_ValueSet_Ext ServiceRequest.reasonCode": "A first opinion given in words alone has no code, and we never invent one "
    "(examples/spine-surgery-request.yaml).",
    "Terminology_TX_NoValid_2_CC Consent.policyRule": "R4's value set of policies holds laws and forms of certain places, and none of them is what a patient said; "
    "to opt in and to opt out are v3-ActCode's own words for it.",
    "Terminology_TX_NoValid_13 Consent.provision.provision.securityLabel": "R4's value set has 42 CFR Part 2 from a code system of its own (v3-ActUSPrivacyLaw); "
    "records are labeled with it from v3-ActCode, which has it too, and the rule names the label that they carry.",
    "Terminology_TX_ValueSet_NotFound Provenance.agent.type": "The value set is published by terminology.hl7.org and is in neither R4 nor US Core; US Core's own slice asks "
    "for this very code.",
    "Terminology_TX_ValueSet_NotFound ImagingStudy.modality": "CID 29 is published by DICOM and is not in R4; the code is the one that the images' own headers say.",
    "Terminology_TX_ValueSet_NotFound ImagingStudy.series.modality": "As of ImagingStudy.modality.",
}


@dataclass(frozen=True)
class Verdict:
    """What the three said about one sample."""

    r4b: tuple[str, ...]
    schema: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


@pytest.fixture(scope="module")
def validator(hapi_url: str) -> str:
    """A HAPI that knows US Core and our codes."""
    profiles = Path(os.environ["SECOND_OPINION_DATA"], "us-core-profiles")
    load_us_core(hapi_url, profiles)
    load_terminology(hapi_url, [sample.resource for sample in samples()], profiles)
    return hapi_url


@pytest.fixture(scope="module")
def verdicts(validator: str) -> dict[str, Verdict]:
    """Each sample judged once; written to the page when asked."""
    found = {name: judge(validator, sample) for name, sample in SAMPLES.items()}
    if os.environ.get("WRITE_VALIDATION"):
        PAGE.write_text(page(found), "utf-8")
    return found


@needs_data
@pytest.mark.hapi
@every
def test_it_passes_the_three_validators(verdicts: dict[str, Verdict], name: str) -> None:
    verdict = verdicts[name]
    assert (verdict.r4b, verdict.schema, verdict.errors) == ((), (), ())
    unexplained = [warning for warning in verdict.warnings if not why(warning)]
    assert unexplained == [], "say in ACCEPTED why, or mend the mapping"


@needs_data
@pytest.mark.hapi
def test_every_accepted_warning_still_occurs(verdicts: dict[str, Verdict]) -> None:
    seen = {warning for verdict in verdicts.values() for warning in verdict.warnings}
    assert [key for key in ACCEPTED if not any(key in (warning, warning.split(" ")[0]) for warning in seen)] == []


WRONG = {
    "a status that does not exist": ("task, with all inputs", {"status": "banana"}),
    "no type": ("document_reference, returned report", {"type": None}),
    "a type that is no kind of document": (
        "document_reference, returned report",
        {"type": {"coding": [{"system": "http://loinc.org", "code": "10160-0"}]}},
    ),
    "a code that is not in its system": (
        "provenance",
        {
            "agent": [
                {
                    "who": {"display": "Exchange"},
                    "type": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                                "code": "transmiter",
                            }
                        ]
                    },
                }
            ]
        },
    ),
    "an NPI with a wrong check digit": (
        "practitioner",
        {"identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567890"}]},
    ),
    "a visit that has no end": ("appointment, booked", {"end": None}),
    "a consent that ends before it begins": (
        "consent, without a limit",
        {"provision": {"type": "permit", "period": {"start": "2026-06-02T08:00:00+00:00", "end": "2026-06-02"}}},
    ),
    "an organization that may be gone": ("organization", {"active": None}),
}


@needs_data
@pytest.mark.hapi
@pytest.mark.parametrize("mistake", WRONG)
def test_the_server_would_see_a_mistake(validator: str, mistake: str) -> None:
    name, change = WRONG[mistake]
    changed = {key: value for key, value in {**SAMPLES[name].resource, **change}.items() if value is not None}
    errors, warnings = validate(validator, Sample(name, changed))
    assert errors or [warning for warning in warnings if not why(warning)]


@needs_data
@pytest.mark.hapi
def test_a_role_lacks_nothing_of_us_core_but_the_telephone_a_request_does_not_hold(validator: str) -> None:
    """A PractitionerRole only ever travels contained, where R4's own rules hold."""
    errors, _ = validate(validator, SAMPLES["practitioner_role"], f"{US_CORE}/us-core-practitionerrole")
    assert [error.split(" ")[0] for error in errors] == ["pd-1"]


@needs_data
@pytest.mark.hapi
def test_the_server_keeps_the_first_doctor_whom_only_an_extension_names(validator: str) -> None:
    sent = SAMPLES["service_request, as little as possible"].resource
    patient = {**SAMPLES["patient"].resource, "id": "p1"}
    HTTP.put(f"{validator}/Patient/p1", json=patient, timeout=60).raise_for_status()
    place = HTTP.post(f"{validator}/ServiceRequest", json=sent, timeout=60).headers["Location"].split("/_history")[0]
    read = HTTP.get(place, timeout=60).json()
    assert read["extension"] == sent["extension"]
    assert read["contained"] == sent["contained"]
    assert "first-doctor" in [each["id"] for each in read["contained"]]


def test_the_page_tells_of_every_sample_and_every_accepted_warning() -> None:
    text = PAGE.read_text("utf-8")
    missing = [name for name in [*SAMPLES, *ACCEPTED] if name not in text]
    assert missing == [], "the page is old: WRITE_VALIDATION=1 writes it anew"


def judge(base_url: str, sample: Sample) -> Verdict:
    """Ask all three."""
    plain = json.loads(fhir_json.dumps(sample.resource))
    errors, warnings = validate(base_url, sample)
    return Verdict(tuple(_r4b_errors(plain)), tuple(schema_errors(plain)), tuple(errors), tuple(warnings))


def _r4b_errors(resource: dict) -> list[str]:
    try:
        check_with_fhir_resources(resource)
    except ValidationError as error:
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return []


def validate(base_url: str, sample: Sample, profile: str | None = None) -> tuple[list[str], list[str]]:
    """HAPI's errors and warnings, each as ``message-id element``; errors with the words behind."""
    profile = profile or sample.profile
    answer = HTTP.post(
        f"{base_url}/{sample.kind}/$validate",
        params={"profile": profile} if profile else {},
        data=fhir_json.dumps(sample.resource),
        timeout=120,
        headers={"Content-Type": "application/fhir+json"},
    )
    issues = answer.json()["issue"]
    errors = [f"{_key(each)}: {each['diagnostics']}" for each in issues if each["severity"] in ("error", "fatal")]
    return errors, list(dict.fromkeys(_key(each) for each in issues if each["severity"] == "warning"))


def _key(issue: dict) -> str:
    """``Message_Id Type.element``, without positions, so that one reason serves all like it."""
    coding = next(iter(issue.get("details", {}).get("coding", [])), {})
    message_id = coding.get("code", issue["code"]).rpartition("#")[2]
    element = next(iter(issue.get("location", [])), "")
    return f"{message_id} {POSITION.sub('', element)}".strip()


def why(warning: str) -> str | None:
    """The reason a warning is accepted, or None."""
    return ACCEPTED.get(warning) or ACCEPTED.get(warning.split(" ")[0])


def page(verdicts: dict[str, Verdict]) -> str:
    """docs/reference/validation.md"""
    rows = "\n".join(_row(SAMPLES[name], verdict) for name, verdict in verdicts.items())
    reasons = "\n".join(
        f"| `{key}` | {sum(_has(verdict, key) for verdict in verdicts.values())} | {reason} |"
        for key, reason in ACCEPTED.items()
    )
    return f"""<!-- Written by `WRITE_VALIDATION=1 pytest tests/e2e/test_validators.py`: change it there. -->
# What we emit, against three validators

{len(verdicts)} resources, one of every kind and state the Exchange writes, go through

1. **R4B**: the models of fhir.resources (structure);
2. **Schema**: HL7's official R4 4.0.1 JSON schema (structure, every required code);
3. **HAPI**: `$validate` of a HAPI FHIR server with US Core 9.0.0, and fragments of the code systems we use.

Totals: {_total(verdicts, "r4b")} errors in R4B, {_total(verdicts, "schema")} in the schema,
{_total(verdicts, "errors")} in HAPI; {_total(verdicts, "warnings")} warnings, all accepted below.
A warning that is not listed fails the test.

## Accepted warnings

| Warning (id, element) | Resources | Why we write it all the same |
|---|---|---|
{reasons}

## Resources

| Resource | Declared against | R4B | Schema | HAPI errors | Warnings |
|---|---|---|---|---|---|
{rows}
"""


def _row(sample: Sample, verdict: Verdict) -> str:
    profile = sample.profile.rpartition("/")[2] if sample.profile else f"R4 {sample.kind}"
    counts = " | ".join(str(len(each)) if each else "0" for each in (verdict.r4b, verdict.schema, verdict.errors))
    return f"| {sample.name} | {profile} | {counts} | {', '.join(f'`{each}`' for each in verdict.warnings)} |"


def _has(verdict: Verdict, key: str) -> bool:
    return any(key in (warning, warning.split(" ")[0]) for warning in verdict.warnings)


def _total(verdicts: dict[str, Verdict], name: str) -> int:
    return sum(len(getattr(verdict, name)) for verdict in verdicts.values())
