"""The words of the patient's own page in the patient's language; what a language lacks is English, marked as such, and told."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from integration.views.own_days import DAYS, day
from integration.views.own_english import ENGLISH
from integration.views.own_kinds import plain
from integration.views.own_spanish import SPANISH
from mappings.model.checklist import Kind
from mappings.model.private_link import Language

CATALOGS: dict[str, dict[str, str]] = {Language.ENGLISH: ENGLISH, Language.SPANISH: SPANISH}
MISSING = "own-page-text-missing"
__all__ = ["CATALOGS", "MISSING", "day", "moment", "name_of", "say"]


def say(language: str, key: str, missing: Callable[[str], object], **values: object) -> Markup:
    """The sentence in that language, its values escaped and each in its own direction; ``missing`` is told a key that is English.

    A key that no language has is a mistake of ours: KeyError.
    """
    catalog = CATALOGS.get(language, ENGLISH)
    safe = {name: Markup("<bdi>{}</bdi>").format(value) for name, value in values.items()}
    if key in catalog:
        return Markup(escape(catalog[key])).format(**safe)
    missing(key)
    return Markup('<span lang="en">{}</span>').format(Markup(escape(ENGLISH[key])).format(**safe))


def name_of(language: str, kind: Kind, missing: Callable[[str], object]) -> Markup:
    """What a record is called for a patient; English, marked as such and told, where nobody wrote it in that language."""
    if found := plain(language, kind):
        return escape(found)
    missing(f"checklist.{kind.key}")
    return Markup('<span lang="en">{}</span>').format(kind.plain)


def moment(language: str, at: datetime, zone: str) -> str:
    """The day of the week, the day, and the time by the clock there."""
    there = at.astimezone(ZoneInfo(zone))
    name = DAYS[language][there.weekday()]
    if language == "es":
        return f"{name} {day(language, there)}, {there:%H:%M} ({zone})"
    return f"{name}, {day(language, there)}, {there:%-I:%M %p} ({zone})"
