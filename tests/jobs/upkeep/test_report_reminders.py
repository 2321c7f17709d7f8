"""A report that nobody has read: the people whom the practice names are told, again until somebody has, then no more."""

from datetime import timedelta

import pytest

from integration.store import acknowledgments, reports, requests
from integration.store.tables import reports as report_table
from mappings.model.acknowledgment import TypedAcknowledgment
from tests.jobs.exchange import a_request
from tests.jobs.upkeep.alerted import mails, operator  # noqa: F401

pytestmark = pytest.mark.postgres
DAY = 24 * 60


def test_named_people_of_the_practice_are_reminded_until_one_has_read_it(operator, mails):  # noqa: F811
    ann = {"name": "dr-ann", "email": "ann@example.org", "practices": ["alice"], "rules": ["report-unread"]}
    desk = {"name": "bobs-desk", "email": "desk@example.org", "practices": ["bob"]}
    operator.configure(
        for_minutes=0, recovered_minutes=0, send_to=[each | {"min_interval_minutes": 0} for each in (ann, desk)]
    )
    with operator.engine.begin() as conn:
        request_id = requests.take_in(conn, a_request(), actor="test")[0]
        of = dict(source="DocumentReference/1", version="1", state="final", resource_sha256="0" * 64)
        reports.add(conn, request_id, 1, **of)
        conn.execute(report_table.update().values(unread_since=operator.now - timedelta(days=8)))
    operator.check()
    operator.check(DAY + 1)
    operator.check(DAY + 1)
    told = [(str(mail["To"]), str(mail["Subject"])) for mail in mails.mails if request_id in mail.get_content()]
    assert [to for to, _ in told] == ["ann@example.org"] * 3, "who was asked is not told who reads it"
    assert all("nobody has said that they read the report" in subject for _, subject in told)
    with operator.engine.begin() as conn:
        acknowledgments.add(conn, request_id, TypedAcknowledgment("1", "Dr. Ann", "", "keep-plan"), actor="ann")
    operator.check(1)
    count = len(mails.mails)
    operator.check(DAY + 1)
    operator.check(DAY + 1)
    assert [str(mail["To"]) for mail in mails.mails[count:]].count("ann@example.org") == 0
