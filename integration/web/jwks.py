"""The public halves of our keys, where vendors fetch them: no sign-in, no redirect, each name at an address of its own."""

from flask import Blueprint, Response, abort, jsonify

from integration import keys
from integration.web import world

blueprint = Blueprint("jwks", __name__, url_prefix="/.well-known")
SECONDS = 300  # how long others may keep a copy; a rotated key is published for a day before it signs


@blueprint.get("/jwks/<name>.json")
def of_name(name: str) -> Response:
    """The JWK Set of the keys of one name (https://www.rfc-editor.org/rfc/rfc7517#section-5)."""
    found = keys.key_set(world.config().keys_folder, name) if "/" not in name and "." not in name else {"keys": []}
    if not found["keys"]:
        abort(404)
    answer = jsonify(found)
    answer.headers["Cache-Control"] = f"public, max-age={SECONDS}"
    return answer


@blueprint.get("/jwks.json")
def of_all() -> Response:
    """Those of every name together, for who was given this address."""
    folder = world.config().keys_folder
    answer = jsonify({"keys": [key.public for key in keys.listed(folder)]})
    answer.headers["Cache-Control"] = f"public, max-age={SECONDS}"
    return answer
