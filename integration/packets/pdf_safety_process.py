"""Looks for what a PDF would do when it is opened, alone in a process with bounds on time and memory: `pdf_safety` starts it.

PDF on standard input, ``{"problem": words or null}`` on standard output. Every object is looked at, not only those that a
page leads to. ISO 32000-2, 12.6 (actions) and 7.11.4 (files inside a file).
"""

import json
import logging
import resource
import sys
from collections.abc import Iterator
from typing import Any

CPU_SECONDS, MEMORY_BYTES, MAX_DEPTH = 60, 1 << 30, 64
TAIL_BYTES = 2048
# Kinds of action that run or send something; a link to a page or an address only waits for a click.
_DOES = {
    "/JavaScript": "it holds a script",
    "/Launch": "it starts another program",
    "/ImportData": "it reads another file",
    "/SubmitForm": "it sends what is filled in to an address",
    "/GoToE": "it opens a file inside it",
    "/RichMediaExecute": "it runs a movie or a program",
}


class Unsafe(Exception):
    """Why a PDF is not taken."""


def main() -> None:
    """Standard input to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)
    problem: str | None = None
    try:
        look(sys.stdin.buffer)
    except Unsafe as why:
        problem = str(why)
    except MemoryError:
        problem = "reading it takes more memory than it may"
    except Exception as error:  # whatever a library makes of a broken file
        problem = f"it is damaged and cannot be read ({type(error).__name__})"
    json.dump({"problem": problem}, sys.stdout)


def look(file: Any) -> None:
    """Raises Unsafe."""
    from pypdf import PdfReader
    from pypdf.generic import IndirectObject

    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_BYTES))
    if b"%%EOF" not in file.read():
        raise Unsafe("it is cut off: its end is not there")
    file.seek(0)
    reader = PdfReader(file)
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unsafe("it is locked with a password")
    if not len(reader.pages):
        raise Unsafe("it has no page")
    for number in sorted(_numbers(reader)):
        for node in _dictionaries(IndirectObject(number, 0, reader).get_object()):
            _must_do_nothing(node)
    for node in _dictionaries(reader.trailer):
        _must_do_nothing(node)


def _numbers(reader: Any) -> set[int]:
    direct = {number for numbers in reader.xref.values() for number in numbers if number}
    return direct | set(reader.xref_objStm)


def _dictionaries(whole: Any) -> Iterator[Any]:
    """Every dictionary in an object, without following references: what they name is looked at by itself."""
    stack = [(whole, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise Unsafe("its objects are nested deeper than any program makes them")
        if isinstance(node, dict):
            yield node
            stack += [(each, depth + 1) for each in dict.values(node)]
        elif isinstance(node, list):
            stack += [(each, depth + 1) for each in list.__iter__(node)]


def _must_do_nothing(node: Any) -> None:
    does = _DOES.get(str(node.get("/S", "")))
    if does or "/JS" in node:
        raise Unsafe(does or "it holds a script")
    if "/EF" in node or "/EmbeddedFiles" in node:
        raise Unsafe("it holds other files")
    if "/XFA" in node:
        raise Unsafe("it is a form that is drawn by a program")


if __name__ == "__main__":
    main()
