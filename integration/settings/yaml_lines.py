"""Reads the YAML (or JSON) files people write, keeping the line of every value, so that a mistake can be pointed at.

It reads a small, safe part of YAML 1.2: groups, lists and scalars. Anchors, aliases and tags are refused, so nothing
can grow while it is read or become an object. No message repeats what the file says: requests hold patient data.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from integration.fhir_json import is_deeper

At = tuple[str | int, ...]
MAX_BYTES = 1_000_000
MAX_LINE = 100_000  # ruamel takes quadratic time over some long lines (1 MB of "!": 33 s)
MAX_VALUES = 50_000  # about 3 s
MAX_DEPTH = 30
_INT = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ODD_ESCAPE = re.compile(r"\\(?:[bf]|u(?:00[01]|007[fF]|[dD][89a-fA-F]))")  # a control character, or half of one
# What YAML refuses or takes for the end of a line: https://yaml.org/spec/1.2.2/#51-character-set
_NOT_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_WORDS = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True)
class Problem:
    """Something wrong at one place of a file; the path still holds the keys as written."""

    at: At
    line: int | None
    message: str


@dataclass
class Document:
    """What a file says, where it says it, and what could not be read."""

    value: Any = None
    lines: dict[At, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, at: At) -> int | None:
        """The line of ``at``, or of the nearest thing around it that is in the file."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at)


class _JsonDocument(Document):
    """What a program wrote: read as JSON, a fortieth of the time; its lines only when a mistake has to be pointed at."""

    def __init__(self, value: Any, text: str):
        self._text = text
        super().__init__(value)

    @cached_property
    def _found(self) -> dict[At, int]:
        return _as_yaml(self._text).lines

    def line_of(self, at: At) -> int | None:
        """As for any document."""
        self.lines = self._found
        return super().line_of(at)


class _Stop(Exception):
    """Nothing after this place can be read with any sense."""


def read_file(path: Path, *, advice: str = "") -> Document:
    """The file at ``path``; one that cannot be opened is a problem like any other."""
    try:
        with path.open("rb") as file:
            return read(file.read(MAX_BYTES + 1))
    except FileNotFoundError:
        return _broken(None, f"there is no such file{advice}")
    except IsADirectoryError:
        return _broken(None, f"is a folder, not a file{advice}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is not valid"
        return _broken(None, f"cannot be read: {reason.lower()}")


def read(data: bytes) -> Document:
    """What ``data`` says; never raises, everything wrong is in ``problems``."""
    text = _text(data)
    if isinstance(text, Document):
        return text
    return _as_json(text) or _as_yaml(text)


def _as_json(text: str) -> Document | None:
    """None unless it is JSON that means exactly the same as YAML."""
    if (
        not text.lstrip()[:1] == "{"
        or _ODD_ESCAPE.search(text)
        or _NOT_IN_YAML.search(text)
        or is_deeper(text.encode(), MAX_DEPTH)
    ):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_int=scalar, parse_float=scalar)
    except (ValueError, RecursionError):
        return None
    return _JsonDocument(value, text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is written twice")
    return found


def _refuse(_name: str) -> None:
    raise ValueError("no JSON number")


def _as_yaml(text: str) -> Document:
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except _Stop:
        builder.document.value = None
    except (YAMLError, ValueError) as error:
        builder.document.value = None
        builder.document.problems.append(_syntax_problem(error))
    return builder.document


def scalar(text: str) -> Any:
    """What an unquoted word means (YAML 1.2 core schema, and dates); a date that is none raises ValueError."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return date.fromisoformat(text) if _DATE.fullmatch(text) else text


def _broken(line: int | None, message: str) -> Document:
    return Document(problems=[Problem((), line, message)])


def _text(data: bytes) -> "str | Document":
    if len(data) > MAX_BYTES:
        return _broken(None, f"is larger than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _broken(1 + data.count(b"\n", 0, error.start), "is not UTF-8 text; save the file with encoding UTF-8")
    long = re.search(rf"[^\n]{{{MAX_LINE + 1}}}", text)
    if long:
        return _broken(1 + text.count("\n", 0, long.start()), f"is a line of more than {MAX_LINE:,} characters")
    bad = _CONTROL.search(text)
    if bad:
        kind = "a NUL byte" if bad.group() == "\0" else f"a control character (U+{ord(bad.group()):04X})"
        return _broken(1 + text.count("\n", 0, bad.start()), f"holds {kind}; remove it")
    return text


@dataclass
class _Frame:
    at: At
    container: dict[str, Any] | list[Any]
    key: str | None = None


class _Builder:
    """Turns parser events into plain values, iteratively: a deep file cannot exhaust the stack."""

    def __init__(self) -> None:
        self.document = Document()
        self._frames: list[_Frame] = []
        self._documents = 0
        self._values = 0

    def take(self, event: Event) -> None:
        self._refuse_cleverness(event)
        match event:
            case DocumentStartEvent():
                self._one_document(event)
            case AliasEvent():
                self._put(None, event)
            case ScalarEvent():
                self._take_scalar(event)
            case MappingStartEvent():
                self._open({}, event)
            case SequenceStartEvent():
                self._open([], event)
            case MappingEndEvent() | SequenceEndEvent():
                self._frames.pop()

    def _one_document(self, event: Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._problem((), event, "a second document begins here (`---`); one file holds one")
            raise _Stop

    def _refuse_cleverness(self, event: Event) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            self._problem(
                self._place(),
                event,
                "anchors (&name) and aliases (*name) are not used here; "
                "write the value out, or quote text that begins with & or *",
            )
        elif getattr(event, "ctag", None) is not None:
            self._problem(self._place(), event, "tags (!name) are not used here; quote text that begins with !")

    def _take_scalar(self, event: ScalarEvent) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event)
        else:
            self._put(self._scalar_value(event), event)

    def _take_key(self, frame: _Frame, event: ScalarEvent) -> None:
        frame.key = self._clean(event)
        at = (*frame.at, frame.key)
        if frame.key in frame.container:
            first = self.document.lines.get(at, event.start_mark.line + 1)  # an alias as key has no line of its own
            self._problem(at, event, f"is written twice (first on line {first}); keep one")
        else:
            self.document.lines[at] = event.start_mark.line + 1

    def _scalar_value(self, event: ScalarEvent) -> Any:
        text = self._clean(event)
        if event.style is not None:
            return text
        try:
            return scalar(text)
        except ValueError:
            self._problem(self._place(), event, "is not a day of the calendar (year-month-day)")
            return None

    def _clean(self, event: ScalarEvent) -> str:
        """The text, with the surrogate pairs of JSON escapes joined."""
        text = event.value
        try:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._problem(self._place(), event, "holds half of a character (\\uD8xx); write the whole character")
            return ""
        if _CONTROL.search(text):
            self._problem(self._place(), event, "holds a control character; remove it")
            return ""
        return text

    def _open(self, container: dict[str, Any] | list[Any], event: Event) -> None:
        if len(self._frames) >= MAX_DEPTH:
            self._problem(self._place()[:4], event, f"is nested deeper than {MAX_DEPTH} levels")
            raise _Stop
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self._problem(frame.at, event, "a key must be a word, not a list or a group")
            raise _Stop
        at = self._place()
        self._put(container, event)
        self._frames.append(_Frame(at, container))

    def _put(self, value: Any, event: Event) -> None:
        at = self._place()
        self._values += 1
        if self._values > MAX_VALUES:
            self._problem((), event, f"holds more than {MAX_VALUES:,} values")
            raise _Stop
        self.document.lines.setdefault(at, event.start_mark.line + 1)
        if not self._frames:
            self.document.value = value
            return
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            frame.container.append(value)
        else:
            frame.container[frame.key or ""] = value
            frame.key = None

    def _place(self) -> At:
        """Where the next value goes."""
        if not self._frames:
            return ()
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            return (*frame.at, len(frame.container))
        return frame.at if frame.key is None else (*frame.at, frame.key)

    def _problem(self, at: At, event: Event, message: str) -> None:
        self.document.problems.append(Problem(at, event.start_mark.line + 1, message))


# What ruamel says -> what a person can do. Its own words may repeat the file's.
_SYNTAX = (
    (r"found character '\\t'|tab", "a tab is used for indentation; use spaces"),
    (r"found character", "text that begins with one of @ ` % needs quotes"),
    (
        r"mapping values are not allowed",
        "text with a colon and a space (`: `) needs quotes, or the line is indented too far",
    ),
    (r"could not find expected ':'", "a key without its colon, or text that is not indented under its key"),
    (r"unexpected end of stream|document separator", "a quote is opened here and not closed"),
    (r"unknown escape|escape sequence", "a backslash inside double quotes; use single quotes"),
    (r"expected ',' or", "a bracket is opened here and not closed, or a comma is missing"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
)


def _syntax_problem(error: Exception) -> Problem:
    said = getattr(error, "problem", None) or ""
    mark = getattr(error, "problem_mark", None)
    opened = getattr(error, "context_mark", None)
    if opened is not None and re.search(r"end of stream|expected '[,:]'|document separator", said):
        mark = opened
    said = said.replace("\t", "\\t")
    advice = next(
        (words for pattern, words in _SYNTAX if re.search(pattern, said)), "check indentation, quotes and colons"
    )
    where = f" (column {mark.column + 1})" if mark else ""
    return Problem((), mark.line + 1 if mark else None, f"is not valid YAML{where}: {advice}")
