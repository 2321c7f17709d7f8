"""A reader of SMART Health Links that shares no code with ours: AES-GCM and raw DEFLATE by the RFCs, HTTP by whatever is given."""

import base64
import json
import re
import zlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def payload_of(link: str) -> dict:
    return json.loads(unpadded(link.partition("shlink:/")[2]))


def opened(sealed: str, key: str) -> tuple[dict, bytes, bytes]:
    """(header, IV, file)."""
    head, encrypted_key, nonce, text, tag = sealed.split(".")
    assert encrypted_key == ""
    data = AESGCM(unpadded(key)).decrypt(unpadded(nonce), unpadded(text) + unpadded(tag), head.encode())
    header = json.loads(unpadded(head))
    assert (header["alg"], header["enc"]) == ("dir", "A256GCM")
    return header, unpadded(nonce), zlib.decompress(data, -15) if header.get("zip") == "DEF" else data


def sealed(data: bytes, key: str, header: dict) -> str:
    """The other way round, for links that others make."""
    import os

    def coded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    head, nonce = coded(json.dumps(header).encode()), os.urandom(12)
    if header.get("zip") == "DEF":
        packing = zlib.compressobj(wbits=-15)
        data = packing.compress(data) + packing.flush()
    found = AESGCM(unpadded(key)).encrypt(nonce, data, head.encode())
    return ".".join([head, "", coded(nonce), coded(found[:-16]), coded(found[-16:])])


def link_of(page: str) -> str:
    return re.search(r"shlink:/[A-Za-z0-9_-]+", page).group()


def passcode_of(page: str) -> str:
    return re.search(r'class="passcode">([\d ]+)<', page).group(1).replace(" ", "")
