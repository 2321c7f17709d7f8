"""What of a record cannot be had, item by item: one item stops no other, and all of them are named at once."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from integration.store.waivers import covers
from mappings.model.errors import MappingError, PartialError, PermanentError

# What a resource of any shape can make code raise that reads it: somebody else's mistake, so it is told as one.
_WRONG_SHAPE = (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError)


class Problems:
    """The items of a chart that cannot travel. The packet is made only when there is none, or a person waived each.

    ``waived``: places (``Type/id`` or ``Type/id#path``) that a person said to send without.
    """

    def __init__(self, waived: Collection[str] = ()):
        self._waived = frozenset(waived)
        self._found: dict[str, str] = {}
        self.may_be_missing: dict[str, str] = {}  # {place: why} of what could not be had and stops nothing

    @contextmanager
    def about(self, place: str) -> Iterator[None]:
        """Whatever goes wrong with one item inside is a problem that names ``place``; what may pass by itself is raised."""
        try:
            yield
        except (MappingError, PermanentError, PartialError) as error:
            self.add(place, str(error))
        except _WRONG_SHAPE as error:
            self.add(place, f"this is not FHIR R4 and cannot be read ({type(error).__name__})")

    def add(self, place: str, why: str) -> None:
        """Note one; the first thing said of a place stands."""
        self._found.setdefault(place, why)

    def __contains__(self, place: str) -> bool:
        return place in self._found

    @property
    def all(self) -> dict[str, str]:
        """``{place: why}`` of everything that could not be had, whoever said what of it."""
        return dict(sorted(self._found.items()))

    @property
    def waived(self) -> dict[str, str]:
        """``{place: why}`` of what is left out because a person said so."""
        return {place: why for place, why in self._found.items() if self._is_waived(place)}

    def raise_if_any(self) -> None:
        """Raises PartialError naming every item that is neither there nor waived."""
        open_ones = {place: why for place, why in sorted(self._found.items()) if not self._is_waived(place)}
        if open_ones:
            raise PartialError([f"{place}: {why}" for place, why in open_ones.items()], items=open_ones)

    def _is_waived(self, place: str) -> bool:
        return any(covers(each, place) for each in self._waived)
