"""What a site adds by entry points of packages of its own, without a fork: roads and profiles, by their words in config.yaml.

One that cannot be used is named with its package and why: where config.yaml uses its word, and by ``check config`` in any case.
https://packaging.python.org/en/latest/specifications/entry-points/
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mappings.model.roads import RoadName

ROADS_GROUP = "second_opinion.roads"


@dataclass(frozen=True)
class Added:
    """``usable``: what was loaded, by its word; ``problems``: a sentence for each word that cannot be used."""

    usable: Mapping[str, Any]
    problems: Mapping[str, str]


@cache
def added_roads() -> Added:
    """Roads: each a class or function that makes one of a ``Way`` (integration/roads/road.py)."""
    return load_added(ROADS_GROUP, "road", set(map(str, RoadName)), _wrong_road)


def load_added(group: str, what: str, ours: Collection[str], wrong: Callable[[str, Any], str]) -> Added:
    """What installed packages add to a group. ``ours``: words that nobody replaces; ``wrong``: why something cannot be used."""
    found: dict[str, list[EntryPoint]] = {}
    for each in entry_points(group=group):
        found.setdefault(each.name, []).append(each)
    usable, problems = {}, {}
    for word, entries in sorted(found.items()):
        by = " and ".join(sorted({_package(each) for each in entries}))
        if word in ours:
            problems[word] = (
                f"the {what} {word} of {by} is not used: ours of that name cannot be replaced; give it another"
            )
        elif len(entries) > 1:
            problems[word] = f"the {what} {word} is added more than once, by {by}: leave one of them installed"
        else:
            made, why = _loaded(entries[0])
            if why := why or wrong(word, made):
                problems[word] = f"the {what} {word} of {by} cannot be used: {why}"
            else:
                usable[word] = made
    return Added(usable, problems)


def _loaded(entry: EntryPoint) -> tuple[Any, str]:
    try:
        return entry.load(), ""
    except Exception as error:  # whatever a package of the site does when it is imported
        return None, f"{entry.value} cannot be imported ({type(error).__name__}: {error})"


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package without a name"


def _wrong_road(word: str, made: Any) -> str:
    if not callable(made):
        return "it is no class or function that makes a road"
    return "" if getattr(made, "name", word) == word else f"it calls itself {made.name}"
