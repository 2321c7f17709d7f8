"""What a patient agreed to for one request: what kinds of record may leave, to whom, until when; pure, with every mistake named.

The newest statement of a request is what stands; earlier ones are kept and say nothing any more. Who was told what before a
statement changed stays told: a statement decides what leaves from then on.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from mappings.codes import as_dict, as_dicts
from mappings.model.hand_over import MAX_NAME, line_problem

MAX_NOTE = 1000  # characters
LONGEST_YEARS = 20


class Said(StrEnum):
    """What the patient, or somebody for them, said."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class How(StrEnum):
    """How it was said."""

    PAPER = "signed-form"
    IN_PERSON = "in-person"
    PHONE = "by-phone"
    PAGE = "own-page"  # the patient, on the page that a private link opens


class RecordKind(StrEnum):
    """Kinds of record as a patient tells them apart; each resource is of one, and may be sensitive too."""

    NOTES = "notes"
    RESULTS = "results"
    IMAGES = "images"
    MEDICATIONS = "medications"
    HISTORY = "history"
    OTHER = "other"
    SENSITIVE = "sensitive"  # labeled so by the EHR that has it, whatever it is else


class Standing(StrEnum):
    """How a request's consent stands."""

    NONE = "none"  # nobody recorded anything
    GIVEN = "given"
    LIMITED = "limited"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


KIND_OF: Mapping[str, RecordKind] = {
    **dict.fromkeys(("DocumentReference", "Composition", "Communication"), RecordKind.NOTES),
    **dict.fromkeys(("Observation", "DiagnosticReport", "Specimen"), RecordKind.RESULTS),
    **dict.fromkeys(("ImagingStudy", "Media"), RecordKind.IMAGES),
    **dict.fromkeys(
        ("Medication", "MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"),
        RecordKind.MEDICATIONS,
    ),
    **dict.fromkeys(
        ("Condition", "AllergyIntolerance", "Procedure", "Immunization", "FamilyMemberHistory", "Encounter"),
        RecordKind.HISTORY,
    ),
}
# Who and where: without them no record can be read, and they say nothing of a patient's health.
ALWAYS = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization", "Location"})
# https://terminology.hl7.org/CodeSystem-v3-ActCode.html (sensitivity), https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVE_LABELS: Mapping[str, frozenset[str]] = {
    _ACT: frozenset(
        {"42CFRPart2", "BH", "ETH", "ETHUD", "GDIS", "HIV", "MH", "OPIOIDUD", "PSY", "PSYTHPN", "SDV", "SEX", "SICKLE"}
        | {"STD", "SUD", "VIO"}
    ),
    _CONFIDENTIALITY: frozenset({"R", "V"}),
}
# What is told of kinds that are left out: which they are, and not whether there is anything of them.
BY_THE_PATIENT = "left out by the patient's choice; whether there are any is not said"
LEFT_HOME: Mapping[RecordKind, str] = {
    RecordKind.NOTES: "Notes and letters",
    RecordKind.RESULTS: "Test results and reports",
    RecordKind.IMAGES: "Images",
    RecordKind.MEDICATIONS: "Medications",
    RecordKind.HISTORY: "Conditions, allergies, procedures, immunizations and visits",
    RecordKind.OTHER: "Other records",
    RecordKind.SENSITIVE: "Records labeled as sensitive",
}
# Causes of a stopped step that a new statement of consent takes away.
WITHDRAWN, EXPIRED, NOT_TO_THEM, REQUIRED = (
    "consent-withdrawn",
    "consent-expired",
    "consent-not-to-them",
    "consent-required",
)
CAUSES = (WITHDRAWN, EXPIRED, NOT_TO_THEM, REQUIRED)


@dataclass(frozen=True)
class Consent:
    """One statement. ``kinds``, ``recipients`` (endpoints): None without a limit; ``until``: its last day, UTC."""

    said: Said
    kinds: frozenset[RecordKind] | None = None
    recipients: frozenset[str] | None = None
    until: date | None = None

    @property
    def left_home(self) -> tuple[RecordKind, ...]:
        """The kinds that do not leave, in the order in which they are told."""
        return tuple(each for each in RecordKind if self.kinds is not None and each not in self.kinds)

    def lets_go(self, resource: Mapping[str, Any]) -> bool:
        """May this resource leave, as far as its kind goes?"""
        if self.kinds is None or resource.get("resourceType") in ALWAYS:
            return True
        return kinds_of(resource) <= self.kinds


@dataclass(frozen=True)
class TypedConsent:
    """What a person typed or chose; ``seen``: the number of the statement that stood before them, "" for none.

    ``kinds`` and ``recipients``: what may leave, to whom. ``by``: who said it, such as the patient.
    """

    said: str = ""
    seen: str = ""
    kinds: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    until: str = ""
    how: str = ""
    by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Statement:
    """A statement that can be kept: what, how and by whom."""

    consent: Consent
    how: How
    by: str
    note: str | None = None


def kinds_of(resource: Mapping[str, Any]) -> frozenset[RecordKind]:
    """Its kind, and that it is sensitive where the EHR labeled it so (https://hl7.org/fhir/R4/security-labels.html).

    What is contained in a record goes where it goes, so its kinds are kinds of the record.
    """
    kind = KIND_OF.get(str(resource.get("resourceType")), RecordKind.OTHER)
    own = frozenset({kind, RecordKind.SENSITIVE}) if sensitive_labels(resource) else frozenset({kind})
    inside = (each for each in as_dicts(resource.get("contained")) if each.get("resourceType") not in ALWAYS)
    return own.union(*map(kinds_of, inside))


def sensitive_labels(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The codings by which the EHR labeled it as sensitive; what is made of it has them too."""
    labels = as_dicts(as_dict(resource.get("meta")).get("security"))
    return [each for each in labels if str(each.get("code")) in SENSITIVE_LABELS.get(str(each.get("system")), ())]


def standing(consent: Consent | None, today: date) -> Standing:
    """How it stands today."""
    if consent is None:
        return Standing.NONE
    if consent.said is Said.WITHDRAWN:
        return Standing.WITHDRAWN
    if consent.until is not None and consent.until < today:
        return Standing.EXPIRED
    is_limited = consent.kinds is not None or consent.recipients is not None
    return Standing.LIMITED if is_limited else Standing.GIVEN


def why_not_to(consent: Consent | None, endpoint: str, today: date, *, is_required: bool) -> str:
    """Empty when content of this request may leave for ``endpoint`` today; else one of CAUSES."""
    if consent is None:
        return REQUIRED if is_required else ""
    stands = standing(consent, today)
    if stands in (Standing.WITHDRAWN, Standing.EXPIRED):
        return WITHDRAWN if stands is Standing.WITHDRAWN else EXPIRED
    is_for_them = consent.recipients is None or endpoint in consent.recipients
    return "" if is_for_them else NOT_TO_THEM


def read_consent(
    typed: TypedConsent, *, newest: int | None, possible: Collection[str], today: date, by_patient: bool = False
) -> tuple[Statement | None, Mapping[str, str]]:
    """The statement, or a sentence for each field that is wrong. ``newest``: the number of what stands; ``possible``: endpoints.

    All kinds, or all recipients, are no limit: what is of a kind that comes later is among them. ``by_patient``: their own page
    says it; nobody else can say that it did.
    """
    wrong = dict(_wrong(typed, newest, possible))
    if typed.how in set(How) and (typed.how == How.PAGE) != by_patient:
        wrong["how"] = f"{How.PAGE} is what the patient's own page says, and nobody for them"
    until = _until(typed.until, today, wrong) if typed.said == Said.GIVEN else None
    if wrong:
        return None, wrong
    consent = Consent(Said.WITHDRAWN)
    if typed.said == Said.GIVEN:
        kinds = frozenset(map(RecordKind, typed.kinds))
        to = frozenset(typed.recipients)
        every = to == frozenset(possible)
        consent = Consent(Said.GIVEN, None if kinds == frozenset(RecordKind) else kinds, None if every else to, until)
    return Statement(consent, How(typed.how), typed.by.strip(), typed.note.strip() or None), {}


def _wrong(typed: TypedConsent, newest: int | None, possible: Collection[str]) -> Iterator[tuple[str, str]]:
    if typed.said not in set(Said):
        yield "said", f"say whether consent is {' or '.join(Said)}"
    if typed.seen.strip() != str(newest or ""):
        yield "seen", "somebody recorded another statement since you opened this: look at it, and say yours again"
    if typed.said == Said.GIVEN:
        yield from _wrong_limits(typed, possible)
    if typed.how not in set(How):
        yield "how", f"say how it was said: {', '.join(How)}"
    if not typed.by.strip():
        yield "by", "say who said it: the patient, or who speaks for them and why they may"
    elif problem := line_problem(typed.by, MAX_NAME):
        yield "by", problem
    if len(typed.note) > MAX_NOTE:
        yield "note", f"has {len(typed.note)} characters; at most {MAX_NOTE} are kept"


def _wrong_limits(typed: TypedConsent, possible: Collection[str]) -> Iterator[tuple[str, str]]:
    if not typed.kinds:
        yield "kinds", "choose at least one kind of record; if nothing may leave, say that consent is withdrawn"
    elif strange := sorted(set(typed.kinds) - set(RecordKind)):
        yield "kinds", f"{strange[0][:40]} is no kind of record; there are {', '.join(RecordKind)}"
    if not typed.recipients:
        yield "recipients", "choose at least one place; if nothing may leave, say that consent is withdrawn"
    elif strange := sorted(set(typed.recipients) - set(possible)):
        yield "recipients", f"{strange[0][:40]} takes no part in this request; there are {', '.join(sorted(possible))}"


def _until(text: str, today: date, wrong: dict[str, str]) -> date | None:
    if not text.strip():
        return None
    try:
        until = date.fromisoformat(text.strip())
    except ValueError:
        wrong["until"] = "write the last day like 2027-06-30"
        return None
    if until < today:
        wrong["until"] = f"{until} is over; leave it empty when there is no last day"
    elif until.year > today.year + LONGEST_YEARS:
        wrong["until"] = f"is more than {LONGEST_YEARS} years away; leave it empty when there is no last day"
    return until
