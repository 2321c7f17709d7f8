"""Step: should it be asked? The four good reasons, what to do in an emergency, and what the chosen program takes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integration.store import drafts, listed_programs, requests
from integration.store.drafts import Draft
from integration.views.texts import t
from integration.web import world
from integration.web.coordinator.drafting.step import Did, Step, Typed
from integration.web.coordinator.request_fields import NPI
from mappings.model.draft import Pick
from mappings.model.request import HumanName, Identifier, PractitionerRef, SecondOpinionRequest
from mappings.model.suitability import DO_THIS_INSTEAD, GoodReason, Program, Suitability
from mappings.offers import Offer
from mappings.suitability import REASON_WORDS, code_of, in_words, judge, known_of

NUMBER = "identifiers[0].value"


def offers(draft: Draft) -> Mapping[str, Any]:
    """The reasons that are not chosen yet, and what the program of the chosen organization takes."""
    chosen = _chosen(draft)
    program = _program(draft.content.typed.get("fulfiller", ""))
    listed = _listed(draft)
    left = [each for each in GoodReason if each not in chosen]
    return {
        "good": [Offer(each.value, REASON_WORDS[each], (), None) for each in left],
        "takes": (*(in_words(program) if program else ()), *(in_words(listed) if listed else ())),
        "instead": DO_THIS_INSTEAD,
    }


def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
    """pick reasons REASON: beside those chosen before."""
    part, _, name = rest.partition(" ")
    if word != "pick" or part != "reasons" or name not in GoodReason.__members__.values():
        return Did()
    chosen = {*_chosen(draft), GoodReason(name)}
    some = [each for each in GoodReason if each in chosen]
    value = [code_of(each).model_dump(mode="json", exclude_none=True) for each in some]
    return Did(picked={"reasons": Pick(value, "; ".join(REASON_WORDS[each] for each in some), t("draft.of_you"))})


def suits(draft: Draft, made: SecondOpinionRequest) -> Suitability:
    """How the request that a draft makes stands to the program it goes to: said before it is sent, and judged again then."""
    day = requests.suits_on(made, datetime.now(UTC).date())
    with world.engine().connect() as conn:
        listed = listed_programs.of_request(conn, drafts.chosen_entry(draft.content), made)
    return judge(_program(made.fulfiller), known_of(made, {}), day, listed)


def _program(fulfiller: str) -> Any:
    return world.config().intake(fulfiller)["program"] if fulfiller in world.config().endpoints else None


def _listed(draft: Draft) -> Program | None:
    """What the directory states of the service of whoever was chosen there, or is typed with an NPI that it knows."""
    typed, asked = draft.content.typed, _asked(draft)
    if asked is None:
        return None
    with world.engine().connect() as conn:
        return listed_programs.of_consultant(
            conn,
            drafts.chosen_entry(draft.content),
            asked,
            typed.get("fulfiller", ""),
            typed.get("specialty.code"),
        )


def _asked(draft: Draft) -> PractitionerRef | None:
    """The consultant as far as the draft names one."""
    if pick := draft.content.picked.get("consultant"):
        return PractitionerRef.model_validate(pick.value)
    said = {part: draft.content.typed.get(f"consultant.{part}", "").strip() for part in ("name.family", NUMBER)}
    if not said[NUMBER]:
        return None
    numbers = (Identifier(system=NPI, value=said[NUMBER]),)
    family = said["name.family"]
    return PractitionerRef(identifiers=numbers, name=HumanName(family=family) if family else None)


def _chosen(draft: Draft) -> set[GoodReason]:
    pick = draft.content.picked.get("reasons")
    return {GoodReason(each["code"]) for each in pick.value} if pick else set()


STEP = Step("reasons", (), ("reasons",), act, offers)
