"""The consultant's and the primary doctor's parts of the journey: a function for each thing they do, by labels and buttons."""

from dataclasses import dataclass

from tests.e2e.visitor import Visitor


@dataclass
class Consultant:
    """Somebody at a consulting practice without an EHR: our pages are all they have."""

    at: Visitor
    request_id: str

    def inbox(self) -> Visitor:
        return self.at.open(f"{self.at.base}/desk")

    def request(self, patient: str) -> Visitor:
        """Out of the inbox."""
        return self.inbox().follow(patient)

    def accept(self, patient: str, name: str) -> None:
        self.request(patient).press("Accept", {"Who has it": name}).must_read("Accepted. The referring doctor sees it")

    def read_the_packet(self, patient: str, *words: str) -> None:
        self.request(patient).follow("Key facts of the records").must_read(*words)

    def write_and_sign(self, patient: str, name: str, diagnosis: str, plan: str, summary: str) -> None:
        typed = {
            "With the diagnosis of the first opinion": diagnosis,
            "With the plan of the first opinion": plan,
            "Your opinion": summary,
            "Signed by": name,
        }
        self.request(patient).follow("Write the report").press("Sign", typed).must_read(f"Signed by {name}")


@dataclass
class PrimaryDoctor:
    """The doctor who asked, or who writes down for them."""

    at: Visitor
    request_id: str

    def opinion(self) -> Visitor:
        """From the page of the case."""
        return self.at.open(f"{self.at.base}/cases/{self.request_id}").follow("Opinion")

    def acknowledge(self, name: str, decision: str) -> None:
        typed = {"Clinician who read it": name, "What was decided with the patient": decision}
        self.opinion().press("Keep", typed).must_read(f"Kept: {name} has read the report.")
