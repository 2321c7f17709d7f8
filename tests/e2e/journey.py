"""The consultant's and the primary doctor's parts of the journey: a function for each thing they do, by labels and buttons."""

from dataclasses import dataclass
from datetime import date

from second_opinion.demo.visitor import Visitor
from tests.e2e.before_visit import request_id_at


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

    def release(self, name: str) -> None:
        """The patient may read it from now on."""
        self.opinion().follow("Release").press("Release", {"Doctor who releases it": name}).must_read(name)

    def ask_another(self, question: str) -> str:
        """A further opinion in the same case; the patient let the first ones go along. The id of the new request."""
        self.at.open(f"{self.at.base}/cases/{self.request_id}").press("Ask another doctor")
        typed = {
            "Do they go along to who is asked now?": "Yes, send the reports along",
            "Who said so": "the patient",
            "On which day": date.today().isoformat(),
        }
        self.at.press("Save and continue", typed).press("Save and continue")
        self.at.press("Save and continue", {"Consulting organization": "Dr Bob", "Specialty": "Medical oncology"})
        self.at.press("Save and continue")
        self.at.press("Save and continue", {"What should the second opinion answer?": question})
        self.at.must_read("The earlier opinions go along: the patient said so").press("Submit request")
        assert "is received" in " ".join(self.at.messages), self.at.messages
        return request_id_at(self.at)

    def link_for_the_patient(self) -> str:
        """The address of the patient's own page, opened by the birth date; it is shown this once."""
        self.at.open(f"{self.at.base}/cases/{self.request_id}").follow("Private link for the patient")
        self.at.press("Make the link", {"What opens it": "birth-date"}).must_read("This is the only time it is shown.")
        return self.at.page.get_element_by_id("link").get("value")


@dataclass
class Patient:
    """Who has a link, and nothing else."""

    at: Visitor

    def enter(self, link: str, born: str) -> Visitor:
        """Through the door."""
        return self.at.open(link).press("Open the page", {"Your birth date": born}).must_read("Where things stand")
