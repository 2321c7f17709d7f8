"""What insurers said, on the ServiceRequest at the consultant and in words on the first page: only as recorded, with who and when.

An answer over the phone has no element in R4, so it stands in an extension of ours; what CRD wrote stands in CRD's own.
"""

from collections.abc import Iterator
from datetime import date

from mappings.codes import EXTENSION_COVERAGE_ANSWER
from mappings.coverage_answers import stands, told
from mappings.coverage_information import to_extension
from mappings.model.coverage import CoverageAnswer, OrderCoverage
from mappings.model.request import SecondOpinionRequest

WORDS = {
    "covered": "covered",
    "not-covered": "not covered",
    "conditional": "covered under conditions",
    "unclear": "the insurer's answer is unclear",
}


def that_count(request: SecondOpinionRequest) -> tuple[CoverageAnswer | OrderCoverage, ...]:
    """The answers that count, newest first; which of them are too old for the visit is not decided here."""
    everything = told(request.coverage_answers, request.order_coverage)
    known: dict[str, CoverageAnswer | OrderCoverage] = dict(
        zip((each.id for each in everything), (*request.coverage_answers, *request.order_coverage), strict=True)
    )
    return tuple(known[each.told.id] for each in stands(everything, None, date.min).current)


def to_extensions(request: SecondOpinionRequest) -> list[dict]:
    """One for each answer that counts."""
    return [to_extension(each) if isinstance(each, OrderCoverage) else _extension(each) for each in that_count(request)]


def in_words(request: SecondOpinionRequest) -> Iterator[str]:
    """A line for each answer that counts: what, asked what, by whom and when; nothing that nobody said."""
    for each in that_count(request):
        yield _order_line(each) if isinstance(each, OrderCoverage) else _answer_line(each)


def _extension(each: CoverageAnswer) -> dict:
    parts = [
        {"url": "answer", "valueCode": each.answer},
        {"url": "source", "valueCode": each.source},
        {"url": "asked", "valueString": each.asked},
        {"url": "given-at", "valueDateTime": each.given_at.isoformat(timespec="seconds")},
        {"url": "insurer", "valueString": each.insurer},
        {"url": "authorization", "valueCode": each.authorization},
        {"url": "network", "valueCode": each.network},
        {"url": "required-by-insurer", "valueCode": each.required},
    ]
    for url, text in (
        ("answered-by", each.person),
        ("called-by", each.called_by),
        ("reference-number", each.reference),
        ("authorization-number", each.authorization_number),
        ("units", each.units),
    ):
        parts += [{"url": url, "valueString": text}] if text else []
    for url, day in (
        ("service-on", each.service_on),
        ("valid-from", each.valid_from),
        ("valid-to", each.valid_to),
        ("expires-on", each.expires_on),
    ):
        parts += [{"url": url, "valueDate": day.isoformat()}] if day else []
    return {"url": EXTENSION_COVERAGE_ANSWER, "extension": parts}


def _answer_line(each: CoverageAnswer) -> str:
    how = "told by phone" if each.source == "phone" else "answered by its system"
    said = [
        f"{each.insurer}: {WORDS[each.answer]}",
        f"asked: {each.asked}",
        f"{how} on {each.given_at:%Y-%m-%d %H:%M %Z}",
    ]
    said += [f"by {each.person}"] if each.person else []
    said += [f"to {each.called_by}"] if each.called_by else []
    said += [f"reference {each.reference}"] if each.reference else []
    if each.authorization != "unknown":
        said.append("authorization needed" if each.authorization == "yes" else "no authorization needed")
    said += [f"authorization {each.authorization_number}"] if each.authorization_number else []
    if each.valid_from or each.valid_to:
        said.append(f"valid {each.valid_from or 'from a day not stated'} to {each.valid_to or 'a day not stated'}")
    said += [f"units: {each.units}"] if each.units else []
    said += [f"{each.network} of network"] if each.network == "out" else ["in network"] if each.network == "in" else []
    said += ["the insurer requires this second opinion"] if each.required == "yes" else []
    said += [f"holds until {each.expires_on}"] if each.expires_on else []
    return "; ".join(said)


def _order_line(each: OrderCoverage) -> str:
    said = [f"{each.coverage or 'an insurance'}: {each.covered or 'not stated'}, written on the order by the insurer"]
    said += [f"on {each.stated_on}"] if each.stated_on else ["on a day not stated"]
    said += [f"authorization: {each.authorization}"] if each.authorization else []
    said += [f"authorization {each.authorization_number}"] if each.authorization_number else []
    said += [f"documents: {', '.join(each.documentation)}"] if each.documentation else []
    said += [f"wants to know: {', '.join(each.information)}"] if each.information else []
    said += [f"holds until {each.expires_on}"] if each.expires_on else []
    said += [f"number {each.assertion_id}"] if each.assertion_id else []
    return "; ".join(said)
