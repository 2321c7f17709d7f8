"""What people change at the source while everything else goes wrong: records, questions, orders; and what must stand then."""

import contextlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.away import AWAY

FIRST_OPINION = "https://second-opinion.example/fhir/StructureDefinition/first-opinion"


@dataclass
class Record:
    """One Observation at the placer: whose it is, and what it says now; gone once it is filed under another patient."""

    source: str
    number: int
    index: int
    edits: int = 0
    gone: bool = False

    @property
    def says(self) -> str:
        """A word that stands in no other record, and in no other version of this one."""
        return word(self.number, self.index, self.edits)


def word(number: int, index: int, edits: int) -> str:
    """What a record of a patient says after so many edits."""
    return f"rec{number}x{index}e{edits}z"


def observation(subject: str, number: int, index: int, edits: int = 0) -> dict:
    """One result, as it stands at the placer after so many corrections."""
    return {
        "resourceType": "Observation",
        "status": "corrected" if edits else "final",
        "code": {"text": f"chaos {number}-{index}"},
        "subject": {"reference": subject},
        "valueQuantity": {"value": 1.5 + edits, "unit": "g"},
        "note": [{"text": word(number, index, edits)}],
    }


def order(subject: str, practitioner: str, question: str) -> dict:
    """A ServiceRequest of the placer's EHR that asks for a second opinion."""
    first = [
        {"url": "doctor", "valueReference": {"reference": "#first-doctor"}},
        {"url": "diagnosis", "valueCodeableConcept": {"text": "synthetic diagnosis"}},
    ]
    asks = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0336", "code": "S"}], "text": question}
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {"text": "second opinion"},
        "subject": {"reference": subject},
        "requester": {"reference": practitioner},
        "performerType": {"coding": [{"system": "http://snomed.info/sct", "code": "394593009"}]},
        "reasonCode": [asks],
        "contained": [{"resourceType": "Practitioner", "id": "first-doctor", "name": [{"family": "Charlie"}]}],
        "extension": [{"url": FIRST_OPINION, "extension": first}],
    }


@dataclass
class Corrections:
    """Changes things at the placer, or a request of ours, and remembers what everybody must see in the end."""

    placer: str
    config: Path
    random: random.Random
    others: range  # patients about whom nobody asks
    patients: dict[int, str] = field(default_factory=dict)  # Patient/id there
    records: list[Record] = field(default_factory=list)
    questions: dict[int, list[str]] = field(
        default_factory=dict
    )  # by the patient's number: the newest, and what may be
    orders: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # its reference, subject, requester
    made: Counter = field(default_factory=Counter)

    def note_chart(self, number: int, sources: list[str]) -> None:
        """A chart that was loaded."""
        self.patients[number] = sources[0]
        results = [source for source in sources if source.startswith("Observation/")]
        self.records += [Record(source, number, index) for index, source in enumerate(results)]

    def correct_record(self) -> None:
        """One record says something else; of those after the first one in five is another patient's, about whom nobody asks."""
        record = self.random.choice([each for each in self.records if not each.gone and each.number not in self.others])
        gone = self.made["records"] > 0 and self.random.random() < 0.2
        number = self.random.choice(list(self.others)) if gone else record.number
        edits = record.edits + (not gone)
        body = observation(self.patients[number], record.number, record.index, edits)
        self._put(record.source, body)
        record.gone, record.edits = gone, edits
        self.made["filed anew" if gone else "records"] += 1

    def correct_order(self, number: int) -> None:
        """An order asks something else."""
        reference, subject, requester = self.orders[number]
        question = f"Ordered question {self.made['orders'] + 1}?"
        body = order(subject, requester, question)
        self._put(reference, body)
        self.questions[number] = [question]
        self.made["orders"] += 1

    def revise(self, number: int, request_id: str, body: dict) -> None:
        """A coordinator corrects the question of a request on the command line."""
        question = f"Revised question {self.made['revised'] + 1}?"
        file = self.config.parent / "revised.json"
        file.write_text(json.dumps({**body, "question": question}))
        command = ["requests", "revise", request_id, str(file), "--reason", "typed wrongly"]
        self.questions[number].append(question)  # it may be stored although its answer is lost
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                [sys.executable, "-m", "second_opinion", "--config", str(self.config), *command],
                capture_output=True,
                timeout=60,
            )
            if done.returncode == 0:
                self.questions[number] = [question]
                self.made["revised"] += 1

    def _put(self, reference: str, body: dict, seconds: float = 90) -> None:
        """Straight to the placer, again until it answers: what is said twice there is the same."""
        until = time.monotonic() + seconds
        data = json.dumps(body | {"id": reference.split("/")[1]}).encode()
        while time.monotonic() < until:
            request = urllib.request.Request(
                f"{self.placer}/{reference}", data, {"Content-Type": "application/fhir+json"}, method="PUT"
            )
            with contextlib.suppress(*AWAY):
                urllib.request.urlopen(request, timeout=10).close()
                return
            time.sleep(0.5)
        raise TimeoutError(f"the placer never took the correction of {reference}")
