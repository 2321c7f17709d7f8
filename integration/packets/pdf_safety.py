"""Why a PDF is not taken in: locked, broken, or it would do something when it is opened. Read in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

SECONDS = 90.0
_PROGRAM = Path(__file__).with_name("pdf_safety_process.py")


def problem_of_pdf(file: BinaryIO, *, seconds: float = SECONDS) -> str | None:
    """A clause that says what is wrong with it, None when nothing is. ``file`` is one of the operating system's."""
    file.flush()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM)], stdin=file, capture_output=True, timeout=seconds, env={}, check=False
        )
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return f"looking through it takes longer than {seconds:g} s"
    except ValueError:
        return "looking through it takes more time or memory than it may"
    problem = said["problem"]
    return None if problem is None else str(problem)
