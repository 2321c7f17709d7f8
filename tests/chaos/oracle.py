"""The oracle: counts at the servers themselves, over plain FHIR; shares no code with the product."""

import base64
import io
import json
import re
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass

from pypdf import PdfReader

from tests.chaos.corrections import Record


@dataclass(frozen=True)
class Count:
    """What is wrong at a target: business identifiers absent, and extra copies."""

    lost: int
    duplicated: int


def every(base: str, kind: str) -> list[dict]:
    """All resources of a type at a server, page by page."""
    url, found = f"{base}/{kind}?_count=200", []
    while url:
        with urllib.request.urlopen(url, timeout=60) as response:
            bundle = json.load(response)
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        url = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
        if url:
            url = urllib.parse.urljoin(f"{base}/", url)
    return found


def identifiers(resources: list[dict]) -> Counter:
    """How often each (system, value) occurs."""
    counted: Counter = Counter()
    for resource in resources:
        given = resource.get("identifier") or []
        for each in given if isinstance(given, list) else [given]:
            counted[(each.get("system"), each.get("value"))] += 1
    return counted


def count_records(target: str, system: str, sources: list[str]) -> Count:
    """Each source ``Type/id`` must be at the target once, under {system, Type/id}."""
    counted: Counter = Counter()
    for kind in sorted({source.split("/")[0] for source in sources}):
        counted += identifiers(every(target, kind))
    times = [counted[(system, source)] for source in sources]
    return Count(
        lost=sum(1 for number in times if number == 0), duplicated=sum(number - 1 for number in times if number > 1)
    )


def count_by_system(target: str, kind: str, system: str, values: list[str]) -> Count:
    """Each value of an identifier system must be at the target once."""
    counted = identifiers(every(target, kind))
    times = [counted[(system, value)] for value in values]
    return Count(
        lost=sum(1 for number in times if number == 0), duplicated=sum(number - 1 for number in times if number > 1)
    )


MRN, OURS = "urn:chaos:mrn", "https://second-opinion.example/ids"
WORD = re.compile(r"rec(\d+)x(\d+)e(\d+)z")


@dataclass(frozen=True)
class Standing:
    """What the target shows now, whoever wrote it: read once, asked several times."""

    system: str  # of the identifiers that our records bear there
    patients: dict[str, set[str]]  # Patient/id there: its numbers
    observations: list[dict]
    asked: list[dict]
    documents: "list[Summary]"

    @classmethod
    def read(cls, target: str, system: str) -> "Standing":
        """Everything there. Raises OSError while the server is away."""
        return cls(
            system,
            {f"Patient/{each['id']}": _numbers(each) for each in every(target, "Patient")},
            every(target, "Observation"),
            every(target, "ServiceRequest"),
            [Summary.of(each) for each in every(target, "DocumentReference") if _is_summary(each)],
        )

    def stale_records(self, records: list[Record]) -> list[str]:
        """Records whose every copy does not say what the source says now, or is not marked when it is gone there."""
        copies = {}
        for each in self.observations:
            for identifier in each.get("identifier", ()):
                copies.setdefault((identifier.get("system"), identifier.get("value")), []).append(each)
        return [
            record.source
            for record in records
            if not all(
                _says(copy, record) for copy in copies.get((self.system, record.source), () if record.gone else ({},))
            )
        ]

    def stale_documents(self, records: list[Record]) -> list[str]:
        """Records whose newest words are in no current summary, or in an older one than other words; and summaries that
        say they are current although later ones correct all they hold, or the other way round."""
        wrong = []
        for record in records:
            told = [each for each in self._of(record.number) if each.says_of(record)]
            newest = max(told, key=lambda each: each.version, default=None)
            if newest is None and record.gone:  # before it was ever read
                continue
            if newest is None or newest.says_of(record) != {record.source if record.gone else record.says}:
                wrong.append(record.source)
        for number in {record.number for record in records}:
            wrong += self._wrongly_current(self._of(number), [each for each in records if each.number == number])
        return wrong

    def _wrongly_current(self, summaries: "list[Summary]", records: list[Record]) -> list[str]:
        wrong, later = [], set()
        for each in sorted(summaries, key=lambda each: -each.version):
            holds = {record.source for record in records if each.says_of(record)}
            is_replaced = (
                each.version > 1 and holds <= later
            )  # the first one holds the patient too, whom nobody corrects
            if is_replaced == each.is_current:
                wrong.append(each.name)
            later |= holds
        return wrong

    def _of(self, number: int) -> "list[Summary]":
        return [each for each in self.documents if f"M{number}" in self.patients.get(each.subject, ())]

    def doubled(self) -> list[str]:
        """Summaries that stand more than once, of one packet; and patients with one number in two places."""
        names = Counter(each.name for each in self.documents)
        people = Counter(number for numbers in self.patients.values() for number in numbers)
        return [name for name, times in (names + people).items() if times > 1]

    def misfiled(self, records: list[Record]) -> list[str]:
        """Records, and words in summaries, that stand under another patient than theirs."""
        whose = {record.source: f"M{record.number}" for record in records}
        wrong = [
            f"Observation/{each['id']}"
            for each in self.observations
            for identifier in each.get("identifier", ())
            if (number := whose.get(identifier.get("value")))
            and number not in self.patients.get(each.get("subject", {}).get("reference"), ())
        ]
        return wrong + [
            each.name
            for each in self.documents
            if {f"M{number}" for number in each.numbers} - self.patients.get(each.subject, set())
        ]

    def uninvited(self, numbers: set[int]) -> list[str]:
        """Whatever is there of patients about whom nobody asked."""
        of_them = {f"M{number}" for number in numbers}
        people = [reference for reference, there in self.patients.items() if there & of_them]
        said = [
            f"Observation/{each['id']}" for each in self.observations if {int(n) for n, *_ in _words(each)} & numbers
        ]
        return people + said + [each.name for each in self.documents if each.numbers & numbers]

    def stale_questions(self, questions: dict[int, list[str]]) -> list[str]:
        """Patients about whom not exactly one request asks, or not what was asked last."""
        wrong = []
        for number, may_be in questions.items():
            of_it = [
                each
                for each in self.asked
                if f"M{number}" in self.patients.get(each["subject"]["reference"], ())
                and any(given.get("system") == OURS for given in each.get("identifier", ()))
            ]
            if len(of_it) != 1 or not any(reason.get("text") in may_be for reason in of_it[0].get("reasonCode", ())):
                wrong.append(f"M{number}")
        return wrong


@dataclass(frozen=True)
class Summary:
    """A readable summary: of which packet, whose, and which records say what in it."""

    name: str
    version: int
    subject: str
    is_current: bool
    text: str

    @classmethod
    def of(cls, resource: dict) -> "Summary":
        value = _our_name(resource)
        data = base64.b64decode(resource["content"][0]["attachment"]["data"])
        pages = PdfReader(io.BytesIO(data)).pages
        return cls(
            value,
            int(re.search(r"-p(\d+)-rendition", value)[1]),
            resource["subject"]["reference"],
            resource["status"] == "current",
            "".join("".join(page.extract_text().split()) for page in pages),
        )

    @property
    def numbers(self) -> set[int]:
        """The patients whose records it holds."""
        return {int(number) for number, *_ in WORD.findall(self.text)}

    def says_of(self, record: Record) -> set[str]:
        """The words of a record in it; its name when it is withdrawn here."""
        said = {
            f"rec{number}x{index}e{edits}z"
            for number, index, edits in WORD.findall(self.text)
            if (int(number), int(index)) == (record.number, record.index)
        }
        withdrawn = f"{record.source}:itssourcesaysnowthatitisaboutanotherpatient" in self.text
        return {record.source} if withdrawn else said


def _is_summary(resource: dict) -> bool:
    return bool(re.search(r"-p\d+-rendition$", _our_name(resource)))


def _our_name(resource: dict) -> str:
    return next((each["value"] for each in resource.get("identifier", ()) if each.get("system") == OURS), "")


def _numbers(patient: dict) -> set[str]:
    return {each["value"] for each in patient.get("identifier", ()) if each.get("system") == MRN}


def _words(resource: dict) -> list[tuple]:
    return WORD.findall(json.dumps(resource.get("note", [])))


def _says(copy: dict, record: Record) -> bool:
    if record.gone:
        return copy.get("status") == "entered-in-error"
    said = [each.get("text") for each in copy.get("note", ())]
    return said == [record.says] and copy.get("status") == ("corrected" if record.edits else "final")
