"""Bulk operations: how far each came, and stopping one."""

from integration.store import bulk
from integration.web import world
from integration.web.api.acting import act_or_refuse
from integration.web.api.answers import Done, Operation, Operations
from integration.web.api.bodies import Because
from integration.web.api.routes import get, post
from integration.web.problems import Problem


@get("/operations")
def operations() -> Operations:
    """The newest operations."""
    with world.engine().connect() as conn:
        return Operations(items=[Operation.model_validate(each) for each in bulk.recent(conn)])


@get("/operations/<int:operation_id>", refuses=("unknown",))
def operation(operation_id: int) -> Operation:
    """One operation with its counts."""
    return view(operation_id)


@post("/operations/<int:operation_id>/stop", refuses=("wrong-body", "unknown", "not-possible"))
def stop_operation(operation_id: int, body: Because) -> Done:
    """Stop an operation; what it did stays done, and the message says the counts of both halves."""
    view(operation_id)
    return act_or_refuse("stop-operation", body.reason, operation=operation_id)


def view(operation_id: int) -> Operation:
    """One operation. Raises Problem when there is none."""
    try:
        with world.engine().connect() as conn:
            return Operation.model_validate(bulk.view(conn, operation_id))
    except bulk.NotPossible as error:
        raise Problem("unknown", f"There is no operation {operation_id}.") from error
