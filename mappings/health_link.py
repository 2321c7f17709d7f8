"""A SMART Health Link: its payload, the request for its manifest, and the manifest, written by the rules and read with care.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html. Whoever has the link has the key: no error
here quotes a link, a key or an address.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from mappings.codes import as_text
from mappings.model.errors import ExchangeError

SCHEME = "shlink:/"
LONG_TERM, PASSCODE, DIRECT = "L", "P", "U"  # flags, in alphabetical order
LONGEST_URL, LONGEST_LABEL, KEY_LENGTH, TOKEN_LENGTH = 128, 80, 43, 43  # characters
LONGEST_LINK, LONGEST_RECIPIENT, LONGEST_PASSCODE = 4096, 200, 256
MOST_FILES = 200
FHIR_JSON, CARD, API_ACCESS = "application/fhir+json", "application/smart-health-card", "application/smart-api-access"
JOSE = "application/jose"
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_JWE = re.compile(r"[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")


class LinkProblem(ExchangeError):
    """A link, a request for its files or its manifest is not as the specification says; the sentence says what to do."""


class Payload(BaseModel):
    """What a link holds. ``exp``: epoch seconds, a hint; unknown properties are ignored, as the specification says."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: str
    key: str
    exp: int | float | None = None
    flag: str = ""
    label: str = ""
    v: int = 1

    def __repr__(self) -> str:
        return "Payload(...)"  # it is the key to a record: no log may hold it

    __str__ = __repr__

    @property
    def needs_passcode(self) -> bool:
        """A person has to say it."""
        return PASSCODE in self.flag

    @property
    def is_direct(self) -> bool:
        """Its address gives the one file itself."""
        return DIRECT in self.flag


@dataclass(frozen=True)
class Ask:
    """A request for a manifest: who asks, in their own words, and how much may stand inside the answer (characters)."""

    recipient: str
    passcode: str | None = None
    embedded_length_max: int | None = None


@dataclass(frozen=True)
class File:
    """One file of a manifest: inside it (``embedded``, a JWE), or at an address of its own."""

    content_type: str
    embedded: str | None = None
    location: str | None = None
    last_updated: str | None = None
    status: str | None = None

    def as_json(self) -> dict:
        """As it stands in a manifest."""
        made = {
            "contentType": self.content_type,
            "embedded": self.embedded,
            "location": self.location,
            "lastUpdated": self.last_updated,
            "status": self.status,
            "fhirVersion": "4.0.1" if self.content_type == FHIR_JSON else None,
        }
        return {name: value for name, value in made.items() if value is not None}


def flags(*, is_long_term: bool, has_passcode: bool, is_direct: bool) -> str:
    """The flag of a link. Raises LinkProblem: a file that is fetched directly cannot ask for a passcode."""
    if has_passcode and is_direct:
        raise LinkProblem("a link to a single file cannot have a passcode: choose one of the two")
    pairs = ((LONG_TERM, is_long_term), (PASSCODE, has_passcode), (DIRECT, is_direct))
    return "".join(flag for flag, is_set in pairs if is_set)


def write_link(payload: Payload, viewer: str = "") -> str:
    """``shlink:/...``, or behind the ``viewer``'s address and ``#``, so that no server sees it. Raises LinkProblem."""
    if problem := next(filter(None, _broken_rules(payload)), ""):
        raise LinkProblem(problem)
    said = payload.model_dump_json(exclude_defaults=True, exclude={"v"})
    minified = said[:-1] + ',"v":1}'  # said, although 1 is the default: some readers want it
    link = SCHEME + base64.urlsafe_b64encode(minified.encode()).decode().rstrip("=")
    return f"{viewer.removesuffix('#')}#{link}" if viewer else link


def _broken_rules(payload: Payload) -> Iterable[str]:
    yield (
        ""
        if len(payload.url) <= LONGEST_URL
        else (
            f"the address of the link would have {len(payload.url)} characters; at most {LONGEST_URL} are allowed. "
            "Give the Exchange a shorter web.public_url"
        )
    )
    yield "" if _has_entropy(payload.url) else "the address of a link holds a random part of 256 bits"
    yield "" if _KEY.fullmatch(payload.key) else f"the key of a link has {KEY_LENGTH} characters (base64url)"
    yield "" if list(payload.flag) == sorted(set(payload.flag)) else "flags stand in alphabetical order, each once"
    yield "" if {PASSCODE, DIRECT} - set(payload.flag) else "a link to a single file cannot have a passcode"
    yield label_problem(payload.label)


def _has_entropy(url: str) -> bool:
    return any(len(part) >= TOKEN_LENGTH and _BASE64URL.fullmatch(part) for part in url.split("/"))


def label_problem(label: str) -> str:
    """What is wrong with a label; empty when nothing is."""
    if len(label) > LONGEST_LABEL:
        return f"has {len(label)} characters; a label has at most {LONGEST_LABEL}"
    return "" if label.isprintable() else "holds a character that cannot be shown, or a line break"


def read_link(text: str) -> Payload:
    """A link as somebody pasted it, with or without a viewer before it. Raises LinkProblem.

    The address of its server is not judged here beyond its form: who asks there decides that.
    """
    found = "".join(text.split())
    if len(found) > LONGEST_LINK:
        raise LinkProblem(f"This is longer than any SMART Health Link ({LONGEST_LINK} characters). {_COPY}")
    before, scheme, coded = found.partition(SCHEME)
    if not scheme or before and not before.endswith("#"):
        raise LinkProblem(f"This is no SMART Health Link: it begins with {SCHEME}, or holds #{SCHEME}. {_COPY}")
    payload = _decoded(coded)
    if payload.v != 1:
        raise LinkProblem("This link is of a newer version than is read here. Ask for the records as files.")
    _check_read(payload)
    return payload


_COPY = "Copy all of it, from the QR code or the message, and paste it again."


def _decoded(coded: str) -> Payload:
    try:
        if _BASE64URL.fullmatch(coded.rstrip("=")) is None:
            raise ValueError
        return Payload.model_validate_json(_unpadded(coded))
    except (ValueError, ValidationError, binascii.Error):
        pass
    raise LinkProblem(f"The link is cut, or was changed: what stands after {SCHEME} cannot be read. {_COPY}")


def _unpadded(coded: str) -> bytes:
    coded = coded.rstrip("=")
    return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))


def _check_read(payload: Payload) -> None:
    if not _KEY.fullmatch(payload.key):
        raise LinkProblem(f"The key in the link is not one of 256 bits, so nothing could be opened with it. {_COPY}")
    if payload.needs_passcode and payload.is_direct:
        raise LinkProblem("The link asks for a passcode and for none at once. Ask who made it for another one.")
    if len(payload.url) > LONGEST_URL or not is_address(payload.url):
        raise LinkProblem("The address in the link is no address of a server. Ask who made it for another one.")


def is_address(url: str) -> bool:
    """http or https, with a host and without a name, a password or a fragment."""
    if not url.isascii() or not url.isprintable() or re.search(r"[\s\\]", url):
        return False
    try:
        parts = urlsplit(url)
        wrong = parts.port == 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not wrong and not re.search("[@#]", url)


def host_of(payload: Payload) -> str:
    """The server of a link, to show and to keep: nothing of the address behind it."""
    return (urlsplit(payload.url).hostname or "").lower()


def read_ask(body: Any) -> Ask:
    """The body of a request for a manifest. Raises LinkProblem."""
    if not isinstance(body, Mapping):
        raise LinkProblem("the body is a JSON object with at least `recipient`")
    passcode, longest = body.get("passcode"), body.get("embeddedLengthMax")
    if passcode is not None and not isinstance(passcode, str):
        raise LinkProblem("`passcode` is a text")
    if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 0):
        raise LinkProblem("`embeddedLengthMax` is a whole number of characters, 0 or more")
    return Ask(read_recipient(body.get("recipient")), passcode[:LONGEST_PASSCODE] if passcode else None, longest)


def read_recipient(said: Any) -> str:
    """Who says that they read: one line, shown to whoever made the link. Raises LinkProblem."""
    words = "".join(char if char.isprintable() else " " for char in said).strip() if isinstance(said, str) else ""
    if not words:
        raise LinkProblem("`recipient` is required: who reads this, as the patient will be shown it")
    return words[:LONGEST_RECIPIENT]


def stands_inside(length: int, ask: Ask, unasked: int) -> bool:
    """Whether a file of so many characters stands inside the manifest; ``unasked``: the most when nobody said how many."""
    return length <= (unasked if ask.embedded_length_max is None else ask.embedded_length_max)


def to_manifest(files: Sequence[File]) -> dict:
    """A manifest."""
    return {"files": [each.as_json() for each in files]}


def read_manifest(body: Any) -> list[File]:
    """The files that a manifest lists. Raises LinkProblem for one that is none, or says what cannot be."""
    listed = body.get("files") if isinstance(body, Mapping) else None
    if not isinstance(listed, list):
        raise LinkProblem("The server of the link answered with something that is no manifest. Ask who made the link.")
    if not listed:
        raise LinkProblem("The link lists no file: there is nothing to take in. Ask who made it.")
    if len(listed) > MOST_FILES:
        raise LinkProblem(f"The link lists {len(listed)} files; at most {MOST_FILES} are taken from one link.")
    return [_file(each, number) for number, each in enumerate(listed, 1)]


def _file(said: Any, number: int) -> File:
    said = said if isinstance(said, Mapping) else {}
    kind, embedded, location = (as_text(said.get(name)) for name in ("contentType", "embedded", "location"))
    if kind is None:
        raise LinkProblem(f"The link's manifest does not say what file {number} is. Ask who made the link.")
    if embedded is None and (location is None or not is_address(location)):
        raise LinkProblem(f"The link's manifest does not say where file {number} is. Ask who made the link.")
    return File(kind.partition(";")[0].strip().lower(), embedded, None if embedded else location)


def is_jwe(text: str) -> bool:
    """A compact JWE under a key that both sides have: no encrypted key in it (RFC 7518 section 4.5)."""
    return _JWE.fullmatch(text) is not None
