"""Where endpoints say that they have news: notifications of FHIR Subscriptions, taken as hints. None of their content is used.

R4 sends an empty POST, or with a payload a PUT to an address below; the backport posts a Bundle that says what it is.
A hint that lies, comes a thousand times or is no FHIR makes at most one look due every few seconds: `integration.store.hints`.
"""

import hmac
import os

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration import fhir_json
from integration.secret_text import read_secret
from integration.settings.hints import SHORTEST_SECRET
from integration.store import hints
from integration.web import world
from integration.web.access import who
from mappings.subscription import PLAIN, TELLS_NEWS, kind_of

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")
MOST_READ_BYTES = 64 << 10  # the status of a notification stands at its beginning; a larger one is a hint all the same
MOST_LEVELS = 50


@blueprint.post("/<key>")
@blueprint.put("/<key>/<path:rest>")
@blueprint.delete("/<key>/<path:rest>")
def heard(key: str, rest: str = "") -> ResponseReturnValue:
    """204 at once. 403: there is no such address, or its secret is another; which of the two is not said."""
    if not _knows_secret(key):
        return Response("No such address, or another secret in the header Authorization.\n", 403, mimetype="text/plain")
    kind = _kind()
    with world.engine().begin() as conn:
        hints.heard(conn, key, kind, has_news=kind in TELLS_NEWS)
    return Response(status=204)


def _knows_secret(key: str) -> bool:
    """Compared in a time that tells nothing of the secret."""
    endpoint = world.config().endpoints.get(key)
    section = endpoint.hints if endpoint is not None else None
    secret = read_secret(section.secret_file, section.secret_env, os.environ) if section is not None else ""
    given = who.bearer() or ""
    return hmac.compare_digest(given.encode(), secret.encode()) and len(secret) >= SHORTEST_SECRET


def _kind() -> str:
    if not 0 < (request.content_length or 0) <= MOST_READ_BYTES:
        return PLAIN
    try:
        return kind_of(fhir_json.loads(request.stream.read(MOST_READ_BYTES), max_depth=MOST_LEVELS))
    except (ValueError, RecursionError):
        return PLAIN
