"""The words of a PDF, or why they cannot be had: read in a process of its own, which a bad file may end."""

import json
import subprocess
import sys
from pathlib import Path

from mappings.report_text import PdfText

SECONDS = 90.0
_PROGRAM = Path(__file__).with_name("pdf_words_process.py")


def words_of_pdf(data: bytes, *, seconds: float = SECONDS) -> PdfText | str:
    """All its words in their order; a str says why there are none: locked, a scan, a picture, a font that names no letters."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM)], input=data, capture_output=True, timeout=seconds, env={}, check=False
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return f"reading the PDF takes longer than {seconds:g} s"
    except ValueError:
        return "reading the PDF takes more time or memory than it may"
    return str(said["problem"]) if "problem" in said else PdfText(str(said["words"]), int(said["pictures"]))
