"""The request that a draft makes so far, read as any request file is; each mistake with the step where it is mended."""

import json
import re
from dataclasses import dataclass

from integration.settings.request_file import load_request
from integration.store.drafts import Draft
from integration.views.texts import t
from integration.web import world
from integration.web.coordinator import request_fields
from integration.web.coordinator.drafting.patient import NUMBER, SYSTEM
from integration.web.coordinator.drafting.steps import STEPS
from mappings.model.draft import part_at, with_picks
from mappings.model.errors import RequestError
from mappings.model.request import SecondOpinionRequest


@dataclass(frozen=True)
class Lack:
    """One mistake: the step, the field it stands beside (empty: it is about what was picked, or the step), and a sentence."""

    step: str
    path: str
    message: str

    @property
    def anchor(self) -> str:
        """Where on the step's page."""
        return re.sub(r"\W+", "-", self.path).strip("-") if self.path else "content"


def request_of(draft: Draft) -> SecondOpinionRequest:
    """Raises RequestError with all mistakes."""
    content = draft.content
    typed = {**content.typed, "placer": draft.placer, "key": draft.key}
    whole = with_picks(request_fields.nested(typed), content.picked)
    return load_request(json.dumps(whole).encode(), "draft", endpoints=world.config().endpoints)


def lacks(draft: Draft) -> list[Lack]:
    """Everything that is missing or wrong, in the order of the steps."""
    try:
        request_of(draft)
    except RequestError as error:
        return placed(draft, error)
    return []


def placed(draft: Draft, error: RequestError) -> list[Lack]:
    """Mistakes by the step in which they are mended."""
    picked = draft.content.picked
    of_picks = [each for each in error.mistakes if part_at(each.path) in picked]
    rest = [each for each in error.mistakes if each not in of_picks]
    beside, others = request_fields.placed(RequestError(rest))
    if SYSTEM in beside:
        beside.pop(SYSTEM)
        beside.setdefault(NUMBER, t("draft.not_chosen"))
    found = [Lack(_step_of_path(path), path, _on_a_page(message)) for path, message in beside.items()]
    found += [Lack(_step_of_part(str(part_at(each.path))), "", _on_a_page(each.message)) for each in of_picks]
    found += [Lack("asked", "", _on_a_page(each)) for each in others]  # what concerns no field is about who is asked
    order = [step.key for step in STEPS]
    return sorted(found, key=lambda each: order.index(each.step))


def _on_a_page(message: str) -> str:
    """What is missing needs no example of how a file would say it, and no words stand in the marks of a file."""
    return (message.partition("; for example")[0] if message.startswith("is missing") else message).replace("`", "")


def _step_of_path(path: str) -> str:
    return next((step.key for step in STEPS if path in step.paths), STEPS[0].key)


def _step_of_part(part: str) -> str:
    return next((step.key for step in STEPS if part in step.parts), STEPS[0].key)
