"""Fills the table of ZIP codes, once. The list takes 150 MB while it is read: a process of its own reads it."""

import json
import subprocess
import sys
from collections.abc import Iterable

from sqlalchemy import Engine

from integration.store import zip_points
from integration.store.zip_points import MILITARY
from mappings.model.errors import ExchangeError

SECONDS = 120.0
_PROGRAM = (
    "import json, sys, zipcodes\n"
    "json.dump([(z['zip_code'], z['lat'], z['long'], z['state'], z['city'], z['zip_code_type'], z['active']) "
    "for z in zipcodes.list_all() if z['lat'] and z['long']], sys.stdout)\n"
)
_NAMES = ("zip", "lat", "lon", "state", "city", "kind", "active")


def ensure(engine: Engine) -> None:
    """See that the table is filled. Raises ExchangeError when the list cannot be read."""
    with engine.connect() as conn:
        if zip_points.is_filled(conn):
            return
    with engine.begin() as conn:
        zip_points.fill(conn, placed(_read()))


def placed(points: Iterable[dict]) -> list[dict]:
    """With numbers, and without those whose place the list does not know: it writes 0, 0 for them, which is in the sea off Africa.

    Of an address abroad it is enough that it is one.
    """
    numbers = ({**each, "lat": float(each["lat"]), "lon": float(each["lon"])} for each in points)
    return [each for each in numbers if each["kind"] == MILITARY or (each["lat"], each["lon"]) != (0.0, 0.0)]


def _read() -> list[dict]:
    try:
        done = subprocess.run([sys.executable, "-I", "-c", _PROGRAM], capture_output=True, timeout=SECONDS, check=True)
        return [dict(zip(_NAMES, each, strict=True)) for each in json.loads(done.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ExchangeError(
            "the list of ZIP codes cannot be read: is the Python package zipcodes installed whole?"
        ) from None
