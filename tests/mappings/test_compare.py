"""What was read back is what was sent, or it is said where not: everything decides but what a server may lawfully do."""

import copy
import re
import time
from decimal import Decimal as D

import pytest

from integration.fhir_json import dumps, loads
from mappings.bundle import urn_of, with_urns
from mappings.compare import compare
from mappings.lawful import LAWFUL
from tests.mappings.graph_helpers import NAMES, SYSTEM, chart, needs_data

LINKS = with_urns({"Patient/p": "Patient/77", "Encounter/e": "Encounter/78"}, SYSTEM)
TARGET = "https://fulfiller.example/fhir"


def observation() -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": SYSTEM, "value": "Observation/o"}],
        "text": {"status": "generated", "div": "<div><p>Sodium  low</p></div>"},
        "category": [{"coding": [{"system": "c", "code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"}], "text": "Sodium"},
        "subject": {"reference": "Patient/77", "display": "Anna"},
        "encounter": {"reference": urn_of(SYSTEM, "Encounter/e")},
        "effectiveDateTime": "2026-03-01T10:00:00.000+01:00",
        "valueQuantity": {
            "value": D("1.10"),
            "unit": "mmol/L",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "performer": [{"reference": "Practitioner/1"}, {"display": "Dr Bob"}],
        "note": [{"text": "drawn twice"}, {"text": "fasting"}],
        "component": [{"code": {"text": "a"}, "valueInteger": 1}, {"code": {"text": "b"}, "valueBoolean": True}],
        "extension": [{"url": "u", "valueString": "v"}],
    }


def as_read() -> dict:
    """The same, with what any server does to it."""
    read = loads(dumps(observation()))
    read["id"], read["meta"] = "o9", {"versionId": "1", "lastUpdated": "2026-03-02T00:00:00Z", "source": "#x"}
    read["encounter"] = {"reference": "Encounter/78"}
    return dict(reversed(read.items()))


def set_at(resource: dict, path: str, value: object) -> dict:
    """A copy with one place changed; ``...`` removes it."""
    changed = copy.deepcopy(resource)
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node = changed
    for part in above:
        node = node[part]
    if value is ...:
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value
    return changed


def found(sent: dict, read: dict, **how) -> list[tuple[str, str, str]]:
    return [(each.path, each.kind, each.severity) for each in compare(sent, read, **({"links": LINKS} | how))]


def test_what_any_server_does_is_no_difference():
    assert found(observation(), as_read()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (
            "identifier",
            [{"system": "https://fulfiller.example", "value": "5"}, {"system": SYSTEM, "value": "Observation/o"}],
        ),
        ("text.div", "<div>\n  <p>Sodium low</p>\n</div>"),
        ("bodySite", {}),
        ("interpretation", [{}]),
        ("device", None),
        ("comment", ""),
        ("encounter.reference", f"{TARGET}/Encounter/78"),
        ("encounter.reference", "Encounter/78/_history/2"),
        ("subject.reference", f"{TARGET}/Patient/77/_history/1"),
        ("performer.0.display", "Dr Alice"),
        ("performer.0.type", "Practitioner"),
        ("meta.profile", ["https://fulfiller.example/StructureDefinition/result"]),
        ("meta.tag", [{"system": "https://fulfiller.example", "code": "kept"}]),
    ],
)
def test_it_ignores_what_a_server_may_do(path, value):
    assert found(observation(), set_at(as_read(), path, value)) == []
    assert found(observation(), set_at(as_read(), path, value), target_base=TARGET) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "kind"),
    [
        ("status", "preliminary", "status", "changed"),
        ("status", ..., "status", "lost"),
        ("code.coding.0.code", "2823-3", "code.coding[0]", "lost"),
        ("code.coding", ..., "code.coding", "lost"),
        ("category", ..., "category", "lost"),
        ("subject.reference", "Patient/78", "subject.reference", "changed"),
        ("subject", ..., "subject", "lost"),
        ("subject.reference", ..., "subject.reference", "lost"),
        ("encounter.reference", urn_of(SYSTEM, "Encounter/e"), "encounter.reference", "unresolved"),
        ("performer.0.reference", "Practitioner/2", "performer[0].reference", "changed"),
        ("effectiveDateTime", "2026-03-01T10:00:00Z", "effectiveDateTime", "changed"),
        ("effectiveDateTime", "2026-03-01", "effectiveDateTime", "changed"),
        ("effectiveDateTime", ..., "effectiveDateTime", "lost"),
        ("valueQuantity.value", D("1.11"), "valueQuantity.value", "changed"),
        ("valueQuantity.value", "1.10", "valueQuantity.value", "changed"),
        ("valueQuantity.value", ..., "valueQuantity.value", "lost"),
        ("valueQuantity.unit", "mg/dL", "valueQuantity.unit", "changed"),
        ("valueQuantity.code", "mg/dL", "valueQuantity.code", "changed"),
        ("valueQuantity.comparator", "<", "valueQuantity.comparator", "added"),
        ("valueQuantity", ..., "valueQuantity", "lost"),
        ("component.0.valueInteger", 2, "component[0].valueInteger", "changed"),
        ("component.1.valueBoolean", False, "component[1].valueBoolean", "changed"),
        ("component.1.valueBoolean", 1, "component[1].valueBoolean", "changed"),
        ("component.1", ..., "component[1]", "lost"),
        ("component", ..., "component", "lost"),
        ("extension.0.valueString", "w", "extension[0].valueString", "changed"),
        ("modifierExtension", [{"url": "not", "valueBoolean": True}], "modifierExtension", "added"),
        ("valueString", "positive", "valueString", "added"),
    ],
)
def test_changed_meaning_fails(path, value, where, kind):
    assert (f"Observation.{where}", kind, "fail") in found(observation(), set_at(as_read(), path, value))


@pytest.mark.parametrize(
    ("path", "value", "where", "kind"),
    [
        ("note", ..., "note", "lost"),
        ("note.0", ..., "note[0]", "lost"),
        ("note.1.text", "not fasting", "note[1].text", "changed"),
        ("note.1.text", "fa sting", "note[1].text", "changed"),  # a blank can be a decimal point's worth
        ("note.2", {"text": "entered in error"}, "note", "added"),
        ("code.text", "Na", "code.text", "changed"),
        ("code.coding.1", {"system": "local", "code": "K"}, "code.coding", "added"),
        ("code.coding.0.display", "Natrium", "code.coding[0].display", "changed"),
        ("code.coding.0.display", ..., "code.coding[0].display", "lost"),
        ("subject.display", ..., "subject.display", "lost"),
        ("subject.display", "Berta", "subject.display", "changed"),
        ("performer.1", ..., "performer[1]", "lost"),
        ("performer", ..., "performer", "lost"),
        ("encounter", ..., "encounter", "lost"),
        ("identifier", ..., "identifier", "lost"),
        ("extension", ..., "extension", "lost"),
        ("extension.1", {"url": "w", "valueString": "v"}, "extension", "added"),
        ("text.div", "<div>Other</div>", "text", "changed"),
        ("text.div", "<div><p>Sodiumlow</p></div>", "text", "changed"),
        ("text", ..., "text", "lost"),
        ("implicitRules", "https://x.example/rules", "implicitRules", "added"),
        ("dataAbsentReason", {"text": "unknown"}, "dataAbsentReason", "added"),
        ("valueQuantity.value", D("1.1"), "valueQuantity.value", "precision"),
        ("valueQuantity.value", D("1.100"), "valueQuantity.value", "precision"),
        ("issued", "2026-03-01T09:00:00Z", "issued", "added"),
        ("meta.tag", [{"code": "SUBSETTED"}], "meta.tag.subsetted", "added"),
        ("_effectiveDateTime", {"extension": [{"url": "u", "valueString": "about"}]}, "_effectiveDateTime", "added"),
    ],
)
def test_words_lost_changed_or_added_fail(path, value, where, kind):
    assert (f"Observation.{where}", kind, "fail") in found(observation(), set_at(as_read(), path, value))


def _resource(kind: str, **elements) -> dict:
    return {"resourceType": kind, **elements}


def _narrative(words: str, status: str = "additional") -> dict:
    return {"status": status, "div": f"<div xmlns='http://www.w3.org/1999/xhtml'>{words}</div>"}


@pytest.mark.parametrize(
    "sent, read",
    [
        (_resource("Composition", section=[{"title": "s", "text": _narrative("x")}]), {"section": [{"title": "s"}]}),
        (_resource("Condition", stage=[{"summary": {"text": "IV"}}]), {"stage": [{"summary": {"text": "I"}}]}),
        (_resource("Condition", code={"text": "c"}), {"code": {"text": "c"}, "abatementString": "over"}),
        (_resource("Condition", code={"text": "c"}), {"code": {"text": "c"}, "note": [{"text": "entered in error"}]}),
        (_resource("Goal", description={"text": "palliation"}), {"description": {"text": "cure"}}),
        (_resource("AllergyIntolerance", reaction=[{"description": "x"}]), {"reaction": [{"severity": "mild"}]}),
        (_resource("Patient", gender="female"), {"gender": "female", "active": False}),
        (
            _resource("Patient", gender="female"),
            {"gender": "female", "link": [{"other": {"reference": "Patient/9"}, "type": "replaced-by"}]},
        ),
        (_resource("Patient", _birthDate={"extension": [{"url": "t", "valueTime": "00:05:00"}]}), {}),
        (_resource("Observation", implicitRules="https://x.example"), {}),
        (_resource("Observation", meta={"security": [{"system": "v3", "code": "R"}]}), {"meta": {"versionId": "1"}}),
        (_resource("Observation", meta={"security": [{"system": "v3", "code": "R"}]}), {}),
        (
            _resource("Observation", meta={"security": [{"system": "v3", "code": "R"}]}),
            {"meta": {"security": [{"system": "v3", "code": "N"}]}},
        ),
        (
            _resource("Basic", contained=[_resource("Condition", id="a", meta={"security": [{"code": "R"}]})]),
            {"contained": [_resource("Condition", id="a")]},
        ),
        (_resource("Basic", code={"text": "x"}), {"code": {"text": "x"}, "text": _narrative("more")}),
        (_resource("Patient", name=[{"given": ["Ada", "Maria"]}]), {"name": [{"given": ["Maria", "Ada"]}]}),
        (_resource("Patient", name=[{"given": ["Ada"]}]), {"name": [{"given": ["Ada", "Eve"]}]}),
        (
            _resource("MedicationRequest", dosageInstruction=[{"text": "first"}, {"text": "then"}]),
            {"dosageInstruction": [{"text": "then"}, {"text": "first"}]},
        ),
        (
            _resource("Basic", code={"coding": [{"display": "A"}, {"display": "B"}]}),
            {"code": {"coding": [{"display": "A"}]}},
        ),
        (_resource("Patient", identifier=[{"value": "1"}, {"value": "1"}]), {"identifier": [{"value": "1"}]}),
    ],
)
def test_what_a_record_says_beyond_its_codes_decides_too(sent, read):
    assert "fail" in [severity for _, _, severity in found(sent, {"resourceType": sent["resourceType"], **read})]


@pytest.mark.parametrize("sent, read", [("1E-7", "0.0000001"), ("0.00", "0.00")])
def test_a_number_of_equal_value_and_precision_is_the_same(sent, read):
    differences = found(_resource("Basic", x=D(sent)), _resource("Basic", x=D(read)))
    assert "fail" not in [severity for _, _, severity in differences]


def test_contained_resources_may_be_called_otherwise_everywhere_at_once():
    def basic(name: str, points_to: str, words: str = "a") -> dict:
        return _resource(
            "Basic", contained=[_resource("Condition", id=name, code={"text": words})], subject={"reference": points_to}
        )

    assert found(basic("c", "#c"), basic("1", "#1")) == [("Basic.contained", "renamed", "finding")]
    assert ("Basic.subject.reference", "changed", "fail") in found(basic("c", "#c"), basic("1", "#c"))
    assert "fail" in [each[2] for each in found(basic("c", "#c"), basic("1", "#1", "b"))]


def test_contained_resources_that_changed_names_with_each_other_fail():
    def basic(*names: str) -> dict:
        return _resource(
            "Basic",
            contained=[
                _resource("Condition", id=name, code={"text": text}) for name, text in zip(names, "AB", strict=True)
            ],
            subject={"reference": "#a"},
        )

    assert "fail" in [each[2] for each in found(basic("a", "b"), basic("b", "a"))]


def test_a_long_list_in_another_order_is_only_reordered():
    def group(numbers) -> dict:
        return _resource("Group", member=[{"entity": {"reference": f"Patient/{number}"}} for number in numbers])

    assert found(group(range(2000)), group(reversed(range(2000)))) == [("Group.member", "reordered", "finding")]


def test_every_rule_has_a_reason_and_forgives_nothing_about_whose_record_it_is():
    for rule in LAWFUL:
        assert rule.what and rule.reason.endswith(".")
        for role in ("subject", "patient", "beneficiary", "for"):
            assert not {"changed", "lost", "added"} & set(rule.kinds) or not (
                re.fullmatch(rule.at, f"Basic.{role}.reference")
                and not re.fullmatch(rule.but_not, f"Basic.{role}.reference")
            )


@pytest.mark.parametrize(
    ("path", "value", "where", "kind"),
    [
        ("note.1.text", "fasting ", "note[1].text", "whitespace"),
        ("performer.1.id", "x", "performer[1].id", "added"),
        ("text.div", "<div><p>Sodium <b>low</b></p></div>", "text", "markup"),
        ("effectiveDateTime", "2026-03-01T10:00:00+01:00", "effectiveDateTime", "notation"),
        ("effectiveDateTime", "2026-03-01T09:00:00Z", "effectiveDateTime", "notation"),
        ("performer", [{"display": "Dr Bob"}, {"reference": "Practitioner/1"}], "performer", "reordered"),
        ("category.0.coding.1", {"system": "local", "code": "LAB"}, "category[0].coding", "added"),
        ("meta.security", [{"system": "v3", "code": "R"}], "meta.security", "added"),
    ],
)
def test_what_a_server_may_do_and_shows_is_a_finding_and_only_that(path, value, where, kind):
    assert found(observation(), set_at(as_read(), path, value)) == [(f"Observation.{where}", kind, "finding")]


def test_another_type_fails():
    assert found(observation(), {"resourceType": "Basic"}) == [("resourceType", "changed", "fail")]


def test_a_changed_value_is_seen_under_its_changed_neighbours():
    read = set_at(set_at(as_read(), "component.0", ...), "component.0.valueBoolean", False)
    assert ("Observation.component[1]", "lost", "fail") in found(observation(), read)


def test_the_worst_comes_first():
    read = set_at(set_at(as_read(), "note", ...), "status", "amended")
    read["performer"][1]["id"] = "x"
    assert [each.severity for each in compare(observation(), read, links=LINKS)] == ["fail", "fail", "finding"]


def test_no_message_holds_a_value():
    read = {
        "resourceType": "Observation",
        "subject": {"display": "Berta"},
        "status": "amended",
        "note": [{"text": "q"}],
    }
    said = " ".join(f"{each.path} {each.message}" for each in compare(observation(), read, links=LINKS))
    assert not [value for value in ("Anna", "Berta", "fasting", "2951-2", "Patient/77") if value in said]


# References


def reference_difference(sent: str, read: str, **how) -> list[tuple[str, str, str]]:
    return found(
        {"resourceType": "Basic", "subject": {"reference": sent}},
        {"resourceType": "Basic", "subject": {"reference": read}},
        **how,
    )


@pytest.mark.parametrize(
    "sent", ["Patient/77", "Patient/p", "Patient/p/_history/4", urn_of(SYSTEM, "Patient/p"), f"{TARGET}/Patient/77"]
)
@pytest.mark.parametrize("read", ["Patient/77", f"{TARGET}/Patient/77", f"{TARGET}/Patient/77/_history/1"])
def test_references_are_the_same_by_links_and_by_base(sent, read):
    assert reference_difference(sent, read) == []
    assert reference_difference(sent, read, target_base=TARGET) == []


def test_an_absolute_url_of_another_server_is_another_resource():
    assert reference_difference("Patient/77", "https://placer.example/fhir/Patient/77", target_base=TARGET) == [
        ("Basic.subject.reference", "changed", "fail")
    ]


def test_contained_and_foreign_references_stay_what_they_were():
    for text in ("#p", "https://other.example/x", "urn:oid:1.2.3"):
        assert reference_difference(text, text) == []
    assert reference_difference("#p", "#q") != []


def test_a_logical_reference_the_server_resolved_is_reported():
    logical = {"type": "Practitioner", "identifier": {"system": "s", "value": "v"}}
    sent = {"resourceType": "Basic", "author": logical}
    assert found(sent, {"resourceType": "Basic", "author": logical | {"reference": "Practitioner/3"}}) == [
        ("Basic.author.reference", "added", "finding")
    ]
    assert found(sent, {"resourceType": "Basic", "author": {"identifier": {"system": "s", "value": "w"}}})


def test_an_expression_reference_is_only_a_uri():
    sent = {"resourceType": "DetectedIssue", "reference": "Patient/p"}
    assert found(sent, sent | {"reference": "Patient/77"}) == [("DetectedIssue.reference", "changed", "fail")]


# Attachments


def document(**attachment) -> dict:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", **attachment}}],
    }


WHERE = "DocumentReference.content[0].attachment"


@pytest.mark.parametrize(
    ("sent", "read", "expected"),
    [
        ({"data": "QUJD"}, {"data": "QU\nJD"}, []),
        ({"data": "QUJD"}, {"data": "QUJE"}, [(f"{WHERE}.data", "changed", "fail")]),
        ({"data": "QUJD"}, {}, [(f"{WHERE}.data", "lost", "fail")]),
        ({"data": "QUJD"}, {"url": "Binary/1"}, [(f"{WHERE}.data", "moved", "finding")]),
        ({"url": "Binary/1"}, {"url": f"{TARGET}/Binary/1"}, []),
        ({"url": "Binary/1"}, {"url": "Binary/2"}, [(f"{WHERE}.url", "changed", "fail")]),
        ({"url": "Binary/1"}, {}, [(f"{WHERE}.url", "lost", "fail")]),
        ({"data": "QUJD"}, {"data": "QUJD", "size": 3}, []),
        ({"data": "QUJD", "size": 3}, {"data": "QUJD", "size": 4}, [(f"{WHERE}.size", "label", "finding")]),
        ({"data": "QUJD"}, {"data": "QUJD", "url": "Binary/1"}, [(f"{WHERE}.data", "moved", "finding")]),
        ({"url": "Binary/1", "hash": "a"}, {"url": "Binary/1", "hash": "b"}, [(f"{WHERE}.hash", "changed", "fail")]),
        ({"data": "QUJD", "title": "a"}, {"data": "QUJD", "title": "b"}, [(f"{WHERE}.title", "changed", "fail")]),
        (
            {"data": "QUJD", "contentType": "text/plain; charset=utf-8"},
            {"data": "QUJD", "contentType": "text/plain;charset=UTF-8"},
            [(f"{WHERE}.contentType", "notation", "finding")],
        ),
        ({"data": "QUJD"}, {"data": "QUJD", "contentType": "text/html"}, [(f"{WHERE}.contentType", "changed", "fail")]),
    ],
)
def test_attachments(sent, read, expected):
    assert found(document(**sent), document(**read)) == expected


# Lists and real charts


def test_contained_resources_are_compared_by_their_own_type():
    def with_contained(reference: str) -> dict:
        return {
            "resourceType": "Basic",
            "contained": [
                {"resourceType": "Condition", "id": "c", "meta": {"tag": []}, "subject": {"reference": reference}}
            ],
        }

    assert found(with_contained("Patient/p"), with_contained("Patient/77")) == []
    assert found(with_contained("Patient/p"), with_contained("Patient/78")) == [
        ("Basic.contained[0].subject.reference", "changed", "fail")
    ]


def test_primitive_lists_are_compared_by_place_then_anywhere():
    def named(*given: str) -> dict:
        return {"resourceType": "Patient", "name": [{"given": list(given)}]}

    assert found(named("A", "B"), named("B", "A")) == [("Patient.name[0].given", "reordered", "fail")]
    assert found(named("A", "B"), named("A")) == [("Patient.name[0].given[1]", "lost", "fail")]
    assert found(named("A", "B"), named("B")) == [("Patient.name[0].given[0]", "lost", "fail")]
    assert found(named("A", "B"), named("A", "C")) == [("Patient.name[0].given[1]", "changed", "fail")]
    assert found(named("A"), named("A", "B")) == [("Patient.name[0].given", "added", "fail")]


@needs_data
@pytest.mark.parametrize("name", NAMES[:3])
def test_a_chart_is_equal_to_itself_and_every_lost_digit_is_seen(name):
    for each in chart(name):
        assert compare(each, loads(dumps(each)), links={}) == []
        rounded = loads(dumps(each))
        if "valueQuantity" in rounded:
            value = rounded["valueQuantity"]["value"]
            rounded["valueQuantity"]["value"] = D(f"{value}0" if "." in str(value) else f"{value}.0")
            assert found(each, rounded) == [("Observation.valueQuantity.value", "precision", "fail")]


def test_nested_lists_that_all_differ_take_no_time():
    def form(text: str) -> dict:
        return {
            "resourceType": "QuestionnaireResponse",
            "item": [
                {"linkId": f"{outer}", "item": [{"linkId": f"{outer}.{inner}", "text": text} for inner in range(30)]}
                for outer in range(30)
            ],
        }

    started = time.process_time()
    assert len(found(form("a"), form("b"))) == 900
    assert time.process_time() - started < 5
