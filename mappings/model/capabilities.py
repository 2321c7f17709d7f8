"""What config.yaml may know better than an endpoint's own CapabilityStatement: each name once, with what it decides."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirk:
    """``decides`` is the sentence of the reference; ``kind`` is bool or int."""

    name: str
    decides: str
    kind: type = bool


_ALL = (
    Quirk("transaction", "false: records are sent one by one instead of in transactions"),
    Quirk(
        "conditional_create",
        "false: the endpoint is searched before each create, because it ignores or refuses `If-None-Exist`",
    ),
    Quirk(
        "task",
        "false: the endpoint holds no Task, so the status of a request is not shown there, and no consulting provider is asked "
        "there; true: it takes ServiceRequest and Task, whatever it says of itself",
    ),
    Quirk("versioned_update", "false: `If-Match` is not sent with updates, because the endpoint refuses it"),
    Quirk("binary_create", "whether a document larger than `max_inline_bytes` is sent as a Binary of its own"),
    Quirk(
        "post_search",
        "false: a patient is searched for with the names in the address (GET), because it answers `POST _search` wrongly",
    ),
    Quirk("max_page", "the largest `_count` the endpoint bears", int),
)

QUIRKS: dict[str, Quirk] = {quirk.name: quirk for quirk in _ALL}
# What earlier versions let one write here although it changed nothing.
DECIDED_NOTHING = frozenset({"update_create", "service_request_create", "document_reference_create"})
