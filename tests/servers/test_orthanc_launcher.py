"""Shows that a launched Orthanc answers with DICOMweb."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from .orthanc import Orthanc
from .process import ServerUnavailable

pytestmark = pytest.mark.orthanc


def test_it_answers_with_an_empty_archive(tmp_path: Path) -> None:
    with Orthanc(tmp_path) as orthanc:
        try:
            base_url = orthanc.start(name="pacs")
        except ServerUnavailable as reason:
            pytest.skip(str(reason))
        assert requests.get(f"{base_url}/dicom-web/studies", timeout=30).json() == []
