"""Kills, faults and freezes: nothing lost, nothing twice, nothing stuck."""

import pytest

from tests.chaos.__main__ import two_servers
from tests.chaos.proxy import FAULTS
from tests.chaos.run import VICTIMS, Chaos

pytestmark = pytest.mark.chaos


def run(folder, *, kills, seconds_between=1.8, settle_seconds=300, heals_after=60, **kwargs):
    chaos = Chaos(folder, **kwargs)
    try:
        result = chaos.run(
            kills, seconds_between=seconds_between, settle_seconds=settle_seconds, heals_after=heals_after
        )
    finally:
        chaos.stop()
    print(result)
    return result


@pytest.mark.parametrize(("kills", "requests"), [(12, 5), pytest.param(50, 10, marks=pytest.mark.long)])
def test_kills_lose_double_and_block_nothing(folder, kills, requests):
    result = run(
        folder, seed=20261124, kills=kills, requests=requests, rate=0.2, seconds_between=1.0, heals_after=6 * requests
    )
    assert not result.wrong(), result
    assert result.kills == kills
    assert set(result.victims) == set(VICTIMS), "each role is killed at least once"


@pytest.mark.long
def test_swallowed_answers_double_nothing_without_conditional_create(folder):
    result = run(folder, seed=7, kills=3, requests=4, rate=0.3, faults={"swallow": 1}, conditional_create=False)
    assert not result.wrong(), result


@pytest.mark.long
@pytest.mark.parametrize("form", ["resources", "documents"])
def test_what_is_corrected_while_everything_is_killed_is_what_stands(folder, form):
    """Records, questions and orders change, records turn out to be another patient's; nothing older stands in the end."""
    result = run(folder, seed=5, kills=15, requests=4, rate=0.1, accepts=form, corrections=True)
    assert not result.wrong(), (result, (folder / "wrong.json").read_text())
    assert result.corrections["records"] > 0


@pytest.mark.long
def test_a_thousand_kills(folder):
    result = run(folder, seed=1, kills=1000, requests=60)
    assert not result.wrong(), result


@pytest.mark.long
def test_five_hundred_swallowed_answers(folder):
    """Every other write: were it each one, the endpoint's breaker would be open most of the time."""
    result = run(
        folder,
        seed=2,
        kills=20,
        requests=170,
        rate=0.2,
        faults={"swallow": FAULTS["swallow"]},
        settle_seconds=900,
        heals_after=600,
    )
    assert result.swallowed >= 500, result
    assert not result.wrong(), result


@pytest.mark.long
@pytest.mark.hapi
def test_two_hapi_servers_lose_and_double_nothing(folder):
    with two_servers("hapi", folder) as servers:
        result = run(folder, seed=4, kills=40, requests=20, servers=servers)
    assert not result.wrong(), result
