"""A link that a patient brings: taken in from real servers, ours and an unkind one; each thing that is wrong is a sentence."""

import base64
import json
import logging
import re
import threading
from html import unescape

import pytest
from click.testing import CliRunner
from sqlalchemy import select

import second_opinion
from integration.health_links import making
from integration.health_links.making import Wanted
from integration.store import received_records, tables
from integration.visit_reading import House
from integration.web.server import create_servers
from mappings.health_link import SCHEME
from mappings.received import Identity
from mappings.received_fhir import documents_in, identity_in, said_of
from tests.integration.health_links.reader import sealed
from tests.integration.web.site import Site
from tests.integration.web.test_health_links import with_packet
from tests.servers.unkind_links import HEADER, KEY, UnkindLinks

pytestmark = pytest.mark.postgres
NEAR = "health_links: {allow_http: true, networks: [127.0.0.0/8]}\n"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Doe", "given": ["Ann"]}], "birthDate": "1980-02-29"}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "document",
    "entry": [
        {"resource": {
            "resourceType": "Composition", "title": "Discharge summary", "date": "2026-05-01",
            "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]},
            "section": [{"title": "Course", "text": {"div": "<div><p onclick='x'>Went well<script>evil()</script></p></div>"}}],
        }},
        {"resource": PATIENT},
    ],
}  # fmt: skip


@pytest.fixture
def near(tmp_path, database) -> Site:
    """An installation that may ask servers of this machine without TLS."""
    return Site(tmp_path, database, NEAR)


@pytest.fixture
def unkind():
    made = UnkindLinks(BUNDLE)
    yield made
    made.close()


def link_to(server: UnkindLinks, **more) -> str:
    payload = {"url": server.url, "key": KEY, **more}
    return SCHEME + base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")


def paste(site: Site, link: str, passcode: str = "", request_id: str = ""):
    request_id = request_id or site.request("brought")
    token = site.form(f"/requests/{request_id}/records-received")["token"][0]
    data = {"token": token, "link": link, "passcode": passcode}
    return site.client.post(f"/requests/{request_id}/records-received/link", data=data)


def refused(site: Site, link: str, passcode: str = "", status: int = 422) -> str:
    answer = paste(site, link, passcode)
    assert answer.status_code == status, unescape(answer.text)[-2000:]
    page = unescape(answer.text)
    alert = re.search(r'<div class="error" role="alert">.*?</div>', page, re.S).group()
    assert KEY not in alert and "t" * 43 not in alert and link[:60] in page  # what was pasted is still there
    return re.sub(r"<[^>]*>", "", alert)


def records(site: Site) -> list[received_records.ReceivedRecord]:
    with site.engine.connect() as conn:
        rows = conn.execute(select(tables.received_records).order_by(tables.received_records.c.file_name))
        return [received_records.ReceivedRecord.from_row(row) for row in rows]


def test_a_link_of_ours_is_taken_in_over_real_http(near):
    server = create_servers(near.app, host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.port}"
        house = House(near.engine, near.payloads, near.config)
        made = making.make(house, with_packet(near), Wanted(is_theirs=True), address, actor="ann")
        answer = paste(near, f"https://viewer.example.org/#{made.link}", made.passcode)
        assert "2 files are here" in near.told(answer)
    finally:
        server.close()
    summary, pdf = records(near)
    assert (summary.format, pdf.format) == ("fhir", "pdf") and summary.state == pdf.state == "arrived"
    assert summary.what_it_says.identity == Identity("Núñez") and summary.what_it_says.code.code == "60591-5"
    assert (
        summary.what_it_says.came_from
        == pdf.what_it_says.came_from
        == "SMART Health Link of 127.0.0.1, brought by the patient"
    )
    [opened] = near.audited("received.link-opened")
    assert (opened.subject, opened.actor) == ("127.0.0.1", "web")
    one = unescape(near.get(f"/requests/{summary.request_id}/records-received/{summary.id}"))
    assert "SMART Health Link of 127.0.0.1" in one and "the family name" in one


def test_what_it_says_is_read_and_shown_and_nothing_of_it_runs(near, unkind):
    assert "1 file is here" in near.told(paste(near, link_to(unkind)))
    [record] = records(near)
    said = record.what_it_says
    assert (said.title, said.dated, said.code.code, said.identity.born_on) == (
        "Discharge summary",
        "2026-05-01",
        "18842-5",
        "1980-02-29",
    )
    page = near.get(f"/requests/{record.request_id}/records-received/{record.id}/read")
    assert "Went well" in page and "evil" not in page and "onclick" not in page
    stored = json.loads(near.payloads.get(record.sha256))
    assert stored == BUNDLE  # never re-coded
    [(_, _, body)] = unkind.asked
    assert body["recipient"] == "Dr Alice (Second Opinion Exchange)" and "passcode" not in body


def test_the_key_reaches_no_row_and_no_log(near, unkind, caplog):
    caplog.set_level(logging.DEBUG)
    near.told(paste(near, link_to(unkind, flag="P"), "secret-passcode-77"))
    unkind.manifest = lambda: (500, {}, b"")
    paste(near, link_to(unkind), request_id=records(near)[0].request_id)
    kept = [record.getMessage() for record in caplog.records if not record.name.startswith(("urllib3", "asyncio"))]
    with near.engine.connect() as conn:
        kept += [str(row) for table in tables.metadata.sorted_tables for row in conn.execute(select(table))]
    for secret in (KEY, "t" * 43, "secret-passcode-77"):
        assert not any(secret in each for each in kept)


def test_a_wrong_passcode_says_how_many_are_left_and_is_not_tried_again_by_itself(near):
    server = UnkindLinks(BUNDLE, passcode="12345678")
    try:
        assert "type the one that the patient has" in refused(near, link_to(server, flag="P")) and server.asked == []
        said = refused(near, link_to(server, flag="P"), "00000000")
        assert "The passcode is wrong. 2 more can be tried" in said and len(server.asked) == 1
        assert "1 file is here" in near.told(paste(near, link_to(server, flag="P"), "12345678"))
    finally:
        server.close()


def test_a_file_at_a_location_is_fetched_and_a_document_inside_is_a_record_of_its_own(near, unkind):
    picture = {"resourceType": "DocumentReference", "status": "current", "description": "Letter",
               "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"Dear doctor").decode()}}]}  # fmt: skip
    unkind.files.append(sealed(json.dumps(picture).encode(), KEY, {**HEADER, "zip": "DEF"}))
    unkind.inside = False
    assert "2 files are here" in near.told(paste(near, link_to(unkind)))
    assert [each.format for each in records(near)] == ["fhir", "text"]
    assert near.payloads.get(records(near)[1].sha256) == b"Dear doctor"


def test_a_single_file_is_fetched_without_a_manifest(near, unkind):
    assert "1 file is here" in near.told(paste(near, link_to(unkind, flag="U")))
    [(method, path, _)] = unkind.asked
    assert method == "GET" and "recipient=Dr" in path


def cut(text: str) -> str:
    return text[: len(text) // 2]


def tampered(text: str) -> str:
    head, key, nonce, data, tag = text.split(".")
    return ".".join([head, key, nonce, ("A" if data[0] != "A" else "B") + data[1:], tag])


BOMB = sealed(b"\x00" * 60_000_000, KEY, HEADER)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (cut, "cannot be opened|no encrypted file"),
        (tampered, "cannot be opened with the link's key"),
        (lambda text: sealed(b"{}", "A" * 43, HEADER), "cannot be opened with the link's key"),
        (lambda text: BOMB, "larger than 50 MB when it is unpacked"),
        (lambda text: "<html>login</html>", "no encrypted file"),
        (lambda text: sealed(b'{"resourceType": "Bu', KEY, HEADER), "no FHIR resource"),
        (lambda text: sealed(b'{"files": []}', KEY, HEADER), "no FHIR resource"),
        (lambda text: sealed(b"{}", KEY, {**HEADER, "cty": "application/pdf"}), "says that it is application/pdf"),
        (lambda text: sealed(b"{}", KEY, {"alg": "dir", "enc": "A256GCM", "zip": "GZIP"}), "cannot be opened"),
    ],
    ids="cut tampered other-key bomb html not-json no-fhir other-type other-zip".split(),
)
def test_a_bad_file_is_named_and_the_good_one_is_taken(near, unkind, file, words):
    unkind.files = [file(unkind.files[0]), unkind.files[0]]
    said = refused(near, link_to(unkind))
    assert "File 1 of 2" in said and re.search(words, said)
    assert [each.format for each in records(near)] == ["fhir"]


def answer(status: int, body: bytes = b"", **headers):
    return lambda: (status, headers, body)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (answer(404), "opens nothing any more"),
        (answer(429, **{"Retry-After": "17"}), "try again in 17 seconds"),
        (answer(429, **{"Retry-After": "<b>"}), "try again later"),
        (answer(500), "answers 500"),
        (answer(302, Location="http://169.254.169.254/"), "answers 302"),
        (answer(200, b"<html>"), "no manifest"),
        (answer(200, b"[" * 100_000), "no manifest"),
        (answer(200, b'{"files": []}'), "no file"),
        (answer(200, b'{"files": [{"contentType": "application/fhir+json", "location": "file:///etc/passwd"}]}'), "where file 1 is"),
        (answer(200, b'{"files": [{"contentType": "application/smart-api-access", "embedded": "x"}]}'), "no encrypted file"),
        (answer(200, b"{", **{"Content-Length": "500"}), "gave nothing"),
        (answer(401, b'{"remainingAttempts": "many"}'), "The passcode is wrong. Ask the patient"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_a_sentence_and_nothing_is_taken(near, unkind, manifest, words):
    unkind.manifest = manifest
    assert words in refused(near, link_to(unkind)) and records(near) == []


def test_where_it_may_not_ask_it_does_not(near, unkind):
    allowed = near.config.health_links
    object.__setattr__(near.config, "health_links", allowed.model_copy(update={"allow_http": False}))
    assert "not one of https" in refused(near, link_to(unkind)) and unkind.asked == []
    object.__setattr__(near.config, "health_links", allowed.model_copy(update={"networks": ()}))
    assert "inside a private network" in refused(near, link_to(unkind)) and unkind.asked == []


def test_a_file_elsewhere_inside_the_network_is_not_asked_either(near, unkind):
    """The manifest is where it may be asked; a location that it names is looked at anew."""
    lying = [{"contentType": "application/fhir+json", "location": "http://10.1.2.3/f"}]
    unkind.manifest = answer(200, json.dumps({"files": lying}).encode())
    assert "File 1 of 1" in refused(near, link_to(unkind)) and records(near) == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("", "no SMART Health Link"),
        ("shlink:/eyJ", "cut, or was changed"),
        ("https://x.example/#shlink:/%%", "cut, or was changed"),
    ],
)
def test_what_is_no_link_is_said_before_anybody_is_asked(near, link, words):
    assert words in refused(near, link)


def test_an_expired_link_is_not_tried(near, unkind):
    assert "was good until 2001-09-09" in refused(near, link_to(unkind, exp=1_000_000_000)) and unkind.asked == []


def test_what_is_there_already_is_kept_once(near, unkind):
    request_id = near.request("brought")
    near.told(paste(near, link_to(unkind), request_id=request_id))
    assert "these very bytes are here already" in near.told(paste(near, link_to(unkind), request_id=request_id))
    assert len(records(near)) == 1


def test_two_patients_in_a_file_are_nobody_and_a_document_without_bytes_stays_a_resource():
    assert identity_in({"resourceType": "Bundle", "entry": [{"resource": PATIENT}, {"resource": PATIENT}]}) is None
    assert documents_in({"resourceType": "DocumentReference", "content": [{"attachment": {"url": "Binary/1"}}]}) is None
    assert said_of({"resourceType": "Bundle", "entry": "x", "type": "y"}).title == "Bundle"


def test_a_program_and_a_command_hand_one_in_and_it_stands_in_no_argument(near, unkind, tmp_path, database):
    request_id = near.request("api")
    link, there = link_to(unkind), f"/api/requests/{request_id}/records-received/link"
    made = near.client.post(there, json={"link": link}).json
    assert len(made["taken"]) == 1 and made["known"] == made["refused"] == []
    runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
    words = ["--config", str(tmp_path / "config.yaml"), "records", "open-link", request_id, "-", "--json"]
    done = runner.invoke(second_opinion.cli, words, input=f"{link}\n1234\n")
    assert json.loads(done.stdout) == {"request_id": request_id, "taken": [], "known": made["taken"], "refused": []}
    for pasted, status in (("nonsense", 422), ("", 400), ("x" * 9000, 400)):
        answer = near.client.post(there, json={"link": pasted})
        assert answer.status_code == status and "x" * 100 not in answer.text
    assert runner.invoke(second_opinion.cli, words, input="nonsense").exit_code == 1
