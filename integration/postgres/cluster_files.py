"""The files of our own PostgreSQL: where it is reached, its password, its socket folder, its log."""

import os
import re
import secrets
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from integration.postgres.unprivileged import Account
from mappings.model.errors import ExchangeError

PORT = 5432
MAX_SOCKET_PATH_BYTES = 107
MAX_LOG_BYTES = 20_000_000


class ClusterFiles:
    """What stands in ``data_dir`` for one cluster, beside the cluster itself."""

    def __init__(self, data_dir: Path):
        self.cluster = data_dir / "postgres"
        self._password_file = data_dir / "database.password"

    @property
    def has_password(self) -> bool:
        """True once the cluster was begun."""
        return os.path.exists(self._password_file)

    def url(self, role: str, database: str) -> str:
        """The address of a database for a role. Holds the password: never log it."""
        host = quote(str(self.socket_dir()), safe="")
        return f"postgresql://{role}:{self.password()}@/{database}?host={host}&port={PORT}"

    def password(self) -> str:
        """The one password of all roles. Raises ExchangeError when it is gone or not ours to read."""
        try:
            return self._password_file.read_text().strip()
        except FileNotFoundError:
            raise ExchangeError(
                f"{self._password_file} is missing: start the database once to have it made, "
                "or restore it from your backup when there was one"
            ) from None
        except PermissionError:
            raise ExchangeError(
                f"{self._password_file} cannot be read: start the Exchange as the user who started it first, or as root"
            ) from None

    def make_password(self) -> str:
        """The password, made when there is none yet."""
        if not os.path.exists(self._password_file):
            write_secret(self._password_file, secrets.token_urlsafe(32))
        return self.password()

    def socket_dir(self) -> Path:
        """The cluster's own folder (0700) if its path fits into a socket address, else a short one under /tmp."""
        own = str(self.cluster)
        fits = len(os.fsencode(f"{own}/.s.PGSQL.{PORT}")) <= MAX_SOCKET_PATH_BYTES
        if fits and "," not in own:  # libpq reads a comma as a list of hosts
            return self.cluster
        return Path("/tmp") / f"second-opinion-{sha256(os.fsencode(own)).hexdigest()[:16]}"

    def make_socket_dir(self, account: Account) -> Path:
        """/tmp is everybody's: a folder of that name that is not ours, or open to others, is refused."""
        folder = self.socket_dir()
        if folder == self.cluster:
            return folder
        try:
            folder.mkdir(mode=0o700)
            account.own(folder)
        except FileExistsError:
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != account.uid or found.st_mode & 0o077:
                raise ExchangeError(
                    f"{folder} must be a folder of {account.name} that nobody else may enter, "
                    "and it is not: find out who made it, and remove it"
                ) from None
        return folder

    def open_log(self, account: Account) -> int:
        """A descriptor to append to; a log that is too large begins anew, and the one before it stays."""
        path = self.cluster / "server.log"
        if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_name("server.log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if account.switch:
            os.fchown(descriptor, account.uid, account.gid)
        return descriptor

    def log_text(self) -> str:
        """What the server said; empty when there is no log."""
        try:
            return (self.cluster / "server.log").read_text(errors="replace")
        except OSError:
            return ""


def write_secret(path: Path, text: str) -> None:
    """Whole or not at all: a cluster whose password got lost opens to nobody."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def last_lines(text: str, count: int = 3) -> str:
    """What a log ends with; of a server that could not go on, from the line on that says why."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()][-10:]
    why = [number for number, line in enumerate(lines) if re.search(r"\b(FATAL|PANIC): ", line)]
    return " / ".join(lines[why[-1] if why else -count :][:count]) or "it said nothing"
