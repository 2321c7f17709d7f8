"""Reading a packet: how long the key facts of a made-up chart take, made once, and how long their page takes from then on."""

import statistics
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from benchmarks.common import Clock, Row, below, fresh_database, say
from integration import reading
from integration.postgres.database import Database
from integration.settings.config import load_config
from integration.visit_reading import House
from tests.integration.web.site import Site

SIZES, TIMES, AIM = (10_000, 20_000), 9, 1000  # milliseconds for the page of the first size
DAYS = 5000
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def run(folder: Path, *, write: bool) -> list[Row]:
    """Two charts, the second twice as long."""
    path = folder / "config.yaml"
    path.write_text(f"data_dir: {folder / 'data'}\n", "utf-8")
    with fresh_database(load_config(path, {})) as database:
        measured = {size: measure(folder, database, size) for size in SIZES}
    small, large = (measured[size] for size in SIZES)
    return [
        *(row for size in SIZES for row in rows(size, *measured[size])),
        below(
            f"the page, {SIZES[0]:,} records", small[1], "ms CPU", AIM, "median; the checklist is judged anew each time"
        ),
        Row("key facts, twice the records", large[0] / small[0], "times", "2 would be in proportion"),
        Row("the page, twice the records", large[1] / small[1], "times", "most of it is the checklist"),
    ]


def measure(folder: Path, database: Database, size: int) -> tuple[float, float, float, int]:
    """CPU seconds of making it ahead, CPU milliseconds and milliseconds of the page afterwards, and its bytes."""
    own = folder / str(size)
    own.mkdir()
    site = Site(own, database)
    request_id = site.request(f"chart-{size}", fulfiller="mercy")
    site.packet(request_id, *chart(size))
    with Clock() as first:
        reading.prepare(House(site.engine, site.payloads, site.config), request_id)
    with Clock() as opening:
        page = site.get(f"/requests/{request_id}/read")
    clocks = [Clock() for _ in range(TIMES)]
    for clock in clocks:
        with clock:
            site.get(f"/requests/{request_id}/read")
    own, wall = (statistics.median(getattr(each, name) for each in clocks) * 1000 for name in ("own", "wall"))
    say(
        f"  {size:,} records: made ahead {first.own:.1f} s, first opening {opening.own * 1000:.0f} ms, then {own:.0f} ms "
        f"(CPU; {wall:.0f} ms passed)"
    )
    return first.own, own, wall, len(page.encode())


def rows(size: int, first: float, page: float, passed: float, length: int) -> Iterator[Row]:
    """What one chart took."""
    yield Row(
        f"key facts of {size:,} records", first, "s CPU", "read, made and kept by a step, before anybody opens them"
    )
    yield Row(f"the page of {size:,} records afterwards", page, "ms CPU", f"{length / 1000:.0f} kB of HTML")
    yield Row(
        f"the page of {size:,} records afterwards", passed, "ms", "passed; the database's time and the load are in it"
    )


def chart(size: int) -> Iterator[dict]:
    """A chart of so many records over fourteen years: mostly results, a tenth of them flagged."""
    yield {"resourceType": "Patient", "id": "p", "birthDate": "1960-01-01", "name": [{"family": "Synthetic"}]}
    for number in range(1, size):
        day = (date(2012, 1, 1) + timedelta(days=number * DAYS // size)).isoformat()
        kind = next(kind for share, kind in _SHARES if number % 100 < share)
        yield {
            "id": f"r{number}",
            "subject": {"reference": "Patient/p"},
            **_MAKE[kind](number, day),
            "resourceType": kind,
        }


_SHARES = (
    (70, "Observation"),
    (76, "Encounter"),
    (82, "MedicationRequest"),
    (88, "DocumentReference"),
    (92, "DiagnosticReport"),
    (96, "Procedure"),
    (100, "Condition"),
)


def _coded(number: int, text: str, system: str = LOINC) -> dict:
    return {"coding": [{"system": system, "code": str(number), "display": text}], "text": text}


def _grams(value: int) -> dict:
    return {"value": value, "unit": "g/dL", "system": UCUM, "code": "g/dL"}


def _result(number: int, day: str) -> dict:
    flag = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "H"}]}
    return {
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": _coded(number % 37, f"Test {number % 37}"),
        "effectiveDateTime": f"{day}T08:00:00Z",
        "valueQuantity": _grams(number % 17),
        "referenceRange": [{"low": _grams(0), "high": _grams(14)}],
        "interpretation": [flag] if number % 17 > 14 else [],
    }


_MAKE = {
    "Observation": _result,
    "Encounter": lambda number, day: {
        "status": "finished",
        "class": {"code": "AMB"},
        "type": [_coded(1, "Office visit", "urn:made-up")],
        "period": {"start": day, "end": day},
    },
    "MedicationRequest": lambda number, day: {
        "status": ("active", "stopped")[number % 2],
        "intent": "order",
        "medicationCodeableConcept": _coded(number % 60, f"Drug {number % 60}", "urn:made-up"),
        "authoredOn": day,
        "dosageInstruction": [{"text": "1 tablet daily"}],
    },
    "DocumentReference": lambda number, day: {
        "status": "current",
        "type": _coded(11506, "Progress note"),
        "date": f"{day}T08:00:00Z",
        "content": [{"attachment": {"contentType": "application/pdf", "title": "Note"}}],
    },
    "DiagnosticReport": lambda number, day: {
        "status": "final",
        "code": _coded(number % 9, f"CT {number % 9}"),
        "effectiveDateTime": day,
        "conclusion": "Made up: unchanged.",
    },
    "Procedure": lambda number, day: {
        "status": "completed",
        "code": _coded(number % 30, f"Procedure {number % 30}", "urn:made-up"),
        "performedDateTime": day,
    },
    "Condition": lambda number, day: {
        "code": _coded(number % 50, f"Problem {number % 50}", "urn:made-up"),
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "onsetDateTime": day,
    },
}
