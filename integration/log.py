"""Structured logs: one JSON line per event, ids only."""

import json
import logging
from datetime import UTC, datetime

PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Message, level and the ``extra`` fields as one JSON line; of an exception its type and places, never its text."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in PLAIN}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


def set_up_logging(level: str) -> None:
    """Log to standard error. Libraries log from warning on; theirs may quote what they were given, so info stays off."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("second_opinion").setLevel(level.upper())
    for name in ("procrastinate", "apscheduler", "urllib3", "waitress.queue"):
        logging.getLogger(name).setLevel(logging.ERROR)
