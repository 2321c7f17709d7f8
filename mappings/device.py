"""What a browser's own name says of the device, in the two words that are kept of it: its class, and the browser's family."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Class(StrEnum):
    """Classes of device."""

    PHONE = "phone"
    TABLET = "tablet"
    COMPUTER = "computer"
    UNKNOWN = "unknown"


# The more special first: each of them also calls itself by the names of those after it.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_KEPT = re.compile(f"({'|'.join(Class)})/({'|'.join(sorted({name for _, name in _BROWSERS}))}|)")


@dataclass(frozen=True)
class Device:
    """``browser``: its family; "" for one that is not known."""

    kind: Class
    browser: str = ""

    @property
    def kept(self) -> str:
        """As it is kept: nothing by which one device could be told from another."""
        return f"{self.kind}/{self.browser}"


def device_of(said: str) -> Device:
    """Of a browser's own name (User-Agent), or of what was kept of one."""
    if (found := _KEPT.fullmatch(said)) is not None:
        return Device(Class(found[1]), found[2])
    return Device(_class(said), next((name for mark, name in _BROWSERS if mark in said), ""))


def _class(said: str) -> Class:
    if "iPad" in said or "Tablet" in said or "Android" in said and "Mobile" not in said:
        return Class.TABLET
    if "iPhone" in said or "Mobile" in said:
        return Class.PHONE
    is_computer = any(each in said for each in ("Windows NT", "Macintosh", "X11", "CrOS"))
    return Class.COMPUTER if is_computer else Class.UNKNOWN
