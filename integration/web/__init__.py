"""The web: pages that work without JavaScript, the JSON API, health, and the hosted FHIR endpoints. It runs no job."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from sqlalchemy import Engine

from integration import tracing
from integration.client_assertions import FetchedKeys, KeySetAway
from integration.hosted import create_hosted
from integration.packets.payloads import Payloads
from integration.settings.config import Config

if TYPE_CHECKING:
    from integration.live_reads import LiveReads

PAGE_BODY_BYTES = 4 << 20
UPLOAD_PATH = "/records-received"  # of pages and API: a body may be as large as records.max_upload_bytes
UPLOAD_PATHS = (UPLOAD_PATH, "/report/file")
FORM_BYTES = 1 << 20  # what stands around a file in a form


PUBLIC = ("static", "jwks.of_name", "jwks.of_all")  # what others may keep a copy of


def _fetch_nothing(url: str) -> FetchedKeys:
    raise KeySetAway("this process was not given a way to fetch key sets")


def create_app(
    config: Config,
    engine: Engine,
    payloads: Payloads,
    wake: Callable[[], object] = lambda: None,
    fetch_keys: Callable[[str], FetchedKeys] = _fetch_nothing,
    reads: "LiveReads | None" = None,
) -> Flask:
    """The Flask app. One blueprint a file; everything it needs is handed in and kept in ``app.extensions``.

    ``wake`` is called when somebody did something here, so that what became due starts at once. ``fetch_keys`` fetches the
    key set of a client from its address, or raises KeySetAway. ``reads`` looks into endpoints while a person waits; without
    it there is one of its own.
    """
    from integration.chart_lookup import Lookup
    from integration.live_reads import LiveReads
    from integration.web import api, health, hooks, jwks, pages, spans
    from integration.web.access import accounts as account_pages
    from integration.web.access import client_list, gate, hosted_notes, sign_in, smart
    from integration.web.access.hosted_log import HostedLog
    from integration.web.coordinator import cases as case_pages
    from integration.web.coordinator import checklist as checklist_pages
    from integration.web.coordinator import correct as correct_pages
    from integration.web.coordinator import coverage as coverage_pages
    from integration.web.coordinator import directory as directory_pages
    from integration.web.coordinator import free_times, opinion, opinion_numbers, parcels, sources
    from integration.web.coordinator import suitability as suitability_pages
    from integration.web.coordinator import visit as visit_pages
    from integration.web.coordinator.drafting import further
    from integration.web.coordinator.drafting import pages as draft_pages
    from integration.web.operations import (
        actions,
        alarms,
        boards,
        checks,
        hand_over,
        listing,
        numbers,
        patient,
        queue,
        reports,
    )
    from integration.web.operations import attempts as attempt_pages
    from integration.web.operations import bulk as bulk_pages
    from integration.web.operations import packets as packet_pages
    from integration.web.operations import requests as request_pages

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = PAGE_BODY_BYTES  # the hosted endpoints take more
    reads = reads or LiveReads.of(config, engine)
    app.extensions["second_opinion"] = {
        "config": config,
        "engine": engine,
        "payloads": payloads,
        "fetch_keys": fetch_keys,
        "lookup": Lookup(config, reads),
        "reads": reads,
    }
    spans.set_up(app, tracing.start(config, "web"))
    for part in (
        health,
        jwks,
        hooks,
        api,
        sign_in,
        smart,
        account_pages,
        client_list,
        listing,
        queue,
        actions,
        bulk_pages,
        request_pages,
        attempt_pages,
        correct_pages,
        case_pages,
        directory_pages,
        checklist_pages,
        suitability_pages,
        coverage_pages,
        sources,
        parcels,
        visit_pages,
        free_times,
        patient,
        packet_pages,
        reports,
        opinion,
        hand_over,
        boards,
        checks,
        numbers,
        draft_pages,
        further,
        opinion_numbers,
        alarms,
    ):
        app.register_blueprint(part.blueprint)
    _with_records(app)
    _with_patient(app)
    _with_consultants(app)
    pages.set_up(app)
    hosted_log = HostedLog(engine)
    app.extensions["second_opinion"]["hosted_log"] = hosted_log
    app.register_blueprint(
        create_hosted(
            config.hosted,
            engine,
            base_url_of=gate.hosted_base,
            admit=gate.admit,
            note=hosted_notes.note_of(config),
            tell=hosted_log,
            opened=payloads.open,
        )
    )
    gate.set_up(app)
    app.after_request(_careful_headers)
    app.after_request(_waking(wake))
    return app


def _with_records(app: Flask) -> None:
    """The pages around a request's records: from elsewhere, medications, questions, the visit sheet."""
    from integration.web import health_links as shared
    from integration.web.coordinator import (
        elsewhere,
        health_links,
        library,
        medications,
        patient_questions,
        received,
        visit_sheet,
    )

    for part in (received, elsewhere, medications, patient_questions, visit_sheet, health_links, library, shared):
        app.register_blueprint(part.blueprint)


def _with_patient(app: Flask) -> None:
    """What the patient has: a page of their own behind a private link, what they agree to, the report released to them."""
    from integration.web.coordinator import consent, private_links, release
    from integration.web.patient import pages as own_pages

    for part in (consent, private_links, release, own_pages):
        app.register_blueprint(part.blueprint)


def _with_consultants(app: Flask) -> None:
    """The pages of a consulting practice: what it is asked, and a packet as a clinician reads it."""
    from integration.web.consultant import desk, key_facts, report

    for part in (desk, key_facts, report):
        app.register_blueprint(part.blueprint)


def _waking(wake: Callable[[], object]) -> Callable[[Response], Response]:
    """Not for the hosted endpoints, whose news a poll finds, and not for hints, which a tick takes up."""

    def after(response: Response) -> Response:
        if (
            request.method not in ("GET", "HEAD", "OPTIONS")
            and response.status_code < 400
            and not request.path.startswith(("/fhir/", "/hooks/"))
        ):
            wake()
        return response

    return after


def _careful_headers(response: Response) -> Response:
    """No script from elsewhere, no framing, nothing cached: patient data may stand on any page."""
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")  # with no-referrer browsers post "Origin: null"
    if request.endpoint not in PUBLIC:
        response.headers["Cache-Control"] = "no-store"  # Flask says no-cache of a download
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response
