"""The checklist over real packets: which list, which day, what later packets bring or take back, and what people said."""

from datetime import date

import pytest

from integration import checklists
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from integration.views.checklist import view
from mappings.model.checklist import State
from mappings.model.packet import ManifestItem
from tests.integration.web.site import Site
from tests.mappings.checklists.charts import diagnosis, document, report, result

pytestmark = pytest.mark.postgres
TODAY = date(2026, 6, 15)


@pytest.fixture
def site(tmp_path, database) -> Site:
    """Nothing has happened yet."""
    return Site(tmp_path, database)


def found(site, request_id, today=TODAY):
    return checklists.completeness(site.engine, site.payloads, site.config, request_id, today, actor="A. Reader")


def states(site, request_id):
    return {item.rule.kind: item.state for item in found(site, request_id).items}


def say(site, request_id, topic, key, value, actor="A. Reader"):
    words = (request_id, topic, key, value)
    checklists.say(site.engine, site.payloads, site.config, *words, actor=actor, reason="seen on paper")


def test_before_anything_is_gathered_nothing_is_found_but_the_question(site):
    request_id = site.request()
    seen = found(site, request_id)
    assert seen.checklist.key == "oncology" and "specialty" in seen.why and seen.packets == 0
    assert {item.rule.kind for item in seen.items if item.state is State.FOUND} == {"question"}
    assert seen.visit == TODAY and "today" in seen.visit_is


def test_the_diagnosis_chooses_a_narrower_list_and_a_person_another(site):
    icd10 = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C50.911"}
    opinion = {"doctor": {"name": {"family": "C"}}, "diagnosis": {"text": "x", "codes": [icd10]}}
    request_id = site.request(first_opinion=opinion)
    assert found(site, request_id).checklist.key == "breast"
    say(site, request_id, Topic.CHECKLIST, "", "spine")
    assert (found(site, request_id).checklist.key, found(site, request_id).why) == ("spine", "a person chose it")


def test_a_later_packet_brings_more_and_takes_back_what_was_wrong(site):
    request_id = site.request(wanted_by="2026-06-20")
    path = report("11526-1", "2026-06-01")
    site.packet(request_id, path, diagnosis("C18.7"))
    assert states(site, request_id)["pathology-report"] is State.FOUND
    gone = ManifestItem(
        source=f"DiagnosticReport/{path['id']}", kind="withdrawn", size=1, sha256="0" * 64, why="entered-in-error"
    )
    site.packet(request_id, *map(result, ("718-7", "777-3", "6690-2")), version=2, items=(gone,))
    assert states(site, request_id)["pathology-report"] is State.MISSING
    assert states(site, request_id)["labs-cbc"] is State.FOUND
    assert found(site, request_id).visit == date(2026, 6, 20)


def test_the_newest_word_counts_and_each_is_kept_with_who_said_it(site):
    request_id = site.request()
    say(site, request_id, Topic.ITEM, "glass-slides", "requested")
    say(site, request_id, Topic.ITEM, "glass-slides", "promised", actor="B. Other")
    item = next(each for each in found(site, request_id).items if each.rule.kind == "glass-slides")
    assert item.state is State.PROMISED and "B. Other" in item.reasons[0]
    say(site, request_id, Topic.ITEM, "glass-slides", "not-there")
    assert states(site, request_id)["glass-slides"] is State.MISSING
    assert [row.subject for row in site.audited("checklist.item")] == [
        "glass-slides requested",
        "glass-slides promised",
        "glass-slides not-there",
    ]


def test_a_record_is_put_where_it_belongs(site):
    request_id = site.request()
    letter = document("99999-9", text="Letter")
    letter["type"]["coding"].append({"system": "urn:alice:letters", "code": "L1"})
    site.packet(request_id, letter)
    assert states(site, request_id)["referral-letter"] is State.MISSING
    say(site, request_id, Topic.RECORD, f"DocumentReference/{letter['id']}", "referral-letter")
    assert states(site, request_id)["referral-letter"] in (State.FOUND, State.STALE)
    other = site.request("k2")
    site.packet(other, letter | {"id": "of-another-day"})
    assert states(site, other)["referral-letter"] in (State.FOUND, State.STALE)  # the source's own code is remembered
    with pytest.raises(NotPossible, match="no packet of this request"):
        say(site, request_id, Topic.RECORD, "DocumentReference/nobody", "referral-letter")


@pytest.mark.parametrize(
    "topic, key, value",
    [
        (Topic.ITEM, "glass-slides", "lost"),
        (Topic.ITEM, "no-such-item", "there"),
        (Topic.ANSWER, "done:operative-note", "perhaps"),
        (Topic.ANSWER, "<script>", "yes"),
        (Topic.RECORD, "not a record", "referral-letter"),
        (Topic.RECORD, "DocumentReference/1", "no-such-item"),
        (Topic.CHECKLIST, "", "no-such-list"),
    ],
)
def test_what_nothing_is_called_is_refused_and_nothing_is_kept(site, topic, key, value):
    request_id = site.request()
    with pytest.raises(NotPossible):
        say(site, request_id, topic, key, value)
    assert not site.audited(f"checklist.{topic.value}")


def test_as_json_it_says_ids_states_and_days(site):
    request_id = site.request()
    site.packet(request_id, result("58410-2", "2026-06-01"))
    seen = view(found(site, request_id))
    blood = next(item for item in seen["items"] if item["item"] == "labs-cbc")
    assert blood["state"] == "found" and blood["evidence"][0]["day"] == "2026-06-01"
    assert sum(seen["counts"].values()) == len(seen["items"])


def test_no_transaction_is_open_while_a_long_chart_is_judged(site, monkeypatch):
    held, judge = [], checklists.judge
    monkeypatch.setattr(checklists, "judge", lambda *of: held.append(site.engine.pool.checkedout()) or judge(*of))
    found(site, site.request())
    assert held == [0] and len(site.audited("checklist.looked-at")) == 1


def test_a_consultants_own_file_and_wish_for_pictures_count_for_their_requests_only(tmp_path, database):
    (tmp_path / "theirs.yaml").write_text(
        "checklists: {oncology: {items: [{kind: blocks, need: required, basis: ours}]}}"
    )
    more = "  clinic: {base_url: 'https://clinic.example.org/fhir', role: fulfiller, images: report_only, checklists: [theirs.yaml]}\n"
    site = Site(tmp_path, database, more)
    theirs, others = site.request("k1", fulfiller="clinic"), site.request("k2", fulfiller="mercy")
    assert states(site, theirs)["blocks"] is State.MISSING and states(site, others)["blocks"] is State.NOT_APPLICABLE
    assert (
        states(site, theirs)["image-cd"] is State.NOT_APPLICABLE and states(site, others)["image-cd"] is State.UNKNOWN
    )
    assert len(site.audited("checklist.looked-at")) == 4
