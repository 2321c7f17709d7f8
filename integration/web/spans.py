"""A span for each answer of the web: the route's template, never the address."""

import time

from flask import Flask, Response, g, request

from integration.tracing import NoTracing
from integration.web import world

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
QUIET = ("static", "health.live", "health.ready", "health.metrics")  # asked all day, and nobody follows them


def set_up(app: Flask, tracing: NoTracing) -> None:
    """Tell of each answer."""
    app.extensions["second_opinion"]["tracing"] = tracing
    app.before_request(_began)
    app.after_request(_answered)


def takes_in(request_id: str) -> None:
    """This answer is about taking in a request: its span belongs to the trace of it."""
    g.trace_of_request = request_id


def _began() -> None:
    g.began = time.time()


def _answered(response: Response) -> Response:
    if request.endpoint not in QUIET and "began" in g:
        method = request.method if request.method in METHODS else "_OTHER"
        route = request.url_rule.rule if request.url_rule else "(no such route)"
        world.extension()["tracing"].answered(method, route, response.status_code, g.began, g.get("trace_of_request"))
    return response
