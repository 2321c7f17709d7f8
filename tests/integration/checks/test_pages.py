"""Further pages are followed once, and the largest page is asked for."""

import pytest

from integration.checks.pages import pages
from mappings.model.trials import Trial
from tests.integration.checks.server import running


def tried_of(number=3, limits=None, **habits):
    with running(**habits) as (small, trying):
        for each in range(number):
            small.put("Observation", f"o{each}")
        return {each.what: each for each in pages(trying(limits=limits or {}))}


def test_where_all_is_well_the_second_page_goes_on():
    found = tried_of()
    assert found[Trial.PAGES].worked and "goes on where the first one ended" in found[Trial.PAGES].says
    assert found[Trial.PAGE_SIZE].worked and "all 3 came on one page" in found[Trial.PAGE_SIZE].says


@pytest.mark.parametrize(
    ("pages", "words"),
    [("same", "shows the first one again"), ("elsewhere", "another address")],
)
def test_a_second_page_that_is_none_is_found_out(pages, words):
    found = tried_of(pages=pages)[Trial.PAGES]
    assert found.worked is False and words in found.says and "elsewhere.example" not in found.says


def test_a_smaller_page_than_asked_for_is_said():
    found = tried_of(60, largest=20)[Trial.PAGE_SIZE]
    assert found.worked and "asked for 1000, 20 came; we ask for 200, and take what comes" in found.says


def test_a_size_that_is_refused_is_tried_smaller_and_learned_where_we_would_ask_for_more():
    found = tried_of(refuses_above=100)[Trial.PAGE_SIZE]
    assert found.worked is False and "more than 100 is refused" in found.says
    assert found.learned == {"capabilities.max_page": 100}
    assert tried_of(refuses_above=100, limits={"page_size": 50})[Trial.PAGE_SIZE].learned == {}


def test_with_too_few_records_nothing_is_told():
    found = tried_of(2)
    assert {each.worked for each in found.values()} == {None} and "--patient" in found[Trial.PAGES].says
