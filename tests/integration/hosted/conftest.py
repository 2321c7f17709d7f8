"""A hosted endpoint over a real PostgreSQL where all goes well: Dr Alice's practice oakwood, Dr Bob's elmhurst."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from integration import fhir_json
from integration.hosted import create_hosted
from integration.hosted.tables import hosted_metadata
from integration.postgres.database import connect
from integration.postgres.embedded import ROLE, EmbeddedPostgres

BASE = "https://exchange.example/fhir"
PRACTICES = (
    SimpleNamespace(practice="oakwood", name="Oakwood Primary Care", strict=False),
    SimpleNamespace(practice="elmhurst", name="Elmhurst Oncology", strict=False),
)


def make_app(engine: Engine, **options: Any) -> Flask:
    """A Flask app that serves only the hosted endpoint."""
    app = Flask(__name__)
    app.register_blueprint(create_hosted(PRACTICES, engine, base_url_of=lambda slug: f"{BASE}/{slug}", **options))
    return app


@pytest.fixture(scope="session")
def hosted_engine(postgres: EmbeddedPostgres) -> Iterator[Engine]:
    """One database with the hosted tables for all these tests: making one costs half a second."""
    with psycopg.connect(postgres.admin_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE hosted OWNER {ROLE}")
    database = connect(postgres.url_of("hosted"), application_name="hosted")
    yield database.engine
    database.close()


@pytest.fixture
def engine(hosted_engine: Engine) -> Engine:
    """The hosted tables, empty."""
    hosted_metadata.create_all(hosted_engine)
    with hosted_engine.begin() as connection:
        connection.execute(text("TRUNCATE " + ", ".join(hosted_metadata.tables)))
    return hosted_engine


@pytest.fixture
def client(engine: Engine) -> FlaskClient:
    """Talks to both practices."""
    return make_app(engine).test_client()


class Practice:
    """Speaks FHIR to one practice; ``last`` is the newest answer."""

    def __init__(self, client: FlaskClient, slug: str):
        self._client = client
        self._root = f"/fhir/{slug}"
        self.base = f"{BASE}/{slug}"

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Send ``body`` (an object, or bytes as they are); header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes | None) else fhir_json.dumps(body)
        if data is not None:
            named.setdefault("Content-Type", "application/fhir+json")
        url = path if path.startswith("http") else self._root + (f"/{path}" if path else "")
        return self._client.open(url.replace(self.base, self._root), method=method, data=data, headers=named)

    def get(self, path: str, **headers: str) -> Any:
        """The JSON at ``path``, which must be there."""
        response = self.send("GET", path, **headers)
        assert response.status_code == 200, response.text
        return fhir_json.loads(response.data)

    def create(self, resource: dict, **headers: str) -> dict:
        """``resource`` as stored."""
        response = self.send("POST", resource["resourceType"], resource, **headers)
        assert response.status_code == 201, response.text
        return fhir_json.loads(response.data)

    def ids(self, search: str) -> list[str]:
        """The ids a search finds, all pages, in order."""
        found: list[str] = []
        page = self.get(search)
        while True:
            found += [entry["resource"]["id"] for entry in page.get("entry", [])]
            following = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not following:
                return found
            page = self.get(following[0])


@pytest.fixture
def oakwood(client: FlaskClient) -> Practice:
    """Dr Alice's practice."""
    return Practice(client, "oakwood")


@pytest.fixture
def elmhurst(client: FlaskClient) -> Practice:
    """Dr Bob's practice."""
    return Practice(client, "elmhurst")


def outcome(response: TestResponse, status: int) -> dict:
    """The one issue of an OperationOutcome answered with ``status``."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/fhir+json"
    body = fhir_json.loads(response.data)
    assert body["resourceType"] == "OperationOutcome"
    return body["issue"][0]


def patient(value: str = "1", **elements: Any) -> dict:
    """A synthetic patient with an identifier."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "https://oakwood.example/mrn", "value": value}],
        **elements,
    }


def identified(type_: str, value: str, **elements: Any) -> dict:
    """A resource with an identifier of ours."""
    return {
        "resourceType": type_,
        "identifier": [{"system": "https://second-opinion.example/ids", "value": value}],
        **elements,
    }


def transaction_of(*entries: dict) -> dict:
    """A transaction Bundle."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def post(resource: dict, full_url: str | None = None, **request: str) -> dict:
    """An entry that creates."""
    entry: dict = {"fullUrl": full_url} if full_url else {}
    return entry | {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}
