"""docs/reference/vendors.md: what is known of each vendor before anybody asked its server."""

from mappings.model.profiles import PROFILES, Profile
from mappings.model.roads import LEVELS, ROADS


def vendors_page() -> str:
    """docs/reference/vendors.md"""
    return f"""# Vendors: profiles, roads and levels

`profile` of an endpoint says which EHR it is. A profile is data (`mappings/model/profiles.py`): the defaults below, each of
which [config.yaml](config.md) overrides for one endpoint. A site's own server may differ: `second-opinion endpoints check`
tries it.

## Roads

By these a report reaches an EHR, in the order in which `roads` names them. The next one is tried when one is impossible, never
when it is not known what became of a document.

| Road | What goes | The most that is known afterwards |
|---|---|---|
{_lines(f"`{name}` | {facts.words} | `{facts.best}`" for name, facts in ROADS.items())}

## Levels

What is known of a document. A loop closes on those that `closes_on` names; by default on what was read back and on a person's
word.

| Level | Meaning |
|---|---|
{_lines(f"`{level}` | {words}" for level, words in LEVELS.items())}

## Profiles

| `profile` | EHR | `roads`, in order | A document over FHIR | `capabilities` | Searched by |
|---|---|---|---|---|---|
{_lines(_profile(each) for each in PROFILES.values())}

## What stands in for them

Nobody outside of a vendor can run its EHR. `tests/servers/vendors/` holds servers that behave as those of Epic, Oracle Health,
athenahealth and Meditech are published to, or were met in their sandboxes: each habit is cited in the test beside it. Tests ask
what stands there in the server's own store, not by its answers.
"""


def _lines(rows) -> str:
    return "\n".join(f"| {each} |" for each in rows)


def _profile(profile: Profile) -> str:
    habits = profile.document
    says = [
        f"only {', '.join(habits.formats)}" if habits.formats else "",
        "one attachment to a document (of several, each is a document of its own, or all words one text)"
        if habits.attachments == "first"
        else "",
        {"required": "names a visit", "never": "names no visit"}.get(habits.encounter, ""),
        "has a period" if habits.period else "",
        "an author has to be one of its own practitioners" if habits.authors == "own" else "",
        f"without {', '.join(habits.not_kept)}" if habits.not_kept else "",
        "is not found by identifier" if habits.finds_by_identifier is False else "",
    ]
    overrides = ", ".join(f"`{name}: {str(value).lower()}`" for name, value in profile.capabilities.items())
    searched = "; ".join(f"{kind}: {', '.join(parts)}" for kind, parts in profile.records_by.items())
    scope = "" if profile.sends_scope else ". No `scope` is sent"
    roads = ", ".join(f"`{each}`" for each in profile.roads)
    shape = ", ".join(each for each in says if each) or "as it is"
    return f"`{profile.key}` | {profile.name} | {roads} | {shape}{scope} | {overrides} | {searched}"
