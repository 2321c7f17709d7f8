"""Step 4: who is asked. The organization, the specialty in words, and a certain consultant where there is one.

The directory puts its choice here by `integration.store.drafts.set_consultant`.
"""

from integration.store.drafts import Draft
from integration.web.coordinator.drafting.step import Did, Step, Typed


def act(draft: Draft, word: str, rest: str, typed: Typed) -> Did:
    """Nothing of its own: a consultant is typed, or comes from the directory."""
    return Did()


STEP = Step(
    "asked",
    ("fulfiller", "specialty.code", "consultant.name.family", "consultant.identifiers[0].value"),
    ("consultant",),
    act,
)
