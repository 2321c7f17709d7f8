"""Commands about checklists: which there are, whether a site's own are right, and how a request's records stand."""

from datetime import UTC, datetime
from pathlib import Path

import click

from second_opinion.house import ME, cli, opened, read_config, show, with_json, with_reason

FILES = click.Path(path_type=Path, dir_okay=False)


@cli.group()
def checklists() -> None:
    """Which records a second opinion needs."""


@checklists.command("check")
@click.argument("files", nargs=-1, type=FILES, required=True)
@with_json
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Read FILES laid over the shipped checklists, and list every mistake with its line. Needs no configuration."""
    from integration.settings.checklist_files import load_catalog

    catalog = load_catalog(files)
    rules = sum(len(each.rules) for each in catalog.checklists.values())
    result = {
        "checklists": len(catalog.checklists),
        "rules": rules,
        "version": catalog.version,
        "sha256": catalog.sha256,
    }
    show(result, as_json, f"right: {len(catalog.checklists)} checklists with {rules} rules, version {catalog.version}")


@checklists.command("show")
@click.argument("key", required=False)
@with_json
@click.pass_context
def show_(ctx: click.Context, key: str | None, as_json: bool) -> None:
    """The checklists of this site, or one of them with its rules and their sources."""
    from integration.settings.checklist_files import load_catalog
    from integration.settings.mistakes import nearest

    catalog = load_catalog(read_config(ctx).checklists)
    if key is None:
        titles = {each.key: each.title for each in catalog.checklists.values()}
        show(titles, as_json, "\n".join(f"{name:20} {title}" for name, title in titles.items()))
        return
    if key not in catalog.checklists:
        raise click.BadParameter(f"there is no checklist {key}{nearest(key, catalog.checklists)}", param_hint="KEY")
    rules = [
        {
            "item": rule.kind,
            "label": catalog.kinds[rule.kind].label,
            "need": rule.need,
            "months": rule.months,
            "note": rule.note or None,
            "sources": [f"{each.what}, {each.url}" for each in map(catalog.sources.__getitem__, rule.sources)]
            or ["ours: no public page says so"],
        }
        for rule in catalog.checklists[key].rules
    ]
    show({"checklist": key, "rules": rules}, as_json, "\n".join(_rule_line(rule) for rule in rules))


def _rule_line(rule: dict) -> str:
    age = f", at most {rule['months']} months old at the visit" if rule["months"] else ""
    return f"{rule['item']:22} {rule['need']:20} {rule['label']}{age}\n{'':22} {'; '.join(rule['sources'])}"


@checklists.command("explain")
@click.argument("request_id")
@with_json
@click.pass_context
def explain(ctx: click.Context, request_id: str, as_json: bool) -> None:
    """How the records of REQUEST_ID stand: each item with its state, the reason, and the records that speak for it."""
    from integration.checklists import completeness
    from integration.packets.payloads import Payloads
    from integration.views.checklist import view

    with opened(ctx) as (config, engine):
        payloads, today = Payloads(config.payload_store), datetime.now(UTC).date()
        found = view(completeness(engine, payloads, config, request_id, today, actor=ME, reason="command line"))
    show(found, as_json, "\n".join(_explained(found)))


def _explained(found: dict) -> list[str]:
    lines = [
        f"{found['title']}: {found['why']}",
        f"at {found['visit']}, {found['visit_is']}; {found['packets']} packets",
        "",
    ]
    for item in found["items"]:
        lines.append(f"{item['state']:15} {item['item']:22} {'; '.join(item['reasons'])}".rstrip())
        lines += [
            f"{'':15} {each['source']} ({each['day'] or 'no date'}): {each['why']}" for each in item["evidence"][:3]
        ]
        lines += (
            [f"{'':15} answer with --answer {item['question']['key']}=yes|no: {item['question']['text']}"]
            if item["question"]
            else []
        )
    return lines


@checklists.command("say")
@click.argument("request_id")
@click.option("--answer", metavar="QUESTION=yes|no", help="Answer a question of the list.")
@click.option("--item", metavar="ITEM=WORD", help="An item is requested, promised, waived, there or not-there.")
@click.option("--record", metavar="TYPE/ID=ITEM", help="A record belongs to this item; nothing behind the = for none.")
@click.option("--checklist", metavar="KEY", help="Hold the request against this checklist.")
@with_reason()
@with_json
@click.pass_context
def say_(ctx: click.Context, request_id: str, reason: str, as_json: bool, **words: str | None) -> None:
    """Say what you know of an item of REQUEST_ID's checklist; one of the options."""
    from integration.checklists import say
    from integration.packets.payloads import Payloads
    from integration.store.checklist_facts import Topic

    given = [(name, text) for name, text in words.items() if text is not None]
    if len(given) != 1 or (given[0][0] != "checklist" and "=" not in given[0][1]):
        raise click.UsageError("say one thing, with one of --answer, --item, --record (as KEY=WORD) or --checklist")
    topic, text = given[0]
    key, _, value = ("", "", text) if topic == "checklist" else text.partition("=")
    with opened(ctx) as (config, engine):
        payloads = Payloads(config.payload_store)
        say(engine, payloads, config, request_id, Topic(topic), key, value, actor=ME, reason=reason)
    show({"request_id": request_id, "topic": topic, "key": key, "value": value}, as_json, "kept, with your reason")
