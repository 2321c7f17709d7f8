"""What the text of a reference names: a resource of the server it was read from, something elsewhere, or nothing we know.

The only place that decides it. https://hl7.org/fhir/R4/references.html#literal
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from mappings.element_paths import IDENTIFIERS

Bases = (
    str | Sequence[str] | None
)  # every address a server is known by, or writes of itself; the first is where it is asked

# R4 says 64 characters of A-Z a-z 0-9 - and . ; EHRs give longer ones and others, and refer to them.
LOGICAL_ID = r"(?!\.+(?:[/|]|$))[A-Za-z0-9\-._~:=+@]{1,255}"
LONGEST = 4096
_RELATIVE = re.compile(rf"([A-Z][A-Za-z]+)/({LOGICAL_ID})(?:/_history/[^/?#\s]+)?/?(?:\|\S*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


def target_of(reference: object, bases: Bases = None) -> str | None:
    """``Type/id`` of a resource of the server, without version; the URL of something elsewhere as it is; else None.

    The same server by http and https, host in any case, default port or none; ``/Type/id`` is below the base address, as
    those who write it mean it. None is what is contained, a urn, a search, or no reference at all.
    """
    if (
        not isinstance(reference, str) or len(reference) > LONGEST
    ):  # a data: URL is no reference, and not to be remembered
        return None
    return _target(reference.strip(), _tuple(bases))


def local_reference(reference: object, bases: Bases = None) -> str | None:
    """``Type/id`` when the reference points into the server it was read from, else None."""
    target = target_of(reference, bases)
    return None if target is None or is_elsewhere(target) else target


def is_elsewhere(target: str) -> bool:
    """True for a URL of another server, as `target_of` gives it."""
    return "://" in target


def type_of(target: str) -> str | None:
    """Patient of ``Patient/1`` and of ``https://other.example/fhir/Patient/1``; None when it cannot be told."""
    parts = target.split("?")[0].rsplit("/", 2)
    return parts[-2] if len(parts) > 1 and parts[-2] in IDENTIFIERS else None


def below(url: str, bases: Bases) -> str | None:
    """What follows a base address of the server in ``url``; None when it is an address of another server."""
    return _below(url.strip(), _tuple(bases))


def base_in(full_url: object, key: str) -> str | None:
    """The base address in the ``fullUrl`` that a server gave to its own resource ``Type/id``; None when there is none."""
    text = full_url.strip().rstrip("/") if isinstance(full_url, str) else ""
    known = text.lower().startswith(("http://", "https://")) and text.endswith(f"/{key}")
    return text.removesuffix(f"/{key}") if known else None


def base_of_location(location: object) -> str | None:
    """The base address in the ``Location`` that a server gave to what was written there; None when it names none.

    https://hl7.org/fhir/R4/http.html#create
    """
    text = location.strip().partition("/_history/")[0].rstrip("/") if isinstance(location, str) else ""
    parts = text.rsplit("/", 2)
    return base_in(text, "/".join(parts[1:])) if len(parts) == 3 and parts[1] in IDENTIFIERS else None


def base_of_search(url: object, resource_type: str) -> str | None:
    """The base address in a link that a server gave to its own search for a type; None when it cannot be told."""
    text = url.partition("?")[0].rstrip("/") if isinstance(url, str) else ""
    known = text.lower().startswith(("http://", "https://")) and text.endswith(f"/{resource_type}")
    return text.removesuffix(f"/{resource_type}") if known else None


@lru_cache(maxsize=65536)
def _target(text: str, bases: tuple[str, ...]) -> str | None:
    if text.lower().startswith(("http://", "https://")):
        relative = _below(text, bases)
        if relative is None:
            return text.split("/_history/")[0]
    elif _SCHEME.match(text) or text.startswith("//"):
        return None
    else:
        relative = _below(text, bases) or text
    found = _RELATIVE.fullmatch(relative.lstrip("/"))
    return f"{found[1]}/{found[2]}" if found and found[1] in IDENTIFIERS else None


def _below(text: str, bases: tuple[str, ...]) -> str | None:
    for known in map(comparable, bases):
        path = known[known.find("/") :] if "/" in known else ""
        whole, beginning = (text, path) if text.startswith("/") else (comparable(text), known)
        if beginning and whole.startswith((beginning + "/", beginning + "?")):
            return whole[len(beginning) :].removeprefix("/")
    return None


@lru_cache(maxsize=65536)
def comparable(url: str) -> str:
    """An address without scheme and default port, its host in small letters: what http and https have in common."""
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[": whatever it is, it is not ours
        return url
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    host = parts.netloc.lower()
    host = host.removesuffix(default) if default else host
    query = f"?{parts.query}" if parts.query else ""
    return f"{host}{parts.path}".rstrip("/") + query if parts.scheme in ("http", "https") else url


def _tuple(bases: Bases) -> tuple[str, ...]:
    return () if not bases else (bases,) if isinstance(bases, str) else tuple(bases)
