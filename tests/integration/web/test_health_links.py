"""A patient's link, from the page that makes it to a reader of others: its rules, its end, and who opened it."""

import base64
import io
import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from pypdf import PdfReader
from sqlalchemy import func, select, update

import second_opinion
from integration.store import health_links as store
from integration.store import tables
from integration.web import create_app
from mappings.model.packet import ManifestItem
from tests.integration.health_links.reader import link_of, opened, passcode_of, payload_of
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Núñez"}]}
DRUG = {
    "resourceType": "MedicationStatement",
    "id": "m",
    "status": "active",
    "subject": {"reference": "Patient/p"},
    "medicationCodeableConcept": {"text": "Warfarin"},
}


def with_packet(site: Site, *records: dict, key: str = "k1", version: int = 1, request_id: str = "", **manifest) -> str:
    request_id = request_id or site.request(key)
    site.packet(request_id, *(records or (PATIENT, DRUG)), version=version, **manifest)
    return request_id


def make(site: Site, request_id: str, status: int = 200, **fields) -> str:
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}/health-links")).group(1)
    fields = {"token": token, "days": "30", "is_theirs": "yes", **fields}
    answer = site.client.post(f"/requests/{request_id}/health-links", data={k: v for k, v in fields.items() if v})
    assert answer.status_code == status, unescape(answer.text)[-3000:]
    return unescape(answer.text)


def path_of(link: str) -> str:
    return urlsplit(payload_of(link)["url"]).path


def ask(site: Site, link: str, status: int = 200, **body):
    answer = site.app.test_client().post(path_of(link), json={"recipient": "Dr. Bob, Mercy", **body})
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    return answer


def files(site: Site, link: str, answer) -> list[tuple[dict, bytes]]:
    key = payload_of(link)["key"]
    found = []
    for each in answer.json["files"]:
        sealed = each.get("embedded")
        if sealed is None:
            got = site.app.test_client().get(urlsplit(each["location"]).path)
            assert (got.status_code, got.content_type) == (200, "application/jose")
            sealed = got.text
        header, _, data = opened(sealed, key)
        assert header["cty"] == each["contentType"] == "application/fhir+json" and each["fhirVersion"] == "4.0.1"
        found.append((json.loads(data), data))
    return found


def test_a_reader_with_link_and_passcode_gets_the_summary_and_the_pdf(site):
    request_id = with_packet(site)
    page = make(site, request_id)
    link, passcode = link_of(page), passcode_of(page)
    payload = payload_of(link)
    assert len(payload["url"]) <= 128 and len(payload["key"]) == 43 and payload["flag"] == "P" and payload["v"] == 1
    assert len(path_of(link).rpartition("/")[2]) == 43 and payload["label"] == "Records for a second opinion"
    assert '<svg role="img" aria-label="QR code' in page
    (bundle, _), (document, _) = files(site, link, ask(site, link, passcode=passcode))
    assert bundle["type"] == "document" and bundle["entry"][0]["resource"]["type"]["coding"][0]["code"] == "60591-5"
    assert "Warfarin" in json.dumps(bundle)
    attached = document["content"][0]["attachment"]
    words = "".join(each.extract_text() for each in PdfReader(io.BytesIO(base64.b64decode(attached["data"]))).pages)
    assert attached["contentType"] == "application/pdf" and "Warfarin" in words
    page = unescape(site.get(f"/requests/{request_id}/health-links"))
    assert "Dr. Bob, Mercy" in page and "got the list, 2 files" in page and link not in page and passcode not in page
    [left] = site.audited("data.leaves")
    assert left.subject == "health-link" and left.actor.startswith("link ") and left.detail["kind"] == "HealthLink"
    assert left.reason == "carried-by-patient" and "Bob" not in str(left)


def test_nothing_that_opens_a_link_is_kept(site):
    page = make(site, with_packet(site))
    link, passcode = link_of(page), passcode_of(page)
    ask(site, link, passcode=passcode)
    kept = []
    with site.engine.connect() as conn:
        for table in tables.metadata.sorted_tables:
            kept += [str(row) for row in conn.execute(select(table))]
    for secret in (payload_of(link)["key"], path_of(link).rpartition("/")[2], passcode):
        assert not any(secret in each for each in kept)


def test_what_is_wrong_with_a_request_for_the_manifest_is_said(site):
    page = make(site, with_packet(site))
    link, passcode = link_of(page), passcode_of(page)
    client = site.app.test_client()
    assert "recipient" in client.post(path_of(link), json={"passcode": passcode}).json["error"]
    assert client.post(path_of(link), data="{", content_type="application/json").status_code == 400
    assert client.post(path_of(link), data=b"[" * 10_000).status_code == 400
    assert client.post(path_of(link), data=b" " * 20_000).status_code == 400
    assert ask(site, link, 401).json["remainingAttempts"] == 10
    assert ask(site, link, 401, passcode="00000000x").json["remainingAttempts"] == 9
    assert client.get(path_of(link) + "?recipient=x").status_code == 404
    assert client.head(path_of(link)).status_code == 405
    answer = client.options(path_of(link), headers={"Origin": "https://viewer.example.org"})
    assert (
        answer.headers["Access-Control-Allow-Origin"] == "*"
        and "POST" in answer.headers["Access-Control-Allow-Methods"]
    )
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    good = client.post(
        path_of(link), json={"recipient": "x", "passcode": passcode}, headers={"Origin": "https://v.example"}
    )
    assert (
        good.status_code == 200
        and good.headers["Access-Control-Allow-Origin"] == "*"
        and not good.headers.getlist("Set-Cookie")
    )


def test_wrong_passcodes_are_counted_for_life_over_processes_and_whatever_comes_at_once(site):
    page = make(site, with_packet(site))
    link, passcode = link_of(page), passcode_of(page)
    other = create_app(site.config, site.engine, site.payloads)  # another process has nothing but the database

    def guess(number: int) -> int:
        app = (site.app, other)[number % 2]
        body = {"recipient": "x", "passcode": f"{number:08}x"}
        return app.test_client().post(path_of(link), json=body).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(guess, range(24)))
    assert answers.count(401) == store.ATTEMPTS and set(answers) == {401, 404}
    ask(site, link, 404, passcode=passcode)
    with site.engine.connect() as conn:
        assert conn.execute(select(tables.health_links.c.attempts_left)).scalar_one() == 0
    assert "too many wrong passcodes" in site.get(
        f"/requests/{site.audited('health-link.made')[0].request_id}/health-links"
    )
    assert len(site.audited("health-link.wrong-passcode")) == store.ATTEMPTS


def test_a_link_that_is_asked_for_too_often_waits(site):
    page = make(site, with_packet(site))
    link, passcode = link_of(page), passcode_of(page)
    for _ in range(store.ASKED_IN_A_MINUTE):
        ask(site, link, passcode=passcode)
    answer = ask(site, link, 429, passcode=passcode)
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert ask(site, link, 429, passcode="00000000x")  # and nobody tries passcodes meanwhile
    with site.engine.begin() as conn:
        table = tables.health_link_accesses
        conn.execute(update(table).values(at=func.now() - timedelta(minutes=2)))
    ask(site, link, passcode=passcode)


def test_unknown_expired_and_revoked_links_are_one_and_the_same(site):
    request_id = with_packet(site)
    page = make(site, request_id)
    link, passcode = link_of(page), passcode_of(page)
    unknown = site.app.test_client().post("/shl/" + "x" * 43, json={"recipient": "x"})
    with site.engine.begin() as conn:
        table = tables.health_links
        until = conn.execute(select(table.c.expires_at)).scalar_one()
        conn.execute(update(table).values(expires_at=func.now() - timedelta(seconds=1)))
    expired = ask(site, link, 404, passcode=passcode)
    with site.engine.begin() as conn:
        conn.execute(update(table).values(expires_at=until))
    answer = ask(site, link, passcode=passcode, embeddedLengthMax=0)
    location = urlsplit(answer.json["files"][0]["location"]).path
    link_id = re.search(r"health-links/(\w+)/revoke", site.get(f"/requests/{request_id}/health-links")).group(1)
    form = site.form(f"/requests/{request_id}/health-links")
    refused = site.client.post(f"/requests/{request_id}/health-links/{link_id}/revoke", data=form)
    assert refused.status_code == 409 and "why" in refused.text
    form["reason"] = ["the phone was lost"]
    told = site.told(site.client.post(f"/requests/{request_id}/health-links/{link_id}/revoke", data=form))
    assert "opens nothing any more" in told
    revoked = ask(site, link, 404, passcode=passcode)
    assert unknown.status_code == 404 and unknown.json == expired.json == revoked.json
    assert site.app.test_client().get(location).status_code == 404  # what was handed out before opens nothing either
    assert "the phone was lost" in site.get(f"/requests/{request_id}/health-links")
    assert site.client.post(f"/requests/{request_id}/health-links/{link_id}/revoke", data=form).status_code == 409


def test_a_location_works_once_and_nothing_longer_than_asked_for_stands_inside(site):
    page = make(site, with_packet(site))
    link, passcode = link_of(page), passcode_of(page)
    answer = ask(site, link, passcode=passcode, embeddedLengthMax=2000)
    sizes = [len(each["embedded"]) for each in answer.json["files"] if "embedded" in each]
    assert all(size <= 2000 for size in sizes)
    answer = ask(site, link, passcode=passcode, embeddedLengthMax=0)
    assert all("location" in each for each in answer.json["files"]) and len(files(site, link, answer)) == 2
    for each in answer.json["files"]:
        assert site.app.test_client().get(urlsplit(each["location"]).path).status_code == 404
    other = ask(site, link, passcode=passcode, embeddedLengthMax=0)
    with site.engine.begin() as conn:
        conn.execute(update(tables.health_link_locations).values(expires_at=func.now() - timedelta(seconds=1)))
    assert site.app.test_client().get(urlsplit(other.json["files"][0]["location"]).path).status_code == 404


def test_a_later_packet_comes_into_a_long_term_link_under_its_own_key(site):
    request_id = with_packet(site)
    page = make(site, request_id, is_long_term="yes")
    link, passcode = link_of(page), passcode_of(page)
    assert payload_of(link)["flag"] == "LP"
    first = ask(site, link, passcode=passcode)
    with_packet(site, {**DRUG, "medicationCodeableConcept": {"text": "Apixaban"}}, version=2, request_id=request_id)
    second = ask(site, link, passcode=passcode)
    assert {each["status"] for each in second.json["files"]} == {"can-change"}
    bundle = files(site, link, second)[0][1].decode()
    assert "Apixaban" in bundle and "Warfarin" not in bundle and "Patient" in bundle
    key, nonces = payload_of(link)["key"], set()
    for answer in (first, second):
        nonces |= {opened(each["embedded"], key)[1] for each in answer.json["files"] if "embedded" in each}
    assert len(nonces) == sum("embedded" in each for answer in (first, second) for each in answer.json["files"])
    kept = site.config.keys_folder / "health-links.key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text("x" * 43)  # restored without its key: what it has stays good
    with_packet(site, {**DRUG, "medicationCodeableConcept": {"text": "Heparin"}}, version=3, request_id=request_id)
    assert "Apixaban" in files(site, link, ask(site, link, passcode=passcode))[0][1].decode()


def test_a_link_for_one_file_has_no_passcode_and_no_manifest(site):
    page = make(site, with_packet(site), opens="direct")
    link = link_of(page)
    assert payload_of(link)["flag"] == "U" and 'class="passcode"' not in page and "1 document did not fit" in page
    client = site.app.test_client()
    assert client.post(path_of(link), json={"recipient": "x"}).status_code == 404
    assert client.get(path_of(link)).status_code == 400 and client.head(path_of(link)).status_code == 405
    answer = client.get(path_of(link) + "?recipient=Dr.%20Eve")
    assert answer.content_type == "application/jose"
    assert json.loads(opened(answer.text, payload_of(link)["key"])[2])["type"] == "document"


def test_a_document_of_the_packet_travels_and_one_that_does_not_fit_is_told(site):
    scan, large = b"\x89PNG scan", b"x" * 1_200_000
    record = {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "superseded",
        "subject": {"reference": "Patient/p"},
    }
    record["content"] = [{"attachment": {"url": f"Binary/{each}"}} for each in "ab"]
    items = tuple(
        ManifestItem(source=f"Binary/{name}", kind="attachment", size=len(data), sha256=site.payloads.put(data),
                     content_type="image/png", of=f"DocumentReference/d#DocumentReference.content[{at}].attachment")
        for at, (name, data) in enumerate((("a", scan), ("b", large)))
    )  # fmt: skip
    object.__setattr__(
        site.config, "health_links", site.config.health_links.model_copy(update={"max_bytes": 1_000_000})
    )
    page = make(site, with_packet(site, PATIENT, record, items=items))
    link = link_of(page)
    assert "1 document did not fit" in page
    found = files(site, link, ask(site, link, passcode=passcode_of(page)))
    document = found[-1][0]
    assert len(found) == 3 and document["status"] == "superseded"  # as its record says
    assert base64.b64decode(document["content"][0]["attachment"]["data"]) == scan


def test_what_was_typed_wrong_is_said_and_kept(site):
    request_id = site.request("empty")
    assert "There is no packet yet" in site.get(f"/requests/{request_id}/health-links")
    token = site.form("/requests/" + with_packet(site) + "/health-links")["token"][0]
    answer = site.client.post(
        f"/requests/{request_id}/health-links", data={"token": token, "days": "3", "is_theirs": "yes"}
    )
    assert answer.status_code == 409 and "no packet yet" in answer.text
    request_id = with_packet(site, key="k2")
    for days in ("0", "", "-1", "366", "soon"):
        assert f'value="{days}"' in make(site, request_id, 400, days=days or " ") or days == ""
    page = make(site, request_id, 400, is_theirs="", days="7", is_long_term="yes")
    assert (
        "a link is for nobody else" in page
        and 'value="7"' in page
        and re.search(r'name="is_long_term"[^>]* checked', page)
    )
    make(site, request_id, 403, token="forged")
    with site.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(tables.health_links)).scalar_one() == 0


def test_nothing_leaves_by_a_link_of_a_request_that_was_cancelled(site):
    request_id = with_packet(site)
    page = make(site, request_id)
    with site.engine.begin() as conn:
        conn.execute(update(tables.requests).where(tables.requests.c.id == request_id).values(status="cancelled"))
    ask(site, link_of(page), 404, passcode=passcode_of(page))
    [kept] = site.audited("data.kept")
    assert kept.subject == "health-link" and "request-withdrawn" in kept.reason
    make(site, request_id, 409)
    assert "may not leave now" in site.get(f"/requests/{request_id}/health-links")


def test_page_api_and_command_make_list_and_revoke_the_same_links(site, tmp_path, database):
    def run(*words: str, code: int = 0) -> str:
        runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
        done = runner.invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "health-links", *words])
        assert done.exit_code == code, done.output
        return done.output

    request_id = with_packet(site)
    there = f"/api/requests/{request_id}/health-links"
    refused = site.client.post(there, json={"patient_asked": False})
    assert refused.status_code == 400 and "a link is for nobody else" in refused.text
    assert "a link is for nobody else" in run("make", request_id, code=1)
    by_api = site.client.post(there, json={"patient_asked": True, "later_records": True}).json
    assert ask(site, by_api["link"], passcode=by_api["passcode"]).json["files"]
    by_command = json.loads(run("make", request_id, "--patient-asked", "--no-passcode", "--days", "3", "--json"))
    assert by_command["passcode"] is None and payload_of(by_command["link"])["flag"] == "U"
    found = site.client.get(there).json["health_links"]
    assert [each["id"] for each in json.loads(run("list", request_id, "--json"))["health_links"]] == [
        each["id"] for each in found
    ]
    assert [(each["id"], each["later_records"], each["has_passcode"]) for each in found] == [
        (by_command["id"], False, False),
        (by_api["id"], True, True),
    ]
    assert [each["recipient"] for each in found[1]["openings"]] == ["Dr. Bob, Mercy"]
    assert by_api["link"] not in str(found) and by_api["passcode"] not in str(found)
    assert site.client.post(f"{there}/{by_api['id']}/revoke", json={"reason": "lost"}).json["changed"]
    assert site.client.post(f"{there}/{by_api['id']}/revoke", json={"reason": "lost"}).status_code == 409
    assert (
        json.loads(run("revoke", request_id, by_command["id"], "--reason", "lost", "--json"))["id"] == by_command["id"]
    )
    ask(site, by_api["link"], 404, passcode=by_api["passcode"])
    assert {each["state"] for each in site.client.get(there).json["health_links"]} == {"revoked"}
    assert len(site.audited("health-link.made")) == len(site.audited("health-link.revoked")) == 2
    assert {each.reason for each in site.audited("health-link.looked-at")} >= {"API", "command line"}
    empty = site.client.post(f"/api/requests/{site.request('empty')}/health-links", json={"patient_asked": True})
    assert empty.status_code == 409 and "no packet yet" in empty.text
