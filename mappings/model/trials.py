"""What a check of an endpoint tries: each name once; advice is read from what came of them."""

from enum import StrEnum


class Trial(StrEnum):
    """One thing tried at an endpoint; the words stand in the answer of ``endpoints check``."""

    CERTIFICATE = "certificate"
    OWN_KEYS = "our keys"
    SIGN_IN = "sign-in"
    INTERFACE = "HL7 v2 interface"
    BY_PATIENT = "search by patient"
    SINCE = "search by _lastUpdated"
    FOCUS = "Task by focus"
    PAGES = "further pages"
    PAGE_SIZE = "largest page"
    CREATE = "create DocumentReference"
    READ_BACK = "read back"
    CONDITIONAL = "conditional create"
    UPDATE = "update"
    DELETE = "delete"
    SIZE = "inline attachment"


def by_identifier(kind: str) -> str:
    """The look-up of a type by our identifier."""
    return f"{kind} by identifier"
