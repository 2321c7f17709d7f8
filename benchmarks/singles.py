"""A long chart that goes one record after the other: what the rows before the sends cost, side by side in the same run.

The server ignores conditions and searches by identifier, as some consulting providers' do.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import requests
from sqlalchemy import func, select, text

from benchmarks.chart import exchange, seconds_by_step
from benchmarks.common import Row, below, say
from integration.queue import dispatch
from integration.store.tables import audit
from jobs import gate
from jobs.engine import limits_of, run_step
from tests.jobs.exchange import Exchange, a_request, patient
from tests.servers.vendors.charts import person
from tests.servers.vendors.unconditional import Unconditional

RECORDS, ROUNDS, AT_ONCE = 3000, 2, 500


def run(folder: Path, *, write: bool) -> list[Row]:
    """Each way twice, one after the other; the quicker of each counts."""
    found: dict[str, list[tuple[float, int]]] = {"together": [], "each": []}
    for number in range(ROUNDS):
        for way, measured in found.items():
            say(f"singles: round {number + 1}, rows of the gate {way} ...")
            measured.append(pushed(way))
    (together, few), (each, many) = min(found["together"]), min(found["each"])
    return [
        Row("records sent one by one", RECORDS, "", "a row of the ledger's kind for each, 100 in one statement"),
        Row("push, one row of the gate for up to 100", together, "s", f"{few} rows of the audit trail"),
        Row("push, a row of the gate for each", each, "s", f"{many} rows of the audit trail"),
        below("push, rows together / a row for each", together / each, "times", 1.1),
        Row("each record", together / RECORDS * 1000, "ms", "the server's time and the store's included"),
    ]


def pushed(way: str) -> tuple[float, int]:
    """Seconds of the push, and how many rows of the audit trail told of it."""
    with Unconditional(page=500) as vendor, exchange("", vendor.url, way) as made, told(way):
        vendor.put({**person(), **{name: patient()[name] for name in ("identifier", "name", "birthDate", "gender")}})
        chart(made)
        made.submit(a_request(records={"types": ["Observation"]}))
        push(made)
        if len(vendor.of("Observation")) != RECORDS:
            raise RuntimeError(f"{len(vendor.of('Observation'))} of {RECORDS} records are there")
        with made.engine.connect() as conn:
            rows = conn.execute(select(func.count()).where(audit.c.action == gate.LEAVES)).scalar_one()
        return seconds_by_step(made)["push_records"], rows


@contextlib.contextmanager
def told(way: str) -> Iterator[None]:
    """As it is, or as it was before: no row names several."""
    together = gate.together
    if way == "each":
        gate.together = lambda *_: contextlib.nullcontext()  # type: ignore[assignment]
    try:
        yield
    finally:
        gate.together = together


def chart(made: Exchange) -> None:
    """A patient with as many results as are sent."""
    who = {"reference": f"Patient/{made.put('alice', patient())['id']}"}
    for start in range(0, RECORDS, AT_ONCE):
        entries = [{"resource": result(number, who), "request": {"method": "POST", "url": "Observation"}}
                   for number in range(start, min(start + AT_ONCE, RECORDS))]  # fmt: skip
        load_bundle(made.alice, entries)


def result(number: int, who: dict) -> dict:
    """One synthetic laboratory result."""
    value = {"value": number, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    code = {"text": f"lab {number}"}
    return {"resourceType": "Observation", "status": "final", "subject": who, "code": code, "valueQuantity": value}


def load_bundle(base: str, entries: list[dict]) -> None:
    """In one transaction."""
    bundle = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    answer = requests.post(base, data=bundle, headers={"Content-Type": "application/fhir+json"}, timeout=300)
    answer.raise_for_status()


def push(made: Exchange) -> None:
    """Every step that is due, until the records were sent."""
    for _ in range(100):
        dispatch(made.engine, limits_of(made.world))
        with made.engine.connect() as conn:
            leased = conn.execute(text("SELECT id, lease_no, kind FROM steps WHERE status = 'leased'")).all()
        for step_id, lease_no, kind in leased:
            run_step(made.world, made.heartbeat, step_id, lease_no)
            if kind == "push_records":
                return
    raise RuntimeError("nothing was pushed")
