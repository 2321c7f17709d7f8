"""``second-opinion top``: the queue in a terminal. Reads keys and draws; what they do is in ``top_screen``."""

import codecs
import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from second_opinion.house import cli, opened, show, with_json

if TYPE_CHECKING:
    from second_opinion.top_screen import Screen

SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1bOC": "right",
    "\x1bOD": "left",
}
SINGLE = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x1b": "esc", "\x04": "q"}
TICK_SECONDS = 1.0  # how often the page is drawn again, so that times go on and it fits a window that changed
ESCAPE_SECONDS = 0.05  # what follows an escape character within this is part of one key


@cli.command()
@click.argument("filter_text", metavar="[FILTER]", default="")
@click.option(
    "--every",
    default=5.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds between two looks at the database.",
)
@click.option("--once", is_flag=True, help="Print it once and end; so it does when the output is no terminal.")
@with_json
@click.pass_context
def top(ctx: click.Context, filter_text: str, every: float, once: bool, as_json: bool) -> None:
    """What needs a person, what is owed, and how endpoints are; refreshes itself. FILTER as in the search box of the queue page."""
    from integration.store import filters, search
    from second_opinion.top_screen import Screen

    wanted = filters.parse(filter_text)
    with opened(ctx) as (config, engine):
        with engine.begin() as conn:
            wanted = search.hashed(conn, wanted)
        screen = Screen(engine, config, wanted)
        screen.refresh()
        if as_json or once or not (sys.stdin.isatty() and sys.stdout.isatty()):
            show(
                screen.seen and screen.seen.as_json(wanted),
                as_json,
                "\n".join(line.plain.rstrip() for line in screen.lines(120)[:-1]),
            )
        else:
            run(screen, every)


def run(screen: "Screen", every: float) -> None:
    """Draw, wait for a key or the time, until q."""
    from rich.console import Console, Group
    from rich.live import Live

    console, looked = Console(), time.monotonic()
    with keys() as next_key, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(Group(*screen.lines(console.width, console.height)), refresh=True)
            key = next_key(TICK_SECONDS)
            if key is not None and not screen.press(key):
                return
            if time.monotonic() - looked >= every and screen.mode == "list":
                screen.refresh()
                looked = time.monotonic()


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str | None]]:
    """Single keys from the terminal; gives a function that waits for one, and None when none came."""
    waiting: list[str] = []
    fd, decoder = sys.stdin.fileno(), codecs.getincrementaldecoder("utf-8")("replace")
    before = termios.tcgetattr(fd)

    def next_key(seconds: float) -> str | None:
        if not waiting and select.select([fd], [], [], seconds)[0]:
            data = os.read(fd, 4096)
            if not data:
                return "q"  # the terminal is gone
            if data.endswith(b"\x1b") and select.select([fd], [], [], ESCAPE_SECONDS)[0]:
                data += os.read(fd, 4096)
            waiting.extend(split(decoder.decode(data)))
        return waiting.pop(0) if waiting else None

    try:
        tty.setcbreak(fd)
        yield next_key
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def split(typed: str) -> list[str]:
    """Characters and escape sequences as keys; a sequence that means nothing here is left out."""
    found = []
    while typed:
        sequence = next((each for each in SEQUENCES if typed.startswith(each)), None)
        if sequence is not None:
            found.append(SEQUENCES[sequence])
        elif typed[0] == "\x1b" and len(typed) > 2 and typed[1] in "[O":
            sequence = typed[
                : next(
                    (at + 1 for at, letter in enumerate(typed[2:], 2) if letter.isalpha() or letter == "~"), len(typed)
                )
            ]
        else:
            found.append(SINGLE.get(typed[0], typed[0]))
        typed = typed[len(sequence or typed[0]) :]
    return found
