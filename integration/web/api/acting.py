"""Presses the same buttons as the pages do: one list of actions, with the same checks, audit and words."""

from werkzeug.datastructures import MultiDict

from integration.web import world
from integration.web.api.answers import Done
from integration.web.operations.actions import ACTIONS
from integration.web.problems import Problem


def act(name: str, reason: str, **fields: object) -> tuple[Done, str]:
    """Do it in one transaction. Returns what is told, and the address where it goes on."""
    given = MultiDict({field: str(value) for field, value in fields.items()})
    with world.engine().begin() as conn:
        message, changed, address = ACTIONS[name][1](conn, given, reason)
    return Done(changed=changed, message=message), address


def act_or_refuse(name: str, reason: str, **fields: object) -> Done:
    """Do it; when nothing changed, what was asked for is not so: 409."""
    done, _ = act(name, reason, **fields)
    if not done.changed:
        raise Problem("not-possible", done.message)
    return done
