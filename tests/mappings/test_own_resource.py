"""Which resource that stands there is the one of ours that was sent, where no search finds our identifier."""

import pytest

from mappings.model.request import Identifier
from mappings.own_resource import verdict
from mappings.same_document import Verdict

OWN = Identifier(system="urn:us", value="Task/r1")
SENT = {
    "resourceType": "Task",
    "identifier": [OWN.model_dump()],
    "status": "requested",
    "intent": "order",
    "focus": {"reference": "ServiceRequest/1"},
    "for": {"reference": "Patient/1"},
    "input": [{"type": {"text": "records"}, "valueReference": {"reference": "DocumentReference/1"}}],
}
WITHOUT = {name: value for name, value in SENT.items() if name != "identifier"}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (SENT, Verdict.SAME),
        ({**SENT, "input": []}, Verdict.SAME),  # it carries our identifier, whatever it says by now
        ({**SENT, "identifier": [{"system": "urn:us", "value": "Task/r2"}]}, Verdict.OTHER),
        (WITHOUT, Verdict.SAME),
        ({**WITHOUT, "identifier": [{"system": "urn:theirs", "value": "1"}]}, Verdict.SAME),
        ({**WITHOUT, "status": "accepted", "owner": {"reference": "Practitioner/2"}}, Verdict.SAME),  # moved on already
        ({**WITHOUT, "focus": {"reference": "ServiceRequest/2"}}, Verdict.OTHER),
        ({**WITHOUT, "input": []}, Verdict.UNCLEAR),
    ],
    ids=range(8),
)
def test_it_is_known_by_our_identifier_or_by_all_that_it_says(there, expected):
    assert verdict(SENT, there, OWN) is expected
