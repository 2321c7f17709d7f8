"""One part of a case, as the case page shows it: how it stands and who has the next move."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Part:
    """``state``: done, open, late, waiting or none. ``says`` is a sentence without clinical content.

    ``who``: the role that has the next move; ``endpoint``: the Flask endpoint of its page, which takes request_id.
    """

    key: str
    state: str
    says: str
    next: str = ""
    who: str = ""
    by: datetime | None = None
    endpoint: str = ""
