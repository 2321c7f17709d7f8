"""A chaos run whose placer behaves as Epic does: no conditional create, no search by identifier, and a replay is a second note.

The oracle counts in that server's own store. Requests that a proxy delivers twice are left out at the placer: nothing that a
client does can keep a server without conditional create from filing both.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos import oracle
from tests.chaos.corrections import observation
from tests.chaos.proxy import FAULTS
from tests.chaos.run import Chaos
from tests.servers.vendors.epic import Epic

LAG_SECONDS = 0.5  # its index is as late as this; the configuration says 1 s
AT_EPIC = {name: weight for name, weight in FAULTS.items() if name != "duplicate"}


class EpicChaos(Chaos):
    """Charts, visits and notes stand at ``epic``; the fulfiller is a hosted endpoint."""

    def __init__(self, folder: Path, epic: Epic, **kwargs: Any):
        super().__init__(
            folder,
            servers=(epic.url, ""),
            placer_keys=", profile: epic, document: {encounter_choice: newest}",
            placer_faults=AT_EPIC,
            **kwargs,
        )
        self.epic, self.patients = epic, {}

    def load_patient(self, number: int) -> list[str]:
        """A chart with a visit that is over."""
        person = self.epic.put(
            {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:chaos:mrn", "value": f"M{number}"}],
                "name": [{"family": f"Chaos{number}", "given": ["Casey"]}],
                "birthDate": "1960-01-01",
                "gender": "female",
            }
        )
        self.patients[number] = patient = f"Patient/{person['id']}"
        visit = {"resourceType": "Encounter", "status": "finished", "subject": {"reference": patient}}
        visit["period"] = {"start": "2026-05-01T09:00:00Z", "end": "2026-05-01T09:30:00Z"}
        visit["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        made = [person, self.epic.put(visit)]
        for index in range(self.resources - 1):
            result = observation(patient, number, index)
            made.append(self.epic.put(result | {"category": [{"coding": [{"code": "laboratory"}]}]}))
        sources = [f"{each['resourceType']}/{each['id']}" for each in made]
        self.corrections.note_chart(number, [each for each in sources if not each.startswith("Encounter/")])
        return sources

    def _request(self, number: int) -> dict:
        return super()._request(number) | {"records": {"types": ["Observation", "Encounter"]}}

    def count_reports(self, ids: list[str]) -> oracle.Count:
        """By the words that a person can search for, in the bytes that were filed."""
        notes = [each.data.decode() for patient in self.patients.values() for each in self.epic.ours_of(patient)]
        times = Counter({each: sum(f"SOE ref {each}-1" in words for words in notes) for each in ids})
        strangers = len(notes) - times.total()  # a note that is of no request is one too many
        return oracle.Count(
            lost=sum(1 for number in times.values() if number == 0),
            duplicated=sum(number - 1 for number in times.values() if number > 1) + strangers,
        )
