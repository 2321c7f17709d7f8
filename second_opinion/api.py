"""Commands about the JSON API."""

import json

from second_opinion.house import cli, show, with_json


@cli.group()
def api() -> None:
    """The JSON API."""


@api.command("spec")
@with_json
def api_spec(as_json: bool) -> None:
    """Print its OpenAPI description; needs neither configuration nor database."""
    from integration.web.api.document import openapi

    description = openapi()
    show(description, as_json, json.dumps(description, indent=2))
