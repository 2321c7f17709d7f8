"""What a source gave because it was asked: read with the chart, so that it travels as everything else of that source."""

from integration import fhir_json
from integration.store import source_asks
from jobs.world import Context
from mappings.data_request import Given
from mappings.model.source_ask import AskWord


def given_by(ctx: Context, endpoint: str) -> list[Given]:
    """All that an endpoint gave for this request and that was seen to be this patient's."""
    with ctx.world.engine.connect() as conn:
        asks = source_asks.at_endpoint(conn, ctx.request_id, endpoint)
    found: dict[str, Given] = {}
    for event in (each for ask in asks for each in ask.events if each.word is AskWord.ANSWERED):
        found |= {source: Given(source) for source in event.outputs if source not in found}
        if event.kept_sha256:
            kept = fhir_json.loads(ctx.world.payloads.get(event.kept_sha256))
            found |= {source: Given(source, resource) for source, resource in kept.items()}
    return list(found.values())
