"""Each real chart from one FHIR server to another, in both forms; the consultant acts over plain FHIR."""

import json
import os
from pathlib import Path

import pytest
import requests as http

from tests.jobs.exchange import a_request

pytestmark = [pytest.mark.hapi, pytest.mark.postgres]
OURS = "https://second-opinion.example/ids"
CHARTS = sorted(Path(os.environ.get("SECOND_OPINION_DATA", "missing"), "synthea").glob("*.json"))
BY_SIZE = sorted(CHARTS, key=lambda path: path.stat().st_size)
ALWAYS = {BY_SIZE[0], BY_SIZE[len(BY_SIZE) // 2]} if CHARTS else set()  # make test-long has the others
EACH = [pytest.param(path, marks=() if path in ALWAYS else pytest.mark.long) for path in CHARTS]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="SECOND_OPINION_DATA is not set: no real charts"))]
loaded: dict[str, dict] = {}


def load(servers, path: Path) -> dict:
    """Put a chart into the placer's server once; returns its Patient there."""
    key = f"{servers.placer} {path.name}"
    if key not in loaded:
        answer = http.post(
            servers.placer, data=path.read_bytes(), headers={"Content-Type": "application/fhir+json"}, timeout=300
        )
        answer.raise_for_status()
        place = next(
            entry["response"]["location"]
            for entry in answer.json()["entry"]
            if "Patient/" in entry["response"]["location"]
        )
        loaded[key] = {
            "patient": http.get(
                f"{servers.placer}/Patient/{place.split('Patient/')[1].split('/')[0]}", timeout=60
            ).json(),
            "count": len(answer.json()["entry"]),
        }
    return loaded[key]


def ask(chart: dict, key: str):
    """A request about the chart's patient, as a coordinator would enter it."""
    patient = chart["patient"]
    given = next(each for each in patient["identifier"] if each.get("system") and each.get("value"))
    return a_request(
        key=key,
        patient={
            "identifiers": [{"system": given["system"], "value": given["value"]}],
            "name": {"family": patient["name"][0]["family"], "given": patient["name"][0]["given"]},
            "birth_date": patient["birthDate"],
        },
    )


def total(base: str, kinds) -> int:
    """How many resources of these types a server holds."""
    return sum(
        http.get(
            f"{base}/{kind}", params={"_summary": "count"}, headers={"Cache-Control": "no-cache"}, timeout=60
        ).json()["total"]
        for kind in kinds
    )


@pytest.mark.parametrize("path", EACH or NONE, ids=lambda path: path.name.split("_")[1] if path else "none")
@pytest.mark.parametrize("accepts", ["resources", "documents"])
def test_a_chart_travels_whole_and_the_report_comes_back(make_exchange, servers, path, accepts):
    chart = load(servers, path)
    exchange = make_exchange(accepts=accepts)
    request_id = exchange.submit(ask(chart, f"{accepts}-{path.name}"))
    exchange.drain()
    view = exchange.view(request_id)
    assert exchange.parked(request_id) == [], [step["message"] for step in view["owed"]]
    assert view["gathered"] == view["sent"] == view["verified"], view["findings"]
    exchange.answer()
    exchange.watch()
    view = exchange.view(request_id)
    assert view["closed"] and view["report_verified"], (
        view["status"],
        view["findings"],
        [step["message"] for step in view["owed"]],
    )
    [report] = exchange.find("alice", "DocumentReference", identifier=f"{OURS}|DocumentReference/{request_id}-report-1")
    assert report["subject"]["reference"] == f"Patient/{chart['patient']['id']}"
    print(
        json.dumps(
            {
                "chart": path.name.split("_")[1],
                "form": accepts,
                "loaded": chart["count"],
                **{key: view[key] for key in ("gathered", "sent", "verified", "closed")},
                "findings": len(view["findings"]),
            }
        )
    )
    if accepts == "resources":
        again(exchange, servers, chart, path, view)


def again(exchange, servers, chart, path, view):
    """The same patient asked about once more: nothing is created twice; the report that was returned is of the chart now."""
    kinds = sorted(
        {
            item.split("/")[0]
            for delivery in view["deliveries"]
            if delivery["kind"] == "records"
            for item in items_of(exchange, delivery["id"])
        }
    )
    before = total(servers.fulfiller, kinds)
    second = exchange.submit(ask(chart, f"again-{path.name}"))
    exchange.drain()
    assert exchange.view(second)["verified"] == view["verified"] + 1
    assert total(servers.fulfiller, kinds) == before + ("DocumentReference" in kinds)


def items_of(exchange, delivery_id: str):
    """Sources of a delivery's items."""
    from integration.store import deliveries

    with exchange.engine.connect() as conn:
        return list(deliveries.items(conn, delivery_id))
