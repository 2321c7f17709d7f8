"""What a consulting program refuses is not gathered, by whichever road it came; a named person may go on all the same."""

from datetime import date

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select, update

import second_opinion
from integration import suitability
from integration.store import operations, requests, revisions
from integration.store.operations import NotPossible
from integration.store.tables import audit, directory_entries, findings, steps
from mappings.codes import SYSTEM_GOOD_REASON, SYSTEM_NPI
from mappings.model.suitability import GoodReason
from tests.jobs.exchange import Exchange, a_request, load_chart

pytestmark = pytest.mark.postgres
REFUSES = 'program: {name: Remote opinions, says: "its page, read 2026-01-05", minimum_age: 70}'
TODAY = date(2026, 3, 2)


@pytest.fixture
def refusing(tmp_path, database):
    made = Exchange(tmp_path, database, at_bob=REFUSES)
    yield made
    made.close()


def submit(exchange: Exchange, **fields) -> str:
    """Taken in as every road does it."""
    request = a_request(**fields)
    with exchange.engine.begin() as conn:
        return requests.take_in(conn, request, actor="test", **exchange.config.intake(request.fulfiller))[0]


def answer(exchange: Exchange, request_id: str, key: str, value: str, reason: str = "asked on the phone"):
    return suitability.answer(
        exchange.engine, exchange.config, request_id, key, value, TODAY, actor="nora", reason=reason
    )


def test_what_the_program_refuses_waits_before_anything_is_gathered(refusing):
    load_chart(refusing, observations=1)
    request_id = submit(refusing)
    assert refusing.parked(request_id) == ["program-refuses"]
    with refusing.engine.begin() as conn:
        [finding] = conn.execute(select(findings).where(findings.c.request_id == request_id)).all()
        assert "Remote opinions does not take this request" in finding.message and "1960" not in finding.message
        step_id = conn.execute(select(steps.c.id).where(steps.c.request_id == request_id)).scalar_one()
        operations.retry_step(conn, step_id, actor="olga", reason="perhaps now")
    refusing.drain()
    assert refusing.parked(request_id) == ["program-refuses"], "a retry is no way round it"


def test_a_named_person_goes_on_with_a_reason_and_takes_it_back(refusing):
    load_chart(refusing, observations=1)
    request_id = submit(refusing)
    with pytest.raises(NotPossible, match="say why"):
        answer(refusing, request_id, "go-on", "yes", " ")
    assert not answer(refusing, request_id, "go-on", "yes", "their desk agreed").judged.stops
    refusing.drain()
    assert refusing.view(request_id)["records"] == "verified"
    with refusing.engine.begin() as conn:
        [row] = conn.execute(select(audit).where(audit.c.action == "suitability.went-on")).all()
    assert (row.actor, row.reason) == ("nora", "their desk agreed")
    [task] = refusing.find("bob", "Task")
    told = " ".join(each["text"] for each in task["note"])
    assert "so says its page, read 2026-01-05" in told and "nora asks all the same: their desk agreed" in told


def test_an_answer_that_refuses_stops_what_is_not_gathered_yet_and_another_lets_it_go_on(tmp_path, database):
    exchange = Exchange(tmp_path, database, at_bob="program: {requires: [plan-of-treatment], in_person: true}")
    try:
        load_chart(exchange, observations=1)
        request_id = submit(exchange)
        assert exchange.parked(request_id) == [], "what is not known stops nothing"
        assert answer(exchange, request_id, "in-person", "no").judged.stops
        assert exchange.parked(request_id) == ["program-refuses"]
        assert not answer(exchange, request_id, "in-person", "yes").judged.stops
        exchange.drain()
        assert exchange.view(request_id)["records"] == "verified"
        with pytest.raises(NotPossible, match="nobody asks that"):
            answer(exchange, request_id, "age", "yes")
        with pytest.raises(NotPossible, match="nothing speaks against"):
            answer(exchange, request_id, "go-on", "yes")
    finally:
        exchange.close()


def test_nobody_goes_on_with_an_emergency(exchange):
    request_id = submit(exchange)
    found = answer(exchange, request_id, "emergency", "yes", "chest pain")
    assert found.judged.is_emergency and exchange.parked(request_id) == ["program-refuses"]
    with pytest.raises(NotPossible, match="911"):
        answer(exchange, request_id, "go-on", "yes")
    assert not answer(exchange, request_id, "emergency", "no", "it was another patient").judged.stops
    assert exchange.parked(request_id) == []


@pytest.mark.long
def test_a_corrected_request_is_held_against_the_program_again(refusing):
    load_chart(refusing, observations=1)
    request_id = submit(refusing)
    with refusing.engine.begin() as conn:
        request = a_request()
        older = request.model_copy(
            update={"patient": request.patient.model_copy(update={"birth_date": date(1940, 1, 1)})}
        )
        revisions.revise(conn, request_id, older, actor="nora", reason="the birth date was mistyped")
    refusing.drain()
    assert "program-refuses" not in refusing.parked(request_id)


@pytest.mark.long
def test_the_good_reasons_become_codes_of_the_request_and_reach_the_consultant(exchange):
    load_chart(exchange, observations=1)
    request_id = submit(exchange)
    suitability.give_reasons(
        exchange.engine,
        exchange.config,
        request_id,
        {GoodReason.UNCLEAR_BENEFIT},
        expected_version=1,
        actor="nora",
        reason="which of the four hold",
    )
    exchange.drain()
    [order] = exchange.find("bob", "ServiceRequest")
    coded = [each for reason in order["reasonCode"] for each in reason.get("coding", ())]
    assert {"unclear-benefit"} == {each["code"] for each in coded if each["system"] == SYSTEM_GOOD_REASON}


@pytest.mark.long
def test_the_commands_show_answer_and_go_on(refusing, tmp_path, database):
    request_id = submit(refusing)
    run = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
    config = ["--config", str(tmp_path / "config.yaml")]
    shown = run.invoke(second_opinion.cli, [*config, "suitability", "show", request_id])
    assert "refused     it takes patients of 70 years and older" in shown.output, shown.output
    done = run.invoke(second_opinion.cli, [*config, "suitability", "go-on", request_id, "--reason", "they agreed"])
    assert done.exit_code == 0 and "went on" in done.output
    assert refusing.parked(request_id) == []


def an_entry(exchange: Exchange, **values) -> int:
    """Dr. Lopez of the directory, in a service that states whom it takes."""
    row = dict(source="fhir:plan", source_id="PractitionerRole/r", file_on=TODAY, family="Lopez", given="Ana")
    row |= dict(name_key="lopez ana", npi="1992979116", state_now="active")
    row |= values
    with exchange.engine.begin() as conn:
        return conn.execute(insert(directory_entries).values(row).returning(directory_entries.c.id)).scalar_one()


def test_what_the_directory_states_refuses_and_holds_for_whom_was_chosen_there_alone(exchange):
    load_chart(exchange, observations=1)
    entry = an_entry(exchange, services=[{"name": "Remote opinions", "minimum_age": 70}])
    request = a_request(consultant={"identifiers": [{"system": SYSTEM_NPI, "value": "1992979116"}]})
    with exchange.engine.begin() as conn:
        request_id, _ = requests.take_in(conn, request, actor="t", entry=entry, **exchange.config.intake("bob"))
    assert exchange.parked(request_id) == ["program-refuses"]
    with exchange.engine.begin() as conn:
        step_id = conn.execute(select(steps.c.id).where(steps.c.request_id == request_id)).scalar_one()
        operations.retry_step(conn, step_id, actor="olga", reason="perhaps now")
    exchange.drain()
    assert exchange.parked(request_id) == ["program-refuses"], "a retry is no way round it"
    other = request.model_copy(update={"consultant": a_request(consultant={"name": {"family": "Other"}}).consultant})
    with exchange.engine.begin() as conn:
        revisions.revise(conn, request_id, other, actor="nora", reason="somebody else is asked")
    exchange.drain()
    assert "program-refuses" not in exchange.parked(request_id)


def test_words_of_the_directory_stop_nothing_until_a_person_says_no(exchange):
    entry = an_entry(exchange, services=[{"eligibility": ["Adults with slides"]}], ended_on=TODAY)
    request = a_request(consultant={"name": {"family": "Lopez", "given": ["Ana"]}})
    with exchange.engine.begin() as conn:
        request_id, _ = requests.take_in(conn, request, actor="t", entry=entry, **exchange.config.intake("bob"))
        conn.execute(update(directory_entries).values(state_now="gone"))
    assert exchange.parked(request_id) == []
    found = suitability.standing(exchange.engine, exchange.config, request_id, TODAY, actor="nora").judged
    [key] = [each.key for each in found.questions if "Adults with slides" in each.text]
    assert "is gone since 2026-03-02" in found.cautions[0]
    assert answer(exchange, request_id, key, "no").judged.stops
    assert exchange.parked(request_id) == ["program-refuses"]


REFUSED = [{"name": "Remote opinions", "minimum_age": 70}]


def asked_of_lopez(exchange: Exchange, entry: int | None = None, name: dict | None = None) -> str:
    """By NPI, as a file, an order or a person who types does it."""
    consultant = {"identifiers": [{"system": SYSTEM_NPI, "value": "1992979116"}], "name": name}
    with exchange.engine.begin() as conn:
        request = a_request(consultant=consultant)
        return requests.take_in(conn, request, actor="t", entry=entry, **exchange.config.intake("bob"))[0]


def judged(exchange: Exchange, request_id: str):
    return suitability.standing(exchange.engine, exchange.config, request_id, TODAY, actor="nora").judged


def test_a_consultant_whose_npi_the_directory_knows_is_held_against_what_it_states(exchange):
    load_chart(exchange, observations=1)
    entry = an_entry(exchange, services=REFUSED)
    request_id = asked_of_lopez(exchange, name={"family": "López-Díaz"})
    assert exchange.parked(request_id) == ["program-refuses"]
    [refusal] = judged(exchange, request_id).refusals
    assert f"as entry {entry} of the directory by the NPI (fhir:plan, 2026-03-02) lists" in refusal.sentence
    with exchange.engine.begin() as conn:
        step_id = conn.execute(select(steps.c.id).where(steps.c.request_id == request_id)).scalar_one()
        operations.retry_step(conn, step_id, actor="olga", reason="perhaps now")
    exchange.drain()
    assert exchange.parked(request_id) == ["program-refuses"], "gathering asks it too"


def another(source: str, **values) -> dict:
    return dict(source=source, source_id="PractitionerRole/s", **values)


@pytest.mark.parametrize(
    "others, name, why",
    [
        ([another("fhir:other", services=[{"eligibility": ["Adults"]}])], None, "two places state different things"),
        ([], {"family": "Miller"}, "the number is another person's"),
        ([another("fhir:other", family="Miller", services=REFUSED)], {"family": "Lopez"}, "two people have the number"),
    ],
)
def test_an_npi_that_does_not_say_which_service_is_meant_refuses_nothing(exchange, others, name, why):
    for each in ({"services": REFUSED}, *others):
        an_entry(exchange, **each)
    request_id = asked_of_lopez(exchange, name=name)
    assert exchange.parked(request_id) == [] and judged(exchange, request_id).listed is None, why


@pytest.mark.parametrize(
    "values", [{"state_now": "gone", "ended_on": TODAY}, {"endpoint": "charlie"}, {"services": None}]
)
def test_an_entry_that_is_gone_of_another_practice_or_without_a_service_is_not_found_by_the_npi(exchange, values):
    an_entry(exchange, **{"services": REFUSED} | values)
    assert judged(exchange, asked_of_lopez(exchange)).listed is None


def test_of_several_entries_of_an_npi_the_one_at_the_practice_that_is_asked_counts(exchange):
    an_entry(exchange, services=[{"minimum_age": 1}])
    here = an_entry(exchange, **another("fhir:other", services=REFUSED, endpoint="bob"))
    an_entry(exchange, **another("nppes"))
    assert f"entry {here} " in judged(exchange, asked_of_lopez(exchange)).listed.says


def test_two_directories_that_state_the_same_are_one_word(exchange):
    an_entry(exchange, services=REFUSED)
    an_entry(exchange, **another("fhir:other", services=REFUSED))
    assert judged(exchange, asked_of_lopez(exchange)).stops


def test_who_was_chosen_from_a_source_without_services_is_held_against_another_source_and_no_other_place(exchange):
    chosen = an_entry(exchange, **another("nppes"))
    an_entry(exchange, services=REFUSED)
    request_id = asked_of_lopez(exchange, entry=chosen)
    assert exchange.parked(request_id) == ["program-refuses"]
    with exchange.engine.begin() as conn:
        conn.execute(update(directory_entries).where(directory_entries.c.id == chosen).values(source="fhir:plan"))
    assert judged(exchange, request_id).listed is None
