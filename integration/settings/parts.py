"""What all sections of config.yaml are made of: strictness, names, spans and addresses."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

SLUG, KEY = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Slug = Annotated[str, Field(pattern=SLUG)]
Key = Annotated[str, Field(pattern=KEY)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _check_uri(value: str) -> str:
    if not is_uri(value):
        raise ValueError("must be a URI without white space that says whose it is, such as https://... or urn:...")
    return value


System = Annotated[str, Field(max_length=200), AfterValidator(_check_uri)]


class Section(BaseModel):
    """A group of keys: frozen, nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def check_http(value: str) -> str:
    """An http(s) address without credentials, query or fragment, and without a slash at its end."""
    parts = split_address(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or a password; secrets belong in `auth`, by file or environment")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ValueError("must not hold a query (?...) or a fragment (#...)")
    return value.rstrip("/")


def split_address(value: str) -> SplitResult:
    """The parts of an address; what is none raises ValueError."""
    if re.search(r"\s", value):
        raise ValueError("must not hold white space")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  raises when it is not a number
    except ValueError:
        raise ValueError("is not an address") from None
    return parts


def is_uri(value: str) -> bool:
    """True for an absolute URI: a scheme, something after it, and no white space."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", value) is not None


def is_loopback(host: str) -> bool:
    """True for this machine itself: its address, or localhost; another name may lead anywhere."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_host(host: str) -> bool:
    """True for an IP address, and for what may be the name of a machine."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        name = r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?"
        return bool(re.fullmatch(rf"({name}\.)*{name}\.?", host)) and not re.fullmatch(r"[0-9.]+", host)


def check_content_host(value: str) -> str:
    """An origin (``https://host``, with a port where it has one) from which documents are fetched."""
    value = check_http(value)
    parts = split_address(value)
    if parts.path:
        raise ValueError("must have no path: it is a whole host")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://, because patient data travels there")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def check_network(value: str) -> str:
    """A network as ``10.20.0.0/16``, or one address."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("is no network such as 10.20.0.0/16") from None


_CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _is_cron_field(text: str, bounds: tuple[int, int]) -> bool:
    """``*``, ``5``, ``1-5``, each with ``/step``, and lists of these. Weekdays may be words (mon); 0 is Monday."""
    low, high = bounds
    for part in text.split(","):
        found = re.fullmatch(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?", part)
        if not found:
            return high == 6 and re.fullmatch(r"(mon|tue|wed|thu|fri|sat|sun)", part) is not None
        first, last, step = (int(number) if number else None for number in found.groups())
        if first is not None and not low <= first <= (first if last is None else last) <= high or (step or 1) > high:
            return False
    return True


def _five_fields(value: str) -> str:
    fields = value.split()
    if len(fields) != len(_CRON) or not all(_is_cron_field(*pair) for pair in zip(fields, _CRON, strict=True)):
        raise ValueError("must be five cron fields: minute, hour, day, month, weekday")
    return value


Cron = Annotated[str, AfterValidator(_five_fields)]
