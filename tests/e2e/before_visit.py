"""The coordinator's road from an empty form to a booked visit with its records there: a function for each page, by its labels."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from second_opinion.demo.visitor import Visitor, said

WEEKDAYS = 5
SCAN = "Report of each examination"


def business_days(number: int, start: date | None = None) -> date:
    """The day so many business days (Monday to Friday, as without a calendar) after today."""
    day = start or datetime.now(UTC).date()
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < WEEKDAYS
    return day


def request_id_at(visitor: Visitor) -> str:
    """Of the request's page that they were led to."""
    return visitor.at.partition("/requests/")[2].partition("?")[0].partition("/")[0]


@dataclass
class Coordinator:
    """Somebody at a placing practice. ``request_id``: once the request went."""

    at: Visitor
    request_id: str = ""

    def case(self) -> Visitor:
        """The page of the case."""
        return self.at.open(f"{self.at.base}/cases/{self.request_id}")

    def part(self, name: str) -> Visitor:
        """A page of the case, by its link there."""
        return self.case().follow(name)

    def begin(self, practice: str) -> None:
        """The empty form."""
        self.at.open(f"{self.at.base}/new").press("Begin a request", {"Your practice": practice})

    def find_by_number(self, number: str) -> None:
        """The patient by MRN in the EHR; one is found and chosen."""
        self.at.press("Find in the EHR", {"Patient number (MRN)": number}).must_read("One patient found")
        self.at.press("This is the patient")
        self.at.press("Save and continue")

    def enter_by_hand(self, number: str, family: str, given: str, born: str) -> None:
        """A patient of a practice that has no EHR."""
        typed = {
            "Patient number (MRN)": number,
            "Last name": family,
            "First and middle names": given,
            "Date of birth": born,
        }
        self.at.press("Enter by hand", typed).must_read(family)
        self.at.press("Save and continue")

    def choose_first_opinion(self, diagnosis: str, doctor: str) -> None:
        """Both from what the EHR shows."""
        self.at.press(f"Choose this: {diagnosis}")
        self.at.press(f"Choose this: {doctor}")
        self.at.press("Save and continue")

    def write_first_opinion(self, diagnosis: str, code: str, doctor: str) -> None:
        """Both typed."""
        typed = {
            "Diagnosis in words": diagnosis,
            "Its ICD-10-CM code": code,
            "Last name of the doctor who gave it": doctor,
        }
        self.at.press("Save and continue", typed)

    def choose_insurance(self, plan: str = "") -> None:
        """What the EHR shows, or nothing."""
        if plan:
            self.at.press(f"Choose this: {plan}")
        self.at.press("Save and continue")

    def choose_doctor(self, zip_code: str, specialty: str, name: str) -> None:
        """In the directory, by specialty and ZIP code."""
        self.at.follow("Find a doctor in the directory")
        self.at.press("Search", {"Specialty": specialty, "ZIP code": zip_code}).follow(name)
        self.at.press("Ask this doctor").must_read(name)
        self.at.press("Save and continue")

    def say_why(self, reason: str) -> None:
        """A good reason."""
        self.at.press(f"Choose this: {reason}")
        self.at.press("Save and continue")

    def ask(self, question: str, who: str) -> None:
        """The question, and who asks; then the review, which finds nothing missing, and off it goes."""
        self.at.press("Save and continue", {"What should the second opinion answer?": question, "Last name": who})
        self.at.must_read("Everything needed is here").press("Submit request")
        assert "is received" in " ".join(self.at.messages), self.at.messages
        self.request_id = request_id_at(self.at)

    def call_insurer(self, today: date) -> None:
        """The phone call, written down."""
        typed = {
            "Insurer": "Synthetic Health Plan",
            "Who answered": "R. Example",
            "Day of the call": today.isoformat(),
            "Time of the call": "00:01",
            "Time zone": "America/Chicago",
            "Reference number of the call": "C-20417",
            "What you asked": "Second opinion visit, oncology",
            "Answer": "Covered",
            "Do they have to authorize it?": "Yes",
            "Authorization number": "A-77",
        }
        self.part("Coverage").press("Keep this answer", typed).must_read("C-20417", "A-77")

    def book_all_the_same(self, day: date, because: str) -> None:
        """The visit, as the scheduling desk said it; the records need longer, which is said first and has to be set aside."""
        typed = {"Day": day.isoformat(), "Time": "10:30", "Where": "200 Main Street", "Who told you": "Scheduling desk"}
        self.part("Visit").press("Keep this time", typed, within="Record the visit", status=400)
        assert any("The records need until" in each for each in self.at.messages), self.at.messages
        self.at.press("Keep this time", {"The records need until": "", "Reason": because}, within="Record the visit")
        self.at.must_read("Kept. The records are due")

    def open_items(self) -> list[str]:
        """What the checklist still waits for, by name."""
        found = self.part("Records needed for the visit").page.xpath("//section[@aria-labelledby='open']//li/h3")
        return [said(each) for each in found]

    def say_of(self, item: str, button: str, reason: str) -> None:
        """Press a button of one item of the checklist."""
        self.part("Records needed for the visit").press(button, {"Reason": reason}, within=item).must_read(
            "Kept, with your reason."
        )
