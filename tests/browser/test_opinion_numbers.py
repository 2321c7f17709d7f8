"""The numbers of the opinions in a real browser at phone and desk width, with axe."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_opinion_numbers import filled

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_numbers_are_read_and_a_wrong_quarter_is_said(page, site):
    filled(site)
    page.goto(f"{site.address}/board")
    page.get_by_role("link", name="Numbers of the opinions").click()
    page.get_by_role("heading", name="By specialty").wait_for()
    picture(page, "opinion-numbers")
    assert serious_problems(page) == [] and not is_too_wide(page)
    page.goto(f"{site.address}/numbers/opinions?period=2026-05")
    page.get_by_text("is no quarter").wait_for()
    assert serious_problems(page) == []
