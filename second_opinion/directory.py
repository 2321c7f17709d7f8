"""Commands about the directory of doctors: load a file, search, show, enter, correct."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from second_opinion.house import ID, ME, cli, opened, progress_of, show, with_json, with_reason

if TYPE_CHECKING:
    from integration.store.directory import Merged

KINDS = ("nppes", "nppes-endpoints", "nppes-deactivated", "nucc", "fhir")
DAY = click.DateTime(["%Y-%m-%d"])


@cli.group()
def directory() -> None:
    """Find a doctor who gives a second opinion."""


@directory.command("load")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--kind", type=click.Choice(KINDS), help="What it is; by its first line when this is not given.")
@click.option("--date", "day", type=DAY, help="The day whose knowledge it holds, when its name does not say it.")
@click.option("--whole", is_flag=True, help="It holds all there is: who is not in it is marked as gone.")
@click.option("--fewer", is_flag=True, help="It is right that it holds far fewer than the directory has.")
@with_json
@click.pass_context
def load_(
    ctx: click.Context, file: Path, kind: str | None, day: datetime | None, whole: bool, fewer: bool, as_json: bool
) -> None:
    """Load FILE of NPPES (.zip or .csv, whole or weekly), NUCC, or a FHIR Bundle (--kind fhir): all of each table in it, or nothing of it."""
    from integration.directory.loading import Wanted, load
    from integration.directory.syncing import load_bundle

    wanted = Wanted(kind, day.date() if day else None, whole, fewer)
    with opened(ctx) as (_, engine), progress_of(f"reading {file.name}") as progress:
        if kind == "fhir":
            on = wanted.day or date_of_today()
            done = [load_bundle(engine, file, file.stem, on, actor=ME, whole=whole, fewer=fewer)]
        else:
            done = load(engine, file, wanted, actor=ME, progress=progress)
    result = [_as_json(each) for each in done]
    show({"loads": result}, as_json, "\n".join(line for each in result for line in _loaded(each)))


def _as_json(done: Merged) -> dict[str, Any]:
    return {
        "load": done.load_id,
        "rows": done.rows,
        "added": done.added,
        "changed": done.changed,
        "ended": done.ended,
        "left_out": done.left_out,
        "notes": list(done.notes),
    }


def _loaded(done: dict[str, Any]) -> list[str]:
    counts = (
        f"{done['added']:,} added, {done['changed']:,} changed, {done['ended']:,} ended, {done['left_out']:,} left out"
    )
    return [f"read {done['rows']:,} rows: {counts}", *(f"  {note}" for note in done["notes"])]


@directory.command("sync")
@click.argument("endpoint")
@click.option("--fewer", is_flag=True, help="It is right that it holds far fewer than the directory has.")
@with_json
@click.pass_context
def sync_(ctx: click.Context, endpoint: str, fewer: bool, as_json: bool) -> None:
    """Read the FHIR directory at ENDPOINT, all of it or nothing; who is no longer there is marked."""
    from integration.directory.syncing import sync
    from second_opinion.house import make_world

    with opened(ctx) as (config, engine):
        source = config.directory.sources.get(endpoint)
        if source is None:
            known = ", ".join(config.directory.sources) or "none"
            raise click.UsageError(f"config.yaml names no directory {endpoint} in directory.sources; it names {known}")
        world = make_world(config, engine)
        try:
            done = sync(engine, world.servers.server(endpoint), source, date_of_today(), actor=ME, fewer=fewer)
        finally:
            world.servers.close()
    show(_as_json(done), as_json, "\n".join(_loaded(_as_json(done))))


@directory.command("search")
@click.option("--name", default="", help="Last name or its beginning; or first and last name.")
@click.option("--specialty", default="", help="In words, or a code of NUCC or SNOMED CT.")
@click.option("--zip", "zip_", default="", help="ZIP code to search around.")
@click.option("--within", default="", help="Miles from there; 25 when it is not given.")
@click.option("--gender", default="", help="female, male or other.")
@click.option("--language", default="", help="In words, or a tag such as es.")
@click.option("--second-opinions", is_flag=True, help="Accepts requests for second opinions.")
@click.option("--licensed-in", default="", help="A state, such as MA.")
@click.option("--reached-by", default="", help="endpoint, fhir or direct.")
@click.option("--stated-only", is_flag=True, help="Leave out who does not state what is asked for.")
@click.option("--after", default="", help="Where the page before ended: its `next`.")
@with_json
@click.pass_context
def search_(
    ctx: click.Context, as_json: bool, zip_: str, second_opinions: bool, stated_only: bool, **typed: str
) -> None:
    """Who fits, nearest first; then who does not state everything that is asked for."""
    from integration.directory.searching import search
    from integration.views.directory import view_results

    given = {**typed, "zip": zip_, **_flags(second_opinions=second_opinions, stated_only=stated_only)}
    with opened(ctx) as (_, engine):
        found = view_results(search(engine, given, datetime.now(UTC).date()))
    if found["wrong"]:
        raise click.UsageError(
            "; ".join(f"--{name.replace('_', '-')}: {says}" for name, says in found["wrong"].items())
        )
    show(found, as_json, "\n".join(_listed(found)))


def _flags(**flags: bool) -> dict[str, str]:
    return {name: "yes" if value else "" for name, value in flags.items()}


def _listed(found: dict[str, Any]) -> list[str]:
    lines = [*found["notes"]]
    group = "stated"
    for each in found["items"]:
        if each["group"] != group:
            group = each["group"]
            lines += ["", "Not everything that you asked for is stated:"]
        far = "" if each["miles"] is None else f"{each['miles']:g} mi"
        specialties = ", ".join(one["words"] for one in each["specialties"] or ()) or "specialty not stated"
        lines.append(
            f"{each['id']:<9} {far:>9}  {each['name']}; {specialties}; {each['address'] or 'place not stated'}"
        )
        if each["not_stated"]:
            lines.append(f"{'':20} not stated: {', '.join(each['not_stated'])}")
    lines += [found["why_none"]] if found["why_none"] else []
    lines += [f"more: --after '{found['next']}'"] if found["next"] else []
    return [*lines, *(f"({age})" for age in found["sources"].values())]


@directory.command("show")
@click.argument("entry", type=ID)
@with_json
@click.pass_context
def show_(ctx: click.Context, entry: int, as_json: bool) -> None:
    """All that the directory knows of ENTRY (the first column of a search)."""
    from integration.directory.profiles import profile
    from integration.views.directory import view_profile

    with opened(ctx) as (_, engine):
        found = view_profile(profile(engine, entry, datetime.now(UTC).date()))
    show(found, as_json, "\n".join(f"{name:20} {_said(value)}" for name, value in found.items()))


def _said(value: object) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, list):
        return (
            "; ".join(", ".join(map(_said, each.values())) if isinstance(each, dict) else str(each) for each in value)
            or "none"
        )
    return str(value)


@directory.command("add")
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@with_reason()
@with_json
@click.pass_context
def add_(ctx: click.Context, values: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Enter a doctor by hand: family, given, npi, specialties, languages, gender, phone, line, city, state, postal_code, ..."""
    from integration.directory.profiles import add

    with opened(ctx) as (config, engine):
        entry = add(engine, config, _pairs(values), date_of_today(), actor=ME, reason=reason)
    show({"entry": entry}, as_json, f"entered as {entry}")


@directory.command("correct")
@click.argument("entry", type=ID)
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE...")
@with_reason()
@with_json
@click.pass_context
def correct_(ctx: click.Context, entry: int, values: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Correct what ENTRY says; nothing behind the = for what is not known. A later file never overwrites it."""
    from integration.directory.profiles import correct

    with opened(ctx) as (config, engine):
        changed = correct(engine, config, entry, _pairs(values), seen=None, actor=ME, reason=reason)
    show({"entry": entry, "changed": changed}, as_json, "corrected" if changed else "it says so already")


def _pairs(values: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(each.partition("=")[::2] for each in values)
    if any("=" not in each for each in values):
        raise click.UsageError("say each as FIELD=VALUE, such as languages=es,en")
    return pairs


def date_of_today() -> date:
    """By the clock of this machine, UTC."""
    return datetime.now(UTC).date()
