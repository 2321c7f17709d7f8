"""The last check of one endpoint: what works, by which road our writes go, what changed, and what to write into config.yaml."""

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from integration.store import endpoint_checks
from integration.views.texts import t
from integration.web import pages, world

blueprint = pages.sentences(Blueprint("checks", __name__))


@blueprint.get("/endpoints/<key>/check")
def show(key: str) -> ResponseReturnValue:
    """As it was found, and whether another one is asked for."""
    if key not in world.config().endpoints:
        abort(404, t("check.unknown"))
    with world.engine().connect() as conn:
        last, asked = endpoint_checks.standing(conn).get(key, (None, None))
    return pages.render("check.html", key=key, last=last, found=last.found if last else None, asked=asked)
