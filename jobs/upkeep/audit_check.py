"""Seals the audit trail each minute, and looks whether what is sealed still stands; an alarm when it does not."""

import json
import logging
import time
from pathlib import Path

from sqlalchemy import Connection

from integration.store import alarms, audit_seals

log = logging.getLogger("second_opinion.audit")
AUDIT_CHANGED = "audit-changed"
EVERY_SECONDS = 60.0


class AuditCheck:
    """The newest seal is also written to a file of this machine and to the log: who rewrites all seals in the database
    does not reach those.
    """

    def __init__(self, data_dir: Path):
        self._note, self._due, self._turn = data_dir / "audit-seal.json", 0.0, 0

    def __call__(self, conn: Connection) -> None:
        """One look, when a minute is over."""
        if time.monotonic() < self._due:
            return
        self._due, self._turn = time.monotonic() + EVERY_SECONDS, self._turn + 1
        made = audit_seals.seal(conn)
        if made is not None:
            extra = {"action": "audit.sealed", "seal": made.id, "n": made.rows, "sha256": made.sha256}
            log.info("audit sealed", extra=extra)
        broken = [
            *self._lost(conn),
            *(f"seal {each.seal}: {each.what}" for each in audit_seals.last_checked(conn, self._turn)),
        ]
        for what in broken:
            log.error("audit trail: %s", what, extra={"action": "audit.changed"})
        if broken:
            sentence = f"The audit trail is not as it was sealed ({broken[0]}). Run second-opinion audit verify, and find out who can write to the database."
            alarms.raise_alarm(conn, AUDIT_CHANGED, "", sentence)
        else:
            self._remember(conn)

    def _lost(self, conn: Connection) -> list[str]:
        """Is the seal that this machine remembers still there? After a restore of an older backup it need not be."""
        try:
            noted = json.loads(self._note.read_text())
            there = audit_seals.by_id(conn, int(noted["seal"]))
        except (OSError, ValueError, KeyError, TypeError):
            return []
        if there is not None and there.sha256 == noted["sha256"]:
            return []
        if audit_seals.restored_since(conn, noted["at"]):
            return []
        return [f"seal {noted['seal']}, which this machine remembers, is another one or gone"]

    def _remember(self, conn: Connection) -> None:
        last = audit_seals.newest(conn)
        if last is None:
            return
        note = {"seal": last.id, "sha256": last.sha256, "at": last.sealed_at.isoformat()}
        try:
            fresh = self._note.with_suffix(".new")
            fresh.write_text(json.dumps(note))
            fresh.replace(self._note)
        except OSError as error:
            log.warning("audit seal not noted", extra={"action": "audit.sealed", "error": type(error).__name__})
