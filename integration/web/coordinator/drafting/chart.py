"""Step 3: insurance, the order in the EHR, and the consent there. All of it is offered from the chart, and none is needed."""

from collections.abc import Mapping
from typing import Any

from integration.live_reads import NotNow
from integration.store import orders as order_rows
from integration.store.drafts import Draft
from integration.views.texts import t
from integration.web import world
from integration.web.coordinator.drafting.step import Did, Step, Typed, looked, lookup, not_now, pick_offer
from mappings.model.draft import Pick

PARTS = ("coverage", "order", "consent")


def _read(draft: Draft, chart: str) -> dict[str, Any]:
    return looked(
        draft,
        "draft.chart-read",
        lambda: lookup().insurance_and_orders(draft.placer, chart),
        lambda found: [each.reference for some in found.values() for each in some.found],
        about=chart,
    )


def offers(draft: Draft) -> Mapping[str, Any]:
    """By part; ``taken``: the request that an order became already."""
    if draft.chart is None:
        return {}
    try:
        found = _read(draft, draft.chart)
    except NotNow as error:
        return {"not_now": not_now(error)}
    return {**found, "taken": _taken(draft, [each.reference for each in found["order"].found])}


def _taken(draft: Draft, references: list[str]) -> dict[str, str]:
    with world.engine().begin() as conn:
        names = order_rows.names_of_server(conn, world.config(), draft.placer)
        known = order_rows.known(conn, names, references)
    return {reference: each.request_id for reference, each in known.items() if each.request_id}


def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
    """pick coverage|order|consent Type/id; a second coverage is added to the first."""
    part, _, reference = rest.partition(" ")
    if word != "pick" or part not in PARTS or draft.chart is None:
        return Did()
    if part == "order" and _taken(draft, [reference]):
        return Did(says=t("draft.order_taken"))
    try:
        did = pick_offer(draft, part, reference, _read(draft, draft.chart))
    except NotNow as error:
        return Did(says=not_now(error))
    pick = did.picked.get(part)
    return Did(picked={part: _added(draft, pick)}) if pick and part == "coverage" else did


def _added(draft: Draft, pick: Pick) -> Pick:
    before = draft.content.picked.get("coverage")
    if before is None:
        return Pick([pick.value], pick.words, pick.source)
    if pick.value in before.value:
        return before
    return Pick([*before.value, pick.value], f"{before.words}; {pick.words}", f"{before.source}; {pick.source}")


STEP = Step("chart", (), PARTS, act, offers)
