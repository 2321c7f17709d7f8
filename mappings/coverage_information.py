"""What an insurer wrote on an order (Da Vinci CRD), read as it stands and written again for the consultant.

http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information; a code that this version does not know is kept
as said. An extension may stand several times, one for each insurance.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from mappings.addresses import Bases
from mappings.codes import EXTENSION_COVERAGE_INFORMATION, as_dict, as_dicts, as_text, to_date
from mappings.identifiers import local_reference
from mappings.model.coverage import OrderCoverage
from mappings.model.errors import MappingError

KNOWN: dict[str, frozenset[str]] = {
    "covered": frozenset({"covered", "not-covered", "conditional", "indeterminate"}),
    "pa-needed": frozenset({"no-auth", "auth-needed", "satisfied", "performpa", "conditional", "indeterminate"}),
    "doc-needed": frozenset({"no-doc", "clinical", "admin", "both", "patient", "conditional"}),
    "info-needed": frozenset({"performer", "location", "timeframe", "contract-window", "detail-code", "OTH"}),
}
NO_DOCUMENTS = "no-doc"
_PURPOSE = ("doc-purpose", "doc-reason")
_READ = frozenset(
    "coverage covered pa-needed doc-needed info-needed billingCode reason date coverage-assertion-id satisfied-pa-id "
    "expiry-date contact questionnaire".split()
) | {*_PURPOSE}
LONGEST, MOST = 500, 20


def read_order(order: dict, base: Bases = None) -> tuple[OrderCoverage, ...]:
    """Every answer on an order, in order; an extension without parts says nothing."""
    found = [each for each in as_dicts(order.get("extension")) if each.get("url") == EXTENSION_COVERAGE_INFORMATION]
    return tuple(_read(each, base) for each in found[:MOST] if as_dicts(each.get("extension")))


def unknown_codes(each: OrderCoverage) -> tuple[str, ...]:
    """Elements whose code this version does not know: they are shown as said, and a person looks."""
    said = {
        "covered": (each.covered,),
        "pa-needed": (each.authorization,),
        "doc-needed": tuple(code.split(" ")[0] for code in each.documentation),
        "info-needed": each.information,
    }
    return tuple(
        element for element, codes in said.items() if any(code and code not in KNOWN[element] for code in codes)
    )


def to_extension(each: OrderCoverage) -> dict:
    """The same, for the ServiceRequest at the consultant. The insurance stands in words: it is a resource of the placer's."""
    return {"url": EXTENSION_COVERAGE_INFORMATION, "extension": list(_parts(each))}


def _parts(each: OrderCoverage) -> Iterator[dict]:
    yield {"url": "coverage", "valueReference": {"display": each.coverage or "not stated"}}
    for url, code in (("covered", each.covered), ("pa-needed", each.authorization)):
        if code:
            yield {"url": url, "valueCode": code}
    for said in each.documentation:
        needed, _, purpose = said.partition(" for ")
        yield {"url": "doc-needed", "valueCode": needed}
        if purpose:
            yield {"url": "doc-purpose", "valueCode": purpose}
    yield from ({"url": "info-needed", "valueCode": code} for code in each.information)
    yield from ({"url": "reason", "valueCodeableConcept": {"text": words}} for words in each.reasons)
    yield from ({"url": "billingCode", "valueCoding": {"code": code}} for code in each.billing_codes)
    if each.stated_on:
        yield {"url": "date", "valueDate": each.stated_on.isoformat()}
    for url, text in (
        ("coverage-assertion-id", each.assertion_id),
        ("satisfied-pa-id", each.authorization_number),
    ):
        if text:
            yield {"url": url, "valueString": text}
    if each.expires_on:
        yield {"url": "expiry-date", "valueDate": each.expires_on.isoformat()}


def _read(extension: dict, base: Bases) -> OrderCoverage:
    parts = as_dicts(extension.get("extension"))
    values: dict[str, list[Any]] = {}
    for part in parts:
        values.setdefault(as_text(part.get("url")) or "", []).append(_value(part))
    codes = {url: tuple(filter(None, map(_line, values.get(url, ())))) for url in _READ}
    days = {url: _day(values.get(url)) for url in ("date", "expiry-date")}
    reference = as_text(as_dict(next(iter(values.get("coverage", ())), None)).get("reference"))
    purposes = tuple(code for url in _PURPOSE for code in codes[url])
    return OrderCoverage(
        coverage=_line(local_reference(reference, base) or reference),
        covered=_first(codes["covered"]),
        authorization=_first(codes["pa-needed"]),
        documentation=tuple(_with_purpose(code, purposes) for code in codes["doc-needed"] if code != NO_DOCUMENTS),
        information=codes["info-needed"],
        reasons=tuple(filter(None, map(_words, values.get("reason", ())))),
        billing_codes=tuple(filter(None, (_line(as_dict(each).get("code")) for each in values.get("billingCode", ())))),
        stated_on=days["date"],
        assertion_id=_first(codes["coverage-assertion-id"]),
        authorization_number=_first(codes["satisfied-pa-id"]),
        expires_on=days["expiry-date"],
        contacts=tuple(filter(None, (_line(as_dict(each).get("value")) for each in values.get("contact", ())))),
        questionnaires=codes["questionnaire"],
        not_understood=tuple(sorted(_not_understood(values, days)))[:MOST],
    )


def _not_understood(values: dict[str, list[Any]], days: dict[str, date | None]) -> Iterator[str]:
    yield from ({url or "a part without a name" for url in values} - _READ)
    yield from (url for url, day in days.items() if day is None and url in values)


def _with_purpose(code: str, purposes: tuple[str, ...]) -> str:
    return f"{code} for {', '.join(purposes)}" if purposes else code


def _value(part: dict) -> Any:
    return next((value for name, value in part.items() if name.startswith("value")), None)


def _words(value: Any) -> str | None:
    found = as_dict(value)
    codings = as_dicts(found.get("coding"))
    return _line(found.get("text")) or next(
        filter(None, (_line(each.get("display")) or _line(each.get("code")) for each in codings)), None
    )


def _line(value: Any) -> str | None:
    text = as_text(value)
    return text[:LONGEST] if text else None


def _first(values: Iterable[str]) -> str | None:
    return next(iter(values), None)


def _day(values: list[Any] | None) -> date | None:
    try:
        return to_date(values[0], "date") if values else None
    except MappingError:
        return None
