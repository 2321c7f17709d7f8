"""The form for clinicians: what they type becomes a request; what is wrong is said beside its field, and nothing is lost."""

import re
from html import unescape

import pytest
from sqlalchemy import select

from integration.store import requests as store
from integration.store.tables import requests

pytestmark = pytest.mark.postgres
FILLED = {
    "placer": "alice",
    "fulfiller": "mercy",
    "priority": "urgent",
    "wanted_by": "2030-04-01",
    "patient.identifiers[0].system": "urn:test:mrn",
    "patient.identifiers[0].value": "00123",
    "patient.name.family": "Synthetic-Test",
    "patient.name.given[0]": "Ada",
    "patient.birth_date": "1960-01-01",
    "patient.sex": "female",
    "requester.name.family": "Alice",
    "requester.identifiers[0].value": "1234567893",
    "first_opinion.diagnosis.text": "synthetic diagnosis",
    "first_opinion.diagnosis.codes[0].code": "C18.7",
    "first_opinion.given_on": "2026-01-02",
    "first_opinion.doctor.name.family": "Charlie",
    "question": "Is surgery needed?\nAnd when?",
    "patient_questions": "Can I wait?\n\nDoes it hurt?",
    "specialty.code": "394593009",
    "consent": "Consent/1",
}


def send(site, **changed):
    page = site.get("/new")
    hidden = {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', page)
    }
    return site.client.post(
        "/new", data={**hidden, **FILLED, **{name.replace("__", "."): value for name, value in changed.items()}}
    )


def test_a_filled_form_becomes_a_request(site):
    assert "is received" in site.told(send(site))
    with site.engine.connect() as conn:
        [row] = conn.execute(select(requests)).all()
    made = store.content(row)
    assert (
        made.patient.identifiers[0].value == "00123"
        and made.patient.birth_date.isoformat() == "1960-01-01"
        and made.priority == "urgent"
    )
    assert made.question == "Is surgery needed?\nAnd when?" and made.patient_questions == (
        "Can I wait?",
        "Does it hurt?",
    )
    assert (
        made.requester.identifiers[0].system == "http://hl7.org/fhir/sid/us-npi"
        and made.first_opinion.diagnosis.codes[0].code == "C18.7"
    )
    assert (
        made.specialty.display == "Medical oncology"
        and made.consultant is None
        and made.first_opinion.doctor.identifiers == ()
    )


def test_the_same_form_twice_is_one_request(site):
    first, key = send(site, key="web-1"), "web-1"
    assert first.status_code == 303 and "was received before" in site.told(send(site, key=key))
    other = send(site, key=key, question="Something else?")
    assert other.status_code == 409 and "new key" in other.text and "Something else?" in other.text


def test_mistakes_stand_beside_their_fields_and_nothing_is_lost(site):
    answer = send(
        site,
        patient__birth_date="yesterday",
        question="",
        fulfiller="nowhere",
        consent="none",
        patient__name__family='<script>"',
    )
    page = answer.text
    assert answer.status_code == 400 and "4 places need another look" in page
    for name in ("patient-birth_date", "question", "fulfiller", "consent"):
        assert f'href="#{name}"' in page and f'id="{name}-error"' in page
        assert re.search(rf'id="{name}" [^>]*aria-invalid="true"[^>]*aria-describedby="[^"]*{name}-error"', page), name
    assert (
        'value="yesterday"' in page
        and 'value="00123"' in page
        and "Does it hurt?" in page
        and "&lt;script&gt;&#34;" in page
    )
    with site.engine.connect() as conn:
        assert conn.execute(select(requests)).all() == []


def test_a_specialty_or_a_consultant_is_needed(site):
    answer = send(site, **{"specialty.code": ""})
    assert answer.status_code == 400 and "name a `specialty` or a `consultant`" in unescape(answer.text)
    assert send(site, **{"specialty.code": "", "consultant.name.family": "Bob"}).status_code == 303


def test_a_form_from_elsewhere_is_refused_and_nothing_typed_is_lost(site):
    answer = send(site, token="forged")
    assert answer.status_code == 403 and "Does it hurt?" in answer.text


def test_an_empty_form_is_told_what_is_missing(site):
    answer = send(site, **dict.fromkeys(FILLED, ""))
    assert answer.status_code == 400 and answer.text.count('aria-invalid="true"') >= 5
