"""Access tokens of other servers do not outlive their use: not in the table, and never in a backup."""

import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from integration.backups.backup import back_up
from integration.packets.payloads import Payloads
from integration.store import held_tokens
from integration.store.held_tokens import Shelf
from mappings.model.token import Token

pytestmark = pytest.mark.postgres


def given(database, life: timedelta) -> Shelf:
    shelf = Shelf(database.engine, "bob", "f1")
    shelf.renew(lambda: Token.of("open-sesame", life, datetime.now(UTC)))
    return shelf


def test_a_backup_holds_no_token(database, tmp_path):
    assert given(database, timedelta(hours=1)).usable() is not None
    back_up(database.engine, Payloads(tmp_path / "payloads"), tmp_path / "backup.tar")
    with tarfile.open(tmp_path / "backup.tar") as tar:
        assert not any("held_tokens" in name for name in tar.getnames())
    assert b"open-sesame" not in (tmp_path / "backup.tar").read_bytes()


def test_what_has_ended_is_forgotten_and_what_lives_stays(database):
    shelf = given(database, timedelta(hours=1))
    with database.engine.begin() as conn:
        assert held_tokens.forget_ended(conn, datetime.now(UTC)) == 0
    assert shelf.usable() is not None
    with database.engine.begin() as conn:
        assert held_tokens.forget_ended(conn, datetime.now(UTC) + timedelta(hours=2)) == 1
    assert shelf.usable() is None
