"""What a Subscription of ours says, and what a notification says it is."""

from datetime import UTC, datetime

import pytest

from integration.fhir.models import structure_problems
from mappings.subscription import PLAIN, TELLS_NEWS, asks_for, criteria_of, is_ours, kind_of, rest_hook, why_no_news

ADDRESS = "https://exchange.example.org/hooks/mercy"
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def in_r4(kind: object) -> dict:
    status = {"resourceType": "Parameters", "parameter": [{"name": "status", "valueCode": "active"}]}
    status["parameter"].append({"name": "type", "valueCode": kind})
    return {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}


def in_r4b(kind: object) -> dict:
    return {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "SubscriptionStatus", "type": kind}}]}


@pytest.mark.parametrize("said", ["handshake", "heartbeat", "event-notification", "query-status"])
@pytest.mark.parametrize("shape", [in_r4, in_r4b])
def test_a_notification_of_the_backport_says_what_it_is(said, shape):
    assert kind_of(shape(said)) == said


@pytest.mark.parametrize(
    "odd",
    [None, 7, "x", [], {}, {"entry": 3}, {"entry": []}, {"entry": [None]}, {"entry": [{"resource": 1}]}, in_r4b("news")]
    + [in_r4({"a": 1}), in_r4b(["handshake"]), {"entry": [{"resource": {"parameter": [7, None]}}]}],
)
def test_whatever_cannot_be_read_is_a_hint_without_a_word(odd):
    assert kind_of(odd) == PLAIN and PLAIN in TELLS_NEWS


@pytest.mark.parametrize("topic", [None, "https://mercy.example.org/topics/orders"])
@pytest.mark.parametrize("criteria", criteria_of("both"))
def test_what_we_ask_for_is_r4_says_no_content_and_has_the_secret_in_a_header(topic, criteria):
    made = rest_hook(ADDRESS, "Bearer s", criteria, topic=topic)
    assert structure_problems(made) == []
    assert made["channel"]["endpoint"] == ADDRESS and made["channel"]["header"] == ["Authorization: Bearer s"]
    assert asks_for(made) == criteria and is_ours(made, ADDRESS) and not is_ours(made, f"{ADDRESS}2")
    content = made["channel"].get("_payload", {}).get("extension", [{}])[0].get("valueCode")
    assert content == ("empty" if topic else None) and ("payload" in made["channel"]) == bool(topic)


@pytest.mark.parametrize(
    "status, end, words",
    [
        ("active", None, None),
        ("requested", "2027-01-01T00:00:00Z", None),
        ("active", "2026-11-28T00:00:00Z", "ended on 2026-11-28"),
        ("error", None, "is error there"),
        ("off", None, "is off there"),
        ("<b>", None, "no known status"),
        ("active", "whenever", None),
    ],
)
def test_one_that_ended_or_failed_says_why_nothing_comes(status, end, words):
    said = why_no_news({"status": status, "end": end}, NOW)
    assert (said is None) if words is None else words in said
