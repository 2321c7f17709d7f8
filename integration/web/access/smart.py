"""SMART Backend Services at the hosted endpoints: what a client finds out, and where it gets its token.

https://hl7.org/fhir/smart-app-launch/backend-services.html, https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

import logging

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from integration import client_assertions
from integration.client_assertions import AssertionRefused, Shown
from integration.hosted.scopes import ScopeRefused, granted, read_scopes
from integration.postgres.health import is_away
from integration.store import audit, client_tokens
from integration.web import world
from integration.web.access import client_keys, gate
from mappings.model.errors import ExchangeError

log = logging.getLogger(__name__)
blueprint = Blueprint("smart", __name__, url_prefix="/fhir")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LARGEST_FORM = 64 << 10
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refused(ExchangeError):
    """``error`` is a code of RFC 6749 5.2; ``cause`` a word for the log."""

    def __init__(self, error: str, sentence: str, cause: str = "", status: int = 400):
        self.error, self.cause, self.status = error, cause or error, status
        super().__init__(sentence)


_NOT_HOSTED = Refused("invalid_request", "No practice of that name is hosted here.", status=404)


@blueprint.post("/<practice>/token")
def token(practice: str) -> Response:
    """An access token for a signed assertion: five minutes, this practice, the scopes that both sides know."""
    if not _is_hosted(practice):
        return _refusal(_NOT_HOSTED)
    try:
        shown, asked = _read_form()
        return _sign_in(practice, shown, asked)
    except AssertionRefused as refused:
        return _refusal(Refused("invalid_client", str(refused), refused.cause, 401))
    except Refused as refused:
        return _refusal(refused)


@blueprint.get("/<practice>/.well-known/smart-configuration")
def configuration(practice: str) -> Response:
    """Where and how to sign in (https://hl7.org/fhir/smart-app-launch/conformance.html); JSON whatever is accepted."""
    if not _is_hosted(practice):
        return _refusal(_NOT_HOSTED)
    said = {
        "token_endpoint": token_url_of(practice),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(client_assertions.KINDS),
        "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write"],
        "code_challenge_methods_supported": [
            "S256"
        ],  # required of everybody, though nobody is sent to an authorization page
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
    return _answer(said, 200)


def token_url_of(practice: str) -> str:
    """The token address as it is published to who asks: what `aud` has to be."""
    return f"{gate.hosted_base(practice)}/token"


def _is_hosted(practice: str) -> bool:
    return practice in {each.practice for each in world.config().hosted}


def _read_form() -> tuple[Shown, str]:
    """The assertion and the scopes of the form, each parameter once."""
    request.max_content_length = LARGEST_FORM
    if request.mimetype != "application/x-www-form-urlencoded":
        raise Refused("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    form = request.form
    if any(len(form.getlist(name)) > 1 for name in form):
        raise Refused("invalid_request", "Send each parameter once.")
    if "Authorization" in request.headers:
        raise Refused("invalid_request", "Sign in by client_assertion alone, without the header Authorization.")
    if "grant_type" not in form:
        raise Refused("invalid_request", "The parameter grant_type is missing: it is client_credentials.")
    if form["grant_type"] != "client_credentials":
        raise Refused("unsupported_grant_type", "The only grant_type here is client_credentials.")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise AssertionRefused("assertion-type", f"The only client_assertion_type here is {ASSERTION_TYPE}")
    shown = client_assertions.read_assertion(form.get("client_assertion", ""))
    if form.get("client_id", shown.client_id) != shown.client_id:
        raise AssertionRefused("client-id", "The parameter client_id is not the client that the assertion names.")
    return shown, form.get("scope", "")


def _sign_in(practice: str, shown: Shown, asked: str) -> Response:
    client, key = client_keys.key_for(practice, shown)
    with world.engine().connect() as conn:
        now = client_tokens.now(conn)
    proven = client_assertions.prove(shown, key, audience=token_url_of(practice), now=now)
    with world.engine().begin() as conn:  # that it was shown is kept, whatever else is wrong with the request
        is_first = client_tokens.use_once(conn, client.id, proven.jti, proven.ends_at)
        if not is_first:
            audit.record(
                conn, f"client {client.name}", "client.replayed", subject=practice, detail={"client": client.id}
            )
    if not is_first:
        raise AssertionRefused(
            "jti", "The assertion was used before: make a new one, with a new jti, for each request."
        )
    with world.engine().begin() as conn:
        return _given(conn, client, asked)


def _given(conn: Connection, client: Row, asked: str) -> Response:
    try:
        scopes = [str(each) for each in granted(read_scopes(asked), read_scopes(client.scopes))]
    except ScopeRefused as refused:
        raise Refused("invalid_scope", str(refused)) from None
    if not scopes:
        raise Refused("invalid_scope", "None of these scopes lies within those that this client is registered with.")
    body = {
        "access_token": client_tokens.give(conn, client, scopes),
        "token_type": "bearer",
        "expires_in": client_tokens.LIFE_SECONDS,
        "scope": " ".join(scopes),
    }
    return _answer(body, 200)


def _refusal(refused: Refused) -> Response:
    log.warning("no token", extra={"action": "smart.refused", "cause": refused.cause})
    # error_description has neither quotes nor backslashes (RFC 6749 5.2)
    return _answer({"error": refused.error, "error_description": str(refused).replace('"', "'")}, refused.status)


def _answer(body: dict, status: int) -> Response:
    answer = jsonify(body)
    answer.status_code = status
    answer.headers.update(NO_STORE)
    return answer


@blueprint.errorhandler(HTTPException)
def _unreadable(error: HTTPException) -> Response:
    sentence = f"The form is larger than {LARGEST_FORM} bytes." if error.code == 413 else "The form cannot be read."
    return _refusal(Refused("invalid_request", sentence, status=error.code if error.code == 405 else 400))


@blueprint.errorhandler(DBAPIError)
@blueprint.errorhandler(PoolTimeout)
def _away(error: DBAPIError | PoolTimeout) -> Response:
    log.error("no token: %s", type(error).__name__, extra={"action": "smart.failed"})
    if not is_away(error):  # a fault of ours: trying again would end the same way
        return _answer({"error": "server_error", "error_description": "No token can be given; our log says why."}, 500)
    answer = _answer({"error": "temporarily_unavailable", "error_description": "Try again in a moment."}, 503)
    answer.headers["Retry-After"] = "2"
    return answer
