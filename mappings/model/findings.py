"""A finding: one thing to know about what was gathered, mapped, rendered, sent or read back."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``cause`` is a stable word; ``path`` names the place (``Observation/9#Observation.code``).

    Neither ``path`` nor ``message`` ever holds a value of the record.
    """

    cause: str
    message: str
    path: str = ""
    severity: str = "warning"
