"""Encrypts the files of a SMART Health Link and opens those of others; and keeps the key of a long-term link under ours.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html#encrypting-and-decrypting-files
No error holds a key or a word of a file.
"""

import os
import secrets
import zlib
from pathlib import Path

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from integration.keys import KeyProblem
from mappings.model.errors import ExchangeError

ALGORITHMS = ["dir", "A256GCM", "DEF"]
KEY_FILE = "health-links.key"
_HEADER = {"alg": "dir", "enc": "A256GCM", "zip": "DEF"}


class SealBroken(ExchangeError):
    """A file of a link cannot be opened with the link's key: it was cut or changed, or belongs to another link."""


class TooMuch(SealBroken):
    """A file of a link is larger than what is taken."""


class _Deflate:
    """Raw DEFLATE (RFC 1951) with a bound: joserfc's own ends at 250 KiB and does not see that an end is missing."""

    def __init__(self, max_bytes: int):
        self._max = max_bytes

    def compress(self, data: bytes) -> bytes:
        """All of it."""
        packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packing.compress(data) + packing.flush()

    def decompress(self, data: bytes) -> bytes:
        """All of it, or TooMuch or SealBroken."""
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        found = unpacking.decompress(data, self._max + 1)
        if len(found) > self._max:
            raise TooMuch(f"a file of the link is larger than {self._max / 1e6:,.0f} MB when it is unpacked")
        if not unpacking.eof:
            raise SealBroken("a file of the link ends too early")
        return found


class _Registry(jwe.JWERegistry):
    def __init__(self, max_bytes: int):
        super().__init__(algorithms=ALGORITHMS)
        self.max_ciphertext_length = 2 * max_bytes + 4096
        self._deflate = _Deflate(max_bytes)

    def get_zip(self, name: str) -> _Deflate:  # type: ignore[override]  # it has the two methods that are called
        super().get_zip(name)
        return self._deflate


def new_key() -> str:
    """256 bits as 43 characters (base64url)."""
    return secrets.token_urlsafe(32)


def seal(data: bytes, key: str, content_type: str) -> str:
    """The file as a compact JWE, each time under a new IV."""
    header = {**_HEADER, "cty": content_type}
    sealed = jwe.encrypt_compact(header, data, _key(key), registry=_Registry(len(data) + 4096))
    return sealed if isinstance(sealed, str) else sealed.decode("ascii")


def open_sealed(sealed: str, key: str, max_bytes: int) -> tuple[bytes, str]:
    """(the file, its content type as its header says). Raises SealBroken, TooMuch."""
    if len(sealed) > 2 * max_bytes + 8192:
        raise TooMuch(f"a file of the link is larger than {max_bytes / 1e6:,.0f} MB")
    try:
        found = jwe.decrypt_compact(sealed.encode("ascii"), _key(key), registry=_Registry(max_bytes))
        data, kind = found.plaintext, found.headers().get("cty", "")
    except SealBroken:
        raise
    except (JoseError, ValueError, TypeError, KeyError, zlib.error):
        data = None
    if data is None:
        raise SealBroken(
            "it cannot be opened with the link's key: it was cut or changed on its way, or belongs to another link"
        )
    if len(data) > max_bytes:
        raise TooMuch(f"a file of the link is larger than {max_bytes / 1e6:,.0f} MB")
    return data, kind.partition(";")[0].strip().lower() if isinstance(kind, str) else ""


def wrap(key: str, folder: Path) -> bytes:
    """The key of a link under the installation's own, which is a file and in no database. Raises KeyProblem."""
    return seal(key.encode(), _own_key(folder), "text/plain").encode()


def unwrap(wrapped: bytes, folder: Path) -> str:
    """The key of a link. Raises KeyProblem where the installation's own is another one or is gone."""
    try:
        return open_sealed(wrapped.decode("ascii"), _own_key(folder), 1000)[0].decode("ascii")
    except (SealBroken, ValueError):
        pass
    raise KeyProblem(f"{folder / KEY_FILE} is not the key that the link was kept under: restore it from its backup")


def _own_key(folder: Path) -> str:
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _make(folder, path)
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no key"
        raise KeyProblem(f"{path} cannot be read or made ({why}): web processes need the keys folder") from None


def _make(folder: Path, path: Path) -> None:
    """Once, whoever is first: what another process made meanwhile stays."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    partial = folder / f".{KEY_FILE}.{secrets.token_hex(4)}"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(new_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def _key(key: str) -> OctKey:
    return OctKey.import_key({"kty": "oct", "k": key})
