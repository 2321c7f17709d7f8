"""Structured logs: one JSON line per event, ids only."""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

OURS = ("second_opinion", "jobs", "integration", "mappings")
PLACES = 12  # of a traceback, the innermost
PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Message, level and the ``extra`` fields as one JSON line; of an exception its type and places, never its text."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in PLAIN}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["places"] = _places(record.exc_info[2])
        return json.dumps(line, default=str)


def set_up_logging(level: str) -> None:
    """Log to standard error. Libraries log from warning on; theirs may quote what they were given, so info stays off."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    for name in ("procrastinate", "apscheduler", "urllib3", "waitress.queue"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.excepthook, threading.excepthook = (
        _crashed,
        lambda args: _crashed(args.exc_type, args.exc_value, args.exc_traceback),
    )


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught is a log line like any other, with its time; its text may quote a record and is left out."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("second_opinion").critical("crashed", exc_info=(kind, error or kind(), trace))


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-PLACES:]
    return [f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
