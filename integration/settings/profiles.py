"""The word of an endpoint's profile in config.yaml, and what a profile that a site adds has to be."""

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from integration.settings.added import Added, added_roads, load_added
from integration.settings.roads import Document
from mappings.model.capabilities import QUIRKS
from mappings.model.profiles import PROFILES, DocumentHabits, Profile
from mappings.model.roads import RoadName

PROFILES_GROUP = "second_opinion.profiles"


@cache
def added_profiles() -> Added:
    """Profiles that a site adds: each a ``Profile`` of mappings/model/profiles.py."""
    return load_added(PROFILES_GROUP, "profile", set(PROFILES), _wrong_profile)


def profile_of(word: str) -> Profile:
    """The profile that this word names: ours, or one that was added."""
    return PROFILES[word] if word in PROFILES else added_profiles().usable[word]


def _known_profile(word: str) -> str:
    if word in PROFILES:
        return word
    added = added_profiles()
    if word in added.problems:
        raise ValueError(added.problems[word])
    if word not in added.usable:
        raise ValueError(f"is no profile; there are {', '.join([*PROFILES, *sorted(added.usable)])}")
    return word


ProfileWord = Annotated[str, AfterValidator(_known_profile)]
SearchParts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*=[^&]+$")], ...], Field(strict=False)
]  # parameter=value of each search
_RECORDS_BY: TypeAdapter[Any] = TypeAdapter(dict[str, SearchParts])


def _wrong_profile(word: str, made: Any) -> str:
    """Why what a package gives as the profile ``word`` cannot be used; empty when it can."""
    if not isinstance(made, Profile):
        return f"it is a {type(made).__name__}, and no Profile of mappings.model.profiles"
    return "; ".join(_mistakes(word, made))


def _mistakes(word: str, made: Profile) -> Iterator[str]:
    if made.key != word:
        yield f"it calls itself {made.key}"
    roads = {*map(str, RoadName), *added_roads().usable}
    strange = [each for each in made.roads if each not in roads]
    if strange or not made.roads:
        yield f"it names the road {strange[0]}, and there is none" if strange else "it names no road"
    for name, value in made.capabilities.items():
        if name not in QUIRKS:
            yield f"the capability {name} decides nothing; there are {', '.join(QUIRKS)}"
        elif type(value) is not QUIRKS[name].kind:
            yield f"the capability {name} has to be of type {QUIRKS[name].kind.__name__}"
    yield from _habits(made.document)
    try:
        _RECORDS_BY.validate_python(dict(made.records_by))
    except (ValidationError, TypeError, ValueError):
        yield "records_by is no mapping of a record type to texts of the form parameter=value"


def _habits(habits: Any) -> Iterator[str]:
    """Each value as the key `document` of an endpoint may have it."""
    if not isinstance(habits, DocumentHabits):
        yield f"document is a {type(habits).__name__}, and no DocumentHabits"
        return
    try:
        Document.model_validate({name: getattr(habits, name) for name in Document.model_fields})
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            yield f"document.{each['loc'][0]}: {each['msg']}"
