"""Another provider's records under names of our own: whose they are, what they point to, and what the chart has itself."""

from hypothesis import given
from hypothesis import strategies as st

from mappings.elsewhere import Origin, is_of, name_of, said_origin, same_records, translated
from mappings.received import is_received

LAB = Origin(7, "County Lab", "urn:lab", ("https://lab.example.org/fhir", "http://lab.internal/fhir"), "Patient/p1")


def observation(id_="o1", **more):
    return {"resourceType": "Observation", "id": id_, "subject": {"reference": "Patient/p1"}, **more}


def of_lab(*resources, same=None):
    found = {f"{each['resourceType']}/{each['id']}": each for each in resources}
    return dict(translated(found.items(), found, LAB, "Patient/ours", same or {}))


def test_a_record_is_about_the_charts_patient_under_a_name_of_ours_and_says_where_it_is_from():
    [(name, made)] = of_lab(observation()).items()
    assert name == name_of(7, "Observation/o1") == f"Observation/{made['id']}" and is_received(name) and is_of(7, name)
    assert made["subject"] == {"reference": "Patient/ours"} and said_origin(made) == "County Lab"
    assert made["identifier"] == [
        {"system": "urn:lab", "value": "Observation/o1", "assigner": {"display": "County Lab"}}
    ]
    assert said_origin(observation()) == "" and not is_of(70, name)


def test_what_it_points_to_follows_and_what_is_not_there_is_named_at_its_own_server():
    points = {
        "performer": [
            {"reference": "Practitioner/d1"},
            {"reference": "http://lab.internal/fhir/Practitioner/d1"},
            {"reference": "Organization/held"},
        ],
        "encounter": {"reference": "Encounter/gone"},
        "specimen": {"reference": "https://other.example.org/fhir/Specimen/1"},
    }
    doctor = {"resourceType": "Practitioner", "id": "d1"}
    held = {"resourceType": "Organization", "id": "held"}
    found = of_lab(observation(**points), doctor, held, same={"Organization/held": "Organization/ours"})
    made, there = found[name_of(7, "Observation/o1")], name_of(7, "Practitioner/d1")
    assert [each["reference"] for each in made["performer"]] == [there, there, "Organization/ours"]
    assert made["encounter"]["reference"] == "https://lab.example.org/fhir/Encounter/gone"
    assert made["specimen"]["reference"] == "https://other.example.org/fhir/Specimen/1"
    assert len(found) == 2  # what the chart has itself is not there twice


def test_the_patient_there_is_never_a_record():
    assert of_lab({"resourceType": "Patient", "id": "p1"}) == {}


def test_only_a_number_that_names_one_record_on_each_side_says_that_it_is_the_same():
    one, shared = [{"system": "urn:a", "value": "1"}], [{"system": "urn:a", "value": "2"}]
    theirs = [
        ("Observation/o1", observation(identifier=one)),
        ("Observation/o2", observation("o2", identifier=shared)),
        ("Observation/o3", observation("o3", identifier=shared)),
        ("Condition/c1", {"resourceType": "Condition", "identifier": one}),
        ("Patient/p1", {"resourceType": "Patient", "identifier": one}),
        ("Observation/o5", observation("o5", identifier=[{"system": "urn:ours", "value": "Observation/b"}])),
    ]
    ours = [
        ("Observation/a", observation("a", identifier=one)),
        ("Observation/b", observation("b", identifier=shared)),
        ("Patient/x", {"resourceType": "Patient", "identifier": one}),
    ]
    assert same_records(ours, theirs, "urn:ours") == {
        "Observation/o1": "Observation/a",
        "Observation/o5": "Observation/b",  # a copy of it, by the identifier that it travels with
    }


@given(st.integers(1, 2**62), st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True))
def test_a_name_is_a_fhir_id_and_tells_its_row(number, id_):
    name = name_of(number, f"Observation/{id_}")
    assert len(name.partition("/")[2]) <= 64 and is_of(number, name)
