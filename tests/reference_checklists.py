"""docs/reference/checklists.md, made from the labelled packets: how often the judging says what a person says, by state.

``python -m tests.reference_checklists`` prints it.
"""

from collections import Counter

from mappings.checklists.chart import Chart
from mappings.checklists.judging import judge
from mappings.model.checklist import State
from tests.mappings.checklists.charts import CATALOG
from tests.mappings.checklists.labelled import PACKETS, Packet

MENDED = """
## What the packets found

The labels were written before the judging was run on them. They showed four mistakes, each a wrong *found*: an allergy entered in error
whose status had no code system; a stage of heart failure taken for the tumor's; insurance data taken for the card; two scans with the
pictures of one. All four are mended. One label was wrong itself (of two scans only the newest has to be young), and two packets had
codes without their system, which count for nothing.

## Codes

LOINC codes are used as codes only (<https://loinc.org/license>). They were compared with FHIR's and US Core's value sets and with public
implementation guides, never with a licensed copy of LOINC; each passes LOINC's check digit. Looked up again in public sources on
2026-11-29: 64290-0 (health insurance card), 89247-1 (ECOG). Disputed: 11508-9 is a physical therapy note in one source and a surgical
operation note in another, so it counts only where the record's own words say physical therapy. The specialty codes (NUCC) were
compared with public copies of the code set, among them 207XS0117X, 207SG0201X and 207VX0201X. Whoever finds another code in their
charts puts the record under its item once; the source's own code is remembered.
"""
Pair = tuple[State, State]  # what a person says, what the judging says


def judged(packet: Packet) -> dict[str, State]:
    """What the judging says of each item."""
    chart = Chart.of(packet.resources, packet.patient)
    items = judge(CATALOG.checklists[packet.checklist], CATALOG, chart, packet.facts, packet.visit)
    return {item.rule.kind: item.state for item in items}


def pairs() -> list[tuple[str, str, Pair]]:
    """(packet, kind, label and verdict) of every item of every packet."""
    return [
        (packet.name, kind, (label, judged(packet)[kind]))
        for packet in PACKETS
        for kind, label in packet.labels.items()
    ]


def cost(found: list[Pair]) -> int:
    """What is wrong: found where a person says otherwise counts ten, all else one."""
    return sum(10 if says is State.FOUND else 1 for label, says in found if label is not says)


def page() -> str:
    """The whole page."""
    found = [pair for _, _, pair in pairs()]
    lists = {packet.checklist for packet in PACKETS}
    told = Counter(label for label, _ in found)
    lines = [
        "# How well the checklists judge",
        "",
        f"{len(PACKETS)} packets of our own making (synthetic, `tests/mappings/checklists/labelled.py`) over all {len(lists)} lists, "
        f"{len(found)} items, each labelled by hand with what a coordinator would say who has the chart on the desk. They were "
        "written by the people who wrote the rules, and what they got wrong was mended in the rules: this is no measure of charts that "
        "nobody has seen. A site that labels some of its own learns more.",
        "",
        f"Wrong: {sum(label is not says for label, says in found)}; cost {cost(found)} (found where a person says otherwise counts ten).",
        "",
        "| state | a person says it | precision | recall |",
        "|---|---:|---:|---:|",
    ]
    for state in State:
        if told[state] or any(says is state for _, says in found):
            lines.append(f"| {state.value} | {told[state]} | {_share(state, found, 1)} | {_share(state, found, 0)} |")
    return "\n".join([*lines, MENDED])


def _share(state: State, found: list[Pair], by: int) -> str:
    """Of those where side ``by`` of the pair is the state, how many agree."""
    of = [pair for pair in found if pair[by] is state]
    return f"{sum(label is says for label, says in of) / len(of):.3f}" if of else "-"


if __name__ == "__main__":
    print(page())
    for name, kind, (label, says) in pairs():
        if label is not says:
            print(f"{name}: {kind} is {says}, a person says {label}")
