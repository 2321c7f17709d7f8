"""What a restore refuses before it needs a database."""

import tarfile
from unittest.mock import Mock

import pytest

from integration.backups.backup import MANIFEST
from integration.backups.restore import RestoreRefused, restore


def test_a_folder_where_a_file_of_the_backup_should_be_is_said(tmp_path):
    path = tmp_path / "backup.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(MANIFEST)
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    with pytest.raises(RestoreRefused, match="manifest.json in the backup is no file; nothing was restored"):
        restore(Mock(), Mock(), path, actor="operator")
