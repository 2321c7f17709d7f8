"""A packet as something to read: the records, word for word, for systems that take no foreign resources."""

from mappings.rendition.make import render
from mappings.rendition.model import NOT_STATED, AttachedText, Column, Rendition, Row, Section, Text

__all__ = ["NOT_STATED", "AttachedText", "Column", "Rendition", "Row", "Section", "Text", "render"]
