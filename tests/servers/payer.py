"""An insurer's system over real HTTP: it takes questions, and answers them when and as a test says."""

from tests.servers.scheduling import Scheduling


class Payer(Scheduling):
    """``answer`` puts a response to the newest question; the habits of losing answers and refusing are those of `Scheduling`."""

    kinds = ("CoverageEligibilityRequest", "CoverageEligibilityResponse", "Organization", "Patient")
    counted = ("CoverageEligibilityRequest",)
    shows_everything = False  # a search by the question shows responses to others too

    def questions(self) -> list[dict]:
        """What was asked, as it is held."""
        return [each for key, each in self.held.items() if key.startswith("CoverageEligibilityRequest/")]

    def answer(self, number: int = 1, **more) -> dict:
        """A response to the newest question."""
        question = self.questions()[-1]
        service = question["item"][0]["category"]
        insurance = {"coverage": {"reference": "#coverage"}, "inforce": True, "item": [{"category": service}]}
        return self.put(
            {
                "resourceType": "CoverageEligibilityResponse",
                "id": f"a{number}",
                "status": "active",
                "purpose": ["validation"],
                "patient": {"reference": "#patient"},
                "outcome": "complete",
                "created": f"2026-11-30T12:00:0{number}Z",
                "request": {"reference": f"CoverageEligibilityRequest/{question['id']}"},
                "insurer": {"display": "Example Health"},
                "insurance": [insurance],
                **more,
            }
        )

    def _matches(self, resource: dict, name: str, value: str) -> bool:
        if name == "request":
            return self.shows_everything or resource["request"]["reference"] == value
        return super()._matches(resource, name, value)
