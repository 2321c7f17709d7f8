"""Words, times and schedules as the pages show them, without a database."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger

from integration.store.schedules import next_cron
from integration.store.search import Place
from integration.views import texts, words
from integration.views.texts import TEXTS, t
from integration.web import markup
from integration.web.access import accounts as account_pages

WEB, VIEWS = Path(markup.__file__).parent, Path(texts.__file__).parent
NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delta", "level", "says"),
    [
        (timedelta(days=3, hours=4), "fine", "3 d 4 h left"),
        (timedelta(hours=23), "soon", "23 h left"),
        (timedelta(seconds=-1), "late", "late by 1 s"),
        (timedelta(days=-2, minutes=-5), "late", "late by 2 d"),
        (timedelta(0), "soon", "0 s left"),
    ],
)
def test_time_left_is_told_in_words_and_by_a_level(delta, level, says):
    assert words.countdown(NOW + delta, NOW) == words.Countdown(level, says)


def test_no_deadline_is_no_deadline():
    assert words.countdown(None, NOW).level == words.countdown(datetime(9999, 12, 31, tzinfo=UTC), NOW).level == "none"


def test_foreign_text_is_escaped_isolated_shortened_and_cannot_turn_the_page_round():
    assert str(markup.foreign("<b>\u202eabc\x07")) == "<bdi>&lt;b&gt;\ufffdabc\ufffd</bdi>"
    assert len(markup.foreign("x" * 1_000_000)) < 400 and str(markup.foreign(None)) == "<bdi></bdi>"


def test_a_time_is_told_as_it_is_read_here_and_with_its_zone():
    at = datetime(2026, 3, 1, 7, 30, 15, tzinfo=timezone(-timedelta(hours=5)))
    assert (
        words.moment(at) == "Mar 1, 2026, 12:30 UTC" and words.moment(at, seconds=True) == "Mar 1, 2026, 12:30:15 UTC"
    )
    assert "Mar 1, 2026, 12:30 UTC" in markup.when(at) and 'title="Mar 1, 2026, 12:30:15 UTC"' in markup.ago(at, NOW)


def test_once_a_day_is_said_so_and_every_other_cron_line_as_it_is():
    assert words.how_often("0 3 * * *") == "daily at 03:00 UTC"
    assert words.how_often("0 4 * * sun") == "cron 0 4 * * sun (UTC)"


def test_sizes_and_counts_are_for_people():
    assert [words.size(number) for number in (0, 999, 1500, 2_345_678, None)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.3 MB",
        "0 B",
    ]
    assert words.number(1234567) == "1,234,567"


def test_every_text_exists_and_is_used():
    where_texts_stand = ("texts", "own_english", "own_spanish")
    source = "\n".join(
        path.read_text()
        for path in [*WEB.parent.rglob("*.py"), *WEB.glob("templates/*.html")]
        if not path.stem.endswith(where_texts_stand)
    )
    used = set(re.findall(r"""\bt\(["']([a-z_. -]+)["']""", source))
    made = set(re.findall(r"""\bt\(f?["']([a-z_]+\.(?:[a-z_]+[._])?)["'{]""", source)) | {
        "pause.",
        "resume.",
        "numbers.unit",
        "health.",
        "new.",
        "nav.",
        "bulk.",
        "numbers.to_",
        "state.",
        "delivery.",
        "case.",
        "move.",
        "board.",
        "received.item.",
        *(f"{name}." for name in account_pages.ACTIONS),
    }
    missing = {key for key in used if key not in TEXTS and not key.endswith((".", "_"))}
    assert not missing
    unused = [
        key
        for key in TEXTS
        if key not in used and not any(key.startswith(prefix) for prefix in made) and f'"{key}"' not in source
    ]
    assert unused == []


def test_one_is_one_and_two_are_two():
    assert t("retry.button", n=1) == "Retry 1 step" and t("retry.button", n=2) == "Retry 2 steps"


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00+00:00_7", "_7"])
def test_a_place_reads_what_it_wrote(text):
    assert str(Place.read(text)) == text


@pytest.mark.parametrize(
    "cron",
    [
        "0 3 * * *",
        "*/15 * * * *",
        "30 2 1 * *",
        "0 0 29 2 *",
        "5,35 8-17/3 * * mon",
        "0 12 * 6 6",
        "59 23 31 12 *",
        "0 0 * * 0",
    ],
)
def test_the_next_time_of_a_schedule_is_the_tickers(cron):
    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    for now in (NOW, datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC), datetime(2028, 2, 28, 12, tzinfo=UTC)):
        assert next_cron(cron, now) == trigger.get_next_fire_time(None, now + timedelta(seconds=1)), now


# Said to who runs the installation, and to nobody else.
FOR_ADMINISTRATORS = ("accounts.off", "check.paste")


def test_people_of_a_practice_are_not_sent_to_a_file_of_the_installation():
    said = {key: " ".join(text) if isinstance(text, tuple) else text for key, text in TEXTS.items()}
    assert {key for key, text in said.items() if "config.yaml" in text} == set(FOR_ADMINISTRATORS)
