"""An insurer's own system, over HTTP: asked once because a person pressed the button, and believed in what it says alone."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

import second_opinion
from integration import coverage, eligibility
from integration.store import steps
from integration.store.operations import NotPossible, cancel
from tests.jobs.exchange import a_request, load_chart
from tests.servers.payer import Payer


class Desk:
    """A coordinator whose EHR has an insurance, before a payer."""

    def __init__(self, exchange, payer):
        self.exchange, self.payer = exchange, payer
        patient = load_chart(exchange, observations=1)["patient"]
        self.patient = f"Patient/{patient['id']}"
        self.insurance = self.has(self.patient)
        self.request_id = exchange.submit(a_request(coverage=(self.insurance,)))
        with exchange.engine.begin() as conn:
            steps.cancel_open(conn, self.request_id, reason="only the payer is tried")

    def has(self, patient: str) -> str:
        made = self.exchange.put(
            "alice",
            {
                "resourceType": "Coverage",
                "status": "active",
                "subscriberId": "W-99",
                "beneficiary": {"reference": patient},
                "payor": [{"display": "Example Health"}],
            },
        )
        return f"Coverage/{made['id']}"

    def ask(self, payer: str = "plan", insurance: str = "", service: str = "3") -> None:
        eligibility.ask(
            self.exchange.engine, self.exchange.config, self.request_id, payer, insurance or self.insurance, service,
            actor="nora", reason="tested",
        )  # fmt: skip
        self.drain()

    def drain(self) -> None:
        self.exchange.drain()
        with self.exchange.engine.begin() as conn:  # a new version of the request makes its own steps due
            steps.cancel_open(
                conn, self.request_id, reason="only the payer is tried", kinds=("gather_records", "match_people")
            )

    def look(self) -> None:
        self.exchange.watch()

    @property
    def stands(self):
        return coverage.coverage(self.exchange.engine, self.request_id, datetime.now(UTC).date(), actor="nora")

    @property
    def asked(self) -> list[str]:
        return [each.status for each in self.stands.asks]


@pytest.fixture
def payer():
    with Payer() as made:
        yield made


@pytest.fixture
def desk(make_exchange, payer):
    plan = f'phone: "1"}}\n  plan: {{base_url: "{payer.address}", role: payer, name: Example Health, identifier_system: "urn:plan"'
    return Desk(make_exchange(at_bob=plan), payer)


def test_nothing_goes_to_a_payer_before_a_person_asks_and_then_only_what_it_needs(desk, payer):
    desk.exchange.drain()
    assert payer.creates == []
    desk.ask()
    (sent,) = payer.creates
    text = json.dumps(sent)
    assert "W-99" in text and "Synthetic-Test" in text and sent["item"][0]["category"]["coding"][0]["code"] == "3"
    assert "Is surgery needed" not in text and "Condition" not in text and desk.patient not in text
    assert {key.split("/")[0] for key in payer.held} == {"CoverageEligibilityRequest"}  # nothing else is made there
    assert desk.asked == ["sent"] and desk.stands.answers == ()


@pytest.mark.long
def test_its_answer_is_an_answer_as_one_by_phone_is(desk, payer):
    desk.ask()
    payer.answer()
    desk.look()
    (answer,) = desk.stands.answers
    assert (answer.source, answer.answer, answer.insurer) == ("payer", "covered", "Example Health")
    assert (answer.coverage, answer.reference) == (desk.insurance, "CoverageEligibilityResponse/a1")
    assert desk.asked == ["answered"]
    desk.look()
    assert len(desk.stands.answers) == 1 and len(payer.creates) == 1


@pytest.mark.long
def test_a_queued_response_is_waited_for_and_the_newest_counts(desk, payer):
    desk.ask()
    payer.answer(outcome="queued")
    desk.look()
    assert desk.stands.answers == () and desk.asked == ["sent"]
    payer.answer(2, insurance=[{"coverage": {"reference": "#coverage"}, "inforce": False}])
    desk.look()
    assert [each.answer for each in desk.stands.answers] == ["not-covered"]


def test_what_nobody_answered_for_is_asked_once(desk, payer):
    payer.loses_answer = True
    desk.ask()
    assert len(payer.questions()) == 1 and desk.asked == ["sent"]


def test_a_response_to_another_question_is_none(desk, payer):
    desk.ask()
    payer.shows_everything = True
    payer.answer(request={"reference": "CoverageEligibilityRequest/other"})
    desk.look()
    assert desk.stands.answers == () and "search-ignored" in desk.exchange.causes()


@pytest.mark.long
def test_a_payer_that_takes_no_question_is_called(desk, payer):
    payer.answers_with = 422
    desk.ask()
    assert desk.asked == ["refused"] and "422" in desk.stands.asks[0].detail
    assert "payer-not-asked" in desk.exchange.causes() and not desk.exchange.parked(desk.request_id)


def test_an_insurance_of_somebody_else_is_not_asked_about(desk, payer):
    other = desk.exchange.put("alice", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    there = desk.exchange.find("alice", "Coverage")[0]
    desk.exchange.change("alice", there, beneficiary={"reference": f"Patient/{other['id']}"})
    desk.ask()
    assert payer.creates == [] and desk.asked == ["refused"] and "other-patient" in desk.exchange.causes()


@pytest.mark.long
def test_a_payer_that_says_nothing_for_days_is_called(desk, payer):
    desk.ask()
    desk.exchange.later(days=4)
    desk.look()
    assert desk.asked == ["silent"] and "payer-silent" in desk.exchange.causes()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"payer": "bob"}, "choose which insurer"),
        ({"insurance": "Coverage/none"}, "choose which insurance"),
        ({"service": "30"}, "choose what is asked"),
    ],
)
def test_what_cannot_be_asked_is_said(desk, payer, what, says):
    with pytest.raises(NotPossible, match=says):
        desk.ask(**what)
    assert payer.creates == []


@pytest.mark.long
def test_the_same_question_waits_for_its_answer_and_a_canceled_request_asks_nobody(desk, payer):
    desk.ask()
    with pytest.raises(NotPossible, match="asked already"):
        desk.ask()
    with desk.exchange.engine.begin() as conn:
        cancel(conn, desk.request_id, actor="nora", reason="tested")
    with pytest.raises(NotPossible, match="no insurer is asked"):
        desk.ask()


def test_the_command_asks_and_says_as_json_which_ask_it_is(desk, payer, tmp_path, database):
    runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
    words = [
        "coverage",
        "ask",
        desk.request_id,
        "plan",
        desk.insurance,
        "--service",
        "3",
        "--reason",
        "tested",
        "--json",
    ]
    done = runner.invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["request_id"] == desk.request_id
    desk.drain()
    assert len(payer.creates) == 1
