"""The audit trail: rows are only added, and whoever changes one all the same is seen."""

import json
import threading

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from integration.store import audit, audit_seals
from jobs.upkeep.audit_check import AUDIT_CHANGED, AuditCheck

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(database) -> Engine:
    return database.engine


def add(engine: Engine, *subjects: str) -> None:
    for subject in subjects:
        with engine.begin() as conn:
            audit.record(conn, "olga", "step.parked", subject=subject, reason="why", detail={"b": 1, "a": [None, 1.5]})


def sealed(engine: Engine):
    with engine.begin() as conn:
        return audit_seals.seal(conn)


def broken(engine: Engine) -> list[str]:
    with engine.connect() as conn:
        return [each.what for each in audit_seals.check(conn)]


def tamper(engine: Engine, statement: str) -> None:
    """As somebody who may do anything with the tables."""
    with engine.begin() as conn:
        with audit_seals.open_for_restore(conn):
            conn.execute(text(statement))


@pytest.mark.parametrize("table", ["audit", "audit_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id + 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_our_own_user_may_only_add_rows(engine, table, change):
    add(engine, "a")
    sealed(engine)
    with pytest.raises(DBAPIError, match="never changed"), engine.begin() as conn:
        conn.execute(text(change.format(table)))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody' WHERE subject = 'b'",
        "UPDATE audit SET reason = NULL WHERE subject = 'b'",
        "UPDATE audit SET detail = '{}' WHERE subject = 'b'",
        "UPDATE audit SET at = at + interval '1 microsecond' WHERE subject = 'b'",
        "UPDATE audit SET transaction = transaction + 1000000 WHERE subject = 'b'",
        "DELETE FROM audit WHERE subject = 'b'",
        "DELETE FROM audit",
        "INSERT INTO audit (actor, action, transaction) SELECT 'x', 'y', min(transaction) FROM audit",
        "UPDATE audit_seals SET sha256 = 'x' WHERE id = 1",
        "DELETE FROM audit_seals WHERE id = 1",
    ],
)
def test_each_change_of_what_is_sealed_is_seen(engine, change):
    add(engine, "a", "b")
    sealed(engine)
    add(engine, "c")
    sealed(engine)
    assert broken(engine) == []
    tamper(engine, change)
    assert broken(engine)


def test_a_row_of_a_transaction_that_ends_late_is_sealed_with_the_next(engine):
    late = engine.connect()
    audit.record(late, "late", "step.parked", subject="late")
    add(engine, "early")
    assert sealed(engine) is None or broken(engine) == []
    late.commit()
    late.close()
    assert sealed(engine) is not None and broken(engine) == []
    tamper(engine, "DELETE FROM audit WHERE subject = 'late'")
    assert broken(engine)


def test_many_appenders_and_sealers_at_once_leave_a_whole_trail_and_wait_for_nobody(engine):
    done = threading.Event()

    def sealing() -> None:
        while not done.is_set():
            sealed(engine)

    def appending(number: int) -> None:
        add(engine, *(f"{number}-{each}" for each in range(40)))

    sealers = [threading.Thread(target=sealing) for _ in range(2)]
    appenders = [threading.Thread(target=appending, args=(number,)) for number in range(6)]
    for thread in [*sealers, *appenders]:
        thread.start()
    for thread in appenders:
        thread.join()
    done.set()
    for thread in sealers:
        thread.join()
    sealed(engine)
    with engine.connect() as conn:
        covered = conn.execute(text("SELECT sum(rows) FROM audit_seals")).scalar_one()
        assert covered == conn.execute(text("SELECT count(*) FROM audit")).scalar_one()
    assert broken(engine) == []


def test_a_restored_database_begins_to_count_anew_and_stays_checkable(engine):
    add(engine, "a")
    sealed(engine)
    add(engine, "not sealed in the backup")
    with engine.begin() as conn:
        audit_seals.begin_anew(conn)
        audit.record(conn, "olga", "database.restored")
    add(engine, "after")
    sealed(engine)
    assert broken(engine) == []
    tamper(engine, "UPDATE audit SET actor = 'x' WHERE subject = 'not sealed in the backup'")
    assert len(broken(engine)) == 1


def test_the_self_check_seals_and_raises_an_alarm_when_a_row_was_changed(engine, tmp_path):
    add(engine, "a")
    look(engine, AuditCheck(tmp_path))
    assert alarms_of(engine) == 0 and json.loads((tmp_path / "audit-seal.json").read_text())["seal"] >= 1
    tamper(engine, "UPDATE audit SET actor = 'x' WHERE subject = 'a'")
    look(engine, AuditCheck(tmp_path))
    assert alarms_of(engine) == 1


def test_whoever_writes_all_seals_anew_is_seen_by_what_the_machine_remembers(engine, tmp_path):
    add(engine, "a", "b")
    look(engine, AuditCheck(tmp_path))
    tamper(engine, "DELETE FROM audit WHERE subject = 'b'")
    tamper(engine, "DELETE FROM audit_seals")
    sealed(engine)
    assert broken(engine) == []
    look(engine, AuditCheck(tmp_path))
    assert alarms_of(engine) == 1


def look(engine: Engine, check: AuditCheck) -> None:
    with engine.begin() as conn:
        check(conn)


def alarms_of(engine: Engine) -> int:
    with engine.connect() as conn:
        return conn.execute(
            text("SELECT count(*) FROM alarms WHERE rule = :rule"), {"rule": AUDIT_CHANGED}
        ).scalar_one()
