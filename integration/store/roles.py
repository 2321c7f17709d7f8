"""The roles an account or a token may have, and what each includes."""

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What an account or a token may do. Those of a practice do it for the requests of their practices alone."""

    VIEWER = "viewer"  # sees every page, in ids and words
    OPERATOR = "operator"  # presses buttons: retry, park, cancel, pause, run
    CLINICAL_DATA = "clinical-data"  # sees and enters what is about a patient; each look is audited
    ADMIN = "admin"  # accounts and tokens; an operator too
    COORDINATOR = "coordinator"  # of practices that ask: their requests from the first form to the report
    CONSULTANT = "consultant"  # of practices that answer: the requests asked of them


INCLUDES: dict[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.CLINICAL_DATA: frozenset({Role.VIEWER, Role.CLINICAL_DATA}),
    Role.ADMIN: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    # Not viewers: a viewer sees the requests of everybody.
    Role.COORDINATOR: frozenset({Role.COORDINATOR}),
    Role.CONSULTANT: frozenset({Role.CONSULTANT}),
}
OF_PRACTICES = frozenset({Role.COORDINATOR, Role.CONSULTANT})  # everybody else sees the whole installation


def all_of(given: Iterable[str]) -> frozenset[Role]:
    """What somebody with these roles may do; a word that is no role gives nothing."""
    return frozenset().union(*(INCLUDES[Role(name)] for name in given if name in list(Role)))


def in_order(given: Iterable[str]) -> list[str]:
    """Roles as they are stored and shown: each once, in the order above."""
    wanted = set(given)
    return [role.value for role in Role if role.value in wanted]
