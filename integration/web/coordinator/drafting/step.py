"""One step of the conversation: its fields and parts, what a button in it does, and what it offers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from integration.chart_lookup import Lookup
from integration.live_reads import NotNow
from integration.store import audit
from integration.store.drafts import Draft
from integration.views.texts import t
from integration.web import forms, world
from integration.web.coordinator.request_fields import Field, fields
from mappings.model.draft import Pick
from mappings.model.errors import MappingError
from mappings.offers import Offer

Typed = Mapping[str, str]


@dataclass(frozen=True)
class Did:
    """What a button did. ``typed`` and ``picked`` go into the draft; ``shows`` goes to the page; ``says``: why nothing was chosen.

    ``goes_on``: the next step follows.
    """

    picked: Mapping[str, Pick | None] = field(default_factory=dict)
    typed: Typed = field(default_factory=dict)
    shows: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    goes_on: bool = False


Act = Callable[[Draft, str, str, Typed], Did]


@dataclass(frozen=True)
class Step:
    """``paths``: its fields, as a request file calls them. ``parts``: what is picked in it (`mappings.model.draft.PARTS`).

    ``act(draft, word, rest, typed)`` does what a button says; ``offers(draft)`` gives what the page shows to choose from.
    """

    key: str
    paths: tuple[str, ...]
    parts: tuple[str, ...]
    act: Act
    offers: Callable[[Draft], Mapping[str, Any]] = lambda draft: {}

    def sections(self) -> list[tuple[str, list[Field]]]:
        """Its fields by section. None is required before the review; where there is one choice only, it stands there."""
        found = [
            (name, [replace(each, required=len(each.choices) == 1) for each in some if each.path in self.paths])
            for name, some in fields()
        ]
        return [(name, some) for name, some in found if some]


def lookup() -> Lookup:
    """The way into endpoints that the app was handed."""
    return world.extension()["lookup"]


def looked(draft: Draft, what: str, look: Callable[[], Any], ids: Callable[[Any], list[str]], **about: object) -> Any:
    """What ``look`` finds; that somebody looked is in the audit trail either way, with the ids found and no name."""
    detail: dict[str, Any] = {**about}
    try:
        found = look()
        detail["found"] = ids(found)
        return found
    except NotNow as error:
        detail["not_now"] = error.cause
        raise
    finally:
        with world.engine().begin() as conn:
            audit.record(conn, forms.actor(), what, subject=f"{draft.id} {draft.placer}", detail=detail)


def not_now(error: NotNow, by_hand: str = "draft.by_hand") -> str:
    """Why nothing can be looked up, in a sentence, and what to do; ``by_hand``: the text of the way without it."""
    if error.cause == "gone":
        return t("draft.gone")
    endpoint = world.config().endpoints[error.endpoint]
    contact = t("draft.call", contact=endpoint.contact) if endpoint.contact else ""
    return " ".join(filter(None, (t(f"draft.unasked.{error.cause}", place=endpoint.name), contact, t(by_hand))))


def picked_of(draft: Draft, offer: Offer) -> Pick:
    """A choice as it is kept, with where it is from."""
    words = ", ".join((offer.words, *offer.facts[:2]))
    return Pick(offer.value, words, f"{offer.reference} at {draft.placer}")


def pick_person(draft: Draft, part: str, reference: str) -> Did:
    """Somebody of the EHR, read once more."""
    try:
        person = looked(
            draft,
            "draft.chart-read",
            lambda: lookup().clinician(draft.placer, reference),
            lambda found: [found.reference],
        )
    except NotNow as error:
        return Did(says=not_now(error))
    except (MappingError, ValueError):
        return Did(says=t("draft.unreadable_person"))
    return Did(picked={part: picked_of(draft, person)})


def find_people(draft: Draft, part: str, family: str) -> Did:
    """Practitioners of that name, to choose from."""
    if not family.strip():
        return Did(says=t("draft.name_first"))
    try:
        found = looked(
            draft,
            "draft.clinician-searched",
            lambda: lookup().clinicians_named(draft.placer, family.strip()),
            lambda some: [each.reference for each in some.found],
        )
    except NotNow as error:
        return Did(says=not_now(error))
    return Did(shows={"people": {part: found}}, says="" if found.found else t("draft.nobody_named"))


def act_on_people(part: str, name_path: str) -> Act:
    """The buttons that every person of a request has: find by name, choose, take back."""

    def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
        kind, _, reference = rest.partition(" ")
        if kind != part:
            return Did()
        if word == "find":
            return find_people(draft, part, typed.get(name_path, ""))
        return pick_person(draft, part, reference) if word == "pick" else Did()

    return act


def pick_offer(draft: Draft, part: str, reference: str, there: Mapping[str, Any]) -> Did:
    """One of what was just read again: what is no longer there, or no longer holds, cannot be chosen."""
    offer = next((each for each in there[part].found if each.reference == reference), None)
    return Did(says=t("draft.gone")) if offer is None else Did(picked={part: picked_of(draft, offer)})
