"""A FHIR document or resource as a file: whether it is whole, what it says of itself, and its sections to read."""

from typing import BinaryIO

import nh3

from integration import fhir_json
from integration.arriving.cda import Section, Shown
from integration.arriving.refused import Refused
from mappings.received import Said
from mappings.received_fhir import said_of, sections_of

MAX_BYTES, MOST_LEVELS = 64 << 20, 200


def said_of_file(file: BinaryIO) -> Said:
    """Whose it is and what it is, as it says. Raises Refused."""
    return said_of(parsed(file))


def parsed(file: BinaryIO) -> dict:
    """The resource. Raises Refused for what is cut, no FHIR, or too large to be read at once."""
    file.seek(0)
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refused(
            f"The JSON is larger than {MAX_BYTES >> 20} MB. Send the documents inside it as files of their own."
        )
    try:
        found = fhir_json.loads(data, max_depth=MOST_LEVELS)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise Refused("The file begins as FHIR and cannot be read to its end: it is cut or damaged. Ask for it again.")
    return found


def shown(resource: dict) -> Shown:
    """The narrative of a document's sections, as its author wrote it; only words, lists and tables of it."""
    sections = tuple(
        Section(title, 2, nh3.clean(words, tags=_TAGS, attributes={})) for title, words in sections_of(resource)
    )
    return Shown(said_of(resource), sections)


_TAGS = {"div", "p", "br", "ul", "ol", "li", "b", "strong", "i", "em", "h3", "h4"} | {
    "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"
}  # fmt: skip
