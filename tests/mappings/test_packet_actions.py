"""What to do with each record at a target, decided from plain values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.model.findings import Finding
from mappings.model.link import Link
from mappings.packet_actions import Action, Do, Item, decide, is_older

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SOURCE = "Observation/1"


def item(**values) -> Item:
    return Item(
        **{"source": SOURCE, "content": "new", "record": "new", "updated_at": NOON, "gathered_at": NOON, **values}
    )


def link(**values) -> Link:
    made_of = dict(
        source_sha256="old", source_updated_at=NOON - timedelta(days=1), gathered_at=NOON - timedelta(days=1)
    )
    return Link(
        **{"system": "urn:a", "value": SOURCE, "reference": "Observation/77", "origin": "created", **made_of, **values}
    )


def one(item_: Item, link_: Link | None, **how) -> Action:
    [action] = decide([item_], {SOURCE: link_} if link_ else {}, **how)
    return action


def test_what_is_not_known_there_is_created():
    assert one(item(), None) == Action(Do.CREATE, SOURCE)


def test_what_changed_at_the_source_is_updated_whatever_packet_it_came_with():
    assert one(item(), link()) == Action(Do.UPDATE, SOURCE, "Observation/77")


def test_what_says_the_same_is_kept():
    assert one(item(content="old"), link()) == Action(Do.KEEP, SOURCE, "Observation/77")


def test_an_older_version_never_goes_over_a_newer_one():
    newer = link(source_updated_at=NOON + timedelta(seconds=1), gathered_at=NOON - timedelta(hours=1))
    action = one(item(), newer)
    assert action.do is Do.KEEP and action.finding.cause == "newer-at-target"


@pytest.mark.parametrize("updated_at", [None, NOON])
def test_without_times_of_the_source_what_was_read_later_is_newer(updated_at):
    later = link(source_updated_at=updated_at, gathered_at=NOON + timedelta(seconds=1))
    assert one(item(updated_at=updated_at), later).do is Do.KEEP
    earlier = link(source_updated_at=updated_at, gathered_at=NOON - timedelta(seconds=1))
    assert one(item(updated_at=updated_at), earlier).do is Do.UPDATE


@pytest.mark.parametrize("origin", ["matched", "person"])
def test_what_we_only_matched_is_a_persons_to_change(origin):
    action = one(item(), link(origin=origin))
    assert action.do is Do.KEEP and action.finding == Finding(
        "correction-by-hand",
        "changed at the source; Observation/77 at the target is not ours to change",
        SOURCE,
        "error",
    )


def test_what_was_only_just_matched_was_not_changed():
    fresh = link(origin="matched", source_sha256=None, source_updated_at=None, gathered_at=None)
    assert one(item(), fresh) == Action(Do.KEEP, SOURCE, "Observation/77")


def test_what_came_from_the_target_is_never_written_back():
    mine = item(original="Observation/o")
    assert one(mine, None) == Action(Do.ORIGINAL, SOURCE, "Observation/o")
    assert one(mine, link()) == Action(Do.ORIGINAL, SOURCE, "Observation/o")
    assert one(mine, link(origin="person")).do is Do.KEEP


def test_what_a_person_waived_is_not_written_whatever_else_there_is():
    trouble = Finding("attachment-too-large", "large", SOURCE, "error")
    assert one(item(trouble=trouble), None, waived={SOURCE}).do is Do.WAIVE
    assert one(item(original="Observation/o"), link(), waived={SOURCE}).do is Do.WAIVE


def test_what_cannot_be_written_is_left_with_its_reason():
    trouble = Finding("attachment-too-large", "large", SOURCE, "error")
    assert one(item(trouble=trouble), None) == Action(Do.LEAVE, SOURCE, None, trouble)


def test_links_of_older_versions_keep_the_hash_of_the_source():
    old = dict(source_sha256=None, source_updated_at=None, gathered_at=None)
    assert one(item(), link(**old, sha256="new")).do is Do.KEEP
    assert one(item(), link(**old, sha256="old")).do is Do.UPDATE
    assert one(item(), link(**old, sha256="new", written_in="pack")).do is Do.UPDATE


HASHES = st.sampled_from(["old", "new", None])
TIMES = st.sampled_from([None, NOON - timedelta(hours=1), NOON, NOON + timedelta(hours=1)])
LINKS = st.builds(
    lambda origin, digest, at, gathered: link(
        origin=origin, source_sha256=digest, source_updated_at=at, gathered_at=gathered
    ),
    st.sampled_from(["created", "matched", "person"]),
    HASHES,
    TIMES,
    TIMES,
)
ITEMS = st.builds(
    lambda digest, at, gathered, original: item(content=digest, updated_at=at, gathered_at=gathered, original=original),
    st.sampled_from(["old", "new"]),
    TIMES,
    TIMES,
    st.sampled_from([None, "Observation/o"]),
)


@given(ITEMS, st.one_of(st.none(), LINKS))
def test_nothing_is_created_twice_nor_written_over_what_is_not_ours_or_newer(item_, link_):
    action = one(item_, link_)
    assert (action.do is Do.CREATE) <= (link_ is None), "what has a name there is not created again"
    if action.do is Do.UPDATE:
        assert link_.origin == "created" and link_.source_sha256 != item_.content
        assert link_.source_sha256 is None or not is_older(item_, link_)
    if link_ and link_.source_sha256 not in (None, item_.content) and action.do is Do.KEEP:
        assert action.finding is not None, "a change that is not written is told"
