"""A Communication beside a returned report: that it was returned, from whom, where it stands. No word of what it says.

https://hl7.org/fhir/R4/communication.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mappings import codes
from mappings.codes import as_dicts, as_text, concept
from mappings.model.request import Identifier


def to_return_notice(
    *,
    identifier: Identifier,
    patient: str,
    about: Sequence[str],
    service_request: str | None,
    sent: str,
    exchange_name: str,
    from_name: str,
    to_name: str,
    visible: Sequence[str],
    retracted: bool = False,
) -> dict[str, Any]:
    """``about``: the documents there; ``service_request``: the order there; ``sent``: an instant; ``visible``: what a person
    searches for; ``retracted``: they were marked as an error."""
    did = "was taken back, and is marked as entered in error" if retracted else "was returned"
    number = "1 document" if len(about) == 1 else f"{len(about)} documents"
    words = (
        f"The second opinion consult report from {from_name} {did} in the record at {to_name}: {number}, "
        f"{', '.join(visible)}."
    )
    made = {
        "resourceType": "Communication",
        "identifier": [identifier.model_dump()],
        "basedOn": [{"reference": service_request}] if service_request else [],
        "status": "completed",
        "category": [concept(codes.NOTIFICATION)],
        "subject": {"reference": patient},
        "about": [{"reference": each} for each in about],
        "sent": sent,
        "sender": {"type": "Organization", "display": exchange_name},
        "payload": [{"contentString": words}],
    }
    return {name: value for name, value in made.items() if value}


def author_of(report: Mapping[str, Any]) -> str | None:
    """The name of the one author that a report itself shows; None where it names none, several, or one without a name."""
    named = next(
        (found for name in ("author", "resultsInterpreter", "performer") if (found := as_dicts(report.get(name)))), []
    )
    return as_text(named[0].get("display")) if len(named) == 1 else None
