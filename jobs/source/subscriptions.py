"""Once a day: do the Subscriptions by which an endpoint tells us of news still work? It is polled by the clock in any case."""

from integration.fhir.subscriptions import missing_notifications, subscriptions_to
from jobs.world import Context
from mappings.model.errors import TransferError
from mappings.subscription import criteria_of


def look_at(ctx: Context, key: str) -> None:
    """A finding for each that ended, was switched off or is gone; nothing where we may not see them."""
    endpoint, web = ctx.endpoint(key), ctx.world.config.web
    if endpoint.hints is None:
        return
    try:
        found = subscriptions_to(ctx.server(key), f"{web.public_url or web.address}/hooks/{key}")
    except TransferError:
        return  # second-opinion subscriptions show says it
    for sentence in missing_notifications(found, criteria_of(endpoint.role), ctx.now):
        ctx.finding(
            "hints-silent",
            f"{key}: {sentence}. It is looked at by the clock alone. Write it anew with second-opinion subscriptions create "
            f"{key}, or give its IT what second-opinion subscriptions show {key} prints",
            "Subscription",
        )
