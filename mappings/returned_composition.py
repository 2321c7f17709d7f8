"""The parts of a returned report as a Composition in the primary care EHR, beside its documents: sections for people, codes for programs.

https://hl7.org/fhir/R4/composition.html. A server may drop an extension of a DocumentReference; of a Composition it is read back,
and each section says the same in words.
"""

from collections.abc import Sequence

from mappings.model.request import Identifier
from mappings.model.written_report import WrittenReport
from mappings.written_report import About, to_composition, to_instant

DOCUMENTS = "The report as text and PDF"


def to_returned_composition(
    report: WrittenReport,
    *,
    identifier: Identifier,
    patient: str,
    documents: Sequence[str],
    service_request: str | None,
    author_display: str | None,
    dated: str | None,
    preliminary: bool = False,
    replaces: str | None = None,
) -> dict | None:
    """``documents``: the report's DocumentReferences there; ``service_request``: the order there; ``dated``: the report's own
    instant, for one that does not say when it was signed; ``replaces``: the Composition there that it corrects.

    None where neither says when it was written: a Composition needs that, and nobody makes it up.
    """
    date = to_instant(report.signed_at) if report.signed_at else dated
    about = About(identifier, patient, service_request or "", author_display)
    made = to_composition(report, about, replaces=replaces)
    if date is None or "author" not in made:
        return None
    tied = {"title": DOCUMENTS, "entry": [{"reference": each} for each in documents]}
    return {
        **made,
        "date": date,
        **({"status": "preliminary"} if preliminary else {}),
        **({"event": [{"detail": [{"reference": service_request}]}]} if service_request else {}),
        "section": [*made.get("section", ()), tied],
    }
