"""Whatever another system puts into a record: it is shown, or said not to be, and stops no other."""

import random
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.packets.pdf import to_pdfs
from mappings.rendition import Correction, render
from mappings.rendition.placing import CORRECTED, NEW, UNSHOWN
from mappings.rendition.tables import TABLES
from tests.mappings.test_rendition import PATIENT, all_rows, manifest_of, rendered, words_in

ELEMENTS = sorted(
    {
        element.removesuffix("[x]") + ("Quantity" if element.endswith("[x]") else "")
        for table in TABLES
        for column in table.columns
        for element in column.elements
    }
    | {
        "meta",
        "text",
        "contained",
        "extension",
        "modifierExtension",
        "conclusion",
        "subject",
        "period",
        "content",
        "item",
    }
    | {"birthDate", "presentedForm", "valueAttachment", "effectivePeriod", "_birthDate", "implicitRules"}
)
KEYS = st.sampled_from(
    [
        "coding",
        "code",
        "system",
        "value",
        "text",
        "display",
        "reference",
        "url",
        "div",
        "status",
        "start",
        "end",
        "data",
    ]
    + [
        "contentType",
        "unit",
        "low",
        "high",
        "family",
        "given",
        "line",
        "valueString",
        "extension",
        "id",
        "resourceType",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["Patient/1", "#a", "2026-01-01", "QUJD", "text/plain", "text/plain; charset=x\r\ny", "http://["])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(sorted({kind for table in TABLES for kind in table.types}) + ["Nonsense", "Bundle", "Binary"])
SHAPES = st.builds(
    lambda kind, elements: {"resourceType": kind, **elements},
    TYPES,
    st.dictionaries(st.sampled_from(ELEMENTS), VALUES, max_size=5),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(SHAPES, min_size=20, max_size=20), SHAPES)
def test_wrong_shapes_are_shown_or_said_not_to_be(shapes, patient):
    _shown_or_said(shapes, patient)


def test_5000_more_wrong_shapes_are_too():
    chance = random.Random(20261128)
    for _ in range(100):
        _shown_or_said([_shape(chance) for _ in range(50)], _shape(chance))


def _shape(chance: random.Random) -> dict:
    kind = chance.choice(
        ["Observation", "Patient", "Condition", "DocumentReference", "ImagingStudy", "Encounter", "Nonsense"]
    )
    elements = chance.sample(ELEMENTS, chance.randint(1, 6))
    return {"resourceType": kind, **{element: _value(chance, 3) for element in elements}}


def _value(chance: random.Random, levels: int):
    what = chance.random()
    if levels == 0 or what < 0.4:
        return chance.choice(
            [None, True, 5, -1.5, Decimal("1E+400"), "", "text", "Patient/1", "2026-01-01", "\ud83d", "#a"]
        )
    if what < 0.65:
        return [_value(chance, levels - 1) for _ in range(chance.randint(0, 3))]
    keys = [
        "coding",
        "code",
        "text",
        "reference",
        "value",
        "div",
        "start",
        "data",
        "contentType",
        "url",
        "family",
        "low",
    ]
    return {key: _value(chance, levels - 1) for key in chance.sample(keys, chance.randint(0, 4))}


def _shown_or_said(shapes: list[dict], patient: dict) -> None:
    resources = [{**each, "id": str(number)} for number, each in enumerate(shapes)]
    person = {**patient, "resourceType": "Patient", "id": "p"}
    made = rendered(person, *resources)
    assert made.resource_count == len(shapes) + 1
    rows = {row.source: row for row in all_rows(made)}
    assert {source for source, row in rows.items() if row.mark == UNSHOWN} == set(made.unshown)
    assert {each.path for each in made.findings if each.cause == "render.record-unshown"} == set(made.unshown)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(SHAPES, min_size=10, max_size=10))
def test_wrong_shapes_make_a_pdf(shapes):
    assert to_pdfs(rendered(PATIENT, *({**each, "id": str(number)} for number, each in enumerate(shapes))))


def _deep(levels: int) -> dict:
    item: dict = {"text": "innermost"}
    for _ in range(levels):
        item = {"linkId": "1", "item": [item]}
    return {"resourceType": "QuestionnaireResponse", "id": "deep", "item": [item]}


@pytest.mark.parametrize("levels", [150, 5000])
def test_a_deep_record_is_shown_or_sent_as_it_came(levels):
    made = rendered(PATIENT, _deep(levels), {"resourceType": "Observation", "id": "o", "valueString": "beside it"})
    rows = {row.source: row for row in all_rows(made)}
    assert "innermost" in words_in(rows["QuestionnaireResponse/deep"]) or made.unshown == (
        "QuestionnaireResponse/deep",
    )
    assert "beside it" in words_in(rows["Observation/o"])


def test_a_correction_says_what_it_is_and_which_records_the_reader_had():
    records = [{"resourceType": "Observation", "id": name, "valueDecimal": Decimal("9.5")} for name in ("old", "new")]
    known = Correction(2, "2026-05-01T10:00:00+02:00", frozenset({"Observation/old"}))
    made = render(manifest=manifest_of(records), resources=records, correction=known, patient=PATIENT)
    assert made.title == "Correction 2 to medical records for a second opinion"
    assert {row.source: row.mark for row in all_rows(made)} == {"Observation/old": CORRECTED, "Observation/new": NEW}
    assert made.patient.startswith("Adaeze Synthetic-Okafor")
    [said] = [value for label, value in made.facts if label == "What this is"]
    assert "1 corrected and 1 new" in said and "2026-05-01" in said
    assert [section.title for section in made.sections] == ["Vital signs and other observations"]


def test_what_was_waived_and_what_was_withdrawn_stands_on_the_cover():
    manifest = manifest_of([PATIENT])
    waived = manifest.items[0].model_copy(update=dict(source="Media/1", kind="waived", why="larger than is taken"))
    gone = manifest.items[0].model_copy(update=dict(source="Observation/2", kind="withdrawn", why="another patient's"))
    manifest = manifest.model_copy(update=dict(items=(*manifest.items, waived, gone)))
    made = render(
        manifest=manifest, resources=[PATIENT], correction=Correction(1, "2026-05-01T10:00:00+02:00", frozenset())
    )
    assert ("Not sent", "Media/1: larger than is taken") in made.facts
    assert ("Withdrawn", "Observation/2: another patient's. Do not use it") in made.facts
