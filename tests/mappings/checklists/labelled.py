"""Packets of our own making, labelled by hand: a small chart, and how a coordinator would say each item stands on the day of the visit.

Every item of a packet's list has a label. Those of an empty chart follow from the rule (EMPTY); what a packet says of its items is
written beside it, with why. A label is what a person says who has the chart on the desk, not what the judging says today.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from mappings.model.checklist import Asked, Facts, Need, State, Tracked
from tests.mappings.checklists.charts import (
    CATALOG,
    PATIENT,
    RAD,
    VISIT,
    diagnosis,
    document,
    loinc,
    record,
    report,
    result,
    said,
    scan,
)

F, S, P, M = State.FOUND, State.STALE, State.PARTIAL, State.MISSING
Q, N, W, R, C = State.UNKNOWN, State.NOT_APPLICABLE, State.WAIVED, State.REQUESTED, State.PROMISED
# What a person says of an item of which the chart has nothing.
EMPTY = {Need.REQUIRED.value: M, Need.IF_DONE.value: Q, Need.IF_AVAILABLE.value: N, Need.IF_ASKED.value: N}
OTHERS_EMPTY = {"child": N}  # the patient is 65; of every other condition nothing is known: it is asked
PROBLEMS = "http://terminology.hl7.org/CodeSystem/condition-category"
CBC = ("718-7", "777-3", "6690-2")


@dataclass(frozen=True)
class Packet:
    """``says``: kind -> (state, why) where it is not that of an empty chart."""

    name: str
    checklist: str
    says: Mapping[str, tuple[State, str]]
    resources: tuple[dict, ...]
    facts: Facts = field(default_factory=Facts)
    visit: date = VISIT
    patient: dict = field(default_factory=lambda: PATIENT)

    @property
    def labels(self) -> dict[str, State]:
        """Every item of the list."""
        rules = CATALOG.checklists[self.checklist].rules
        empty = {rule.kind: EMPTY.get(rule.need, OTHERS_EMPTY.get(rule.need, Q)) for rule in rules}
        unknown = self.says.keys() - empty.keys()
        assert not unknown, f"{self.name}: {unknown} not in {self.checklist}"
        return empty | {kind: state for kind, (state, _) in self.says.items()}


def packet(name: str, checklist: str, says: dict, *resources: dict, **more) -> Packet:
    return Packet(name, checklist, says, resources, **more)


def xr(text, day="2026-06-01", body="", **more):
    site = {"bodySite": [{"text": body}]} if body else {}
    return report("30746-2", day, text, category=[RAD], **site, **more)


def procedure(text, day="2026-03-01", category="", **more):
    coded = {"category": {"coding": [{"system": "http://snomed.info/sct", "code": category}]}} if category else {}
    return record(
        "Procedure", **{"status": "completed", "code": {"text": text}, "performedDateTime": day, **coded, **more}
    )


def plan(day="2026-05-20", **more):
    return record("CarePlan", **{"status": "active", "intent": "plan", "created": day, **more})


def med_list(day="2026-06-01"):
    return record("List", status="current", mode="snapshot", code=loinc("10160-0"), date=day)


def order(day="2026-06-01"):
    return record(
        "MedicationRequest", status="active", intent="order", authoredOn=day, medicationCodeableConcept={"text": "x"}
    )


def other_patients(resource):
    return {**resource, "subject": {"reference": "Patient/another"}}


def cbc(day="2026-06-01", *codes):
    return [result(code, day) for code in codes or CBC]


def chem(day="2026-06-01"):
    return result("24323-8", day)


def answers(**given):
    return Facts({key.replace("_", "-"): said(value) for key, value in given.items()})


PACKETS = (
    # --- any specialty ---------------------------------------------------------------------------------------------
    packet("nothing", "general", {}),
    packet(
        "a-whole-office-chart",
        "general",
        {
            "referral-letter": (F, "a coded letter of three weeks ago"),
            "consult-notes": (F, "a consult note of this year"),
            "problem-list": (F, "a problem list entry"),
            "medication-list": (F, "a dated list of this month"),
            "allergies": (F, "an allergy is recorded"),
            "current-plan": (F, "a care plan of last month"),
        },
        document("57133-1", "2026-05-20"),
        document("11488-4", "2026-03-01"),
        record(
            "Condition",
            code={"text": "x"},
            category=[{"coding": [{"system": PROBLEMS, "code": "problem-list-item"}]}],
            clinicalStatus={"coding": [{"code": "active"}]},
        ),
        med_list(),
        record("AllergyIntolerance", code={"text": "penicillin"}),
        plan(),
    ),
    packet(
        "old-letter",
        "general",
        {"referral-letter": (S, "four months old, three are allowed")},
        document("57133-1", "2026-02-14"),
    ),
    packet(
        "letter-on-the-limit",
        "general",
        {"referral-letter": (F, "three months to the day")},
        document("57133-1", "2026-03-15"),
    ),
    packet(
        "letter-by-its-title",
        "general",
        {
            "referral-letter": (
                Q,
                "only its title says referral, and it may be to a physical therapist: somebody has to look",
            )
        },
        document("99999-9", "2026-05-20", "Referral to physical therapy"),
    ),
    packet(
        "allergy-entered-in-error",
        "general",
        {"allergies": (M, "it was entered in error: nothing is known of allergies")},
        record("AllergyIntolerance", code={"text": "x"}, verificationStatus={"coding": [{"code": "entered-in-error"}]}),
    ),
    packet(
        "no-known-allergies",
        "general",
        {"allergies": (F, "that there are none is what the consultant needs to know")},
        record("AllergyIntolerance", code={"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}]}),
    ),
    packet(
        "orders-and-no-list",
        "general",
        {"medication-list": (P, "single orders; nobody has said that these are all")},
        order(),
        order("2026-05-30"),
    ),
    packet("list-of-spring", "general", {"medication-list": (S, "two months old")}, med_list("2026-04-10")),
    packet(
        "insurance-without-card",
        "general",
        {"insurance-card": (P, "the plan is known; the card and the authorization number are not there")},
        record("Coverage", status="active", beneficiary={"reference": "Patient/p"}, payor=[{"display": "plan"}]),
    ),
    packet("revoked-plan", "general", {"current-plan": (M, "revoked: no plan stands")}, plan(status="revoked")),
    packet(
        "report-without-pictures",
        "general",
        {"imaging-report": (P, "the report is there and the pictures are not")},
        xr("Chest radiograph", "2026-01-10"),
    ),
    packet(
        "pictures-without-report",
        "general",
        {"imaging-report": (P, "pictures, no report")},
        scan("CR", "2026-01-10", "Chest"),
    ),
    packet(
        "report-and-pictures",
        "general",
        {"imaging-report": (F, "both are there")},
        xr("Chest radiograph", "2026-01-10"),
        scan("CR", "2026-01-10", "Chest"),
    ),
    packet(
        "in-hospital-no-summary",
        "general",
        {"discharge-summary": (M, "the chart tells of a stay, so there has to be a summary")},
        record(
            "Encounter",
            status="finished",
            **{"class": {"code": "IMP"}},
            type=[{"text": "Inpatient stay"}],
            period={"start": "2026-02-01"},
        ),
    ),
    packet(
        "two-operations-one-note",
        "general",
        {"operative-note": (P, "two operations, and the note of one")},
        procedure("excision", "2025-05-01", "387713003"),
        procedure("second excision", "2025-09-01", "387713003"),
        document("11504-8", "2025-05-01", "Operative note"),
    ),
    packet(
        "operation-that-did-not-happen",
        "general",
        {},
        procedure("excision", "2026-03-01", "387713003", status="not-done"),
    ),
    packet(
        "said-to-be-none",
        "general",
        {"operative-note": (N, "the patient was asked: never operated on")},
        facts=Facts({"done:operative-note": said("no")}),
    ),
    packet(
        "said-none-and-yet-there",
        "general",
        {"operative-note": (F, "the note itself beats the answer")},
        document("11504-8", "2025-05-01", "Operative note"),
        facts=Facts({"done:operative-note": said("no")}),
    ),
    # --- solid tumors ----------------------------------------------------------------------------------------------
    packet(
        "preliminary-pathology",
        "oncology",
        {"pathology-report": (P, "preliminary: the final one may say something else")},
        report("11526-1", text="Pathology", status="preliminary"),
    ),
    packet(
        "amended-pathology",
        "oncology",
        {"pathology-report": (F, "amended is final")},
        report("11526-1", text="Pathology", status="amended"),
    ),
    packet(
        "two-biopsies-one-report",
        "oncology",
        {"pathology-report": (P, "one of two biopsies is reported")},
        procedure("core biopsy", "2026-02-01"),
        procedure("needle biopsy", "2026-03-01"),
        report("11526-1", "2026-02-03", "Pathology"),
    ),
    packet(
        "wrong-patient",
        "oncology",
        {},
        other_patients(report("11526-1", text="Pathology")),
        other_patients(result("58410-2")),
    ),
    packet(
        "dated-after-the-visit",
        "oncology",
        {},
        report("11526-1", "2026-06-16", "Pathology"),
        result("58410-2", "2026-07-01"),
    ),
    packet(
        "pathology-code-on-a-bill",
        "oncology",
        {"pathology-report": (Q, "the code says pathology and its own title says invoice: somebody has to look")},
        document("11526-1", text="Invoice"),
    ),
    packet(
        "half-a-blood-count", "oncology", {"labs-cbc": (P, "no platelets, no white cells")}, *cbc("2026-06-01", "718-7")
    ),
    packet("blood-count-by-values", "oncology", {"labs-cbc": (F, "all three values")}, *cbc()),
    packet(
        "old-platelets",
        "oncology",
        {"labs-cbc": (P, "two values are new, the platelets are of last year")},
        *cbc("2026-06-01", "718-7", "6690-2"),
        result("777-3", "2025-06-01"),
    ),
    packet(
        "panels",
        "oncology",
        {"labs-cbc": (F, "a panel stands for its values"), "labs-chem": (F, "a panel stands for its values")},
        result("58410-2"),
        chem(),
    ),
    packet("liver-panel-alone", "oncology", {"labs-chem": (P, "liver tests without the kidney")}, result("24325-3")),
    packet(
        "labs-of-april",
        "oncology",
        {"labs-cbc": (S, "two months"), "labs-chem": (S, "two months")},
        *cbc("2026-04-15"),
        chem("2026-04-15"),
    ),
    packet(
        "one-scan",
        "oncology",
        {"imaging-report": (P, "one scan of the two that show the course")},
        report("18748-4", "2026-05-01", "CT abdomen", category=[RAD]),
        scan("CT", "2026-05-01", "CT abdomen"),
    ),
    packet(
        "two-scans",
        "oncology",
        {"imaging-report": (F, "two scans with pictures")},
        report("18748-4", "2026-05-01", "CT abdomen", category=[RAD]),
        report("18748-4", "2026-02-01", "CT abdomen", category=[RAD]),
        scan("CT", "2026-05-01", "CT abdomen"),
        scan("CT", "2026-02-01", "CT abdomen"),
    ),
    packet(
        "two-reports-pictures-of-one",
        "oncology",
        {"imaging-report": (P, "of the second scan the pictures are missing")},
        report("18748-4", "2026-05-01", "CT abdomen", category=[RAD]),
        report("18748-4", "2026-02-01", "CT abdomen", category=[RAD]),
        scan("CT", "2026-05-01", "CT abdomen"),
    ),
    packet(
        "stage-of-the-tumor",
        "oncology",
        {"staging": (F, "the tumor's diagnosis has a stage")},
        diagnosis("C18.7") | {"stage": [{"summary": {"text": "III"}}]},
    ),
    packet(
        "stage-of-the-heart",
        "oncology",
        {},
        diagnosis("I50.9") | {"stage": [{"summary": {"text": "NYHA III"}}]},
    ),
    packet(
        "summary-nobody-read",
        "oncology",
        {
            "systemic-therapy": (
                Q,
                "a title says treatment summary; of what, and whether doses are in it, nobody has seen",
            )
        },
        document("99999-9", text="Treatment summary"),
    ),
    packet(
        "slides-counted",
        "oncology",
        {"glass-slides": (F, "opened and counted at the consultant's")},
        facts=Facts(tracked={"glass-slides": Tracked(F, ("counted",), said("x").at)}),
    ),
    packet(
        "slides-lost",
        "oncology",
        {"glass-slides": (M, "lost on the way")},
        facts=Facts(
            items={"glass-slides": said("promised")},
            tracked={"glass-slides": Tracked(M, ("lost",), said("x").at.replace(day=9))},
        ),
    ),
    packet(
        "asked-and-refused",
        "oncology",
        {"glass-slides": (M, "the laboratory refused")},
        facts=Facts(asked={"glass-slides": Asked(M, "refused", said("x").at)}),
    ),
    packet(
        "asked-promised-waived",
        "oncology",
        {
            "glass-slides": (C, "promised"),
            "staging": (R, "asked for"),
            "history-physical": (W, "a named person goes without it"),
        },
        facts=Facts(
            items={"history-physical": said("waived", "seen by phone")},
            asked={"glass-slides": Asked(C, "x", said("x").at), "staging": Asked(R, "x", said("x").at)},
        ),
    ),
    # --- by organ --------------------------------------------------------------------------------------------------
    packet(
        "receptors", "breast", {"biomarkers": (F, "ER, PR and HER2")}, *map(result, ("85337-4", "85339-0", "85319-2"))
    ),
    packet("two-receptors", "breast", {"biomarkers": (P, "no HER2")}, *map(result, ("85337-4", "85339-0"))),
    packet(
        "mammograms",
        "breast",
        {
            "img-mammo": (F, "this year's and last year's"),
            "imaging-report": (F, "two with pictures, and the newest is of this half year"),
        },
        report("24606-6", "2026-01-10", "Mammogram", category=[RAD]),
        report("24606-6", "2025-01-10", "Mammogram", category=[RAD]),
        scan("MG", "2026-01-10", "Mammogram"),
        scan("MG", "2025-01-10", "Mammogram"),
    ),
    packet(
        "heart-ultrasound",
        "breast",
        {"imaging-report": (P, "an imaging study without its report; it is the heart's")},
        scan("US", "2026-05-01", "Echocardiogram", body="heart"),
    ),
    packet(
        "mri-of-the-head",
        "breast",
        {"imaging-report": (P, "one scan of two")},
        report("18755-9", "2026-05-01", "MRI", category=[RAD], bodySite=[{"text": "Head"}]),
        scan("MR", "2026-05-01", "MRI", body="Head"),
    ),
    packet(
        "psa",
        "prostate",
        {"marker-psa": (F, "two values, the newest of this month")},
        result("2857-1"),
        result("2857-1", "2025-12-01"),
    ),
    packet("one-psa", "prostate", {"marker-psa": (P, "one value shows no course")}, result("2857-1")),
    packet(
        "old-psa",
        "prostate",
        {"marker-psa": (S, "the newest is of last year")},
        result("2857-1", "2025-12-01"),
        result("2857-1", "2025-06-01"),
    ),
    packet(
        "gleason-unread",
        "prostate",
        {"pathology-report": (Q, "whether it says cores and lengths nobody has read")},
        report("11526-1", text="Pathology"),
    ),
    packet(
        "gleason-read",
        "prostate",
        {"pathology-report": (F, "somebody has read it and says that all is in it")},
        report("11526-1", text="Pathology"),
        facts=Facts({"states:pathology-report": said("yes")}),
    ),
    packet(
        "ct-of-the-abdomen",
        "lung",
        {"imaging-report": (P, "one scan of two"), "img-ct": (M, "a CT of the abdomen is none of the chest")},
        report("18747-6", "2026-06-01", "CT", category=[RAD], bodySite=[{"text": "Abdomen"}]),
        scan("CT", "2026-06-01", "CT", body="Abdomen"),
    ),
    packet(
        "ct-of-the-chest",
        "lung",
        {"imaging-report": (P, "one scan of two"), "img-ct": (F, "report and pictures of the chest")},
        report("18747-6", "2026-06-01", "CT chest", category=[RAD]),
        scan("CT", "2026-06-01", "CT chest", body="Chest"),
    ),
    packet(
        "ct-of-february",
        "lung",
        {"imaging-report": (P, "one scan of two"), "img-ct": (S, "four months old")},
        report("18747-6", "2026-02-10", "CT chest", category=[RAD]),
        scan("CT", "2026-02-10", "CT chest", body="Chest"),
    ),
    packet(
        "operation-planned",
        "lung",
        {"pft": (M, "an operation is considered, and lung function is not there")},
        facts=answers(surgery_considered="yes"),
    ),
    packet("one-marker", "gi-oncology", {"marker-ca199-cea": (P, "no CEA")}, result("24108-3")),
    packet("both-markers", "gi-oncology", {"marker-ca199-cea": (F, "both")}, result("24108-3"), result("2039-6")),
    packet(
        "liver-cell-cancer",
        "gi-oncology",
        {"marker-afp": (M, "liver cell cancer is confirmed, and there is no AFP")},
        diagnosis("C22.0"),
    ),
    packet(
        "bile-duct-cancer",
        "gi-oncology",
        {"marker-afp": (N, "of the bile ducts: AFP is not asked for")},
        diagnosis("C22.1"),
    ),
    packet(
        "suspected-liver-cancer",
        "gi-oncology",
        {"marker-afp": (Q, "only suspected: somebody has to say")},
        diagnosis("C22.0", verified="provisional"),
    ),
    packet(
        "cystoscopy",
        "bladder",
        {"operative-note": (F, "the report of the resection")},
        document("11504-8", "2026-03-01", "TURBT operative note"),
    ),
    packet(
        "myeloma",
        "hematology",
        {"labs-myeloma": (Q, "a title says electrophoresis; whether all three tests are there somebody has to see")},
        diagnosis("C90.00"),
        report("99999-9", text="Protein electrophoresis"),
    ),
    packet(
        "lymphoma",
        "hematology",
        {"labs-myeloma": (N, "no myeloma among the diagnoses"), "labs-ldh": (F, "of this month")},
        diagnosis("C83.3"),
        result("2532-0"),
    ),
    packet("ovary", "gyn-oncology", {"marker-ca125": (M, "ovarian cancer is confirmed")}, diagnosis("C56.1")),
    packet("cervix", "gyn-oncology", {"marker-ca125": (N, "not of the ovary")}, diagnosis("C53.9")),
    packet(
        "brain-mri",
        "neuro-oncology",
        {"img-mri": (F, "of the brain, this month"), "imaging-report": (P, "one scan of two")},
        report("18755-9", "2026-06-01", "MRI brain", category=[RAD]),
        scan("MR", "2026-06-01", "MRI brain", body="Brain"),
    ),
    packet("biopsied", "neuro-oncology", {"glass-slides": (M, "tissue was taken")}, facts=answers(biopsied="yes")),
    # --- spine and joints ------------------------------------------------------------------------------------------
    packet(
        "lumbar-mri",
        "spine",
        {"img-mri": (F, "of the lumbar spine"), "imaging-report": (F, "report and pictures")},
        report("18755-9", "2026-03-01", "MRI lumbar spine", category=[RAD]),
        scan("MR", "2026-03-01", "MRI lumbar spine", body="Lumbar spine"),
    ),
    packet(
        "mri-impossible",
        "spine",
        {"img-mri": (N, "an implant makes it impossible"), "img-ct": (M, "then a CT is needed")},
        facts=answers(mri_impossible="yes"),
    ),
    packet(
        "knee-for-a-spine",
        "spine",
        {"imaging-report": (F, "it is an imaging report with pictures")},
        xr("X-ray knee", "2026-03-01", "Knee"),
        scan("DX", "2026-03-01", "X-ray knee", body="Knee"),
    ),
    packet(
        "dxa-for-an-x-ray",
        "orthopedics",
        {"imaging-report": (P, "a report without pictures")},
        report("38269-7", "2026-03-01", "DXA of hip", category=[RAD]),
    ),
    packet(
        "hip-x-ray",
        "orthopedics",
        {"img-xray": (F, "of the hip, with pictures"), "imaging-report": (F, "report and pictures")},
        xr("X-ray hip", "2026-03-01"),
        scan("DX", "2026-03-01", "X-ray hip", body="Hip"),
    ),
    packet(
        "infected-joint",
        "orthopedics",
        {"labs-inflam": (M, "an infection is confirmed"), "implant-record": (M, "the joint was replaced before")},
        diagnosis("T84.51XA"),
        facts=answers(revision="yes"),
    ),
    # --- heart -----------------------------------------------------------------------------------------------------
    packet(
        "ecg-code-on-an-echo",
        "cardiology",
        {"ecg": (Q, "the code says ECG, its own words say echocardiogram: somebody has to look")},
        report("11524-6", text="Echo report"),
    ),
    packet(
        "cath-code-on-a-holter",
        "cardiology",
        {"cath": (Q, "the code says catheterization, its own words say Holter")},
        report("18745-0", text="Holter monitor 48 h"),
    ),
    packet("ecg", "cardiology", {"ecg": (F, "of this year")}, report("11524-6", "2026-03-01", "Electrocardiogram")),
    packet(
        "pacemaker",
        "cardiology",
        {
            "device-report": (M, "there is a pacemaker"),
            "labs-bnp": (N, "no heart failure"),
            "labs-hba1c": (N, "no diabetes"),
        },
        diagnosis("Z95.0"),
    ),
    packet(
        "echo-without-loops",
        "cardiac-surgery",
        {"echo": (P, "the report without its pictures"), "labs-chem": (F, "of this month")},
        report("42148-7", "2026-05-01", "Echocardiogram"),
        chem(),
    ),
    # --- other specialties -------------------------------------------------------------------------------------------
    packet(
        "two-colonoscopies",
        "gastroenterology",
        {"colonoscopy": (P, "two were done, one is reported")},
        procedure("Colonoscopy", "2025-01-10"),
        procedure("Colonoscopy", "2026-01-10"),
        report("18746-8", "2026-01-10", "Colonoscopy"),
    ),
    packet("crp-or-esr", "gastroenterology", {"labs-inflam": (F, "one of the two is asked for")}, result("1988-5")),
    packet(
        "epilepsy",
        "neurology",
        {"eeg": (F, "of last year"), "eeg-media": (M, "the recording itself is not there")},
        diagnosis("G40.909"),
        report("11523-8", "2025-09-01", "EEG"),
    ),
    packet(
        "child",
        "rare-disease",
        {"birth-history": (M, "ten years old")},
        patient={**PATIENT, "birthDate": "2016-01-01"},
    ),
    packet("eighteen-at-the-visit", "rare-disease", {}, patient={**PATIENT, "birthDate": "2008-06-15"}),
    packet(
        "birth-year-only",
        "rare-disease",
        {"birth-history": (Q, "17 or 18 at the visit: it has to be asked")},
        patient={**PATIENT, "birthDate": "2008"},
    ),
    packet(
        "germline-or-tumor",
        "rare-disease",
        {},
        report("51969-4", text="Tumor panel, somatic variants"),
    ),
    packet(
        "soft-tissue",
        "pathology-review",
        {"imaging-report": (M, "soft tissue: the consultation does not proceed without imaging")},
        diagnosis("C49.9"),
    ),
    packet(
        "report-to-be-read-again",
        "radiology-review",
        {"imaging-report": (F, "report and pictures")},
        xr("Chest radiograph", "2020-01-10"),
        scan("CR", "2020-01-10", "Chest"),
    ),
    packet(
        "history-for-a-second-read",
        "radiology-review",
        {"radiology-history": (F, "a history and physical"), "exam-named": (F, "a person named it")},
        document("34117-2", "2026-05-01", "History and physical"),
        facts=Facts(items={"exam-named": said("there")}),
    ),
)
