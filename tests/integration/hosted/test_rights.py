"""Scopes are held against every interaction of the hosted endpoint, and there is no way around them."""

import pytest

from integration import fhir_json
from integration.hosted.blueprint import INTERACTIONS
from integration.hosted.finding import matching
from integration.hosted.query import read_query
from integration.hosted.rights import Caller, of_scopes
from integration.hosted.scopes import LETTERS, read_scopes
from tests.integration.hosted.conftest import (
    BASE,
    Practice,
    identified,
    make_app,
    outcome,
    patient,
    post,
    transaction_of,
)

ALICE, BOB = "Patient/alice", "Patient/bob"


@pytest.fixture
def scoped(engine):
    """Oakwood for a token with these scopes."""

    def with_scopes(scopes: str) -> Practice:
        rights = of_scopes(read_scopes(scopes), f"{BASE}/oakwood")
        return Practice(make_app(engine, admit=lambda slug: Caller("client lab", rights)).test_client(), "oakwood")

    return with_scopes


def observation(subject: str = ALICE, status: str = "final", **more) -> dict:
    return identified(
        "Observation", more.pop("value", "1"), status=status, subject={"reference": subject}, code={"text": "synthetic"}, **more
    )  # fmt: skip


def put(resource: dict) -> dict:
    address = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": address}}


def refused(response) -> None:
    issue = outcome(response, 403)
    assert issue["code"] == "forbidden"
    assert response.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


def unknown(response) -> str:
    """What is answered about a resource that is not here."""
    assert outcome(response, 404)["code"] == "not-found"
    return fhir_json.loads(response.data)["issue"][0]["diagnostics"]


def requests_of(id_: str, type_: str = "Observation") -> dict[str, list[tuple]]:
    """For each letter every request that needs it, and no other."""
    resource = observation() if type_ == "Observation" else {"resourceType": type_}
    return {
        "c": [("POST", type_, resource), ("POST", "", transaction_of(post(resource)))],
        "r": [("GET", f"{type_}/{id_}"), ("HEAD", f"{type_}/{id_}"), ("GET", f"{type_}/{id_}/_history/1")],
        "u": [("PUT", f"{type_}/{id_}", resource | {"id": id_}), ("POST", "", transaction_of(put(resource | {"id": id_})))],
        "s": [("GET", type_), ("GET", f"{type_}?_count=0"), ("GET", f"{type_}?_id={id_}")],
    }  # fmt: skip


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("type_", ["Observation", "*"])
def test_a_letter_opens_its_own_interactions_and_no_other(oakwood, scoped, letter, type_):
    id_ = oakwood.create(observation())["id"]
    mine = scoped(f"system/{type_}.{letter}")
    for needed, requests in requests_of(id_).items():
        for request in requests:
            answer = mine.send(*request)
            assert (answer.status_code < 300) is (needed == letter), (letter, request[:2], answer.status_code)
            if needed != letter and request[0] != "HEAD":
                refused(answer)


def test_a_type_without_a_scope_is_refused_for_all(oakwood, scoped):
    """The resource exists, or it does not: the answer is the same."""
    there, mine = oakwood.create(patient())["id"], scoped("system/Observation.cruds")
    for id_ in (there, "nobody"):
        for requests in requests_of(id_, "Patient").values():
            for request in requests:
                assert mine.send(*request).status_code == 403, request[:2]
    assert (
        oakwood.get("Patient")["total"] == 1
        and oakwood.get("Patient")["entry"][0]["resource"]["meta"]["versionId"] == "1"
    )


def test_every_interaction_says_which_letter_it_needs():
    """A new one without a letter would be open to every token: it stands in the table, or its entries are checked."""
    assert {each.code for each in INTERACTIONS if each.scope == ""} == {"capabilities", "transaction"}
    assert all(each.scope in LETTERS for each in INTERACTIONS)


def test_capabilities_need_a_token_and_no_scope(scoped):
    assert scoped("system/Observation.d").get("metadata")["resourceType"] == "CapabilityStatement"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "Observation/{id}"),
        ("DELETE", "Observation?identifier=x"),
        ("PUT", "Observation?identifier=x"),
        ("PATCH", "Observation/{id}"),
        ("GET", "Observation/{id}/_history"),
        ("GET", "Observation/_history"),
        ("GET", "_history"),
        ("GET", "$export"),
        ("GET", "Patient/{id}/$everything"),
        ("POST", "$process-message"),
        ("POST", "Observation/_search"),  # not as a form: its words would go unread
        ("GET", "?_type=Patient,Observation"),
        ("GET", "Observation?_include=Observation:subject"),
        ("GET", "Observation?_revinclude=Provenance:target"),
        ("GET", "Observation?subject.name=x"),
        ("GET", "Observation?_has:Observation:patient:code=x"),
        ("GET", "Observation?_filter=x"),
    ],
)
def test_what_is_not_offered_is_no_way_around(oakwood, scoped, method, path):
    """Deletes, operations, includes, history of many, batch: refused for everybody, whatever the scopes are."""
    id_ = oakwood.create(observation())["id"]
    for scopes in ("system/*.cruds", "system/Observation.rs?status=final"):
        answer = scoped(scopes).send(
            method, path.format(id=id_), observation() if method in ("PUT", "PATCH", "POST") else None
        )
        assert answer.status_code in (400, 403, 404, 405, 415), (scopes, answer.status_code)
        assert b"synthetic" not in answer.data
    assert oakwood.get(f"Observation/{id_}")["meta"]["versionId"] == "1"


def test_an_include_that_a_lenient_search_leaves_out_brings_nothing(oakwood, scoped):
    someone = oakwood.create(patient())["id"]
    oakwood.create(observation(f"Patient/{someone}"))
    page = scoped("system/Observation.rs").get("Observation?_include=Observation:subject", Prefer="handling=lenient")
    assert [entry["resource"]["resourceType"] for entry in page["entry"]] == ["Observation"]


def test_a_batch_is_refused(scoped):
    batch = transaction_of(post(observation())) | {"type": "batch"}
    assert scoped("system/*.cruds").send("POST", "", batch).status_code == 400


def test_a_transaction_is_refused_whole_for_one_entry_and_names_it(oakwood, scoped):
    mine = scoped("system/Observation.c system/Patient.r")
    answer = mine.send("POST", "", transaction_of(post(observation()), post(patient())))
    assert outcome(answer, 403)["expression"] == ["Bundle.entry[1]"]
    assert "total" in (page := oakwood.get("Observation")) and page["total"] == 0


@pytest.fixture
def two(oakwood) -> dict[str, str]:
    """A final observation of Alice and a preliminary one of Bob."""
    made = [oakwood.create(observation(ALICE, value="a")), oakwood.create(observation(BOB, "preliminary", value="b"))]
    return {"in": made[0]["id"], "out": made[1]["id"]}


@pytest.mark.parametrize(
    "search",
    [
        "status=final",
        "status=final,amended",
        "patient=Patient/alice",
        "patient=alice",
        f"patient={BASE}/oakwood/Patient/alice",
        "subject=Patient/alice&status=final",
        "identifier=https://second-opinion.example/ids|a",
        "identifier=|a,https://second-opinion.example/ids|a",
    ],
)
def test_a_search_in_a_scope_filters_search_and_read_alike(two, scoped, search):
    mine = scoped(f"system/Observation.rs?{search}")
    assert mine.ids("Observation") == [two["in"]]
    assert mine.get("Observation?_count=0")["total"] == 1
    assert mine.get(f"Observation?_id={two['out']}")["total"] == 0
    assert mine.get("Observation?status=preliminary")["total"] == 0
    for form, total in ((b"", 1), (f"_id={two['out']}".encode(), 0), (b"status=preliminary", 0)):
        posted = mine.send("POST", "Observation/_search", form, Content_Type="application/x-www-form-urlencoded")
        assert fhir_json.loads(posted.data)["total"] == total, form
    mine.get(f"Observation/{two['in']}")
    not_here = unknown(mine.send("GET", "Observation/not-here"))
    for path in (f"Observation/{two['out']}", f"Observation/{two['out']}/_history/1"):
        assert unknown(mine.send("GET", path)) == not_here, "as if it were not here"


def test_a_read_sees_what_a_search_sees_at_whichever_address_it_comes(engine, oakwood):
    """From inside, behind the proxy, the endpoint has another address than the one that stands in references."""
    id_ = oakwood.create(observation(f"{BASE}/oakwood/{ALICE}"))["id"]
    inside = of_scopes(
        read_scopes("system/Observation.rus?patient=Patient/alice"), "http://127.0.0.1:8080/fhir/oakwood"
    )
    mine = Practice(make_app(engine, admit=lambda slug: Caller("client lab", inside)).test_client(), "oakwood")
    assert mine.ids("Observation") == [id_]
    mine.get(f"Observation/{id_}")
    assert mine.send("PUT", f"Observation/{id_}", observation() | {"id": id_}).status_code == 200


@pytest.mark.parametrize("patients", [["alice"], ["alice", "bob"]], ids="-".join)
def test_scopes_of_few_resources_lead_the_search(patients):
    """A client that may see two patients of 200,000 resources is not made to wait until all of them have been looked at."""
    query = read_query("Observation", "status=final", base=BASE)
    scopes = " ".join(f"system/Observation.s?patient=Patient/{each}" for each in patients)
    query.within = of_scopes(read_scopes(scopes), BASE).searches("s", "Observation")
    statement = str(matching("oakwood", query).compile(compile_kwargs={"literal_binds": True}))
    assert statement.count("lead.param = 'patient'") == 1 and all(f"'{each}'" in statement for each in patients)


@pytest.mark.parametrize(
    ("scopes", "found"),
    [
        ("system/Observation.s?patient=Patient/alice system/Observation.s?patient=Patient/bob", {"in", "out"}),
        ("system/Observation.s?patient=Patient/alice system/Observation.s?patient=Patient/charlie", {"in"}),
        ("system/Observation.s?patient=Patient/alice system/Observation.s?status=preliminary", {"in", "out"}),
        ("system/Observation.s?patient=Patient/bob&status=final system/Observation.s?patient=Patient/charlie", set()),
        ("system/Observation.s?_id=nobody system/Observation.s?patient=Patient/alice", {"in"}),
        ("system/Observation.s?_id=nobody", set()),
    ],
)
def test_several_searches_find_what_each_of_them_finds(two, scoped, scopes, found):
    mine = scoped(scopes)
    for search in ("Observation", "Observation?status=final,preliminary", "Observation?_count=1"):
        assert set(mine.ids(search)) == {two[each] for each in found}, search
    assert mine.get("Observation?_count=0")["total"] == len(found)


def test_ids_and_times_in_a_scope_filter_too(two, scoped):
    assert scoped(f"system/Observation.rs?_id={two['in']}").ids("Observation") == [two["in"]]
    for time, found in (("ge2020", 2), ("lt2020", 0), ("ne2020", 2)):
        mine = scoped(f"system/Observation.rs?_lastUpdated={time}")
        assert len(mine.ids("Observation")) == found
        assert mine.send("GET", f"Observation/{two['in']}").status_code == (200 if found else 404)


def test_of_several_scopes_one_is_enough(two, scoped):
    mine = scoped("system/Observation.rs?status=final system/Observation.r?patient=Patient/bob system/Task.rs")
    assert mine.ids("Observation") == [two["in"]], "what may be read may not be searched for"
    mine.get(f"Observation/{two['out']}")
    both = scoped("system/Observation.rs?status=final system/Observation.rs?patient=Patient/bob")
    assert sorted(both.ids("Observation?_count=1")) == sorted(two.values()), "on every page"
    assert len(scoped("system/Observation.rs?status=final system/*.rs").ids("Observation")) == 2


def test_what_is_created_lies_within_the_search(oakwood, scoped):
    mine = scoped("system/Observation.c?status=final")
    assert mine.send("POST", "Observation", observation()).status_code == 201
    refused(mine.send("POST", "Observation", observation(status="preliminary")))
    answer = mine.send(
        "POST", "", transaction_of(post(observation(value="2")), post(observation(status="amended", value="3")))
    )
    assert outcome(answer, 403)["expression"] == ["Bundle.entry[1]"]
    assert len(oakwood.ids("Observation")) == 1


def test_an_update_lies_within_the_search_before_and_after(two, oakwood, scoped):
    mine = scoped("system/Observation.u?status=final")
    inside, outside = observation() | {"id": two["in"]}, observation(BOB) | {"id": two["out"]}
    not_here = mine.send("PUT", "Observation/not-here", observation() | {"id": "not-here"})
    taken = mine.send("PUT", f"Observation/{two['out']}", outside)
    assert unknown(taken).replace(two["out"], "not-here") == unknown(not_here), "what is not shown is not taken either"
    refused(mine.send("PUT", f"Observation/{two['in']}", inside | {"status": "preliminary"}))
    refused(mine.send("POST", "", transaction_of(put(inside | {"status": "preliminary"}))))
    assert mine.send("POST", "", transaction_of(put(outside))).status_code == 404
    assert mine.send("PUT", f"Observation/{two['in']}", inside).status_code == 200
    versions = {id_: oakwood.get(f"Observation/{id_}")["meta"]["versionId"] for id_ in two.values()}
    assert versions == {two["in"]: "2", two["out"]: "1"}


def test_if_match_tells_nothing_of_what_is_not_shown(two, scoped):
    mine = scoped("system/Observation.u?status=final")
    answer = mine.send("PUT", f"Observation/{two['out']}", observation() | {"id": two["out"]}, If_Match='W/"7"')
    assert answer.status_code == 404


def test_an_old_version_is_shown_when_it_and_the_newest_lie_within(oakwood, scoped):
    made = oakwood.create(observation(status="preliminary"))
    path = f"Observation/{made['id']}"
    oakwood.send("PUT", path, observation() | {"id": made["id"]})
    mine, other = scoped("system/Observation.r?status=final"), scoped("system/Observation.r?status=preliminary")
    assert mine.send("GET", f"{path}/_history/2").status_code == 200
    assert mine.send("GET", f"{path}/_history/1").status_code == 404
    assert other.send("GET", f"{path}/_history/1").status_code == 404
    assert other.send("GET", path).status_code == 404


CONDITION = "identifier=https://second-opinion.example/ids|b"


@pytest.mark.parametrize("in_a_transaction", [False, True], ids=["alone", "in a transaction"])
def test_a_conditional_create_needs_to_search_and_shows_nothing_outside(two, oakwood, scoped, in_a_transaction):
    def create(mine: Practice):
        again = observation(BOB, "preliminary", value="b")
        if in_a_transaction:
            return mine.send("POST", "", transaction_of(post(again, ifNoneExist=CONDITION)))
        return mine.send("POST", "Observation", again, If_None_Exist=CONDITION)

    refused(create(scoped("system/Observation.c")))
    answer = create(scoped("system/Observation.c system/Observation.s?status=final"))
    refused(answer)
    assert two["out"] not in answer.text and "Location" not in answer.headers
    assert create(scoped("system/Observation.cs")).status_code == 200
    assert len(oakwood.ids("Observation")) == 2, "and never a second one of the same"


def test_a_conditional_create_that_finds_nothing_needs_to_search_too(scoped):
    """Else what is refused and what is not would tell whether there is one."""
    new = observation(value="b")
    refused(scoped("system/Observation.c").send("POST", "Observation", new, If_None_Exist=CONDITION))
    refused(scoped("system/Observation.c").send("POST", "", transaction_of(post(new, ifNoneExist=CONDITION))))
    assert scoped("system/Observation.cs").send("POST", "Observation", new, If_None_Exist=CONDITION).status_code == 201
