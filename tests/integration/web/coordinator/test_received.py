"""Records from elsewhere on the pages: uploaded, compared, said what they are, taken back; nothing typed is lost."""

import io
import re
from html import unescape

import pytest

from integration.store import requests
from integration.store.checklist_facts import spoken
from mappings.model.states import Actor, Status
from tests.integration.arriving import made

pytestmark = pytest.mark.postgres
PATIENT = {
    "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
    "name": {"family": "Synthetic-Test", "given": ["Ada"]},
    "birth_date": "1960-01-01",
}


def upload(site, request_id, *files):
    """Posts the form of the page with these (bytes, name)."""
    address = f"/requests/{request_id}/records-received"
    token = re.search(r'name="token" value="([^"]+)"', site.get(address)).group(1)
    fields = {"token": token, "file": [(io.BytesIO(data), name) for data, name in files]}
    return site.client.post(address, data=fields, content_type="multipart/form-data")


def received(site, request_id, data=None, name="path.pdf") -> str:
    """Uploads one file; returns the address of its page."""
    answer = upload(site, request_id, (data or made.pdf(), name))
    assert answer.status_code == 303, unescape(re.sub("<[^>]+>", " ", answer.text))
    return answer.headers["Location"]


def press(site, address, what, **fields):
    page = site.get(address)
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    version = re.search(r'name="version" value="([^"]+)"', page)
    given = {"token": token, "version": version.group(1) if version else "1", **fields}
    return site.client.post(f"{address}/{what}", data=given)


SAID = {"kind": "pathology-report", "source": "Elsewhere Pathology, by mail", "dated": "2026-05-30", "is_theirs": "yes"}


def test_a_file_waits_until_somebody_says_whose_and_what_it_is(site):
    request_id = site.request(patient=PATIENT)
    address = received(site, request_id)
    page = site.get(address)
    assert "The file does not say whose it is" in page
    assert "waits for your word" in site.get(f"/requests/{request_id}/records-received")
    answer = press(site, address, "accept", **{**SAID, "is_theirs": "", "author": "Dr. Dee"})
    assert answer.status_code == 409 and "say that it is this patient" in unescape(answer.text)
    assert 'value="Dr. Dee"' in answer.text and 'value="pathology-report" selected' in answer.text
    assert site.told(press(site, address, "accept", **SAID)) == "It goes with the next packet."
    with site.engine.connect() as conn:
        [(name, kind)] = spoken(conn, request_id).facts.assigned.items()
    assert kind == "pathology-report" and name.startswith("DocumentReference/received-")
    assert [row.actor for row in site.audited("received.accepted")] == ["web"]
    listed = site.get(f"/requests/{request_id}/records-received")
    assert "goes with the next packet" in listed and "Elsewhere Pathology" in listed


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"source": ""}, "Say where it came from."),
        ({"kind": ""}, "Say what kind of record it is."),
        ({"kind": "nonsense"}, "no checklist has an item of that name"),
        ({"dated": "30.5.2026"}, "The date is a day"),
        ({"dated": "2999"}, "lies in the future"),
    ],
)
def test_what_is_still_to_be_said_is_said(site, said, says):
    address = received(site, site.request(patient=PATIENT))
    answer = press(site, address, "accept", **{**SAID, **said})
    assert answer.status_code == 409 and says in unescape(answer.text)


def test_a_file_of_another_patient_needs_a_reason_and_is_never_silently_theirs(site):
    request_id = site.request(patient=PATIENT)
    address = received(site, request_id, made.ccda(family="Maiden"), "a.xml")
    page = unescape(site.get(address))
    assert "Not the same: the family name" in page and "the date of birth" in page
    answer = press(site, address, "accept", **SAID)
    assert answer.status_code == 409 and "another family name than the request" in unescape(answer.text)
    assert site.told(press(site, address, "accept", **SAID, identity_reason="name before marriage"))
    assert site.audited("received.accepted")[0].reason == "name before marriage"


def test_the_same_bytes_are_there_once_and_that_is_told(site):
    request_id = site.request()
    received(site, request_id)
    answer = upload(site, request_id, (made.pdf(), "again.pdf"))
    assert answer.status_code == 200 and "these very bytes are here already" in answer.text
    assert len(site.audited("received.arrived")) == 1


def test_one_wrong_file_stops_no_other_and_several_images_are_one_record(site):
    request_id = site.request()
    answer = upload(
        site,
        request_id,
        (made.pdf(), "a.pdf"),
        (b"MZ\0", "virus.exe"),
        (made.dicom(1), "IM1"),
        (made.dicom(2), "IM2"),
    )
    assert answer.status_code == 422 and "virus.exe: This is no file that is taken here" in unescape(
        re.sub("</?bdi>", "", answer.text)
    )
    assert len(site.audited("received.arrived")) == 2
    assert "a zip file" in answer.text and "2 images.zip" in unescape(answer.text) or "CT abdomen" in answer.text


def test_what_is_refused_or_too_large_leaves_nothing_behind(site):
    request_id = site.request()
    site.config.records.__dict__["max_upload_bytes"] = 5000  # frozen for everybody else
    answer = upload(site, request_id, (made.pdf() + b"\n%%EOF" + b" " * 6000, "large.pdf"))
    assert answer.status_code == 422 and "records.max_upload_bytes" in answer.text
    assert upload(site, request_id, (made.locked_pdf()[:4900], "a.pdf")).status_code == 422
    assert list(site.payloads.all()) == [] and site.audited("received.arrived") == []
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}/records-received")).group(1)
    data = {"token": token, "file": (io.BytesIO(b"x" * 2_000_000), "a.txt")}
    answer = site.client.post(f"/requests/{request_id}/records-received", data=data)
    assert answer.status_code == 413 and "larger than 0 MB" in answer.text


def test_two_people_at_one_record_the_second_is_told_and_nothing_is_lost(site):
    request_id = site.request(patient=PATIENT)
    address = received(site, request_id)
    page = site.get(address)
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    assert press(site, address, "take-back", because="wrong-record", reason="the wrong file").status_code == 303
    answer = site.client.post(f"{address}/accept", data={"token": token, "version": "1", **SAID})
    assert answer.status_code == 409 and "web was first: the record is discarded now" in unescape(answer.text)


def test_nothing_is_received_for_a_request_that_has_ended(site):
    request_id = site.request()
    with site.engine.begin() as conn:
        requests.advance(conn, request_id, Status.CANCELLED, Actor.PLACER, reason="no need")
    answer = upload(site, request_id, (made.pdf(), "a.pdf"))
    assert answer.status_code == 422 and "is cancelled" in answer.text


def test_a_document_is_read_and_downloaded_as_it_came_and_each_look_is_recorded(site):
    request_id = site.request()
    address = received(site, request_id, made.ccda("<paragraph>well &lt;b&gt;</paragraph><script>x</script>"), "a.xml")
    page = site.get(f"{address}/read")
    assert "<p>well &lt;b&gt;</p>" in page and "<script>x" not in page
    answer = site.client.get(f"{address}/file")
    assert answer.data == made.ccda("<paragraph>well &lt;b&gt;</paragraph><script>x</script>")
    assert (
        "sandbox" in answer.headers["Content-Security-Policy"] and "attachment" in answer.headers["Content-Disposition"]
    )
    assert [len(site.audited(f"received.{each}")) for each in ("read", "downloaded")] == [1, 1]
    pdf = received(site, request_id)
    assert "download it to look at it" in site.get(f"{pdf}/read", 409)
