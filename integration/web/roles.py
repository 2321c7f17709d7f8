"""Who may use what: each route and each action once, with the role it needs. A route without a row stops the start."""
from enum import StrEnum


class Role(StrEnum):
    """What an account may do. Everyone signed in is a viewer; the others are given."""

    VIEWER = "viewer"                   # sees every page, in ids and words
    OPERATOR = "operator"               # presses buttons: retry, park, cancel, pause, run
    CLINICAL_DATA = "clinical-data"     # sees and enters what is about a patient; each look is audited
    ADMIN = "admin"                     # accounts and tokens; an operator too


INCLUDES: dict[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.CLINICAL_DATA: frozenset({Role.VIEWER, Role.CLINICAL_DATA}),
    Role.ADMIN: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
}

# Flask endpoint -> role it needs; None: anyone, also who has not signed in.
NEEDS: dict[str, Role | None] = {
    "static": None,
    "health.live": None,
    "health.ready": None,
    "health.metrics": Role.VIEWER,
    "api.create": Role.CLINICAL_DATA,
    "api.show": Role.VIEWER,
    "api.listed": Role.VIEWER,
    "api.items": Role.VIEWER,
    "queue.queue": Role.VIEWER,
    "queue.find": Role.VIEWER,
    "queue.groups": Role.VIEWER,
    "queue.save_view": Role.OPERATOR,
    "queue.delete_view": Role.OPERATOR,
    "actions.ask": Role.OPERATOR,
    "actions.do": Role.OPERATOR,
    "bulk.listed": Role.VIEWER,
    "bulk.show": Role.VIEWER,
    "requests.show": Role.VIEWER,
    "requests.delivery": Role.VIEWER,
    "packets.manifest": Role.VIEWER,
    "packets.look": Role.CLINICAL_DATA,
    "packets.download": Role.CLINICAL_DATA,
    "boards.endpoints": Role.VIEWER,
    "boards.schedules": Role.VIEWER,
    "boards.deadlines": Role.VIEWER,
    "numbers.numbers": Role.VIEWER,
    "numbers.as_json": Role.VIEWER,
    "numbers.as_csv": Role.VIEWER,
    "new_request.form": Role.CLINICAL_DATA,
    "new_request.take_in": Role.CLINICAL_DATA,
}
