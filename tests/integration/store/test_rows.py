"""What the store returns for a row has the columns of its table, and says where one may be empty."""

from dataclasses import fields
from types import NoneType
from typing import get_args, get_type_hints

import pytest
from sqlalchemy import Row, Table

from integration.store import tables
from integration.store.consents import ConsentRow
from integration.store.deliveries import Delivery, Item
from integration.store.desk import AnswerRow
from integration.store.directory_search import EntryRow
from integration.store.drafts import Draft
from integration.store.key_facts import KeyFactsRow
from integration.store.medication_reviews import ReviewRow
from integration.store.packets import PacketRow
from integration.store.private_links import PrivateLink
from integration.store.received_records import ReceivedRecord
from integration.store.releases import Release
from integration.store.report_drafts import ReportDraft
from integration.store.requests import Request
from integration.store.sendings import Sending
from integration.store.steps import Step
from integration.store.ticks import Tick
from integration.store.written_reports import SignedReport

ROWS = [
    (Request, tables.requests),
    (Draft, tables.drafts),
    (AnswerRow, tables.desk_answers),
    (ReportDraft, tables.report_drafts),
    (SignedReport, tables.written_reports),
    (Delivery, tables.deliveries),
    (Step, tables.steps),
    (Item, tables.delivery_items),
    (PacketRow, tables.packets),
    (Sending, tables.sendings),
    (Tick, tables.ticks),
    (EntryRow, tables.directory_entries),
    (ReceivedRecord, tables.received_records),
    (ConsentRow, tables.consents),
    (PrivateLink, tables.private_links),
    (Release, tables.releases),
    (ReviewRow, tables.medication_reviews),
    (KeyFactsRow, tables.key_facts),
]


@pytest.mark.parametrize(("row", "table"), ROWS, ids=[row.__name__ for row, _ in ROWS])
def test_a_row_has_each_column_and_may_be_empty_where_the_column_may(row: type, table: Table):
    hints = get_type_hints(row, localns={"Row": Row})
    assert [each.name for each in fields(row)] == [column.name for column in table.columns]
    for column in table.columns:
        may_be_empty = NoneType in get_args(hints[column.name])
        assert may_be_empty == column.nullable, f"{row.__name__}.{column.name}: nullable is {column.nullable}"
    assert row.__dataclass_params__.frozen, f"{row.__name__} can be changed"


def test_a_delivery_without_a_packet_and_an_item_without_bytes_say_so():
    delivery = Delivery(**{each.name: None for each in fields(Delivery)} | {"id": "r1-report-1"})
    with pytest.raises(LookupError, match="r1-report-1 carries no packet"):
        _ = delivery.packet
    item = Item(**{each.name: None for each in fields(Item)} | {"delivery_id": "r1-records-1", "source": "Condition/1"})
    with pytest.raises(LookupError, match="no bytes of Condition/1 in delivery r1-records-1"):
        _ = item.kept
