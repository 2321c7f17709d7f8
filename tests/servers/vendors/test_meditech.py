"""The Meditech-like server has Greenfield's habits: its smart-configuration and CapabilityStatement, api-evangelist/meditech."""

import requests

from tests.servers.vendors.charts import load, note
from tests.servers.vendors.meditech import Meditech


def test_a_grant_that_is_advertised_is_refused_to_whoever_signs_in_rightly(keys, token):
    """authentication/meditech-greenfield-oauth.yml: 400 ``unauthorized_client``; with a wrong secret 401 ``invalid_client``."""
    with Meditech(keys) as meditech:
        said = requests.get(f"{meditech.url}/.well-known/smart-configuration", timeout=10).json()
        assert "client_credentials" in said["grant_types_supported"]
        right = token(meditech.token_url, scope="system/Patient.read")
        wrong = token(meditech.token_url, lasts=9000)
        assert (right.status_code, right.json()["error"]) == (400, "unauthorized_client")
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        meditech.allow_grant()
        assert token(meditech.token_url).ok


def test_nothing_is_written_but_a_message():
    """CapabilityStatement: read and search-type on all; create on Communication alone, of what we would write."""
    with Meditech() as meditech:
        patient, visit = load(meditech)
        assert (
            requests.post(f"{meditech.url}/DocumentReference", json=note(patient, visit), timeout=10).status_code == 405
        )
        assert (
            requests.post(
                f"{meditech.url}/ServiceRequest", json={"resourceType": "ServiceRequest"}, timeout=10
            ).status_code
            == 405
        )
        assert requests.get(f"{meditech.url}/Task", params={"patient": patient}, timeout=10).status_code == 405
        words = {"resourceType": "Communication", "status": "completed", "subject": {"reference": patient}}
        assert requests.post(f"{meditech.url}/Communication", json=words, timeout=10).status_code == 201
        assert meditech.ours_of(patient) == [] and len(meditech.of("Communication")) == 1


def test_further_pages_come_by_continue():
    """CapabilityStatement: ``continue`` among the search parameters of every type."""
    with Meditech(page=2) as meditech:
        patient, _ = load(meditech, results=3)
        first = requests.get(f"{meditech.url}/Observation", params={"patient": patient}, timeout=10).json()
        [following] = [each["url"] for each in first["link"] if each["relation"] == "next"]
        assert "continue=" in following and len(requests.get(following, timeout=10).json()["entry"]) == 1
