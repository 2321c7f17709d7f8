"""Our keys for signing in elsewhere: made, rotated and listed as files; the public half is what the web publishes.

``keys_dir/NAME/KID.pem`` (0600) is a private key, ``keys_dir/NAME/KID.json`` what may be known of it. A new key is published at
once and signs only after a while, because the other side keeps a copy of our key set.
"""

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mappings.model.errors import ExchangeError

PUBLISHED_BEFORE = timedelta(hours=24)  # how long a rotated key is published before it signs
ALGORITHMS = ("RS384", "ES384")


class KeyProblem(ExchangeError):
    """A key cannot be made, found or read."""


@dataclass(frozen=True)
class KeyFile:
    """One key: ``signs_from`` is when it begins to sign; times in UTC."""

    name: str
    kid: str
    algorithm: str
    made_at: datetime
    signs_from: datetime
    public: dict

    def private_pem(self, folder: Path) -> str:
        """The private half. Raises KeyProblem when it is not readable here."""
        try:
            return (folder / self.name / f"{self.kid}.pem").read_text()
        except OSError as error:
            raise KeyProblem(
                f"the private key {self.name}/{self.kid} cannot be read ({error.strerror}): workers need the keys folder too"
            ) from None


def make(folder: Path, name: str, algorithm: str, now: datetime) -> KeyFile:
    """A new key of a name; the first one signs at once, each further one after it was published for a day."""
    from joserfc.jwk import ECKey, RSAKey  # these take a while to load: only who needs them

    from integration.settings.parts import KEY

    if not re.fullmatch(KEY, name):
        raise KeyProblem("a name of keys is letters, digits, hyphens and points, such as production")
    key = (RSAKey.generate_key(3072) if algorithm == "RS384" else ECKey.generate_key("P-384"))  # fmt: skip
    kid = f"{now:%Y-%m-%d}-{secrets.token_hex(4)}"
    signs_from = now + PUBLISHED_BEFORE if listed(folder, name) else now
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": algorithm}
    made = KeyFile(name, kid, algorithm, now, signs_from, public)
    place = folder / name
    place.mkdir(parents=True, exist_ok=True, mode=0o755)
    _write(place / f"{kid}.pem", key.as_pem(private=True), 0o600)
    _write(place / f"{kid}.json", json.dumps(_as_json(made), indent=1).encode(), 0o644)  # last: only now it is there
    return made


def listed(folder: Path, name: str | None = None) -> list[KeyFile]:
    """All keys, or those of a name, oldest first."""
    found = [_read(path) for path in folder.glob(f"{name or '*'}/*.json")] if folder.is_dir() else []
    return sorted(found, key=lambda key: (key.name, key.made_at, key.kid))


def signer(folder: Path, name: str, now: datetime) -> KeyFile:
    """The newest key of a name that may sign. Raises KeyProblem when there is none."""
    ready = [key for key in listed(folder, name) if key.signs_from <= now]
    if not ready:
        raise KeyProblem(f"there is no key {name}: make one with second-opinion keys new {name}")
    return ready[-1]


def retire(folder: Path, name: str, kid: str, now: datetime) -> None:
    """Stop publishing a key, and remove it. Raises KeyProblem for the one that signs now."""
    if kid not in {key.kid for key in listed(folder, name)}:
        raise KeyProblem(f"there is no key {name}/{kid}; second-opinion keys list shows them")
    if signer(folder, name, now).kid == kid:
        raise KeyProblem(f"{name}/{kid} signs now: rotate first, and retire it when another one signs")
    for ending in (".json", ".pem"):
        (folder / name / f"{kid}{ending}").unlink(missing_ok=True)


def key_set(folder: Path, name: str) -> dict:
    """The public halves as a JWK Set (https://www.rfc-editor.org/rfc/rfc7517#section-5)."""
    return {"keys": [key.public for key in listed(folder, name)]}


def _read(path: Path) -> KeyFile:
    try:
        said = json.loads(path.read_text())
        said |= {field: datetime.fromisoformat(said[field]).astimezone(UTC) for field in ("made_at", "signs_from")}
        return KeyFile(name=path.parent.name, **said)
    except (OSError, ValueError, TypeError, KeyError):
        raise KeyProblem(f"{path} is no key file of ours: restore it, or remove it with its .pem") from None


def _as_json(key: KeyFile) -> dict:
    said = asdict(key)
    del said["name"]
    return {**said, "made_at": key.made_at.isoformat(), "signs_from": key.signs_from.isoformat()}


def _write(path: Path, data: bytes, mode: int) -> None:
    partial = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
