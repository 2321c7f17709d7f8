"""A packet as something to read: the records, word for word, for systems that take no foreign resources."""

from mappings.rendition.make import render
from mappings.rendition.model import NOT_STATED, AttachedText, Column, Correction, Rendition, Row, Section, Text
from mappings.rendition.plain import OTHER, as_text
from mappings.rendition.rows import words_inside

__all__ = [
    "NOT_STATED",
    "OTHER",
    "AttachedText",
    "Column",
    "Correction",
    "Rendition",
    "Row",
    "Section",
    "Text",
    "as_text",
    "render",
    "words_inside",
]
