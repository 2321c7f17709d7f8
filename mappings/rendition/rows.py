"""One resource as one row: the columns' elements as cells, longer texts beside them, every other element as details."""

from collections.abc import Iterator, Mapping
from typing import Any

from mappings.decoding import words_of
from mappings.document_reference import inline_bytes
from mappings.model.errors import MappingError
from mappings.rendition.model import NOT_STATED, Row, Text
from mappings.rendition.names import names_of, source_of
from mappings.rendition.narrative import plain_text
from mappings.rendition.tables import Table
from mappings.rendition.words import Words, code_words

# Not of the record but of its storage; a generated narrative repeats the elements (R4 narrative-status "generated").
_TECHNICAL = frozenset(("resourceType", "id", "meta", "implicitRules", "language", "text"))
_ABOUT_PATIENT = ("subject", "patient", "for", "beneficiary")
_COUNTED = {"numberOfSeries": "series", "numberOfInstances": "instances"}
_LONG = ("conclusion", "summary")


class RowMaker:
    """Makes rows for one patient's records."""

    def __init__(self, names: Mapping[str, str], patient: str):
        self.names, self.patient = names, patient

    def row(self, resource: dict, table: Table) -> Row:
        """The row of ``resource`` in ``table``; an element stands in a cell, a text or the details, never in none."""
        words = self._words(resource)
        cells, used = self._cells(resource, table, words)
        texts = tuple(_texts(resource, words))
        used |= {key for key in _LONG if isinstance(resource.get(key), str)}
        return Row(source_of(resource), cells, _codes(resource, table), texts, self._details(resource, used, words))

    def _words(self, resource: dict) -> Words:
        contained = [each for each in resource.get("contained") or () if isinstance(each, dict)]
        if not contained:
            return Words(self.names)
        inside = {f"#{source.split('/', 1)[1]}": name for source, name in names_of(contained).items()}
        return Words({**self.names, **inside})

    def _cells(self, resource: dict, table: Table, words: Words) -> tuple[tuple[str, ...], set[str]]:
        cells: list[str] = []
        used: set[str] = set()
        for column in table.columns:
            keys = dict.fromkeys(key for element in column.elements for key in matching(resource, element))
            used.update(keys)
            cells.append("\n".join(filter(None, (_cell(key, resource[key], words) for key in keys))) or NOT_STATED)
        return tuple(cells), used

    def _details(self, resource: dict, used: set[str], words: Words) -> str:
        rest = {
            key: value
            for key, value in resource.items()
            if key not in used and key not in _TECHNICAL and not self._is_patient(key, value)
        }
        contained = rest.pop("contained", [])
        security = (resource.get("meta") or {}).get("security") if isinstance(resource.get("meta"), dict) else None
        parts = [words.by_key({key: value}) for key, value in rest.items()]
        parts += [f"contained {_contained(each, words)}" for each in contained]
        return "; ".join(part for part in [*parts, words.by_key({"securityLabel": security})] if part)

    def _is_patient(self, key: str, value: Any) -> bool:
        return (
            key in _ABOUT_PATIENT
            and isinstance(value, dict)
            and value.get("reference") == self.patient
            and value.keys() <= {"reference", "display", "type"}
        )


def matching(resource: dict, element: str) -> list[str]:
    """The keys of ``resource`` that ``element`` means: itself, or any choice of ``onset[x]``."""
    if not element.endswith("[x]"):
        return [element] if element in resource else []
    stem = element[:-3]
    return [key for key in resource if key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper()]


def _cell(key: str, value: Any, words: Words) -> str:
    if key == "dataAbsentReason":
        return f"{NOT_STATED}: {words.of(value)}"
    if key in _COUNTED:
        return f"{words.of(value)} {_COUNTED[key]}"
    return "\n".join(filter(None, map(words.bare, value))) if isinstance(value, list) else words.bare(value)


def _codes(resource: dict, table: Table) -> str:
    values = [resource[key] for key in matching(resource, table.name)] if table.name else []
    concepts = [each for value in values for each in (value if isinstance(value, list) else [value])]
    return "; ".join(filter(None, map(code_words, concepts)))


def _contained(resource: Any, words: Words) -> str:
    if not isinstance(resource, dict):
        return words.of(resource)
    rest = {key: value for key, value in resource.items() if key not in _TECHNICAL - {"text"}}
    return f"{resource.get('resourceType')} #{resource.get('id')}: {{{words.by_key(rest)}}}"


def _texts(resource: dict, words: Words) -> Iterator[Text]:
    for key in _LONG:
        if isinstance(resource.get(key), str):
            yield Text(key.capitalize(), resource[key])
    narrative = resource.get("text")
    if isinstance(narrative, dict) and narrative.get("div") and narrative.get("status") != "generated":
        yield Text("Narrative", plain_text(str(narrative["div"])))
    for attachment in _inline_attachments(resource):
        text = words_inside(attachment)
        if text is not None:
            yield Text(str(attachment.get("title") or "Text"), text.rstrip())


def _inline_attachments(value: Any) -> Iterator[dict]:
    """Attachments with their bytes, wherever they stand (also a Binary, whose own bytes are its data)."""
    if isinstance(value, list):
        for each in value:
            yield from _inline_attachments(each)
    elif isinstance(value, dict):
        if isinstance(value.get("data"), str) and isinstance(value.get("contentType"), str):
            yield value
        for each in value.values():
            yield from _inline_attachments(each)


def words_inside(attachment: dict) -> str | None:
    """The words of an attachment's inline bytes; None when they are no text that is surely readable."""
    try:
        data = inline_bytes(attachment)
    except MappingError:
        return None
    return words_of(data, attachment.get("contentType")) if data else None
