"""Search: every parameter, pages that lose nothing, and what is refused."""

from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from integration.hosted.finding import matching
from integration.hosted.query import MAX_COUNT, read_query
from tests.integration.hosted.conftest import outcome, patient, post, transaction_of

MRN = "https://oakwood.example/mrn"


def test_it_finds_by_identifier_in_every_form(oakwood):
    one = oakwood.create(patient("1"))["id"]
    bare = oakwood.create({"resourceType": "Patient", "identifier": [{"value": "1"}]})["id"]
    oakwood.create(patient("2"))
    assert oakwood.ids(f"Patient?identifier={quote(MRN + '|1')}") == [one]
    assert oakwood.ids("Patient?identifier=1") == [one, bare]
    assert oakwood.ids("Patient?identifier=|1") == [bare]
    assert len(oakwood.ids(f"Patient?identifier={quote(MRN + '|')}")) == 2
    assert len(oakwood.ids("Patient?identifier=1,2")) == 3
    assert oakwood.ids("Patient?identifier=1&identifier=2") == []
    assert oakwood.ids("Patient?identifier=other|1") == []


@pytest.mark.parametrize("value", ["a,b", "a|b", "a$b", "a\\b", "x" * 3000, "ключ", "a\u0000b", "a+b c&d=e%"])
def test_it_finds_unusual_identifiers(oakwood, value):
    stored = oakwood.create(patient(value))["id"]
    escaped = "".join("\\" + letter if letter in "\\,|$" else letter for letter in value)
    assert oakwood.ids(f"Patient?identifier={quote(MRN + '|' + escaped, safe='')}") == [stored]


def test_single_and_master_identifiers_count_too(oakwood):
    composition = oakwood.create({"resourceType": "Composition", "identifier": {"system": "s", "value": "1"}})
    document = oakwood.create({"resourceType": "DocumentReference", "masterIdentifier": {"system": "s", "value": "2"}})
    assert oakwood.ids("Composition?identifier=s|1") == [composition["id"]]
    assert oakwood.ids("DocumentReference?identifier=s|2") == [document["id"]]


def test_it_finds_by_reference_in_every_form(oakwood):
    wanted = [
        oakwood.create({"resourceType": "Observation", "subject": {"reference": reference}})["id"]
        for reference in ("Patient/p1", f"{oakwood.base}/Patient/p1", "Patient/p1/_history/3")
    ]
    group = oakwood.create({"resourceType": "Observation", "subject": {"reference": "Group/p1"}})["id"]
    oakwood.create({"resourceType": "Observation", "subject": {"reference": "https://else.example/Patient/p1"}})
    oakwood.create({"resourceType": "Observation", "subject": {"reference": "#p1"}})
    for search in (
        "patient=p1",
        "patient=Patient/p1",
        "subject=Patient/p1",
        f"subject={quote(oakwood.base)}/Patient/p1",
    ):
        assert oakwood.ids(f"Observation?{search}") == wanted
    assert oakwood.ids("Observation?subject=p1") == [*wanted, group]
    assert len(oakwood.ids("Observation?subject=https://else.example/Patient/p1")) == 1


def test_a_task_is_found_by_its_patient_focus_and_authority(oakwood):
    task = oakwood.create(
        {
            "resourceType": "Task",
            "status": "requested",
            "for": {"reference": "Patient/p"},
            "focus": {"reference": "ServiceRequest/s"},
            "basedOn": [{"reference": "ServiceRequest/b"}],
        }
    )
    for search in (
        "patient=p",
        "subject=Patient/p",
        "focus=ServiceRequest/s",
        "based-on=ServiceRequest/b",
        "focus=s&based-on=b&patient=p&status=requested,accepted",
    ):
        assert oakwood.ids(f"Task?{search}") == [task["id"]]
    assert oakwood.ids("Task?focus=s&status=accepted") == []


def test_a_document_is_found_by_type_and_what_it_relates_to(oakwood):
    concept = {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}
    document = oakwood.create(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "type": concept,
            "context": {"related": [{"reference": "ServiceRequest/s"}]},
        }
    )
    for search in (
        "related=ServiceRequest/s",
        "type=11488-4",
        "type=http://loinc.org|11488-4",
        "type=http://loinc.org|11488-4&related=s&status=current",
    ):
        assert oakwood.ids(f"DocumentReference?{search}") == [document["id"]]
    assert oakwood.ids("DocumentReference?type=http://snomed.info/sct|11488-4") == []


def test_a_plain_code_matches_with_any_system(oakwood):
    task = oakwood.create({"resourceType": "Task", "status": "requested"})["id"]
    assert oakwood.ids("Task?status=http://hl7.org/fhir/task-status|requested") == [task]


def test_people_are_found_by_name_birth_date_and_gender(oakwood):
    jose = oakwood.create(
        patient(
            "1",
            name=[{"family": "Alcántar Ruiz", "given": ["Lourdes", "María"]}],
            birthDate="1970-05-31",
            gender="female",
        )
    )["id"]
    other = oakwood.create(patient("2", name=[{"text": "Lou Ferrous"}], birthDate="1970-05", gender="male"))["id"]
    for search in (
        "family=alcantar",
        "family=ALCÁNTAR",
        "given=maria",
        "given=Lourdes&gender=female",
        "birthdate=1970-05-31",
        "birthdate=eq1970-05-31",
    ):
        assert oakwood.ids(f"Patient?{search}") == [jose], search
    assert oakwood.ids("Patient?name=lou") == [jose, other]
    assert oakwood.ids("Patient?birthdate=1970-05") == [jose, other]
    assert oakwood.ids("Patient?family=ruiz") == []


def test_it_finds_by_id_and_time_together(oakwood):
    first, second = oakwood.create(patient("1")), oakwood.create(patient("2"))
    assert oakwood.ids(f"Patient?_id={first['id']},{second['id']},nobody") == [first["id"], second["id"]]
    assert oakwood.ids(f"Patient?_id={first['id']}&identifier=2") == []
    assert oakwood.ids(f"Patient?_id={first['id']}&_id={second['id']}") == []
    assert oakwood.ids(f"Patient?_id={first['id']}&identifier=1&_lastUpdated=gt2024") == [first["id"]]


def test_last_updated_takes_all_prefixes(oakwood):
    first, second, third = (oakwood.create(patient(str(number))) for number in range(3))
    ids = [one["id"] for one in (first, second, third)]
    at = second["meta"]["lastUpdated"]
    for prefix, found in {
        "": ids[1:2],
        "eq": ids[1:2],
        "ne": [ids[0], ids[2]],
        "gt": ids[2:],
        "ge": ids[1:],
        "lt": ids[:1],
        "le": ids[:2],
        "sa": ids[2:],
        "eb": ids[:1],
    }.items():
        assert oakwood.ids(f"Patient?_lastUpdated={prefix}{at}") == found, prefix
    assert (
        oakwood.ids(
            f"Patient?_lastUpdated=gt{first['meta']['lastUpdated']}&_lastUpdated=lt{third['meta']['lastUpdated']}"
        )
        == ids[1:2]
    )
    assert oakwood.ids(f"Patient?identifier=0,1,2&_lastUpdated=ge{at}") == ids[1:]


def test_last_updated_reads_zones_and_coarse_times(oakwood):
    stored = oakwood.create(patient())
    year = stored["meta"]["lastUpdated"][:4]
    day = stored["meta"]["lastUpdated"][:10]
    for value in (
        year,
        day[:7],
        day,
        f"ge{day}T00:00:00-00:00",
        f"ge{day}T00:00:00 00:00",
        f"le{int(year) + 1}",
        f"ge{day}T00:00Z",
        f"gt{int(year) - 1}-12-31T23:59:59.123%2B14:00",
    ):
        assert oakwood.ids(f"Patient?_lastUpdated={value}") == [stored["id"]], value
    assert oakwood.ids(f"Patient?_lastUpdated=gt{year}") == []


def test_pages_lose_none_of_many_rows_of_one_millisecond(oakwood):
    made = oakwood.send("POST", "", transaction_of(*(post(patient("same")) for _ in range(1000))))
    ids = {entry["response"]["location"].split("/")[1] for entry in made.json["entry"]}
    for search in ("Patient?_count=7", "Patient?identifier=same&_count=300", "Patient?_count=333&_lastUpdated=gt2024"):
        found = oakwood.ids(search)
        assert len(found) == 1000 and set(found) == ids
    assert len({each["resource"]["meta"]["lastUpdated"] for each in oakwood.get("Patient?_count=500")["entry"]}) == 1


def test_a_resource_changed_while_paging_is_seen_again_not_lost(oakwood):
    stored = [oakwood.create(patient(str(number))) for number in range(4)]
    page = oakwood.get("Patient?_count=2")
    oakwood.send("PUT", f"Patient/{stored[2]['id']}", stored[2])
    rest = oakwood.get(page["link"][1]["url"])
    assert [each["resource"]["id"] for each in rest["entry"]] == [stored[3]["id"], stored[2]["id"]]


def test_a_page_says_what_was_asked(oakwood):
    for number in range(3):
        oakwood.create(patient(str(number)))
    page = oakwood.get("Patient?identifier=0,1,2&_count=2")
    assert page["type"] == "searchset" and "total" not in page
    assert page["link"][0] == {"relation": "self", "url": f"{oakwood.base}/Patient?identifier=0%2C1%2C2&_count=2"}
    assert page["entry"][0]["search"] == {"mode": "match"}
    assert page["entry"][0]["fullUrl"] == f"{oakwood.base}/Patient/{page['entry'][0]['resource']['id']}"
    assert oakwood.get("Patient")["total"] == 3
    assert oakwood.get("Task") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0,
        "link": [{"relation": "self", "url": f"{oakwood.base}/Task"}],
    }
    nothing = oakwood.get("Patient?identifier=0,1&_count=0")
    assert nothing["total"] == 2 and "entry" not in nothing


def test_a_large_count_is_cut_and_said(oakwood):
    assert f"_count={MAX_COUNT}" in oakwood.get("Patient?_count=100000")["link"][0]["url"]


def test_one_resource_that_matches_twice_is_listed_once(oakwood):
    stored = oakwood.create(
        {"resourceType": "Patient", "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "1"}]}
    )
    assert oakwood.ids("Patient?identifier=1,a|1") == [stored["id"]]


def test_an_unknown_parameter_is_refused_with_those_that_exist(oakwood):
    issue = outcome(oakwood.send("GET", "Task?identifer=1"), 400)
    assert "Did you mean 'identifier'?" in issue["diagnostics"] and "based-on" in issue["diagnostics"]
    outcome(oakwood.send("GET", "Task?family=x"), 400)
    for search in ("subject:Patient=1", "patient.name=x", "identifier:not=1"):
        assert "modifiers and chains" in outcome(oakwood.send("GET", f"Task?{search}"), 400)["diagnostics"]


def test_lenient_handling_leaves_unknown_parameters_out_of_the_self_link(oakwood):
    oakwood.create(patient())
    page = oakwood.get("Patient?shoe-size=44&identifier=1", Prefer="respond-async, handling=lenient")
    assert page["total"] == 1
    assert page["link"][0]["url"] == f"{oakwood.base}/Patient?identifier=1"
    outcome(oakwood.send("GET", "Patient?shoe-size=44", Prefer="handling=strict"), 400)


@pytest.mark.parametrize(
    "search",
    [
        "_lastUpdated=yesterday",
        "_lastUpdated=ap2024",
        "_lastUpdated=2024-13",
        "_lastUpdated=9999",
        "_count=-1",
        "_count=x",
        "_page=x",
        "_page=eA==",
        "identifier=",
        "identifier=|",
        "birthdate=ge1970",
        "name=%CC%81",
        "identifier=%ff",
        "_id=,",
        "identifier=" + "&identifier=".join("x" * 101),
    ],
)
def test_it_refuses_values_it_cannot_read(oakwood, search):
    outcome(oakwood.send("GET", f"Patient?{search}"), 400)


def test_searches_run_along_an_index(engine, oakwood):
    with engine.begin() as connection:
        connection.execute(text(_MANY))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE hosted_resources, hosted_index"))
    for search, index in {
        "identifier=i|77": "hosted_index_by_value",
        "patient=p7": "hosted_index_by_value",
        "patient=p7&status=final": "hosted_index_by_value",
        "_lastUpdated=ge2024-05-01": "hosted_resources_by_time",
        "status=final&_lastUpdated=ge2024-05-01": "hosted_index_by_value",
        "_id=77": "hosted_resources_pkey",
    }.items():
        query = read_query("Observation", search, base=oakwood.base)
        statement = (
            matching("oakwood", query)
            .limit(101)
            .compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        )
        with engine.begin() as connection:
            plan = "\n".join(
                row[0]
                for row in connection.exec_driver_sql("EXPLAIN (ANALYZE, BUFFERS) " + str(statement).replace("%", "%%"))
            )
        assert index in plan and "Seq Scan" not in plan, f"{search}\n{plan}"


_MANY = """
WITH rows AS (SELECT n, '2024-01-01Z'::timestamptz + n * interval '1 minute' AS at FROM generate_series(1, 20000) n),
resources AS (INSERT INTO hosted_resources (practice, type, id, version, updated_at)
              SELECT 'oakwood', 'Observation', n::text, 1, at FROM rows)
INSERT INTO hosted_index (practice, type, id, param, system, value, updated_at)
SELECT 'oakwood', 'Observation', n::text, param, system, value, at FROM rows, LATERAL (VALUES
    ('identifier', 'i', n::text), ('patient', 'Patient', 'p' || n % 200), ('subject', 'Patient', 'p' || n % 200),
    ('status', '*', 'final')) AS found (param, system, value)
"""


def test_a_search_in_a_form_answers_as_one_in_the_address_and_a_clinician_is_found_by_name(oakwood):
    one = oakwood.create(patient("1"))["id"]
    doctor = oakwood.create({"resourceType": "Practitioner", "name": [{"family": "Example"}]})["id"]
    form = "application/x-www-form-urlencoded"
    found = oakwood.send("POST", "Patient/_search", f"identifier={quote(MRN + '|1')}".encode(), Content_Type=form)
    assert [each["resource"]["id"] for each in found.json["entry"]] == [one]
    found = oakwood.send("POST", "Practitioner/_search", b"family=exa", Content_Type=form)
    assert [each["resource"]["id"] for each in found.json["entry"]] == [doctor]
    assert oakwood.send("POST", "Patient/_search?identifier=1", b"", Content_Type=form).status_code == 400
    assert oakwood.send("POST", "Patient/_search", b"{}").status_code == 415
    assert oakwood.send("POST", "Patient/_search", b"colour=red", Content_Type=form).status_code == 400
