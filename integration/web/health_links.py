"""What whoever has a SMART Health Link asks us: its manifest, and its files. No sign-in: the link and its passcode are it.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html. Readers are pages of others in a browser, so
every answer may be read across origins; nothing of it comes with a cookie.
"""

from typing import Any

import segno
from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from markupsafe import escape
from werkzeug.exceptions import HTTPException

from integration import fhir_json
from integration.health_links import serving
from integration.health_links.serving import Fetched, NotThere, TooOften, WrongPasscode
from integration.views.texts import t
from integration.web import world
from mappings.health_link import JOSE, LinkProblem, read_ask, read_recipient

blueprint = Blueprint("shl", __name__, url_prefix="/shl")
MOST_READ_BYTES = 16 << 10
MOST_LEVELS = 20


@blueprint.post("/<token>")
def manifest(token: str) -> ResponseReturnValue:
    """The files that the link lists. 400 without a recipient, 401 for a wrong passcode, 404, 429."""
    found = serving.manifest(world.visits(), token, read_ask(_body()), base_url())
    answer = jsonify(found)
    answer.headers["Retry-After"] = "60"  # a polite reader of a long-term link comes back no sooner
    return answer


@blueprint.get("/<token>")
def direct(token: str) -> ResponseReturnValue:
    """The one file of a link without a manifest."""
    return _file(serving.direct(world.visits(), token, read_recipient(request.args.get("recipient"))))


@blueprint.get("/file/<token>")
def file(token: str) -> ResponseReturnValue:
    """A file by its location: once."""
    return _file(serving.file(world.visits(), token))


def base_url() -> str:
    """Where others reach us."""
    return world.config().web.public_url or request.host_url.rstrip("/")


def qr_of(link: str, words: str) -> str:
    """The link as a QR code (error correction M, as the specification asks), an SVG to stand in a page. Dark on white in any mode."""
    drawn: str = segno.make(link, error="m", micro=False, boost_error=False).svg_inline(
        scale=4, border=4, dark="#000", light="#fff", title=words, omitsize=True
    )
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(words)}" ', 1)


def _file(found: Fetched) -> Response:
    answer = Response(world.payloads().open(found.sha256), content_type=JOSE)
    answer.content_length = found.size
    return answer


def _body() -> Any:
    if (request.content_length or 0) > MOST_READ_BYTES:
        raise LinkProblem(f"the body is longer than {MOST_READ_BYTES} bytes")
    try:
        return fhir_json.loads(request.get_data(), max_depth=MOST_LEVELS)
    except (ValueError, RecursionError):
        pass
    raise LinkProblem("the body is a JSON object with at least `recipient`")


@blueprint.before_request
def _no_head() -> Response | None:
    """What only looks whether a file is there must not use it up."""
    if request.method == "HEAD":
        return Response(status=405, headers={"Allow": "GET, POST, OPTIONS"})
    return None


@blueprint.after_request
def _for_other_origins(answer: Response) -> Response:
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.headers["Access-Control-Expose-Headers"] = "Retry-After"
    if request.method == "OPTIONS":
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
        answer.headers["Access-Control-Allow-Headers"] = "Content-Type"
        answer.headers["Access-Control-Max-Age"] = "600"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.errorhandler(NotThere)
def _not_there(_error: NotThere) -> ResponseReturnValue:
    return jsonify(error=t("shl.not_there")), 404


@blueprint.errorhandler(WrongPasscode)
def _wrong_passcode(error: WrongPasscode) -> ResponseReturnValue:
    return jsonify(error=t("shl.passcode"), remainingAttempts=error.remaining), 401


@blueprint.errorhandler(TooOften)
def _too_often(error: TooOften) -> ResponseReturnValue:
    return jsonify(error=t("shl.too_often")), 429, {"Retry-After": str(error.seconds)}


@blueprint.errorhandler(LinkProblem)
def _not_understood(error: LinkProblem) -> ResponseReturnValue:
    return jsonify(error=str(error)), 400


@blueprint.errorhandler(HTTPException)
def _other(error: HTTPException) -> ResponseReturnValue:
    return jsonify(error=t("shl.not_there")), error.code or 500
