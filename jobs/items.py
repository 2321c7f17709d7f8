"""What goes wrong with one item is a finding that names it, and stops no other: the one place that says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from integration.packets.payloads import PayloadsAway
from integration.postgres.health import is_away
from integration.store.pace import Paced
from integration.store.steps import LeaseLost
from jobs.world import Context, Revised
from mappings.model.errors import ExchangeError, TemporaryError

NOT_THE_ITEMS = (LeaseLost, Paced, PayloadsAway, Revised, TemporaryError)  # these are about the world around it


@contextmanager
def error_as_finding(ctx: Context, item: str, cause: str) -> Iterator[None]:
    """Run what is done with one item. Whatever it raises becomes a finding about ``item``, unless it is not the item's fault.

    Of an exception that is none of ours only its kind is told: its text may hold anything.
    """
    try:
        yield
    except NOT_THE_ITEMS:
        raise
    except ExchangeError as error:
        ctx.finding(cause, str(error), item, "error")
    except Exception as error:
        if is_away(error):
            raise
        ctx.finding(
            cause,
            f"{item} holds something that the Exchange cannot work with ({type(error).__name__}). Have it looked at, and "
            "corrected or entered anew, where it comes from",
            item,
            "error",
        )
