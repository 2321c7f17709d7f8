"""Vendor-like server x road x level: what is expected of a whole loop against each. tests/jobs/test_vendor_loops.py runs every
row; docs/reference/vendors.md shows them."""

from dataclasses import dataclass

from mappings.model.roads import Level, RoadName


@dataclass(frozen=True)
class Row:
    """``server``: which one, and what is particular about it; ``settings``: the endpoint's keys in config.yaml;
    ``stands``: how many documents of ours the oracle counts there in the end; ``closes``: by the default of `closes_on`."""

    key: str
    server: str
    settings: str
    road: RoadName
    level: Level | None
    stands: int
    closes: bool
    remark: str = ""


MATRIX = (
    Row(
        "epic",
        "Epic-like",
        "profile: epic, document: {encounter_choice: newest}",
        RoadName.FHIR_DOCUMENT,
        Level.READ_BACK,
        1,
        True,
        "plain text to a visit",
    ),
    Row(
        "epic-blind",
        "Epic-like, reads of documents not on the client",
        "profile: epic, document: {encounter_choice: newest}",
        RoadName.FHIR_DOCUMENT,
        Level.UNVERIFIABLE,
        1,
        False,
        "closes when a person says that it is there, or with `closes_on: [..., unverifiable]`",
    ),
    Row(
        "oracle",
        "Oracle-like",
        "profile: oracle-health, document: {encounter_choice: newest}",
        RoadName.FHIR_DOCUMENT,
        Level.READ_BACK,
        1,
        True,
    ),
    Row(
        "athena",
        "athena-like",
        "profile: athenahealth",
        RoadName.DOWNLOAD,
        None,
        0,
        False,
        "waits for who carries it: no `athena` in config.yaml",
    ),
    Row(
        "athena-own",
        "athena-like, by its own interface",
        'profile: athenahealth, athena: {practice_id: "195900", department_id: "1"}',
        RoadName.VENDOR_REST,
        Level.READ_BACK,
        1,
        True,
        "a PDF for each attachment",
    ),
    Row(
        "meditech", "Meditech-like", "profile: meditech", RoadName.DOWNLOAD, None, 0, False, "waits for who carries it"
    ),
)
