"""Start reading here: the command line. ``house`` opens configuration and database; each module beside it is a group of commands."""

from second_opinion import (  # noqa: F401  their commands join the group
    accounts,
    alerts,
    api,
    attempts,
    audit,
    endpoints,
    keys,
    packets,
    requests,
    running,
    steps,
    storage,
    top,
)
from second_opinion.house import cli


def main() -> None:
    """Run the command line; every error is a sentence and an exit code."""
    cli(prog_name="second-opinion")
