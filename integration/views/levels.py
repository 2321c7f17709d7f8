"""What is known of a delivery, in words: nothing that was not read back is called verified."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from integration.store import hand_overs
from integration.views.texts import t
from integration.views.words import day, moment
from mappings.model.acknowledgment import Standing
from mappings.model.delivery import ARRIVED, STATUS_OF, DeliveryStatus
from mappings.model.roads import Level
from mappings.model.states import Records

TOO_LOW = "level-too-low"
_SURE = (Level.READ_BACK, Level.HANDED_OVER)
_UNDER_WAY = (DeliveryStatus.SENT, DeliveryStatus.RETRYING, DeliveryStatus.PARKED)
_SAID = {"to": "handed_to", "at": "handed_at", "by_way": "by_way", "by": "handed_by"}
_KEPT = ("note", "actor", "reason", "created_at")


def level_of(delivery: Mapping[str, Any]) -> Level | None:
    """What is known of it now: a delivery that arrived has the level of its status; None while nothing is."""
    if delivery["status"] in ARRIVED:
        return next(level for level, status in STATUS_OF.items() if status == delivery["status"])
    return Level(delivery["level"]) if delivery["level"] and delivery["status"] in _UNDER_WAY else None


def known(delivery: Mapping[str, Any], said: Mapping[str, Any] | None = None) -> str:
    """The same in words; empty while nothing is known. A report that was sent a moment ago may still be read back.

    ``said``: the person's word, where there is one.
    """
    level = level_of(delivery)
    if level is None:
        return ""
    if level is Level.HANDED_OVER and said is not None:
        return _in_words(said)
    open_still = delivery["status"] not in ARRIVED and delivery["cause"] != TOO_LOW and level not in _SURE
    return t("level.not_yet") if open_still else t(f"level.{level}")


def _in_words(said: Mapping[str, Any]) -> str:
    if said["to"] is None:
        return t("known.seen", by=said["by"], at=day(said["created_at"]))
    at = moment(said["at"])
    return t("known.handed_over", to=said["to"], at=at, way=t(f"by_way.{said['by_way']}").lower(), by=said["by"])


def told(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Deliveries with ``known`` in words and ``hand_over``: the person's word, or None."""
    words = hand_overs.of_deliveries(conn, [row["id"] for row in rows])
    return [_told(row, words.get(row["id"])) for row in rows]


def _told(delivery: Mapping[str, Any], word: Row | None) -> dict[str, Any]:
    said = None
    if word is not None:
        said = {name: getattr(word, column) for name, column in _SAID.items()}
        said |= {name: getattr(word, name) for name in _KEPT}
    return {**delivery, "known": known(delivery, said), "hand_over": said}


def closed_known(view: Mapping[str, Any]) -> str | None:
    """What was known of the report when the loop closed, in words; None while it is open."""
    if view["closed_level"] is None:
        return None
    same = [each for each in view["deliveries"] if each["kind"] == "report" and level_of(each) == view["closed_level"]]
    return same[-1]["known"] if same else t(f"level.{view['closed_level']}")


def records_words(records: str, arrived_as: str | None) -> str:
    """The records track in a word or two: what was not read back is not called verified."""
    level = next((level for level, status in STATUS_OF.items() if status == arrived_as), Level.READ_BACK)
    if records != Records.VERIFIED or level is Level.READ_BACK:
        return t(f"records.{records}")
    words = in_short(level)
    return words[:1].upper() + words[1:]


def in_short(level: str | None, reading: Standing = Standing.NONE) -> str:
    """On which level a loop closed, in a word or two; and the last one, whether a clinician has read the report."""
    words = t(f"closed_on.{level or Level.READ_BACK}")
    return words if reading is Standing.NONE else f"{words}, {t(f'reading_level.{reading}')}"
