"""Step 2: the first opinion. Diagnoses of the problem list and clinicians of the chart are offered; free text is always possible.

In the case of an earlier request also: do its opinions go along? What the patient said, by whom and when it was said.
"""

from collections.abc import Mapping
from typing import Any

from integration.live_reads import NotNow
from integration.store.drafts import Draft
from integration.web.coordinator.drafting import further
from integration.web.coordinator.drafting.step import (
    Did,
    Step,
    Typed,
    act_on_people,
    looked,
    lookup,
    not_now,
    pick_offer,
)

DOCTOR = "first_opinion.doctor.name.family"
_on_doctor = act_on_people("doctor", DOCTOR)


def _read(draft: Draft, chart: str) -> Mapping[str, Any]:
    diagnoses, clinicians = looked(
        draft,
        "draft.chart-read",
        lambda: lookup().first_opinion(draft.placer, chart),
        lambda found: [each.reference for some in found for each in some.found],
        about=chart,
    )
    return {"diagnosis": diagnoses, "clinicians": clinicians}


def offers(draft: Draft) -> Mapping[str, Any]:
    """What the chart says; nothing where no patient was chosen in the EHR."""
    case = {"case": further.opinions_before(draft)}
    if draft.chart is None:
        return case
    try:
        return {**case, **_read(draft, draft.chart)}
    except NotNow as error:
        return {**case, "not_now": not_now(error)}


def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
    """pick diagnosis Condition/id, and what can be done with a doctor."""
    part, _, reference = rest.partition(" ")
    if word != "pick" or part != "diagnosis" or draft.chart is None:
        return _on_doctor(draft, word, rest, typed)
    try:
        return pick_offer(draft, part, reference, _read(draft, draft.chart))
    except NotNow as error:
        return Did(says=not_now(error))


STEP = Step(
    "first",
    (
        "first_opinion.diagnosis.text",
        "first_opinion.diagnosis.codes[0].code",
        "first_opinion.given_on",
        DOCTOR,
        "first_opinion.doctor.name.given[0]",
        "first_opinion.doctor.identifiers[0].value",
        "earlier_opinions.answer",
        "earlier_opinions.said_by",
        "earlier_opinions.said_on",
    ),
    ("diagnosis", "doctor", "follows", "number"),
    act,
    offers,
)
