"""What config.yaml should say of an endpoint after a check: the keys that decide how we write there, and what was learned."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration.settings.endpoints import Endpoint
from mappings.advice import Reached, Write

GROUPS = ("document", "capabilities", "limits")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9/_.-]*")
_TAKEN = re.compile(r"true|false|null|yes|no|on|off", re.I)  # YAML reads another value


@dataclass(frozen=True)
class Block:
    """``values``: keys of the endpoint, whole groups; ``remarks``: what stands beside a key, for whoever reads it."""

    values: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)


def block(
    endpoint: Endpoint,
    proposed: Endpoint,
    reached: Sequence[Reached],
    missing: Mapping[str, str],
    learned: Mapping[str, Any],
) -> Block:
    """In place of the same keys of the endpoint. What the profile says already is not said again.

    ``endpoint``: as it is configured; ``proposed``: with the profile that its software speaks for; ``missing``: roads that
    cannot be used, and why; ``learned``: by path, as `Tried` has it. A level that is too low to close a loop is never added.
    """
    values: dict[str, Any] = {"profile": proposed.profile}
    remarks = {"profile": "guessed from its software or its address"} if proposed.profile != endpoint.profile else {}
    report = next((each for each in reached if each.write == Write.REPORT), None)
    if report is not None:
        values["roads"] = _usable(proposed, report, missing)
        left_out = [name for name in proposed.road_names if name not in values["roads"]]
        remarks |= {"roads": f"not {', '.join(left_out)}: see above"} if left_out else {}
        values["closes_on"] = list(endpoint.closes_on)
        if report.level is not None and report.level not in endpoint.closing_levels:
            remarks["closes_on"] = f"what can be known here is {report.level}: each report waits for a person"
    for name in GROUPS:
        group = {**_configured(endpoint, name), **_learned(proposed, name, learned)}
        values |= {name: group} if group else {}
    return Block({key: value for key, value in values.items() if value not in ([], ())}, remarks)


def _usable(proposed: Endpoint, report: Reached, missing: Mapping[str, str]) -> list[str]:
    """From the one that is taken on; those before it were found to be impossible."""
    names = list(proposed.road_names)
    first = names.index(report.road) if report.road in names else len(names)
    return [name for name in names[first:] if name not in missing]


def _configured(endpoint: Endpoint, group: str) -> dict[str, Any]:
    """What config.yaml says there now: nothing of it is lost when the block takes its place."""
    if group == "capabilities":
        return dict(endpoint.capabilities)
    section = getattr(endpoint, group)
    return {name: getattr(section, name) for name in sorted(section.model_fields_set)}


def _learned(proposed: Endpoint, group: str, learned: Mapping[str, Any]) -> dict[str, Any]:
    known = {"document": vars(proposed.habits), "capabilities": proposed.overrides, "limits": {}}[group]
    found = {path.partition(".")[2]: value for path, value in learned.items() if path.startswith(f"{group}.")}
    return {name: value for name, value in found.items() if known.get(name) != value}


def as_yaml(key: str, made: Block) -> str:
    """The block as it stands under ``endpoints:``."""
    return "\n".join([f"  {key}:", *(f"    {line}" for line in _lines(made))])


def _lines(made: Block) -> Iterator[str]:
    for name, value in made.values.items():
        remark = f"    # {made.remarks[name]}" if name in made.remarks else ""
        if isinstance(value, Mapping):
            yield f"{name}:{remark}"
            yield from (f"  {inner}: {_scalar(each)}" for inner, each in value.items())
        else:
            yield f"{name}: {_scalar(value)}{remark}"


def _scalar(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and not _TAKEN.fullmatch(value)
        return str(value) if plain else json.dumps(str(value))
    return json.dumps(value)
