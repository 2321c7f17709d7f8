"""The web: pages that work without JavaScript, the JSON API, health, and the hosted FHIR endpoints. It runs no job."""

from flask import Flask
from sqlalchemy import Engine

from integration.config import Config
from integration.hosted import create_hosted
from integration.payloads import Payloads


def create_app(config: Config, engine: Engine, payloads: Payloads) -> Flask:
    """The Flask app. One blueprint a file; everything it needs is handed in and kept in ``app.extensions``."""
    from integration.web import (
        actions,
        api,
        boards,
        bulk_pages,
        health,
        new_request,
        numbers,
        packet_pages,
        pages,
        queue,
        request_pages,
    )

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 64 << 20
    app.extensions["second_opinion"] = {"config": config, "engine": engine, "payloads": payloads}
    for part in (health, api, queue, actions, bulk_pages, request_pages, packet_pages, boards, numbers, new_request):
        app.register_blueprint(part.blueprint)
    pages.set_up(app)
    app.register_blueprint(
        create_hosted(config.hosted, engine, base_url_of=lambda practice: f"{config.web.address}/fhir/{practice}")
    )
    app.after_request(_careful_headers)
    return app


def _careful_headers(response):
    """No script from elsewhere, no framing, nothing cached: patient data may stand on any page."""
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")  # with no-referrer browsers post "Origin: null"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
