"""Start reading here: the command line. ``house`` opens configuration and database; each module beside it is a group of commands."""

import gc

from second_opinion import (  # noqa: F401  their commands join the group
    accounts,
    alerts,
    api,
    attempts,
    audit,
    cases,
    checklists,
    clients,
    consent,
    coverage,
    desk,
    directory,
    endpoints,
    health_links,
    keys,
    medications,
    opinions,
    packets,
    private_links,
    records,
    requests,
    running,
    sources,
    steps,
    storage,
    subscriptions,
    suitability,
    top,
    visits,
)
from second_opinion.house import cli

# What is imported stays: looking through it for garbage after every 700 new objects takes a seventh of a short command's time.
COLLECT_AFTER = 50_000


def main() -> None:
    """Run the command line; every error is a sentence and an exit code."""
    gc.set_threshold(COLLECT_AFTER)
    cli(prog_name="second-opinion")
