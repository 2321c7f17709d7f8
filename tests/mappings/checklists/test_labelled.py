"""The judging says what a person says, over packets labelled by hand; found where a person would say otherwise is the worst."""

import pytest

from mappings.model.checklist import State
from tests.mappings.checklists.charts import CATALOG
from tests.mappings.checklists.labelled import PACKETS
from tests.reference_checklists import cost, judged


def test_there_are_enough_packets_and_every_list_has_one():
    assert len(PACKETS) >= 60 and {packet.checklist for packet in PACKETS} == set(CATALOG.checklists)
    assert len({packet.name for packet in PACKETS}) == len(PACKETS)
    assert all(why for packet in PACKETS for _, why in packet.says.values())


@pytest.mark.parametrize("packet", PACKETS, ids=[packet.name for packet in PACKETS])
def test_it_says_what_a_person_says(packet):
    says, labels = judged(packet), packet.labels
    wrong = {kind: (label, says[kind]) for kind, label in labels.items() if says[kind] is not label}
    assert not {kind: pair for kind, pair in wrong.items() if pair[1] is State.FOUND}, (
        "never found where a person says otherwise"
    )
    assert not wrong


def test_found_where_a_person_says_otherwise_counts_ten():
    assert cost([(State.MISSING, State.FOUND), (State.FOUND, State.MISSING), (State.FOUND, State.FOUND)]) == 11
