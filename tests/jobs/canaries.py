"""Resources with a word of their own in every text, code, address and identifier; and where such words are found later."""

import base64
import json
import re

from sqlalchemy import LargeBinary, select

from integration.store.tables import metadata
from mappings.structure import _elements, _model

DEPTH = 3
_CANARY = re.compile(r"cnry-\d{4}", re.IGNORECASE)
_FREE = {"String": "{}", "Markdown": "{}", "Code": "{}", "Uri": "urn:{}", "Url": "https://{}.example/x",
         "Canonical": "https://{}.example/y"}  # fmt: skip
_LEFT_OUT = {
    "id",
    "meta",
    "implicitRules",
    "contained",
    "modifierExtension",
    "link",
    "data",
    "hash",
    "url",
    "reference",
}
# Columns that hold the exchange's content or the name under which it is found again: nobody logs or tells them.
CONTENT = {
    "requests.status_reason",
    "links.system",
    "links.value",
    "settings.value",
    "orders.subject",
    "requests.requisition",
}


class Canaries:
    """Numbers every canary it gives, and knows where each of them stood."""

    def __init__(self):
        self.places: dict[str, str] = {}

    def word(self, place: str) -> str:
        """A word that stands nowhere else."""
        word = f"cnry-{len(self.places):04d}"
        self.places[word] = place
        return word

    def filled(self, resource: dict) -> dict:
        """The resource with every element that it does not say and that is words; what it says stays as it is."""
        kind = resource["resourceType"]
        made = self._object(_model(kind), kind, DEPTH)
        chosen = {e.choice for name in resource if (e := _elements(_model(kind)).get(name)) is not None and e.choice}
        return {
            name: each for name, each in made.items() if _elements(_model(kind))[name].choice not in chosen
        } | resource

    def attachment(self, place: str) -> dict:
        """A document that holds a canary, and is called by one."""
        data = base64.b64encode(self.word(f"{place}.data").encode()).decode()
        return {"contentType": "text/plain", "title": self.word(f"{place}.title"), "data": data}

    def found(self, text: str) -> dict[str, str]:
        """The canaries in a text, by where they stood."""
        return {self.places.get(word.lower(), word): text[max(0, text.lower().find(word.lower()) - 150) :][:300]
                for word in _CANARY.findall(text)}  # fmt: skip

    def _object(self, model, path: str, depth: int) -> dict:
        made, choices = {}, set()
        for name, element in _elements(model).items():
            if name.startswith("_") or name in _LEFT_OUT or element.choice in choices:
                continue
            value = self._value(element, f"{path}.{name}", depth)
            if value is not None:
                made[name] = [value] if element.repeats else value
                choices |= {element.choice} - {""}
        return made

    def _value(self, element, path: str, depth: int):
        if element.primitive:
            if element.codes is not None:
                return sorted(element.codes)[0] if element.is_required else None
            shape = _FREE.get(element.primitive)
            return shape.format(self.word(path)) if shape else None
        if element.model is None or not depth:
            return None
        name = element.model.__name__
        if name == "Attachment":
            return self.attachment(path)
        if name == "Extension":
            url = f"https://{self.word(path)}.example/extension"
            return {"url": url, "valueString": self.word(path)} if depth == DEPTH else None
        if name == "Narrative":
            div = f'<div xmlns="http://www.w3.org/1999/xhtml">{self.word(path)}</div>'
            return {"status": "generated", "div": div}
        return self._object(element.model, path, depth - 1) or None


def told_in_tables(conn) -> dict[str, str]:
    """``{table.column: text}`` of every column that is not the content itself."""
    told = {}
    for table in metadata.sorted_tables:
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            if isinstance(column.type, LargeBinary) or name in CONTENT or table.name.startswith("hosted"):
                continue
            values = conn.execute(select(column).where(column.is_not(None))).scalars().all()
            told[name] = "\n".join(json.dumps(each, default=str, ensure_ascii=False) for each in values)
    return told
