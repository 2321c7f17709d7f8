"""The bytes of a Binary as FHIR JSON, while it comes: decoded block by block, never whole in memory.

https://hl7.org/fhir/R4/binary.html, https://www.rfc-editor.org/rfc/rfc8259#section-7 (what may be escaped in a text)
"""

import base64
import binascii
import re
from collections.abc import Generator, Iterable, Iterator

from integration.fhir_json import loads

SNIFFED_BYTES = 512
MAX_REST_BYTES = 1024 * 1024  # of such a Binary, beside its data
_BEGINS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"resourceType"\s*:\s*"Binary"\s*[,}]')
_TOKEN = re.compile(rb'[^"{}\[\]:,]*("(?:[^"\\]|\\.)*"|[{}\[\]:,])', re.DOTALL)
_NEXT = re.compile(rb"\s*(\S)")
_ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|([/nrt]))")
_SPACE = b" \t\r\n"


class NotBase64(ValueError):
    """What stands in Binary.data is not base64."""


class NotABinary(ValueError):
    """It began like a Binary and did not go on like one."""


def begins_like_a_binary(data: bytes) -> bool:
    """Whether JSON is surely a Binary from its first bytes: its type comes first, as most servers write it."""
    return _BEGINS.match(data) is not None


class Unwrapped:
    """Iterates over the bytes inside a Binary as JSON; ``content_type`` says afterwards what they are.

    Raises NotBase64 or NotABinary.
    """

    def __init__(self, blocks: Iterable[bytes]):
        self.content_type = ""
        self._blocks = iter(blocks)
        self._rest = bytearray()  # all but the data
        self._place, self._depth, self._text, self._is_data = 0, 0, b"", False

    def __iter__(self) -> Iterator[bytes]:
        unread = b""
        while True:
            after = self._up_to_data(unread)
            if after is None:
                break
            unread = yield from self._data(after)
        self.content_type = self._finished()

    def _up_to_data(self, unread: bytes) -> bytes | None:
        """Read on until the text of ``data`` begins; what was read beyond that, or None at the end."""
        block: bytes | None = unread
        while block is not None:
            self._rest += block
            if len(self._rest) > MAX_REST_BYTES:
                raise NotABinary("too much beside its data")
            if (at := self._data_at()) is not None:
                after = bytes(self._rest[at:])
                del self._rest[at:]
                self._place = at - 1  # the empty text that stands there now
                return after
            block = next(self._blocks, None)
        return None

    def _data_at(self) -> int | None:
        """Where the text of the top-level element ``data`` begins (after its quote), if that is known already."""
        while True:
            if self._is_data and (found := _NEXT.match(self._rest, self._place)):
                self._is_data = False
                if found[1] == b'"':
                    return found.end()
            elif self._is_data:
                return None
            found = _TOKEN.match(self._rest, self._place)
            if found is None:  # a text that goes on in the next block
                return None
            self._place = found.end()
            self._see(found[1])

    def _see(self, token: bytes) -> None:
        if token in (b"{", b"["):
            self._depth += 1
        elif token in (b"}", b"]"):
            self._depth -= 1
        elif token == b":":
            self._is_data = self._depth == 1 and self._text == b'"data"'
        self._text = token

    def _data(self, first: bytes) -> Generator[bytes, None, bytes]:
        """Decode up to the closing quote; returns what came after it, the quote included."""
        block: bytes | None = first
        held = odd = b""
        is_over = False
        while block is not None:
            part, quote, after = (held + block).partition(b'"')
            part, held = (part, b"") if quote else _whole_escapes(part)
            odd += _unescaped(part).translate(None, _SPACE)
            whole = len(odd) if quote else len(odd) // 4 * 4
            if decoded := self._decoded(odd[:whole], is_over):
                yield decoded
            is_over, odd = is_over or b"=" in odd[:whole], odd[whole:]
            if quote:
                return quote + after
            block = next(self._blocks, None)
        raise NotABinary("it ends inside its data")

    @staticmethod
    def _decoded(text: bytes, is_over: bool) -> bytes:
        if is_over and text or len(text) % 4:
            raise NotBase64("something follows the padding, or the padding is not whole")
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise NotBase64(str(error)) from None

    def _finished(self) -> str:
        try:
            resource = loads(bytes(self._rest))
        except (ValueError, RecursionError):
            raise NotABinary("it is not JSON to its end") from None
        content_type = resource.get("contentType") if isinstance(resource, dict) else None
        return content_type if isinstance(content_type, str) else ""


def _whole_escapes(part: bytes) -> tuple[bytes, bytes]:
    """Without an escape that the next block goes on with, and that."""
    at = part.rfind(b"\\", max(0, len(part) - 5))
    return (part, b"") if at < 0 or _ESCAPE.match(part, at) else (part[:at], part[at:])


def _unescaped(part: bytes) -> bytes:
    if b"\\" not in part:
        return part
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)).encode() if found[1] else _PLAIN[found[2]], part)


_PLAIN = {b"/": b"/", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
