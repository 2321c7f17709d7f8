"""What is known of a delivery, in words: nothing that was not read back is called verified."""

from collections.abc import Mapping
from typing import Any

from integration.views.texts import t
from mappings.model.delivery import ARRIVED, STATUS_OF, DeliveryStatus
from mappings.model.roads import Level

TOO_LOW = "level-too-low"
_SURE = (Level.READ_BACK, Level.HANDED_OVER)
_UNDER_WAY = (DeliveryStatus.SENT, DeliveryStatus.RETRYING, DeliveryStatus.PARKED)


def level_of(delivery: Mapping[str, Any]) -> Level | None:
    """What is known of it now: a delivery that arrived has the level of its status; None while nothing is."""
    if delivery["status"] in ARRIVED:
        return next(level for level, status in STATUS_OF.items() if status == delivery["status"])
    return Level(delivery["level"]) if delivery["level"] and delivery["status"] in _UNDER_WAY else None


def known(delivery: Mapping[str, Any]) -> str:
    """The same in words; empty while nothing is known. A report that was sent a moment ago may still be read back."""
    level = level_of(delivery)
    if level is None:
        return ""
    open_still = delivery["status"] not in ARRIVED and delivery["cause"] != TOO_LOW and level not in _SURE
    return t("level.not_yet") if open_still else t(f"level.{level}")


def with_words(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """The delivery with ``known``."""
    return {**delivery, "known": known(delivery)}


def in_short(level: str | None) -> str:
    """On which level a loop closed, in a word or two."""
    return t(f"closed_on.{level or Level.READ_BACK}")
