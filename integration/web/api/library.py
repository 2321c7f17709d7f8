"""Something to read about the diagnosis, and the numbers of the opinions."""

from integration import health_library, opinion_numbers
from integration.web import forms, pages, problems, world
from integration.web.api.link_models import Library, LibraryQuery, NumbersQuery, OpinionNumbers
from integration.web.api.routes import get
from integration.web.coordinator.opinion_numbers import lines_of
from mappings.model.errors import Mistake


@get("/requests/<request_id>/library", refuses=("wrong-query", "unknown"))
def library(request_id: str, query: LibraryQuery) -> Library:
    """What the configured health library has for the request's diagnosis. The look is recorded."""
    known = world.config().health_library
    shelf, _ = health_library.looked_at(
        world.engine(), known, request_id, query.language, actor=forms.actor(), reason="API"
    )
    return Library.model_validate(health_library.view(request_id, shelf))


@get("/opinion-numbers", refuses=("wrong-query",))
def numbers_of_opinions(query: NumbersQuery) -> OpinionNumbers:
    """How long opinions took, whether they agree, what became of the plan, who has read them; for practices, of theirs alone."""
    period, wrong = opinion_numbers.period_of(query.period, pages.now().date())
    if wrong:
        raise problems.wrong("wrong-query", [Mistake("", None, field, words) for field, words in wrong.items()])
    return OpinionNumbers.model_validate(opinion_numbers.view(period, lines_of(period)))
