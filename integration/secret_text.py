"""A secret that config.yaml only names: read when it is needed, so that a new one counts without a restart."""

from collections.abc import Mapping
from pathlib import Path


def read_secret(file: str | None, variable: str | None, environ: Mapping[str, str]) -> str:
    """What the file or else the environment variable holds; empty when that is missing, no text, or more than a line."""
    try:
        held = Path(file).read_text(encoding="utf-8") if file else environ.get(variable or "", "")
    except (OSError, ValueError):
        return ""
    return held.strip() if held.strip().isprintable() else ""
