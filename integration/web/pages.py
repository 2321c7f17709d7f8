"""The pages people open: requests and deliveries, one request's timeline, its packet."""
from flask import Blueprint, Response, render_template
from sqlalchemy import select

from integration.store.tables import deliveries, requests
from integration.web import world
from integration.web.reading import request_view
from mappings.model.errors import ExchangeError

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def index():
    """Requests and deliveries, newest first."""
    with world.engine().connect() as conn:
        asked = conn.execute(select(requests).order_by(requests.c.created_at.desc(), requests.c.id.desc()).limit(100)).all()
        sent = conn.execute(select(deliveries).order_by(deliveries.c.updated_at.desc(), deliveries.c.id.desc()).limit(100)).all()
    return render_template("index.html", requests=asked, deliveries=sent)


@blueprint.get("/requests/<request_id>")
def request_page(request_id: str):
    """One request: what closed still lacks, what is owed, the timeline, findings."""
    with world.engine().begin() as conn:
        return render_template("request.html", view=request_view(conn, request_id))


@blueprint.errorhandler(ExchangeError)
def sentence(error: ExchangeError):
    """What was asked for is not there."""
    return Response(str(error), 404, content_type="text/plain; charset=utf-8")
