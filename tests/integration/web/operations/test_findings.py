"""Findings without a request: an order that was refused is seen on the page, by programs and on the command line."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import update

import second_opinion
from integration.store import findings
from integration.store.tables import findings as table

pytestmark = pytest.mark.postgres


def noted(
    site, *paths: str, cause: str = "no-fulfiller", request_id: str | None = None, endpoint: str = "alice", **values
) -> None:
    with site.engine.begin() as conn:
        findings.record(
            conn,
            [findings.Finding(cause, "why it was refused", path, "error") for path in paths],
            request_id=request_id,
            endpoint=endpoint,
        )
        if values:
            conn.execute(update(table).where(table.c.path.in_(paths)).values(**values))


def test_what_polls_refused_is_on_the_page_with_whether_it_is_looked_at_again(site):
    assert "Every order that was found was accepted" in site.get("/findings")
    noted(site, "ServiceRequest/new")
    noted(site, "ServiceRequest/old", last_seen_at=datetime.now(UTC) - findings.LOOKED_FOR - timedelta(minutes=1))
    noted(site, "ServiceRequest/gone", severity="info")
    noted(site, "step poll_requests", cause="http-404")
    noted(site, "Observation/1", cause="type-not-offered", request_id=site.request())
    page = site.get("/findings")
    rows = list(page.split("<tr")[2:])
    assert [
        next(word for word in (">open<", ">over<", ">not checked again<", ">checked again<") if word in row)
        for row in rows
    ] == [">open<", ">over<", ">not checked again<", ">checked again<"]
    assert "ServiceRequest/new" in rows[-1] and "why it was refused" in rows[-1] and "Observation/1" not in page
    assert 'href="/findings"' in site.get("/endpoints")


def test_programs_and_the_command_line_page_through_the_same(site, tmp_path, database):
    noted(site, *(f"ServiceRequest/{number}" for number in range(3)))
    noted(site, "ServiceRequest/9", endpoint="bob")
    first = site.client.get("/api/findings?endpoint=alice&limit=2").json
    rest = site.client.get(f"/api/findings?endpoint=alice&limit=2&after={first['next']}").json
    assert [each["path"] for each in first["items"] + rest["items"]] == [
        f"ServiceRequest/{number}" for number in (2, 1, 0)
    ] and rest["next"] is None
    assert {each["state"] for each in first["items"]} == {"looked-at-again"}
    assert (
        site.client.get("/api/findings?after=0").status_code
        == site.client.get("/api/findings?endpoint=%00").status_code
        == 400
    )

    def run(*words: str) -> str:
        done = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "findings", "list", *words]
        )
        assert done.exit_code == 0, done.output
        return done.output

    assert [(each["endpoint"], each["state"]) for each in json.loads(run("--json", "--limit", "2"))] == [
        ("bob", "looked-at-again"),
        ("alice", "looked-at-again"),
    ]
    assert "ServiceRequest/9" in run() and "ServiceRequest/9" not in run("--endpoint", "alice")


def test_what_was_settled_and_comes_back_is_open_again(site):
    noted(site, "ServiceRequest/1")
    with site.engine.begin() as conn:
        findings.settle(conn, "alice", ["ServiceRequest/1"], [], "step poll_requests")
        assert [row.severity for row in findings.without_request(conn)[0]] == ["info"] and findings.refused(
            conn, "alice", datetime.now(UTC)
        ) == []
    noted(site, "ServiceRequest/1")
    with site.engine.connect() as conn:
        assert [row.count for row in findings.refused(conn, "alice", datetime.now(UTC))] == [2]
