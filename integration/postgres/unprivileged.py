"""Which account PostgreSQL runs as when we are root, and whether that account can reach what it needs.

PostgreSQL refuses to run as root. We never loosen the permission of a folder that is not ours:
what cannot be reached is said in a sentence.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mappings.model.errors import ExchangeError

USUAL_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An account of this machine; ``switch`` is False when it is the one we already are."""

    name: str
    uid: int
    gid: int
    switch: bool

    def popen_options(self) -> dict[str, Any]:
        """Options for ``subprocess`` so that the child runs as this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.switch:
            os.chown(path, self.uid, self.gid)


def choose_account(cluster: Path, data_dir: Path) -> Account:
    """The owner of the cluster, else of data_dir, else an unprivileged account every machine has."""
    uid = os.geteuid()
    if uid != 0:
        _refuse_foreign(cluster, uid)
        return _account(uid, switch=False)
    for folder in (cluster, data_dir):
        if folder.exists() and (owner := folder.stat().st_uid) != 0:
            return _account(owner, switch=True)
    for name in USUAL_ACCOUNTS:
        try:
            return _account(pwd.getpwnam(name).pw_uid, switch=True)
        except KeyError:
            continue
    raise ExchangeError(
        "PostgreSQL does not run as root and this machine has neither an account 'postgres' nor 'nobody': "
        "start the Exchange as an ordinary user, or set database.url"
    )


def check_reachable(account: Account, *paths: Path) -> None:
    """Raises, naming the folder and the fix, when ``account`` cannot get to one of ``paths``."""
    if not account.switch or _can_enter(account, *paths):
        return
    for path in paths:
        for part in (*reversed(path.parents), path):
            if not _can_enter(account, part):
                raise ExchangeError(_unreachable(account, part))


def _refuse_foreign(cluster: Path, uid: int) -> None:
    if cluster.exists() and cluster.stat().st_uid != uid:
        owner = _name(cluster.stat().st_uid)
        raise ExchangeError(
            f"the database folder {cluster} belongs to {owner}: start the Exchange as {owner} "
            "or as root, or change the owner of the folder and everything in it"
        )


def _account(uid: int, *, switch: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise ExchangeError(
            f"PostgreSQL needs an account with a name, and user number {uid} has none here: "
            "add one to the machine (or container), or set database.url"
        ) from None
    return Account(entry.pw_name, uid, entry.pw_gid, switch)


def _can_enter(account: Account, *paths: Path) -> bool:
    """Asks the kernel, as that account, so that access lists count as well."""
    script = 'for path; do test -x "$path" || exit 1; done'
    done = subprocess.run(["/bin/sh", "-c", script, "sh", *map(str, paths)], cwd="/", **account.popen_options())
    return done.returncode == 0


def _unreachable(account: Account, folder: Path) -> str:
    group = grp.getgrgid(account.gid).gr_name
    fix = f"chgrp {group} '{folder}' && chmod g+x '{folder}'" if folder.is_dir() else f"chmod a+rx '{folder}'"
    return (
        f"PostgreSQL does not run as root, so it runs as {account.name}, who may not enter {folder}. "
        f"Nothing was changed. Choose another data_dir, start the Exchange as an ordinary user, or run: {fix}"
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user number {uid}"
