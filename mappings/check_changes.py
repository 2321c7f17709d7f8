"""What changed at an endpoint between two checks: its software, what works, and the roads of our writes. Never what only one tried."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Sentences. Both as `jobs.upkeep.endpoint_check.checked` gives them, or as they came back from JSON."""
    return [*_software(before, now), *_usable(before, now), *_works(before, now), *_roads(before, now)]


def _software(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    was, runs = (_runs(each) for each in (before, now))
    if was and runs and was != runs:
        yield f"it ran {was}, and runs {runs}"
    if before.get("fhir_version") and now.get("fhir_version") and before["fhir_version"] != now["fhir_version"]:
        yield f"it spoke FHIR {before['fhir_version']}, and speaks {now['fhir_version']}"


def _runs(found: Mapping[str, Any]) -> str:
    return " ".join(str(found[name]) for name in ("software", "software_version") if found.get(name))


def _usable(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if bool(before.get("problems")) != bool(now.get("problems")):
        yield "it was usable, and is not" if now.get("problems") else "it was not usable, and is"


def _works(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    worked = {each["what"]: each["worked"] for each in _list(before, "tried")}
    for each in _list(now, "tried"):
        what, works = each["what"], each["worked"]
        if worked.get(what) is not None and works is not None and worked[what] != works:
            yield f"{what}: it did not work, and does" if works else f"{what}: it worked, and does not: {each['says']}"


def _roads(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    was = {each["write"]: each for each in _list(before, "writes")}
    for each in _list(now, "writes"):
        old = was.get(each["write"])
        if old is not None and (old["road"], old["level"]) != (each["road"], each["level"]):
            yield f"{each['write']}: it went by {_road(old)}, and goes by {_road(each)}"


def _road(write: Mapping[str, Any]) -> str:
    return f"{write['road']} ({write['level']})" if write["road"] else "no road"


def _list(found: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    value = found.get(name)
    return value if isinstance(value, Sequence) else ()
