"""A packet as a clinician reads it, for programs: every fact with the record and element it came from."""

from datetime import date

from pydantic import Field

from integration import reading
from integration.views.reading import view
from integration.visit_reading import House
from integration.web import forms, world
from integration.web.access import consented
from integration.web.api.answers import Answer
from integration.web.api.routes import get
from mappings.reading import KeyFacts as Facts


class KeyFacts(Answer):
    """The key facts of all packets of a request together. Clinical content."""

    request_id: str
    packets: int
    question: str | None
    patient_questions: list[str]
    first_opinion: str | None
    first_opinion_given_on: date | None
    left_out: list[str] = Field(
        description="Kinds of record that the patient leaves out for who asks; whether there are any is not said."
    )
    facts: Facts | None = Field(
        description="Null before anything was gathered. `rest` lists every record that no other part shows; `counts` says how many."
    )


@get("/requests/<request_id>/key-facts", refuses=("unknown",))
def key_facts(request_id: str) -> KeyFacts:
    """The key facts, each with its record (`source`) and element (`at`), and every record that is not among them. The look is recorded."""
    house = House(world.engine(), world.payloads(), world.config())
    limit = consented.limit(request_id)
    found = reading.read_whole(house, request_id, actor=forms.actor(), reason="API", limit=limit)
    return KeyFacts.model_validate(view(found))
