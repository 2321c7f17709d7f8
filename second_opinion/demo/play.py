"""The demo's people at the pages: the consultant answers, the primary doctor's practice reads and decides, the patient opens a link.

Each signs in and presses what a visitor would press. Everything said here is invented.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from second_opinion.demo.visitor import Visitor, said

CONSULTANT, DOCTOR = "Dr. Håkan Synthetic-Brontë", "Dr. Inés Synthetic-Álvarez"
OPINION = (
    "Invented for the demo, no medical advice. For pT3 pN1 disease three months of CAPOX are a reasonable alternative to six "
    "months of FOLFOX. I would discuss neuropathy with the patient and let her choose."
)
DECISION = "Change the plan"
Say = Callable[[str], object]


@dataclass(frozen=True)
class Stage:
    """Where they play. ``passwords`` by account."""

    base: str
    passwords: Mapping[str, str]
    say: Say

    def signed_in(self, account: str, page: str) -> Visitor:
        """A browser of this person's own, at their page."""
        someone = Visitor(self.base).open(f"/sign-in?next={page}")
        return someone.press("Sign in", {"Account": account, "Password": self.passwords[account]})


def answer(stage: Stage, request_id: str) -> None:
    """The consultant, from the inbox to the signature. What an earlier start has done already is not done twice."""
    at = stage.signed_in("hakan", "/desk")
    at.open(f"/desk/{request_id}")
    if at.has_button("Accept"):
        at.press("Accept", {"Who has it": CONSULTANT})
        stage.say("hakan, the consultant at lakeview, signs in, opens the inbox and accepts")
    at.open(f"/desk/{request_id}").follow("Key facts of the records").must_read("How much of the packet")
    stage.say(f"hakan reads the key facts: {_facts(at)}")
    at.open(f"/desk/{request_id}").follow("Write the report")
    if not at.has_button("Sign"):
        return
    typed = {
        "With the diagnosis of the first opinion": "agrees",
        "With the plan of the first opinion": "partly agrees",
        "Your opinion": OPINION,
        "Signed by": CONSULTANT,
    }
    at.press("Sign", typed).must_read(f"Signed by {CONSULTANT}")
    stage.say("hakan has written and signed the report: agrees with the diagnosis, partly agrees with the plan")


def decide(stage: Stage, request_id: str) -> str:
    """The practice that asked: the report beside the first opinion, the doctor's decision, the release; the patient's link."""
    at = stage.signed_in("carla", f"/cases/{request_id}")
    at.follow("Opinion").must_read(OPINION)
    stage.say("carla, the coordinator at hillside, opens the case: the report stands beside the first opinion")
    at.press("Keep", {"Clinician who read it": DOCTOR, "What was decided with the patient": DECISION})
    at.must_read(f"Kept: {DOCTOR} has read the report.")
    stage.say(f"{DOCTOR} has read it; decided with the patient: {DECISION.lower()}")
    at.follow("Release").press("Release", {"Doctor who releases it": DOCTOR}).must_read(DOCTOR)
    at.open(f"/cases/{request_id}").follow("Private link for the patient")
    at.press("Make the link", {"What opens it": "birth-date"}).must_read("This is the only time it is shown.")
    return str(at.page.get_element_by_id("link").get("value"))


def read_as_patient(stage: Stage, link: str, born: str) -> None:
    """Behind the link: where things stand, and the report that was released."""
    at = Visitor(stage.base).open(link).press("Open the page", {"Your birth date": born})
    at.must_read("Where things stand", OPINION)
    stage.say("the patient opens her link with her birth date and reads where things stand, and the report")


def _facts(at: Visitor) -> str:
    """What the page says of how much it shows."""
    rows = at.page.xpath("//table[contains(@class, 'meter')]//tr[td]")
    return ", ".join(f"{said(row[2])} of {said(row[1])} {said(row[0]).lower()}" for row in rows[:4])
