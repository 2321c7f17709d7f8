"""The numbers of the opinions: page, CSV and JSON say the same, small counts are kept back, a practice sees its own."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from integration import opinion_numbers as numbers
from integration.opinion_numbers import newest
from integration.store import acknowledgments, opinion_numbers, reports
from integration.store.scope import EVERYTHING, Scope
from integration.store.tables import acknowledgments as words
from integration.store.tables import reports as store_reports
from integration.store.tables import requests
from mappings.model.acknowledgment import TypedAcknowledgment

pytestmark = pytest.mark.postgres
SURGERY = {"specialty": {"system": "urn:test", "code": "s", "display": "Surgery"}}


def answered(site, key: str, diagnosis: str | None = "agrees", plan: str | None = "differs", **fields) -> str:
    request_id = site.request(key, **fields)
    with site.engine.begin() as conn:
        of = dict(source="DocumentReference/1", version="1", state="final", resource_sha256="0" * 64)
        reports.add(conn, request_id, 1, diagnosis=diagnosis, plan=plan, **of)
    return request_id


def read(site, request_id: str, decision: str) -> None:
    with site.engine.begin() as conn:
        acknowledgments.add(conn, request_id, TypedAcknowledgment("1", "Dr. Ann", "", decision), actor="ann")


def filled(site) -> None:
    """Fifteen of surgery by Mercy, of which twelve are read; three of another specialty by Bob."""
    for number in range(15):
        request_id = answered(site, f"s{number}", **SURGERY)
        if number < 12:
            read(site, request_id, "change-plan")
    for number in range(3):
        answered(site, f"o{number}", diagnosis=None, plan=None, fulfiller="bob")
    in_the_newest_quarter(site)


def in_the_newest_quarter(site, *, took: timedelta = timedelta(minutes=10)) -> None:
    """As if all of it had been said in the middle of the last quarter that is shown."""
    then = newest(datetime.now(UTC).date()).since + timedelta(days=45)
    with site.engine.begin() as conn:
        conn.execute(update(requests).values(created_at=then, updated_at=then))
        conn.execute(update(store_reports).values(created_at=then + took))
        conn.execute(update(words).values(created_at=then + took, read_at=then + took))


def lines(site) -> list[dict]:
    return site.client.get("/numbers/opinions.json").json["lines"]


def test_small_counts_are_kept_back_everywhere_and_in_all_three_showings(site):
    filled(site)
    whole, *groups = lines(site)
    assert (whole["asked"], whole["answered"], whole["not-answered"]) == (18, 18, 0)
    assert whole["diagnosis-not-coded"] is None and whole["diagnosis-agrees"] is None, "18 less 15 is 3"
    assert whole["decision-change-plan"] is None and whole["read"] is None, "18 less 12 is 6"
    assert all(each is None or each == 0 or each >= 11 for line in (whole, *groups) for name, each in line.items()
               if isinstance(each, int))  # fmt: skip
    table = list(csv.DictReader(io.StringIO(site.get("/numbers/opinions.csv"))))
    assert table[0]["asked"] == "18" and table[0]["diagnosis-not-coded"] == "*"
    assert site.client.get("/api/opinion-numbers").json == site.client.get("/numbers/opinions.json").json
    assert site.client.get("/api/opinion-numbers?period=2026-05").status_code == 400
    page = site.get("/numbers/opinions")
    assert "not shown" in page and "By specialty" in page and "k1" not in page
    assert "Synthetic-Test" not in page + site.get("/numbers/opinions.csv")


def test_times_and_agreement_are_shown_of_enough_people(site):
    for number in range(12):
        read(site, answered(site, f"s{number}", **SURGERY), "keep-plan")
    in_the_newest_quarter(site, took=timedelta(hours=2))
    whole, surgery, mercy = lines(site)
    assert 7190 < whole["to-opinion-median-seconds"] < 7260 and whole["to-reading-p80-seconds"] < 60
    for line in (whole, surgery, mercy):
        assert (line["diagnosis-agrees"], line["plan-differs"], line["decision-keep-plan"], line["read"]) == (12,) * 4
    assert (surgery["group"], mercy["group"]) == ("Surgery", "Mercy Hospital")


@pytest.mark.parametrize(
    ("period", "says"),
    [
        ("May", "is no quarter"),
        ("2026-05", "is no quarter"),
        ("2026-Q5", "is no quarter"),
        ("2026", "is no quarter"),
        ("2026-q1", "is no quarter"),
        ("2099-Q4", "is shown from 2100-04-01 on"),
    ],
)
def test_a_period_that_is_none_or_not_yet_shown_gets_a_sentence(site, period, says):
    page = site.client.get("/numbers/opinions", query_string={"period": period})
    assert page.status_code == 400 and says in page.text and period in page.text, "nothing typed is lost"
    for address in ("/numbers/opinions.json", "/numbers/opinions.csv", "/api/opinion-numbers"):
        answer = site.client.get(address, query_string={"period": period})
        assert answer.status_code == 400 and says in answer.text, address


def test_what_happens_after_the_day_of_counting_changes_nothing(site):
    """Else the numbers of two days could be subtracted."""
    filled(site)
    late = site.request("late", **SURGERY)
    in_the_newest_quarter(site)
    site.request("later", **SURGERY)  # of this quarter
    before = _numbers_now(site)
    with site.engine.begin() as conn:
        of = dict(source="DocumentReference/1", version="1", state="final", resource_sha256="0" * 64)
        reports.add(conn, late, 1, diagnosis="agrees", plan="agrees", **of)
        ids = dict(conn.execute(text("SELECT key, id FROM requests")).all())
        again = dict(source="DocumentReference/1", version="2", state="amended", resource_sha256="1" * 64)
        reports.add(conn, ids["s13"], 2, diagnosis="differs", plan="differs", **again)
        conn.execute(text("UPDATE acknowledgments SET undone_at = now() WHERE request_id = :id"), {"id": ids["s0"]})
        conn.execute(text("UPDATE requests SET status = 'entered-in-error', updated_at = now() WHERE key = 's1'"))
    read(site, ids["s14"], "change-plan")
    assert _numbers_now(site) == before and before[0].counts["asked"] == 19


def _numbers_now(site) -> list:
    with site.engine.connect() as conn:
        return numbers.read(conn, EVERYTHING, newest(datetime.now(UTC).date()), str)


def test_a_cell_is_no_formula(site):
    for number in range(12):
        named = {"consultant": {"name": {"family": "=1+1"}}, **SURGERY}
        answered(site, f"s{number}", **named)
    in_the_newest_quarter(site)
    assert "'=1+1, Mercy Hospital" in site.get("/numbers/opinions.csv")


def test_a_practice_sees_its_own_and_takes_back_and_error_do_not_count(site):
    filled(site)
    with site.engine.begin() as conn:
        conn.execute(text("UPDATE requests SET placer = 'elsewhere' WHERE key LIKE 's%'"))
        conn.execute(text("UPDATE requests SET status = 'entered-in-error' WHERE key = 'o1'"))
    period = dict(zip(("since", "until", "as_of"), _year(site), strict=True))
    with site.engine.connect() as conn:
        count = lambda scope: len(opinion_numbers.read(conn, scope, **period, place=str))  # noqa: E731
        assert count(EVERYTHING) == 17 and count(Scope(placers=frozenset({"alice"}))) == 2
        assert count(Scope(fulfillers=frozenset({"bob"}))) == 2 and count(Scope()) == 0


def _year(site):
    with site.engine.connect() as conn:
        now = conn.execute(text("SELECT now()")).scalar_one()
    return now - timedelta(days=300), now + timedelta(days=1), now + timedelta(days=91)


def test_the_rows_are_read_by_indexes(site):
    """With the history of years, a period is read through the index on when requests were taken in."""
    from integration.store.opinion_numbers import _rows

    filled(site)
    with site.engine.begin() as conn:
        conn.execute(text(MANY))
        conn.execute(text("ANALYZE requests, reports, acknowledgments"))
        _, until, as_of = _year(site)
        query = _rows(EVERYTHING, until - timedelta(days=40), until, as_of).compile(
            conn, compile_kwargs={"literal_binds": True}
        )
        plan = "\n".join(conn.execute(text(f"EXPLAIN {str(query).replace(':', chr(92) + ':')}")).scalars())
    assert "Seq Scan" not in plan and "requests_created" in plan


MANY = """
    INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash, created_at)
    SELECT 'x' || n, 'x' || n, 'alice', 'mercy', 'completed', 'routine', '{}', '', '', now() - n * interval '1 hour'
    FROM generate_series(1, 20000) n;
    INSERT INTO reports (id, request_id, source, revision, state, resource_sha256)
    SELECT 'x' || n, 'x' || n, 'DocumentReference/1', 1, 'final', '' FROM generate_series(1, 20000) n;
    INSERT INTO acknowledgments (request_id, revision, read_by, read_at, decision, actor)
    SELECT 'x' || n, 1, 'Dr', now(), 'keep-plan', 'a' FROM generate_series(1, 20000) n"""
