"""References are found by element path and rewritten without touching anything else."""

import copy
import json
import zipfile
from pathlib import Path

import pytest

from mappings import codes, element_paths
from mappings.addresses import base_of_location, target_of
from mappings.element_paths import ELEMENTS
from mappings.model.errors import MappingError
from mappings.references import (
    Resolution,
    find_attachments,
    find_references,
    has_identifier,
    rewrite,
    targets_of,
)
from tests.mappings import make_element_paths
from tests.mappings.graph_helpers import BASE, DATA, NAMES, chart, needs_data


def to_target(target: str) -> Resolution:
    return Resolution("copy", f"{target.split('/')[0]}/target-{target.split('/')[1]}")


# The tables


def test_the_tables_are_what_the_generator_writes():
    assert Path(element_paths.__file__).read_text("utf-8") == make_element_paths.render(), (
        "run: python -m tests.mappings.make_element_paths"
    )


def r4_schema() -> dict:
    archive = zipfile.ZipFile(Path(DATA) / "r4-schema" / "fhir.schema.json.zip")
    return json.loads(archive.read(archive.namelist()[0]))


def type_in(schema_property: dict) -> str:
    return (schema_property.get("$ref") or schema_property.get("items", {}).get("$ref") or "").rsplit("/", 1)[-1]


@needs_data
def test_every_reference_and_attachment_of_the_official_r4_schema_is_in_the_tables():
    schema = r4_schema()
    definitions, seen, missing, attachments = schema["definitions"], set(), [], set()
    todo = [(name, name, name) for name in schema["discriminator"]["mapping"]] + [("Extension",) * 3]
    while todo:
        path, in_schema, in_table = todo.pop()
        if (in_schema, in_table) in seen:
            continue
        seen.add((in_schema, in_table))
        for key, each in definitions[in_schema].get("properties", {}).items():
            kind, ours = type_in(each), ELEMENTS.get(in_table, {}).get(key)
            if kind in ("Reference", "Attachment") and ours != kind:
                missing.append(f"{path}.{key}")
            if kind == "Attachment":
                attachments.add(in_schema)
            if ours and kind != "ResourceList":
                todo.append((f"{path}.{key}", kind, ours))
    assert missing == []
    assert len(attachments) == 37


@needs_data
def test_identifier_cardinalities_are_those_of_the_official_r4_schema():
    schema = r4_schema()
    for name in schema["discriminator"]["mapping"]:
        identifier = schema["definitions"][name]["properties"].get("identifier")
        expected = "none" if not identifier else "many" if identifier.get("type") == "array" else "single"
        assert (name, has_identifier(name)) == (name, expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Observation", "many"),
        ("Patient", "many"),
        ("QuestionnaireResponse", "single"),
        ("Composition", "single"),
        ("Bundle", "single"),
        ("AdverseEvent", "single"),
        ("Binary", "none"),
        ("Provenance", "none"),
        ("AuditEvent", "none"),
        ("MessageHeader", "none"),
        ("Linkage", "none"),
        ("Subscription", "none"),
        ("Parameters", "none"),
    ],
)
def test_it_knows_how_many_identifiers_a_type_holds(kind, expected):
    assert has_identifier(kind) == expected


def test_a_type_that_is_not_r4_is_an_error():
    with pytest.raises(MappingError, match="resource type"):
        has_identifier("Transport")


def test_what_is_called_reference_and_is_an_identifier_is_none():
    claim = {
        "resourceType": "Claim",
        "item": [{"encounter": [{"reference": "Encounter/1"}]}],
        "related": [{"reference": {"value": "7"}}],
    }
    assert [found.path for found in find_references(claim)] == ["Claim.item[0].encounter[0]"]


# Finding


def paths_of(resource: dict) -> list[str]:
    return [found.path for found in find_references(resource)]


@pytest.mark.parametrize(
    "resource",
    [
        {
            "resourceType": "PlanDefinition",
            "action": [
                {"condition": [{"kind": "start", "expression": {"language": "text/cql", "reference": "Library/1"}}]}
            ],
        },
        {"resourceType": "DetectedIssue", "reference": "Patient/1"},
        {"resourceType": "Immunization", "education": [{"reference": "Patient/1"}]},
        {"resourceType": "Claim", "related": [{"reference": {"system": "https://example.org", "value": "Claim/1"}}]},
        {"resourceType": "ExplanationOfBenefit", "related": [{"reference": {"value": "Claim/1"}}]},
        {"resourceType": "Observation", "instantiatesCanonical": "PlanDefinition/1", "subject": "Patient/1"},
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_keys_called_reference_that_are_no_references_stay(resource):
    before = copy.deepcopy(resource)
    assert paths_of(resource) == []
    assert rewrite(resource, to_target) == (before, [])


def test_it_finds_references_in_extensions_of_everything():
    inner = {"url": "b", "valueReference": {"reference": "Practitioner/1"}}
    resource = {
        "resourceType": "Patient",
        "extension": [{"url": "a", "extension": [inner]}],
        "_birthDate": {"extension": [inner]},
        "name": [{"given": ["A", "B"], "_given": [None, {"extension": [inner]}]}],
        "maritalStatus": {"coding": [{"code": "M", "extension": [inner]}]},
        "modifierExtension": [inner],
    }
    assert paths_of(resource) == [
        "Patient.extension[0].extension[0].valueReference",
        "Patient._birthDate.extension[0].valueReference",
        "Patient.name[0]._given[1].extension[0].valueReference",
        "Patient.maritalStatus.coding[0].extension[0].valueReference",
        "Patient.modifierExtension[0].valueReference",
    ]


def test_it_finds_references_inside_datatypes():
    resource = {
        "resourceType": "Observation",
        "identifier": [{"assigner": {"reference": "Organization/1"}}],
        "note": [{"text": "-", "authorReference": {"reference": "Practitioner/1"}}],
        "subject": {"reference": "Patient/1", "identifier": {"assigner": {"reference": "Organization/2"}}},
    }
    assert set(targets_of(resource)) == {"Organization/1", "Practitioner/1", "Patient/1", "Organization/2"}


def test_contained_resources_are_walked_by_their_own_type():
    contained = {
        "resourceType": "Claim",
        "id": "c",
        "patient": {"reference": "Patient/1"},
        "related": [{"reference": {"value": "1"}, "claim": {"reference": "Claim/2"}}],
    }
    resource = {
        "resourceType": "Condition",
        "contained": [contained],
        "subject": {"reference": "Patient/1"},
        "evidence": [{"detail": [{"reference": "#c"}]}],
    }
    found = {each.path: each.target for each in find_references(resource)}
    assert found == {
        "Condition.contained[0].patient": "Patient/1",
        "Condition.subject": "Patient/1",
        "Condition.contained[0].related[0].claim": "Claim/2",
        "Condition.evidence[0].detail[0]": None,
    }


def test_what_a_bundle_holds_is_its_own_affair():
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"assigner": {"reference": "Organization/1"}},
        "entry": [{"resource": {"resourceType": "Composition", "subject": {"reference": "Patient/1"}}}],
    }
    assert paths_of(bundle) == ["Bundle.identifier.assigner"]


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("Patient/1", "Patient/1"),
        ("Patient/1/_history/3", "Patient/1"),
        (f"{BASE}/Patient/1", "Patient/1"),
        (f"{BASE}/Patient/1/_history/3", "Patient/1"),
        ("HTTPS://PLACER.example:443/fhir/Patient/1", "Patient/1"),
        ("https://other.example/fhir/Patient/1/_history/2", "https://other.example/fhir/Patient/1"),
        ("https://placer.example/fhir2/Patient/1", "https://placer.example/fhir2/Patient/1"),
        ("http://[broken", "http://[broken"),
        ("http://placer.example/fhir/Patient/1", "Patient/1"),
        ("http://placer.example:80/fhir/Patient/1", "Patient/1"),
        ("https://placer.example/fhir//Patient/1", "Patient/1"),
        ("http://placer.example:8080/fhir/Patient/1", "http://placer.example:8080/fhir/Patient/1"),
        ("https://who@placer.example/fhir/Patient/1", "https://who@placer.example/fhir/Patient/1"),
        ("/Patient/1", "Patient/1"),
        ("/fhir/Patient/1/_history/2", "Patient/1"),
        ("//placer.example/fhir/Patient/1", None),
        (" Patient/1\n", "Patient/1"),
        ("Patient/1/", "Patient/1"),
        ("Encounter/1|2", "Encounter/1"),
        ("Patient/a_b", "Patient/a_b"),
        (f"Patient/{'Ab3-' * 20}", f"Patient/{'Ab3-' * 20}"),
        ("Patient/..", None),
        ("Patient/a/b", None),
        ("https://placer.example/fhir/../Patient/1", None),
        ("#p", None),
        ("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", None),
        ("Patient?identifier=1", None),
        ("Nonsense/1", None),
        ("Patient", None),
        ("", None),
        (None, None),
        ({"value": "Patient/1"}, None),
        (["x"], None),
    ],
)
def test_it_says_what_a_reference_points_to(reference, target):
    assert target_of(reference, BASE + "/") == target


def test_depth_is_no_problem():
    resource = {"resourceType": "QuestionnaireResponse", "subject": {"reference": "Patient/1"}}
    node = resource
    for _ in range(5000):
        node["item"] = [{"linkId": "1"}]
        node = node["item"][0]
    node["answer"] = [{"valueReference": {"reference": "Observation/9"}}]
    assert targets_of(resource) == ["Patient/1", "Observation/9"]
    rewritten, _ = rewrite(resource, to_target)
    assert targets_of(rewritten) == ["Patient/target-1", "Observation/target-9"]


# Rewriting


def observation() -> dict:
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"{BASE}/Patient/1/_history/2", "display": "Anna"},
        "performer": [{"reference": "Practitioner/1"}, {"reference": "#here"}],
        "instantiatesCanonical": "https://example.org/PlanDefinition/1",
    }


def test_it_copies_references_and_leaves_the_source_alone():
    source = observation()
    before = copy.deepcopy(source)
    rewritten, findings = rewrite(source, to_target, source_base=BASE)
    assert source == before
    assert rewritten == before | {
        "subject": {"reference": "Patient/target-1", "display": "Anna"},
        "performer": [{"reference": "Practitioner/target-1"}, {"reference": "#here"}],
    }
    assert findings == []
    assert rewritten["code"] is source["code"]  # what does not change is not copied


def policy(name: str, **values):
    return lambda target: Resolution(name, **values)


def test_logical_writes_type_and_identifier():
    identifier = {"system": "https://example.org", "value": "Patient/1"}
    rewritten, findings = rewrite(observation(), policy("logical", identifier=identifier), source_base=BASE)
    assert rewritten["subject"] == {"display": "Anna", "type": "Patient", "identifier": identifier}
    assert [(finding.path, finding.cause) for finding in findings] == [
        ("Observation.subject", "reference.logical"),
        ("Observation.performer[0]", "reference.logical"),
    ]
    assert not any("Anna" in finding.message or "1" in finding.message for finding in findings)


def test_logical_never_overwrites_an_identifier():
    own = {"system": "https://npi.example", "value": "N1", "assigner": {"reference": "Organization/1"}}
    source = {"resourceType": "Observation", "performer": [{"reference": "Practitioner/1", "identifier": own}]}
    rewritten, _ = rewrite(
        source,
        lambda target: (
            to_target(target) if target == "Organization/1" else Resolution("logical", identifier={"value": "x"})
        ),
    )
    assert rewritten["performer"] == [
        {"type": "Practitioner", "identifier": own | {"assigner": {"reference": "Organization/target-1"}}}
    ]


@pytest.mark.parametrize(
    "address",
    [
        "https://other.example/fhir/Patient/1",
        "http://other.example/fhir/Patient/1/_history/3",
        "https://placer.example/fhir2/Patient/1",
        "HTTPS://OTHER.example/fhir/Patient/1",
    ],
)
def test_what_is_on_another_server_keeps_its_address_as_an_identifier(address):
    source = {"resourceType": "Observation", "performer": [{"reference": address}]}
    rewritten, findings = rewrite(source, policy("logical"), source_base=BASE)
    [performer] = rewritten["performer"]
    assert performer == {
        "type": "Patient",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": address.split("/_history")[0]},
    }
    assert [finding.cause for finding in findings] == ["reference.elsewhere"]


def test_an_identifier_that_is_there_stays_and_the_address_stands_beside_it():
    address, own = "https://other.example/fhir/Practitioner/1", {"system": "npi", "value": "1"}
    source = {"resourceType": "Observation", "performer": [{"reference": address, "identifier": own}]}
    [performer] = rewrite(source, policy("logical"), source_base=BASE)[0]["performer"]
    assert performer["identifier"] == own and performer["extension"][0]["valueString"] == address


def test_keep_leaves_the_reference_and_a_finding():
    rewritten, findings = rewrite(observation(), policy("keep"), source_base=BASE)
    assert rewritten == observation()
    assert {finding.cause for finding in findings} == {"reference.kept"}


def test_fail_names_the_path_and_no_value():
    with pytest.raises(MappingError, match="Observation.subject") as error:
        rewrite(observation(), lambda target: Resolution("fail" if "Patient" in target else "keep"), source_base=BASE)
    assert "Anna" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "sent", "cause"),
    [
        ("urn:uuid:1", {"identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}}, "reference.urn"),
        (
            "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999",
            {"type": "Practitioner", "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "9999"}},
            "reference.search",
        ),
        (
            f"{BASE}/Practitioner?identifier=a%7C1&active=true",
            {"type": "Practitioner", "identifier": {"system": "a", "value": "1"}},
            "reference.search",
        ),
        ("Practitioner?name=x", None, "reference.unreadable"),
        ("?", None, "reference.unreadable"),
        ("Patient", None, "reference.unreadable"),
        ("", None, "reference.unreadable"),
        (None, None, "reference.unreadable"),
        (5, None, "reference.unreadable"),
        ({"reference": "Patient/1"}, None, "reference.unreadable"),
    ],
)
def test_what_names_nothing_is_never_sent_as_a_reference_and_never_lost(text, sent, cause):
    source = {"resourceType": "Observation", "focus": [{"reference": text, "display": "x"}]}
    rewritten, findings = rewrite(source, to_target, source_base=BASE)
    [focus] = rewritten["focus"]
    assert focus.pop("display") == "x" and "reference" not in focus
    if sent is None:
        written = text if isinstance(text, str) and text else "(no text)"
        sent = {"extension": [{"url": codes.EXTENSION_REFERENCE_AS_WRITTEN, "valueString": written}]}
    assert focus == sent and [finding.cause for finding in findings] == [cause]


def document(**attachment) -> dict:
    return {"resourceType": "DocumentReference", "content": [{"attachment": {"title": "Scan", **attachment}}]}


@pytest.mark.parametrize("url", ["Binary/1", f"{BASE}/Binary/1", "Binary/1/_history/1"])
def test_an_attachment_that_points_to_a_binary_is_rewritten(url):
    rewritten, findings = rewrite(document(url=url), to_target, source_base=BASE)
    assert rewritten == document(url="Binary/target-1") and findings == []
    assert [each.target for each in find_attachments(document(url=url), source_base=BASE)] == ["Binary/1"]


def test_an_attachment_that_points_elsewhere_stays_with_a_finding():
    for url in ("https://pacs.example/1", "DocumentReference/1"):
        rewritten, findings = rewrite(document(url=url), to_target, source_base=BASE)
        assert rewritten == document(url=url)
        assert [finding.cause for finding in findings] == ["attachment.kept"]


def test_an_attachment_whose_bytes_are_inline_needs_no_binary():
    rewritten, findings = rewrite(document(url="Binary/1", data="AA=="), policy("fail"))
    assert rewritten == document(data="AA==")
    assert [finding.cause for finding in findings] == ["attachment.dropped"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Communication", "payload.contentAttachment"),
        ("DiagnosticReport", "presentedForm"),
        ("Media", "content"),
        ("Patient", "photo"),
        ("Consent", "sourceAttachment"),
        ("Questionnaire", "item.initial.valueAttachment"),
    ],
)
def test_attachments_are_found_wherever_they_stand(kind, path):
    parts = path.split(".")
    node: dict | list = {"contentType": "text/plain", "url": "Binary/1"}
    for part in reversed(parts):
        node = {part: [node]}
    assert len(find_attachments({"resourceType": kind, **node})) == 1
    assert len(find_attachments({"resourceType": "Basic", "contained": [{"resourceType": kind, **node}]})) == 1


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_every_reference_of_a_real_chart_is_resolved(name):
    resources = chart(name)
    keys = {f"{each['resourceType']}/{each['id']}" for each in resources}
    rewritten = [rewrite(each, to_target) for each in resources]
    assert not [finding for _, findings in rewritten for finding in findings]
    for source, (target, _) in zip(resources, rewritten, strict=True):
        assert set(targets_of(source)) <= keys
        expected = json.dumps(source, default=str)
        for key in targets_of(source):
            expected = expected.replace(f'"reference": "{key}"', f'"reference": "{to_target(key).reference}"')
        assert json.loads(json.dumps(target, default=str)) == json.loads(expected)


@pytest.mark.parametrize(
    "location, base",
    [
        ("http://inner.example:8080/fhir/Observation/1/_history/2", "http://inner.example:8080/fhir"),
        ("https://a.example/Patient/1", "https://a.example"),
        ("Observation/1/_history/2", None),
        ("/fhir/Observation/1", None),
        ("http://a.example/fhir/metadata", None),
        ("http://a.example/fhir/page/1", None),
        ("urn:uuid:1", None),
        (None, None),
        (7, None),
    ],
)
def test_the_base_address_of_what_was_written_is_what_stands_before_its_name(location, base):
    assert base_of_location(location) == base
