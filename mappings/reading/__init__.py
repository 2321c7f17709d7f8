"""Reading a packet as a clinician does: the key facts of its records, each with the element it came from, and how many are not among them."""

from mappings.reading.make import key_facts
from mappings.reading.model import KeyFacts

__all__ = ["KeyFacts", "key_facts"]
