"""The reference pages made from code that is no pydantic model: commands, states and errors. test_docs.py keeps them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from mappings.lawful import LAWFUL
from mappings.model.alarms import RULES, Severity, Told
from mappings.model.causes import CAUSES, WAYS, Way
from mappings.model.delivery import DELIVERY_TRANSITIONS, MAX_500, RETRY_TABLE, Verdict
from mappings.model.states import (
    BSER_CODE,
    FINAL,
    NEEDS_REASON,
    OPEN,
    TRANSITIONS,
    Records,
    Status,
    Visit,
    business_status,
)
from mappings.model.steps import KINDS, Group, StepKind
from second_opinion.house import EXIT_FAILED, EXIT_WRONG_USAGE, cli

ROOT = Path(__file__).parent.parent
PRODUCT = ("mappings", "integration", "jobs", "second_opinion")


# --- commands ----------------------------------------------------------------------------------------------------


def commands(group: click.Group = cli, path: str = "second-opinion") -> Iterator[tuple[str, click.Command]]:
    """``(words to type, command)`` of everything that does something."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def cli_page() -> str:
    """docs/reference/cli.md"""
    described = "\n".join(_command(path, command) for path, command in commands())
    return f"""# Command line

`second-opinion [--config FILE] [--log-level LEVEL] COMMAND`. The configuration is `--config`, else
`SECOND_OPINION_CONFIG`, else `config.yaml` in the current folder; its keys are in [config.md](config.md). `-h` explains
every command. Results go to standard output, log lines (one JSON object each, ids only) to standard error.

| Exit code | Meaning |
|---|---|
| 0 | done |
| {EXIT_FAILED} | it failed, or what it is about (a request, a step, an account, ...) is not in the database; the sentence on standard error says why and what to do |
| {EXIT_WRONG_USAGE} | wrong usage, configuration or request file; also a filter that cannot be read, and the name of an endpoint, rule, schedule or recipient that there is not |
| 130 | stopped by Ctrl-C; `serve`, `web`, `worker` and `listen`, which run until they are stopped, give 0 |

{described}"""


def _command(path: str, command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    usage = " ".join([path, *("[options]" for _ in options[:1]), *(each.name.upper() for each in arguments)])
    text = f"## {path.removeprefix('second-opinion ')}\n\n`{usage}`\n\n{_prose(command.help or '')}\n"
    rows = "\n".join(_option(each) for each in options)
    return f"{text}\n| Option | Meaning |\n|---|---|\n{rows}\n" if rows else text


def _option(option: click.Option) -> str:
    value = "" if option.is_flag else f" {_metavar(option)}"
    words = [
        option.help or "",
        "Required." if option.required else "",
        f"Default: `{option.default}`." if option.show_default is True else "",
    ]
    return f"| `{', '.join(option.opts)}{value}` | {' '.join(filter(None, words))} |"


def _metavar(option: click.Option) -> str:
    kind = option.type
    if isinstance(kind, click.Choice):
        return " or ".join(kind.choices)
    return {"integer range": "NUMBER", "integer": "NUMBER", "path": "PATH"}.get(kind.name, "TEXT")


def _prose(text: str) -> str:
    return " ".join(text.split())


# --- states ------------------------------------------------------------------------------------------------------


def states_page() -> str:
    """docs/reference/states.md"""
    return f"""# States

A request's status uses the words of FHIR `Task.status`. One function changes it (`integration/store/requests.py`,
`advance`), and only along this table; a change that is not in it is stored as an event and flagged, never applied.

## Request

```mermaid
{request_diagram()}
```

From every open status also: {_everywhere()}.
From every other final one the placer may go on to `entered-in-error`.

| From | To, and who may cause it |
|---|---|
{_transition_rows()}

A reason is asked for with: {_words(sorted(NEEDS_REASON))}. Where none was given, the text says so.

**Closed** is not a status: a request is closed when it is `completed` and what is known of its report in the primary care
EHR is one of the levels that the endpoint's `closes_on` names ([verification](../explanation/verification.md)). The request
says on which (`closed_level`), and by which road the report went.

## Two tracks beside the status

Records: {_words(Records)}.

Visit: {_words(Visit)}.

No job moves the visit yet, and none sets `partial` or `acknowledged`.

## What others see

`Task.businessStatus` is derived: final status, else cancellation requested, else awaiting information, else visit, else
records, else status. Words are of our own code system; the BSeR code stands beside it where BSeR has one
([codes.md](codes.md)).

| Status | Business status | BSeR |
|---|---|---|
{_business_rows()}

## Delivery

A delivery carries the records, the request or the report to one endpoint.

```mermaid
{delivery_diagram()}
```

`verified` means read back and compared, and nothing less is called so. A report of which less is known ends as `accepted` (the
receiving system said so), `handed-over` (a person says so) or `unverifiable` (sent where we may not read), where the loop
closes on that. `parked` means that a person decides ([errors.md](errors.md),
[retry and park](../how-to/retry-and-park.md)).

## Steps

What follows what. Each kind is a row of `mappings/model/steps.py`, and a job of the same name. What a cancellation stops is
drawn with round ends.

```mermaid
{steps_diagram()}
```
"""


def request_diagram() -> str:
    """The transitions of a request as a Mermaid state diagram, without those possible from every open status."""
    common = _common()
    lines = ["stateDiagram-v2", *(_alias(status) for status in Status), "    [*] --> draft"]
    for status in Status:
        for wanted, actors in _grouped(TRANSITIONS[status] - common if status in OPEN else frozenset()).items():
            lines.append(f"    {_node(status)} --> {_node(wanted)}: {', '.join(actors)}")
    return "\n".join([*lines, *(f"    {_node(status)} --> [*]" for status in Status if status in FINAL)])


def delivery_diagram() -> str:
    """The transitions of a delivery as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    for status, following in DELIVERY_TRANSITIONS.items():
        lines += [f"    {status} --> {wanted}" for wanted in sorted(following)]
    return "\n".join(
        [*lines, *(f"    {status} --> [*]" for status, following in DELIVERY_TRANSITIONS.items() if not following)]
    )


def steps_diagram() -> str:
    """The kinds of step and what follows each as a Mermaid flow chart, in the groups that the filter ``kind:`` knows."""
    lines = ["flowchart LR"]
    for group in Group:
        members = [kind for kind, row in KINDS.items() if row.group is group]
        lines += [f"    subgraph {group}", *(f"        {_shape(kind)}" for kind in members), "    end"]
    return "\n".join([*lines, *(f"    {kind} --> {each}" for kind, row in KINDS.items() for each in row.follows)])


def _shape(kind: StepKind) -> str:
    words = KINDS[kind].words
    return f'{kind}(["{words}"])' if KINDS[kind].sends else f'{kind}["{words}"]'


def _common() -> frozenset:
    return frozenset.intersection(*(TRANSITIONS[status] for status in OPEN))


def _grouped(pairs) -> dict[Status, list[str]]:
    found: dict[Status, list[str]] = {}
    for wanted in Status:
        actors = sorted(actor for to, actor in pairs if to is wanted)
        if actors:
            found[wanted] = actors
    return found


def _node(status: Status) -> str:
    return status.value.replace("-", "_")


def _alias(status: Status) -> str:
    return f'    state "{status.value}" as {_node(status)}'


def _everywhere() -> str:
    return "; ".join(f"`{wanted}` by {', '.join(actors)}" for wanted, actors in _grouped(_common()).items())


def _transition_rows() -> str:
    return "\n".join(f"| `{status}` | {_targets(status) or 'nothing'} |" for status in Status)


def _targets(status: Status) -> str:
    return "; ".join(f"`{wanted}` ({', '.join(actors)})" for wanted, actors in _grouped(TRANSITIONS[status]).items())


def _business_rows() -> str:
    rows = [(f"`{status}`", business_status(status)) for status in Status if status is not Status.IN_PROGRESS]
    rows += [
        (f"`in-progress`, records {records}", business_status(Status.IN_PROGRESS, records=records))
        for records in Records
    ]
    rows += [
        (f"open, visit {visit}", business_status(Status.ACCEPTED, visit=visit))
        for visit in Visit
        if visit is not Visit.NONE
    ]
    rows += [("open, cancellation asked for", business_status(Status.ACCEPTED, cancel_requested=True))]
    return "\n".join(f"| {where} | `{word}` | {BSER_CODE.get(word, '')} |" for where, word in rows)


def _words(values) -> str:
    return ", ".join(f"`{value}`" for value in values)


# --- errors ------------------------------------------------------------------------------------------------------

_VERDICTS = {
    Verdict.LATER: "tried again later",
    Verdict.PERSON: "parked for a person",
    Verdict.LOOK_FIRST: "the target is searched before anything is sent again",
    Verdict.NEW_TOKEN: "tried again as with a new token (no sign-in is built yet)",
}


def errors_page() -> str:
    """docs/reference/errors.md"""
    found = calls("finding")
    return f"""# Errors, causes and findings

Every error the Exchange raises on purpose is a sentence with a next step, and holds ids, paths and codes only. `…` stands
for what is filled in.

## Kinds

| Error | Kind of | Meaning |
|---|---|---|
{_kind_rows()}

## Answers of other systems

| Answer | What happens |
|---|---|
{_status_rows()}
| other 5xx | {_VERDICTS[Verdict.LATER]} |
| 502 or 504 to a write, timeout or cut after sending | {_VERDICTS[Verdict.LOOK_FIRST]} |
| other 4xx, HTML instead of FHIR | {_VERDICTS[Verdict.PERSON]} |

500 is tried {MAX_500} times at most: some servers answer it for what will never work. `Retry-After` in both forms is
waited for, up to an hour. Bounds in count and time: `retry` in [config.md](config.md#retry).

## Causes of waiting and parked steps

Each is a row of `mappings/model/causes.py`. The first way on is the one to try first; *retry* comes first only where the same
again can succeed. On the page of a request each is a button; the commands, after `second-opinion`, are {_commands()}.

| Cause | What happened | What to do | Ways on |
|---|---|---|---|
{_declared_rows()}

`http-3xx`, `http-4xx` and `http-5xx` stand for every other status of that hundred. The causes that begin with `patient-` are
explained in [matching](../explanation/matching.md); [resolve a patient](../how-to/resolve-a-patient.md) says how to go on.

## Alarm rules

| Rule | Raised when | How bad | Whom to call |
|---|---|---|---|
{_rule_rows()}

## Findings

What did not stop a transfer and is worth knowing. A request's stand on its page and in `second-opinion requests show`; those of
no request, such as orders that polls refused, on the page `/findings` and in `second-opinion findings list`.

| Cause | Message |
|---|---|
{_cause_rows(found, 2)}

`verify-…` ends in the kind of difference: see [verification](../explanation/verification.md). A parked step leaves a
finding of its own cause too.
"""


def _kind_rows() -> str:
    return "\n".join(f"| `{name}` | `{base}` | {words} |" for name, base, words in sorted(error_classes()))


def lawful_page() -> str:
    """docs/reference/lawful.md"""
    rows = "\n".join(
        f"| {_cell(rule.what)} | {_cell(rule.reason)} | {', '.join(f'`verify-{kind}`' for kind in rule.kinds) if rule.recorded else 'nothing'} |"
        for rule in LAWFUL
    )
    return f"""# What a server may do with what it is given

Whatever else differs when it is read back decides: the delivery is parked as `verify-different`. Why, and how an exception is
reviewed: [verification](../explanation/verification.md).

| A server may | Because | What is recorded |
|---|---|---|
{rows}
"""


def error_classes() -> Iterator[tuple[str, str, str]]:
    """``(name, base, first sentence)`` of every class below ExchangeError."""
    classes = {node.name: node for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for name, node in classes.items():
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if name == "ExchangeError" or _is_error(bases, classes):
            yield name, bases[0], _prose((ast.get_docstring(node) or "").split("\n\n")[0])


def _is_error(bases: list[str], classes: dict[str, ast.ClassDef]) -> bool:
    above = [classes[base] for base in bases if base in classes]
    return "ExchangeError" in bases or any(
        _is_error([each.id for each in node.bases if isinstance(each, ast.Name)], classes) for node in above
    )


def calls(name: str) -> list[list[str]]:
    """The text arguments of each call of ``name``, ``…`` for what is filled in; sorted, each once."""
    found = {
        tuple(_text(argument) for argument in node.args[:3])
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == name
    }
    return sorted(list(each) for each in found if each and each[0] not in ("…", ""))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return _text(node.value) if isinstance(node, ast.Subscript) else "…"


def _cause_rows(rows: list[list[str]], columns: int) -> str:
    cells = ([*row, "", ""][:columns] for row in rows)
    return "\n".join(f"| `{cause}` | {' | '.join(_cell(each) for each in rest)} |" for cause, *rest in cells)


def _cell(text: str) -> str:
    """Empty where nothing but filled-in words are left."""
    return text.replace("|", "\\|") if re.search(r"\w", text) else ""


def _commands() -> str:
    ways = ((way, WAYS[way].command) for way in Way)
    return ", ".join(f"*{way}* `{command}`" for way, command in ways)


def _declared_rows() -> str:
    return "\n".join(
        f"| `{each.word}` | {each.happened} | {each.to_do} | {', '.join(each.ways)} |" for each in CAUSES.values()
    )


_TOLD = {
    Told.ENDPOINT: "the endpoint's contact",
    Told.FULFILLER: "the consulting provider's contact",
    Told.PLACER: "the contact of the practice that asked",
    Told.HOUSE: "whoever runs the machine",
    Told.ADMIN: "whoever keeps config.yaml",
}
_SEVERITY = {Severity.NOW: "look now", Severity.SOON: "look today"}


def _rule_rows() -> str:
    return "\n".join(
        f"| `{rule.name}` | {rule.says} | {_SEVERITY[rule.severity]} | {_TOLD[rule.told]} |" for rule in RULES.values()
    )


def _status_rows() -> str:
    return "\n".join(f"| {code} | {_VERDICTS[verdict]} |" for code, verdict in sorted(RETRY_TABLE.items()))


@cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    """``(path, parsed module)`` of every Python file of the product."""
    files = [
        file
        for name in PRODUCT
        for file in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")))
    ]
    return tuple((file.relative_to(ROOT).as_posix(), ast.parse(file.read_text(encoding="utf-8"))) for file in files)
