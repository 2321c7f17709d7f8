"""FHIR data types as words: every digit, unit and date as it was sent, nothing interpreted, nothing left out.

https://hl7.org/fhir/R4/datatypes.html. A shape is used only when it shows every key the value has; any other value is
written generically, key by key.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from mappings.rendition.narrative import plain_text

SYSTEM_NAMES = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://unitsofmeasure.org": "UCUM",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/us-npi": "NPI",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://dicom.nema.org/resources/ontology/DCM": "DICOM",
}
_DATE_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(Z|[+-]\d{2}:\d{2})?")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")
# A value whose element of this name is itself structured has none of the shapes below.
_STRUCTURED = (dict, list)
_PRIMITIVE = frozenset(
    (
        "display",
        "system",
        "title",
        "family",
        "reference",
        "unit",
        "comparator",
        "use",
        "url",
        "start",
        "end",
        "currency",
        "contentType",
        "text",
    )
)
_USUAL_USES = ("official", "usual", "work", "home")


def number_words(value: Decimal | int) -> str:
    """A number with the digits it came with: 1.10 stays 1.10, 0.0000001 is no 1E-7."""
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else None
    if isinstance(exponent, int) and exponent <= 0:
        return format(value, "f")
    return str(value)


def scalar_words(value: Any) -> str:
    """A primitive; a date-time gets spaces for its T and before its zone, so that a column can break it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int):
        return number_words(value)
    text = str(value).strip()
    parts = _DATE_TIME.fullmatch(text)
    return " ".join(part for part in parts.groups() if part) if parts else text


def label(key: str) -> str:
    """An element name as words: ``dosageInstruction`` -> ``dosage instruction``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", key.lstrip("_")).lower()


def system_name(system: Any) -> str:
    """A code system's short name; an unknown one as its URL."""
    return SYSTEM_NAMES.get(str(system)) or str(system).removeprefix("http://terminology.hl7.org/CodeSystem/")


def code_words(value: Any) -> str:
    """The codes of a CodeableConcept or Coding, each with its system."""
    codings = _list(value.get("coding", value)) if isinstance(value, dict) else []
    return "; ".join(_one_code(each) for each in _dicts(codings) if isinstance(each.get("code"), str))


def _one_code(coding: dict) -> str:
    return f"{system_name(coding['system'])} {coding['code']}" if coding.get("system") else coding["code"]


class Words:
    """Writes values; ``names`` knows what a reference such as ``Practitioner/1`` is called."""

    def __init__(self, names: Mapping[str, str]):
        self.names = names

    def of(self, value: Any) -> str:
        """Any JSON value as words."""
        if isinstance(value, list):
            return "; ".join(text for text in map(self.of, value) if text)
        return self._of_dict(value) if isinstance(value, dict) else "" if value is None else scalar_words(value)

    def bare(self, value: Any) -> str:
        """As ``of``, without the braces around a value that stands alone."""
        return self._of_dict(value, braces="") if isinstance(value, dict) else self.of(value)

    def _of_dict(self, value: dict, braces: str = "{}") -> str:
        if "url" in value and ("extension" in value or any(key.startswith("value") for key in value)):
            return self._extension(value)
        plain = {key: each for key, each in value.items() if key not in ("id", "extension")}
        parts = [self._shape(plain, braces) if plain else "", self.of(value.get("extension"))]
        return " ".join(f"({part})" if number else part for number, part in enumerate(parts) if part)

    def _shape(self, value: dict, braces: str) -> str:
        if not any(isinstance(each, _STRUCTURED) for key, each in value.items() if key in _PRIMITIVE):
            for keys, needed, write in SHAPES:
                if value.keys() <= keys and needed & value.keys():
                    said = write(self, value)
                    if said:
                        return said
        said = self.by_key(value)
        return braces[:1] + said + braces[1:] if len(value) > 1 and ", " in said else said

    def by_key(self, value: dict) -> str:
        """``name: value`` for every key; a ``text`` speaks for itself and goes first."""
        first = [self.of(value["text"])] if isinstance(value.get("text"), str) else []
        rest = [self._named(key, each) for key, each in value.items() if key != "text" or not first]
        return ", ".join(part for part in [*first, *rest] if part)

    def _named(self, key: str, value: Any) -> str:
        if key == "data" and isinstance(value, str) and _BASE64.fullmatch(value):
            return f"data: {len(value) * 3 // 4} bytes, not shown here"
        text = self.of(value)
        return f"{label(key)}: {text}" if text else ""

    def _extension(self, value: dict) -> str:
        rest = {key: each for key, each in value.items() if key not in ("url", "id")}
        name = str(value["url"]).rstrip("/").rsplit("/", 1)[-1]
        return f"{name}: " + "; ".join(text for text in map(self.of, rest.values()) if text)

    def concept(self, value: dict) -> str:
        """The text; beside it each display that says something else. Codes only where there are no words."""
        said = scalar_words(value.get("text") or "")
        codings = _dicts(_list(value.get("coding")))
        spoken = codings if not said else [each for each in codings if each.get("display")]
        others = "; ".join(each for each in dict.fromkeys(map(self.of, spoken)) if each != said)
        return f"{said} ({others})" if said and others else said or others

    def coding(self, value: dict) -> str:
        """The display, else the code with its system."""
        if isinstance(value.get("code"), dict | list):
            return ""
        return scalar_words(value["display"]) if value.get("display") else _one_code(value)

    def quantity(self, value: dict) -> str:
        if isinstance(value.get("value"), dict | list):
            return ""
        unit = value.get("unit") or value.get("code") or value.get("currency") or ""
        return f"{value.get('comparator', '')}{scalar_words(value.get('value', ''))} {unit}".strip()

    def period(self, value: dict) -> str:
        start, end = self.of(value.get("start")), self.of(value.get("end"))
        return f"{start} to {end}" if start and end else f"from {start}" if start else f"until {end}"

    def range(self, value: dict) -> str:
        low, high, text = (self.of(value.get(key)) for key in ("low", "high", "text"))
        limits = f"{low} to {high}" if low and high else f"low {low}" if low else f"high {high}" if high else ""
        numbers = [each.split(" ")[0] for each in (low, high) if each]
        if text and all(number in text for number in numbers):
            limits = ""
        rest = self.by_key({key: each for key, each in value.items() if key not in ("low", "high", "text")})
        return ", ".join(part for part in (text, limits, rest) if part)

    def ratio(self, value: dict) -> str:
        return f"{self.of(value.get('numerator'))} / {self.of(value.get('denominator'))}"

    def reference(self, value: dict) -> str:
        target = value.get("reference")
        known = self.names.get(target) if isinstance(target, str) else None
        number = self.of(value.get("identifier"))
        said = scalar_words(value.get("display") or known or ("" if number else target or value.get("type") or ""))
        return f"{said} ({number})" if said and number else said or number

    def identifier(self, value: dict) -> str:
        if isinstance(value.get("value"), dict | list):
            return ""
        kind = self.of(value.get("type")) or (system_name(value["system"]) if value.get("system") else "")
        more = ", ".join(part for part in (kind, self.of(value.get("period")), _use(value)) if part)
        return f"{scalar_words(value.get('value', ''))} ({more})" if more else scalar_words(value.get("value", ""))

    def name(self, value: dict) -> str:
        return self._spoken(value, ("prefix", "given", "family", "suffix"), " ")

    def address(self, value: dict) -> str:
        return self._spoken(value, ("line", "city", "district", "state", "postalCode", "country"), ", ")

    def _spoken(self, value: dict, keys: tuple[str, ...], between: str) -> str:
        """The text of a name or address, its parts where the text lacks one, then a use that matters and its time."""
        text = str(value.get("text") or "")
        parts = [str(part) for key in keys for part in _list(value.get(key)) if part]
        said = (
            text
            if text and all(part in text for part in parts)
            else between.join(part for part in (text, between.join(parts)) if part)
        )
        more = ", ".join(
            part for part in (_use(value), self.of(value.get("type")), self.of(value.get("period"))) if part
        )
        return f"{said} ({more})" if said and more else said

    def contact(self, value: dict) -> str:
        said = " ".join(str(value[key]) for key in ("system", "value") if value.get(key))
        return f"{said} ({value['use']})" if value.get("use") else said

    def attachment(self, value: dict) -> str:
        size = value.get("size")
        more = [
            self.of(value.get("contentType")),
            f"{size} bytes" if size is not None else "",
            self.of(value.get("creation")),
        ]
        said = value.get("title") or value.get("url") or "untitled document"
        return f"{said} ({', '.join(part for part in more if part)})"

    def narrative(self, value: dict) -> str:
        return plain_text(str(value["div"]))

    def measured(self, value: dict) -> str:
        """A component: what was measured, then its value; the rest after it."""
        found = [key for key in value if key.startswith("value") or key == "dataAbsentReason"]
        rest = self.by_key({key: each for key, each in value.items() if key not in (*found, "code")})
        said = f"{self.of(value['code'])}: {'; '.join(self.of(value[key]) for key in found)}"
        return f"{said} ({rest})" if rest else said


def _shape(keys: str, needed: str, write: Callable[[Words, dict], str]) -> tuple[frozenset, frozenset, Callable]:
    return frozenset(keys.split()), frozenset(needed.split()), write


_COMPONENT = (
    "code interpretation referenceRange dataAbsentReason valueQuantity valueCodeableConcept valueString "
    "valueBoolean valueInteger valueRange valueRatio valueSampledData valueTime valueDateTime valuePeriod"
)
# The keys a shape can show, those of which one must be there, and how it is written.
SHAPES = (
    _shape("coding text", "coding text", Words.concept),
    _shape("reference display type identifier", "reference identifier", Words.reference),
    _shape("value comparator unit system code currency", "unit comparator currency", Words.quantity),
    _shape(
        "value system code",
        "value",
        lambda words, value: words.quantity(value) if isinstance(value["value"], Decimal | int) else "",
    ),
    _shape("system version code display userSelected", "code display", Words.coding),
    _shape("start end", "start end", Words.period),
    _shape("low high text type appliesTo age", "low high", Words.range),
    _shape("numerator denominator", "numerator denominator", Words.ratio),
    _shape("use text family given prefix suffix period", "family given", Words.name),
    _shape(
        "use type text line city district state postalCode country period",
        "line city postalCode country",
        Words.address,
    ),
    _shape(
        "system value use",
        "use",
        lambda words, value: (
            words.contact(value)
            if value.get("system") in ("phone", "fax", "email", "pager", "url", "sms", "other")
            else ""
        ),
    ),
    _shape("use type system value period", "value", Words.identifier),
    _shape("contentType language data url size hash title creation", "contentType data hash", Words.attachment),
    _shape("status div", "div", Words.narrative),
    _shape(
        _COMPONENT,
        "dataAbsentReason valueQuantity valueCodeableConcept valueString valueBoolean valueInteger "
        "valueRange valueRatio valueSampledData valueTime valueDateTime valuePeriod",
        lambda words, value: words.measured(value) if "code" in value else "",
    ),
)


def _use(value: dict) -> str:
    use = value.get("use")
    return str(use) if use and use not in _USUAL_USES else ""


def _list(value: Any) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _dicts(value: Any) -> list[dict]:
    return [each for each in _list(value) if isinstance(each, dict)]
