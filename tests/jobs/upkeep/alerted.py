"""An exchange whose alarms are told to somebody, and a clock that is moved by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text, update

from integration.settings.config import load_config
from integration.store import alarms, requests
from integration.store.tables import attempts, endpoints
from integration.store.tables import notices as notice_table
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from jobs.upkeep.check_alarms import make_due
from tests.integration.notices.told import MailServer
from tests.jobs.exchange import a_request

SECRET = "whsec_c3ludGhldGljIHNlY3JldA=="


class Operator:
    """An exchange whose alarms are told, with a clock that is moved by hand."""

    def __init__(self, exchange, mail_port: int, hook_address: str = "", **alerts):
        self.exchange, self.engine = exchange, exchange.engine
        told = [{"name": "ops", "email": "ops@example.org", "min_interval_minutes": 0}]
        if hook_address:
            told.append(
                {"name": "pager", "webhook": hook_address, "secret_env": "PAGER_SECRET", "min_interval_minutes": 0}
            )
        self.alerts = {
            "for_minutes": 5,
            "recovered_minutes": 10,
            "send_to": told,
            "smtp": {
                "host": "127.0.0.1",
                "port": mail_port,
                "security": "none",
                "from_address": "exchange@example.org",
            },
            **alerts,
        }
        self.file = exchange.config.data_dir.parent / "config.yaml"
        self.without = self.file.read_text().partition("\nalerts:")[0]
        self.configure()
        self.start, self.minutes = datetime.now(UTC), 0
        exchange.clock = lambda: self.now

    def configure(self, **alerts) -> None:
        """Another `alerts` section, as after a restart."""
        self.alerts |= alerts
        self.file.write_text(f"{self.without}\nalerts: {json.dumps(self.alerts)}\n")
        self.exchange.world = replace(self.exchange.world, config=load_config(self.file))

    @property
    def now(self) -> datetime:
        return self.start + timedelta(minutes=self.minutes)

    def check(self, minutes: float = 0) -> None:
        """Let time pass, then look at the alarms and send what is due."""
        self.minutes += minutes
        with self.engine.begin() as conn:
            make_due(conn)
        self.exchange.drain(hurry=False)

    def alarm(self, *subjects: str, rule: str = "endpoint-down") -> None:
        """Make exactly these endpoints be down."""
        with self.engine.begin() as conn:
            conn.execute(update(endpoints).values(breaker="closed"))
            for subject in subjects:
                conn.execute(
                    text(
                        "INSERT INTO endpoints (key, identifier_system, concurrency, rate, breaker) VALUES (:key, '', 1, 1, 'half-open') "
                        "ON CONFLICT (key) DO UPDATE SET breaker = 'half-open'"
                    ),
                    {"key": subject},
                )
                conn.execute(
                    insert(attempts).values(
                        step_id=1,
                        kind="push_records",
                        endpoint=subject,
                        lease_no=1,
                        outcome="temporary",
                        cause="network",
                        started_at=self.now,
                        finished_at=self.now - timedelta(minutes=30),
                    )
                )

    def open(self) -> dict[tuple[str, str], str]:
        with self.engine.connect() as conn:
            return {(row.rule, row.subject): row.message for row in alarms.open_alarms(conn)}

    def rows(self, *columns) -> list[tuple]:
        with self.engine.connect() as conn:
            return [
                tuple(row)
                for row in conn.execute(select(*(notice_table.c[name] for name in columns)).order_by(notice_table.c.id))
            ]

    def silence(self, rule: str, subject: str, hours: float) -> None:
        with self.engine.begin() as conn:
            alarms.silence(
                conn, rule, subject, self.now + timedelta(hours=hours), self.now, actor="test", reason="maintenance"
            )


@pytest.fixture
def mails():
    with MailServer() as server:
        yield server


@pytest.fixture
def operator(exchange, mails, monkeypatch):
    """Only what a test does raises an alarm: polls of the two quiet endpoints are fresh."""
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    return Operator(exchange, mails.port)


def owed(operator, number: int, due_in: timedelta, **values) -> list[str]:
    with operator.engine.begin() as conn:
        ids = [requests.take_in(conn, a_request(key=f"k{each}"), actor="test")[0] for each in range(number)]
        conn.execute(update(request_table).values(records_due_at=operator.now + due_in, **values))
        conn.execute(update(step_table).values(status="done"))
    return ids
