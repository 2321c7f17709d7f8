"""Whether a request should be asked, for pages, API, commands and the case: sentences without clinical content."""

from integration.suitability import Standing
from integration.views.case import Part
from mappings.model.suitability import DO_THIS_INSTEAD, Program
from mappings.suitability import REASON_WORDS, in_words


def view(found: Standing) -> dict:
    """As JSON."""
    judged = found.judged
    return {
        "request_id": found.request_id,
        "fulfiller": found.fulfiller,
        "program": judged.program.name if judged.program else None,
        "takes": list(in_words(judged.program)) if judged.program else [],
        "listed": _listed(judged.listed),
        "day": found.day.isoformat(),
        "day_is": found.day_is,
        "stops": judged.stops,
        "refusals": [{"key": each.key, "sentence": each.sentence} for each in judged.refusals],
        "questions": [{"key": each.key, "text": each.text} for each in judged.questions],
        "cautions": list(judged.cautions),
        "fits": list(judged.fits),
        "good_reasons": {each.value: REASON_WORDS[each] for each in sorted(found.reasons)},
        "went_on": {"by": judged.overridden.by, "at": judged.overridden.at.isoformat(), "why": judged.overridden.why}
        if judged.overridden
        else None,
        "not_for_emergencies": DO_THIS_INSTEAD,
    }


def _listed(listed: Program | None) -> dict | None:
    return {"program": listed.name, "states": list(in_words(listed))} if listed else None


def part(found: Standing) -> Part:
    """One row of the case."""
    judged, where = found.judged, "suitability.show"
    if judged.stops:
        return Part(
            "suitability",
            "open",
            "The consulting program does not take it" if not judged.is_emergency else "It is an emergency",
            "Ask another program, or go on all the same with a reason",
            "coordinator",
            endpoint=where,
        )
    if judged.questions:
        says = f"{len(judged.questions)} to be answered before the program takes it"
        return Part("suitability", "open", says, "Answer the questions", "coordinator", endpoint=where)
    says = f"{judged.overridden.by} goes on all the same" if judged.overridden else "Nothing speaks against it"
    return Part("suitability", "done", says, endpoint=where)
