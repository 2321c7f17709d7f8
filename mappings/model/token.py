"""An access token of another server (https://www.rfc-editor.org/rfc/rfc6749#section-5.1)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

RENEWED_AT = 0.8  # of a token's life


@dataclass(frozen=True)
class Token:
    """Its value, from when it is renewed, until when it is good, and what it opens."""

    value: str = field(repr=False)
    renew_at: datetime
    expires_at: datetime
    scope: str = ""

    @classmethod
    def of(cls, value: str, life: timedelta, now: datetime, scope: str = "") -> "Token":
        """One that was just given."""
        return cls(value, now + RENEWED_AT * life, now + life, scope)
