"""The patient's own page says the same in both languages, in words that are easy to read."""

import re
import string
from dataclasses import replace

import pytest
import textstat

from integration.settings.checklist_files import load_catalog
from integration.views.own_english import ENGLISH
from integration.views.own_kinds import SPANISH_KINDS
from integration.views.own_spanish import REVIEWED_BY, SPANISH
from integration.web.patient import own_words

HARDEST_ENGLISH, EASIEST_SPANISH = 8.0, 65.0
# Names stand where the sentences have a field: a short one, as most are.
NAMES = {
    "placer": "Dr. Lee",
    "fulfiller": "Dr. Kim",
    "place": "Dr. Kim",
    "day": "Monday",
    "when": "Monday",
    "whom": "Dr. Kim",
    "who": "Dr. Kim",
    "until": "Friday",
    "source": "the library",
}
PAGES = sorted(
    {key.partition(".")[0] for key in ENGLISH if "." in key and key.partition(".")[0] not in ("h", "language")}
)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def read(catalog: dict[str, str], page: str) -> str:
    """The sentences of one part as a reader meets them."""
    found = [text for key, text in catalog.items() if key.startswith(f"{page}.") or key == page]
    made = [text.format_map({**dict.fromkeys(fields(text), "one"), **NAMES}) for text in found]
    whole = " ".join(each if each[-1] in ".?!:" else f"{each}." for each in made).replace(":", ".")
    return re.sub(r"\d+", "one", re.sub(r"[A-Z]{4}-\d{4}", "this", whole))  # numbers have no syllables to count


def test_each_text_is_in_both_languages_with_the_same_fields():
    assert ENGLISH.keys() == SPANISH.keys()
    assert [key for key in ENGLISH if fields(ENGLISH[key]) != fields(SPANISH[key])] == []
    same = {key for key in ENGLISH if ENGLISH[key] == SPANISH[key]}
    assert same == {"language.en", "language.es", "visit.booked", "medications.not-taking"}, (
        "what is the same was not translated"
    )


def test_nobody_reads_that_a_translator_has_read_it_before_one_has():
    docs = (
        own_words.__file__ and __import__("pathlib").Path(__file__).parents[4] / "docs/how-to/private-links.md"
    ).read_text()
    assert (REVIEWED_BY is None) == ("not yet reviewed by a human translator" in docs.lower())


@pytest.mark.parametrize("page", PAGES)
def test_english_is_at_most_the_eighth_grade(page):
    grade = textstat.flesch_kincaid_grade(read(ENGLISH, page))
    assert grade <= HARDEST_ENGLISH, f"{page}: grade {grade:.1f}: {read(ENGLISH, page)}"


@pytest.mark.parametrize("page", PAGES)
def test_spanish_is_easy_by_szigriszt(page):
    textstat.set_lang("es")
    try:
        ease = textstat.szigriszt_pazos(read(SPANISH, page))
    finally:
        textstat.set_lang("en")
    assert ease >= EASIEST_SPANISH, f"{page}: {ease:.1f}: {read(SPANISH, page)}"


def test_the_measure_can_fail():
    hard = "Notwithstanding institutional authorization, interdisciplinary documentation necessitates comprehensive evaluation."
    assert textstat.flesch_kincaid_grade(hard) > HARDEST_ENGLISH


def test_what_a_language_lacks_is_english_marked_as_such_and_told(monkeypatch):
    monkeypatch.delitem(SPANISH, "visit.where")
    told = []
    said = own_words.say("es", "visit.where", told.append, place="<b>Clínica</b>")
    assert told == ["visit.where"] and str(said).startswith('<span lang="en">Where: ')
    assert "<b>" not in said and "&lt;b&gt;" in said
    with pytest.raises(KeyError):
        own_words.say("es", "no.such.text", told.append)


COURIER = [each for each in load_catalog().kinds.values() if each.by_courier]


def test_what_is_to_be_brought_has_easy_words_in_both_languages():
    assert len(COURIER) > 5 and SPANISH_KINDS.keys() == {each.plain for each in COURIER}
    english, spanish = (". ".join(texts) + "." for texts in (SPANISH_KINDS.keys(), SPANISH_KINDS.values()))
    assert textstat.flesch_kincaid_grade(english) <= HARDEST_ENGLISH
    textstat.set_lang("es")
    try:
        assert textstat.szigriszt_pazos(spanish) >= EASIEST_SPANISH, textstat.szigriszt_pazos(spanish)
    finally:
        textstat.set_lang("en")


def test_a_sites_own_words_are_english_marked_and_told_unless_it_wrote_spanish():
    told, disc = [], COURIER[0]
    own = replace(disc, plain="Your <b>box</b>")
    assert own_words.name_of("es", disc, told.append) in SPANISH_KINDS.values() and told == []
    assert str(own_words.name_of("es", own, told.append)) == '<span lang="en">Your &lt;b&gt;box&lt;/b&gt;</span>'
    assert told == [f"checklist.{disc.key}"]
    assert str(own_words.name_of("en", own, told.append)) == "Your &lt;b&gt;box&lt;/b&gt;"
    assert str(own_words.name_of("es", replace(own, plain_es="Su caja"), told.append)) == "Su caja" and len(told) == 1


def test_spanish_says_usted_and_one_word_for_one_thing():
    words = " ".join([*SPANISH.values(), *SPANISH_KINDS.values()]).lower()
    assert not re.search(r"\b(tú|tu|tus|ti|contigo|puedes|quieres|tienes|vas|estás|vosotros)\b", words)
    assert not re.search(r"\b(su|otro|un|el) médico\b|\boficina\b|\blink\b|\bpin\b", words)


def test_never_nothing_was_found_where_nothing_was_asked():
    words = " ".join([*ENGLISH.values(), *SPANISH.values()]).lower()
    assert not re.search(r"no records? found|no se encontr", words)
    assert "not asked" in ENGLISH["medications.not_yet"] and "may not have been asked" in ENGLISH["records.not_asked"]
