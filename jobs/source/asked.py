"""What a source gave because it was asked: read with the chart, so that it travels as everything else of that source."""

from integration import fhir_json
from integration.store import source_asks
from jobs.world import Context
from mappings.addresses import local_reference
from mappings.data_request import Given
from mappings.model.source_ask import AskWord


def given_by(ctx: Context, endpoint: str) -> list[Given]:
    """All that an endpoint gave for this request and that was seen to be this patient's."""
    with ctx.world.engine.connect() as conn:
        asks = source_asks.of_request(conn, ctx.request_id)
    found: dict[str, Given] = {}
    answers = [
        (source_asks.is_at(each, endpoint), event)
        for each in asks
        for event in each.events
        if event.word is AskWord.ANSWERED
    ]
    for is_own, event in answers:
        for address in (each for each in event.outputs if "://" in each):  # it named another server's
            if local := local_reference(address, ctx.bases(endpoint)):
                found.setdefault(local, Given(local))
        if not is_own:
            continue
        found |= {source: Given(source) for source in event.outputs if "://" not in source and source not in found}
        if event.kept_sha256:
            kept = fhir_json.loads(ctx.world.payloads.get(event.kept_sha256))
            found |= {source: Given(source, resource) for source, resource in kept.items()}
    return list(found.values())
