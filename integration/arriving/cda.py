"""A C-CDA document: what its header says, and its narrative as plain HTML of our own. It is shown, never coded anew.

https://hl7.org/cda/stds/core/2.0.1-sd/ (narrative block: StrucDoc.Text). Nothing of the document is passed on as markup:
every element of ours is written here, every text is escaped, no address of it is followed or shown as a link.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, BinaryIO

from lxml import etree

from integration.arriving.refused import Refused
from mappings.codes import SYSTEM_LOINC
from mappings.model.request import Code
from mappings.received import Identity, Said, day_of_hl7

MAX_BYTES = 32 << 20
MAX_DEPTH = 60
HL7 = "urn:hl7-org:v3"
LOINC_OID = "2.16.840.1.113883.6.1"
_NS = {"h": HL7}
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "utf-16", "iso-8859-1", "windows-1252"})
# element of the narrative -> ours
_AS = {
    "paragraph": "p",
    "table": "table",
    "thead": "thead",
    "tbody": "tbody",
    "tfoot": "tfoot",
    "tr": "tr",
    "td": "td",
    "th": "th",
    "caption": "caption",
    "item": "li",
    "content": "span",
    "sub": "sub",
    "sup": "sup",
    "br": "br",
}
_EMPHASIS = {"bold": "strong", "italics": "em"}
_LEFT_OUT = "[a picture or file of the document is not shown here]"


@dataclass(frozen=True)
class Section:
    """A section of the document: its title, how deep it stands, and its narrative as safe HTML."""

    title: str
    level: int
    html: str


@dataclass(frozen=True)
class Shown:
    """The document as a page shows it; ``holds``: media type of a document inside that is no narrative (a PDF)."""

    said: Said
    sections: tuple[Section, ...]
    holds: str = ""


def parsed(file: BinaryIO) -> Any:
    """The document's root. Raises Refused for entities, a DTD, another encoding, or what is no ClinicalDocument."""
    file.seek(0)
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refused(
            f"The XML is larger than {MAX_BYTES >> 20} MB. Send the documents inside it as files of their own."
        )
    encoding = _ENCODING.search(data[:400])
    if encoding and encoding.group(1).decode().lower() not in _ENCODINGS:
        raise Refused("The XML is in a character encoding that is not read here. Save it as UTF-8, and send it again.")
    plain = data.replace(b"\0", b"")
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise Refused("The XML declares entities or a document type, which no C-CDA document does. It was not read.")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_pis=True, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" at line {line}" if line else ""
        raise Refused(f"The XML is damaged or cut off{where}. Ask for another copy.") from None
    if root.tag != f"{{{HL7}}}ClinicalDocument":
        raise Refused("The XML is no C-CDA document (ClinicalDocument of HL7 v3). Other XML is not taken.")
    return root


def said_of(root: Any) -> Said:
    """What its header says."""
    role = _first(root, "h:recordTarget/h:patientRole")
    return Said(
        identity=_identity(role) if role is not None else None,
        code=_code(_first(root, "h:code")),
        title=_text(_first(root, "h:title"))[:200],
        author=_name(_first(root, "h:author/h:assignedAuthor/h:assignedPerson/h:name"))[:200],
        source=_text(_first(root, "h:custodian/h:assignedCustodian/h:representedCustodianOrganization/h:name"))[:200],
        dated=day_of_hl7(_attribute(_first(root, "h:effectiveTime"), "value")),
    )


def shown(root: Any) -> Shown:
    """Every section's narrative, in the order of the document."""
    body = _first(root, "h:component/h:nonXMLBody/h:text")
    holds = _attribute(body, "mediaType") or "unknown" if body is not None else ""
    sections = tuple(_sections(_first(root, "h:component/h:structuredBody"), 2))
    return Shown(said_of(root), sections, holds)


def _sections(parent: Any, level: int) -> Iterator[Section]:
    if parent is None or level > MAX_DEPTH:
        return
    for section in parent.findall("h:component/h:section", _NS):
        text = _first(section, "h:text")
        html = _flow(text, 0) if text is not None else ""
        yield Section(_text(_first(section, "h:title")), min(level, 6), html)
        yield from _sections(section, level + 1)


def _flow(node: Any, depth: int) -> str:
    """What stands in an element, escaped."""
    if depth > MAX_DEPTH:
        return escape(_text(node))
    parts = [escape(node.text or "")]
    for child in node:
        if isinstance(child.tag, str):
            parts.append(_element(child, depth + 1))
        parts.append(escape(child.tail or ""))
    return "".join(parts)


def _element(node: Any, depth: int) -> str:
    name = etree.QName(node).localname
    if name == "list":
        return _list(node, depth)
    if name in ("renderMultiMedia", "observationMedia"):
        return f"<em>{_LEFT_OUT}</em>" + _flow(node, depth)
    ours = _AS.get(name)
    if ours is None:
        return _flow(node, depth)  # a link, a footnote, anything newer: its words
    if ours == "br":
        return "<br>"
    if ours == "span":
        styles = [_EMPHASIS.get(each.lower()) for each in (node.get("styleCode") or "").split()]
        ours = next((each for each in styles if each), "span")
    if ours == "table":  # a caption may only be its first child
        return (
            f'<div class="wide" tabindex="0" role="region" aria-label="Table"><table>{_flow(node, depth)}</table></div>'
        )
    return f"<{ours}{_spans(node) if ours in ('td', 'th') else ''}>{_flow(node, depth)}</{ours}>"


def _list(node: Any, depth: int) -> str:
    ours = "ol" if node.get("listType") == "ordered" else "ul"
    caption = next(
        (each for each in node if isinstance(each.tag, str) and etree.QName(each).localname == "caption"), None
    )
    items = "".join(
        _element(each, depth)
        for each in node
        if isinstance(each.tag, str) and each is not caption and etree.QName(each).localname == "item"
    )
    before = f"<p><strong>{_flow(caption, depth)}</strong></p>" if caption is not None else ""
    return f"{before}<{ours}>{items}</{ours}>"


def _spans(node: Any) -> str:
    """How many columns and rows a cell takes: small numbers only."""
    found = ((name, node.get(name, "")) for name in ("colspan", "rowspan"))
    return "".join(f' {name}="{value}"' for name, value in found if re.fullmatch(r"[1-9][0-9]?", value, re.ASCII))


def _identity(role: Any) -> Identity:
    name = _first(role, "h:patient/h:name")
    numbers = tuple(_attribute(each, "extension")[:64] for each in role.findall("h:id", _NS))
    return Identity(
        _text(_first(name, "h:family"))[:200],
        _text(_first(name, "h:given"))[:200],
        day_of_hl7(_attribute(_first(role, "h:patient/h:birthTime"), "value")),
        tuple(each for each in numbers if each),
    )


def _code(node: Any) -> Code | None:
    if node is None or node.get("codeSystem") != LOINC_OID or not node.get("code"):
        return None
    return Code(system=SYSTEM_LOINC, code=node.get("code")[:20], display=(node.get("displayName") or "")[:200] or None)


def _name(node: Any) -> str:
    return "" if node is None else " ".join(part for part in (_text(each) for each in node) if part) or _text(node)


def _text(node: Any) -> str:
    return "" if node is None else " ".join("".join(node.itertext()).split())


def _attribute(node: Any, name: str) -> str:
    return "" if node is None else node.get(name) or ""


def _first(node: Any, path: str) -> Any:
    return None if node is None else node.find(path, _NS)
