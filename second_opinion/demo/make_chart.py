"""Makes chart.json, the invented chart of the demo: one colon cancer patient as an R4 transaction Bundle.

Nobody in it exists. Run it again after a change: the same code gives the same resources.
    python -m second_opinion.demo.make_chart
"""

import base64
from decimal import Decimal
from pathlib import Path

import simplejson

from second_opinion.demo.chart_parts import (
    SNOMED,
    TERMINOLOGY,
    Chart,
    at,
    attachment,
    concept,
    hl7,
    loinc,
    npi,
    pdf,
    quantity,
    ref,
    snomed,
    synthetic_tag,
    urn,
)

DATA = Path(__file__).parent / "data"
ICD10, RXNORM, CVX = (
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
    "http://hl7.org/fhir/sid/cvx",
)
NPI = "http://hl7.org/fhir/sid/us-npi"
MRN_SYSTEM = "https://riverside-primary-care.example/mrn"
PLACER_IDS = "https://riverside-primary-care.example/ids/order"
DOCUMENT_IDS = "https://riverside-primary-care.example/ids/document"
QUESTION = (
    "After resection of a stage IIIB sigmoid adenocarcinoma (pT3 pN1b, 2 of 18 nodes): are 3 months of CAPOX "
    "enough, or would you give 6 months of FOLFOX? Creatinine is 1.10 mg/dL, eGFR ≥ 60."
)
DRAWN_ON = ("2026-02-10", "2026-03-17", "2026-04-14", "2026-05-05", "2026-05-26")

# name, LOINC, UCUM unit, first value, change per draw, low, high. Digits are kept as written.
CBC = [
    ("Hemoglobin [Mass/volume] in Blood", "718-7", "g/dL", "9.80", "0.55", "12.00", "16.00"),
    ("Hematocrit [Volume Fraction] of Blood by Automated count", "4544-3", "%", "30.50", "1.40", "36.00", "46.00"),
    ("Leukocytes [#/volume] in Blood by Automated count", "6690-2", "10*3/uL", "6.30", "0.25", "4.50", "11.00"),
    ("Platelets [#/volume] in Blood by Automated count", "777-3", "10*3/uL", "412", "-18", "150", "400"),
    ("Erythrocytes [#/volume] in Blood by Automated count", "789-8", "10*6/uL", "3.90", "0.10", "4.00", "5.20"),
    ("MCV [Entitic volume] by Automated count", "787-2", "fL", "76.0", "1.5", "80.0", "100.0"),
    ("MCH [Entitic mass] by Automated count", "785-6", "pg", "24.50", "0.50", "27.00", "33.00"),
    ("Erythrocyte distribution width [Ratio] by Automated count", "788-0", "%", "17.10", "-0.40", "11.50", "14.50"),
]
METABOLIC = [
    ("Glucose [Mass/volume] in Serum or Plasma", "2345-7", "mg/dL", "104", "-2", "70", "99"),
    ("Urea nitrogen [Mass/volume] in Serum or Plasma", "3094-0", "mg/dL", "15", "1", "7", "20"),
    ("Creatinine [Mass/volume] in Serum or Plasma", "2160-0", "mg/dL", "0.90", "0.05", "0.50", "1.10"),
    ("Sodium [Moles/volume] in Serum or Plasma", "2951-2", "mmol/L", "139", "1", "135", "145"),
    ("Potassium [Moles/volume] in Serum or Plasma", "2823-3", "mmol/L", "4.10", "0.10", "3.50", "5.10"),
    ("Chloride [Moles/volume] in Serum or Plasma", "2075-0", "mmol/L", "102", "0", "98", "107"),
    ("Carbon dioxide, total [Moles/volume] in Serum or Plasma", "2028-9", "mmol/L", "25", "0", "22", "29"),
    ("Calcium [Mass/volume] in Serum or Plasma", "17861-6", "mg/dL", "9.30", "0.05", "8.60", "10.30"),
    ("Protein [Mass/volume] in Serum or Plasma", "2885-2", "g/dL", "6.30", "0.15", "6.00", "8.30"),
    ("Albumin [Mass/volume] in Serum or Plasma", "1751-7", "g/dL", "3.40", "0.10", "3.50", "5.00"),
    ("Bilirubin.total [Mass/volume] in Serum or Plasma", "1975-2", "mg/dL", "0.50", "0.00", "0.10", "1.20"),
    ("Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", "6768-6", "U/L", "88", "-2", "35", "104"),
    ("Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "1742-6", "U/L", "22", "3", "7", "33"),
    (
        "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
        "1920-8",
        "U/L",
        "21",
        "2",
        "8",
        "32",
    ),
]
CEA = ("Carcinoembryonic Ag [Mass/volume] in Serum or Plasma", "2039-6", "ng/mL", "7.30", "-1.55", "0.00", "5.00")


def person(family: str, given: str, number: str, prefix: str = "Dr.") -> dict:
    """A Practitioner with a Luhn-valid, invented NPI."""
    return {
        "resourceType": "Practitioner",
        "active": True,
        "identifier": [
            {
                "use": "official",
                "system": NPI,
                "value": npi(number),
                "type": hl7("v2-0203", "NPI", "National provider identifier"),
            }
        ],
        "name": [{"use": "official", "family": family, "given": [given], "prefix": [prefix]}],
    }


def consultant() -> dict:
    """The consultant asked: an invented oncologist at another hospital."""
    return person("Synthetic-Brontë", "Håkan", "298765432")


def first_doctor() -> dict:
    """The oncologist who gave the first opinion."""
    return person("Synthetic-Nguyen", "Thu", "245678901")


def diagnosis() -> dict:
    """What the first opinion says she has."""
    return concept(ICD10, "C18.7", "Malignant neoplasm of sigmoid colon", "Adenocarcinoma of sigmoid colon, stage IIIB")


def first_opinion() -> dict:
    """The Exchange's extension: who gave the first opinion, and which."""
    return {
        "url": "https://second-opinion.example/fhir/StructureDefinition/first-opinion",
        "extension": [
            {"url": "doctor", "valueReference": {"reference": "#first-doctor"}},
            {"url": "diagnosis", "valueCodeableConcept": diagnosis()},
            {"url": "given-on", "valueDate": "2026-05-26"},
        ],
    }


def service_request(patient_ref: str, requester_ref: str, performer_ref: str) -> dict:
    """The second opinion order at the placer (https://hl7.org/fhir/R4/servicerequest.html)."""
    return {
        "resourceType": "ServiceRequest",
        "meta": {"tag": [synthetic_tag()]},
        "contained": [
            {"resourceType": "Practitioner", "id": "first-doctor"}
            | {key: value for key, value in first_doctor().items() if key in ("identifier", "name")}
        ],
        "extension": [first_opinion()],
        "identifier": [
            {"type": hl7("v2-0203", "PLAC", "Placer Identifier"), "system": PLACER_IDS, "value": "SO-2026-0001"}
        ],
        "status": "active",
        "intent": "order",
        "priority": "urgent",
        "category": [snomed("77406008", "Confirmatory medical consultation", "Second opinion")],
        "code": snomed("3457005", "Patient referral", "Medical oncology second opinion"),
        "orderDetail": [hl7("v2-0282", "SO", "Second Opinion"), hl7("v2-0282", "WR", "Send Written Report")],
        "subject": {"reference": patient_ref},
        "occurrencePeriod": {"end": "2026-06-26"},
        "authoredOn": "2026-06-01T09:00:00-07:00",
        "requester": {"reference": requester_ref},
        "performerType": snomed("394593009", "Medical oncology"),
        "performer": [{"reference": performer_ref}],
        "reasonCode": [hl7("v2-0336", "S", "Second Opinion", QUESTION), diagnosis()],
        "patientInstruction": "Bring your medication list. Nothing else: the records travel by themselves.",
    }


def add_people(chart: Chart) -> None:
    """Organizations, Locations, Practitioners, PractitionerRoles and the Patient."""
    for key, name in (("pcp", "Riverside Primary Care"), ("onc", "Hillcrest Cancer Center"), ("lab", "Northgate Lab")):
        chart.add(
            f"org-{key}",
            {
                "resourceType": "Organization",
                "active": True,
                "name": f"{name} (synthetic)",
                "type": [hl7("organization-type", "prov", "Healthcare Provider")],
            },
        )
    for key, name in (("pcp", "Riverside, room 2"), ("onc", "Hillcrest, clinic B")):
        chart.add(
            f"loc-{key}",
            {"resourceType": "Location", "status": "active", "name": name, "managingOrganization": ref(f"org-{key}")},
        )
    chart.add("dr-pcp", person("Synthetic-Álvarez", "Inés", "123456789"))
    chart.add("dr-onc", first_doctor())
    chart.add("dr-surgeon", person("Synthetic-Łukasik", "Ewa", "256789012"))
    chart.add("dr-consultant", consultant())
    _roles(chart)
    chart.add("patient", patient())


def _roles(chart: Chart) -> None:
    for who, organization, specialty in (
        ("dr-pcp", "org-pcp", snomed("394814009", "General practice")),
        ("dr-onc", "org-onc", snomed("394593009", "Medical oncology")),
        ("dr-surgeon", "org-onc", snomed("394609007", "General surgery")),
    ):
        chart.add(
            f"role-{who}",
            {
                "resourceType": "PractitionerRole",
                "active": True,
                "practitioner": ref(who),
                "organization": ref(organization),
                "specialty": [specialty],
            },
        )


def patient() -> dict:
    """The invented patient."""
    return {
        "resourceType": "Patient",
        "active": True,
        "identifier": [
            {
                "use": "usual",
                "type": hl7("v2-0203", "MR", "Medical record number"),
                "system": MRN_SYSTEM,
                "value": "SYN-004711",
            }
        ],
        "name": [{"use": "official", "family": "Synthetic-Okafor", "given": ["Adaeze", "Nkechi"]}],
        "telecom": [{"system": "phone", "value": "555-0100", "use": "home"}],
        "gender": "female",
        "birthDate": "1968-03-14",
        "address": [
            {
                "use": "home",
                "line": ["1 Example Street"],
                "city": "Springfield",
                "state": "OR",
                "postalCode": "97477",
                "country": "US",
            }
        ],
        "communication": [{"language": concept("urn:ietf:bcp:47", "en", "English"), "preferred": True}],
        "generalPractitioner": [ref("dr-pcp")],
        "managingOrganization": ref("org-pcp"),
    }


def add_encounters(chart: Chart) -> None:
    """Encounters; the last one and its diagnosis refer to each other (a cycle of two)."""
    for key, day, reason, who, where in (
        ("enc-pcp", "2026-02-10", "Fatigue and anemia", "dr-pcp", "loc-pcp"),
        ("enc-colonoscopy", "2026-03-24", "Colonoscopy", "dr-surgeon", "loc-onc"),
        ("enc-colectomy", "2026-04-21", "Sigmoid colectomy", "dr-surgeon", "loc-onc"),
        ("enc-onc", "2026-05-26", "First opinion, medical oncology", "dr-onc", "loc-onc"),
    ):
        chart.add(key, encounter(day, reason, who, where))
    chart.entries[-1]["resource"]["diagnosis"] = [
        {"condition": ref("cond-cancer"), "use": hl7("diagnosis-role", "AD", "Admission diagnosis"), "rank": 1}
    ]


def encounter(day: str, reason: str, who: str, where: str) -> dict:
    """One finished visit."""
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": TERMINOLOGY + "v3-ActCode", "code": "AMB", "display": "ambulatory"},
        "type": [snomed("185349003", "Encounter for check up", reason)],
        "subject": ref("patient"),
        "participant": [{"individual": ref(who)}],
        "period": {"start": at(day, "09:00"), "end": at(day, "09:40")},
        "location": [{"location": ref(where)}],
    }


def add_conditions(chart: Chart) -> None:
    """The diagnosis and what else the patient lives with."""
    chart.add(
        "cond-cancer",
        condition(
            ("C18.7", "Malignant neoplasm of sigmoid colon"),
            ("301756000", "Adenocarcinoma of sigmoid colon"),
            "Adenocarcinoma of sigmoid colon, stage IIIB",
            "enc-onc",
            "2026-03-24",
        ),
    )
    chart.add(
        "cond-anemia",
        condition(
            ("D50.0", "Iron deficiency anemia secondary to blood loss (chronic)"),
            ("724556004", "Iron deficiency anemia due to blood loss"),
            "Iron deficiency anaemia, Hb 9.80 g/dL",
            "enc-pcp",
            "2026-02-10",
        ),
    )
    chart.add(
        "cond-hypertension",
        condition(
            ("I10", "Essential (primary) hypertension"),
            ("59621000", "Essential hypertension"),
            "Hypertension, on a β-blocker",
            "enc-pcp",
            "2014-06",
        ),
    )


def condition(icd: tuple, sct: tuple, text: str, visit: str, onset: str) -> dict:
    """One active problem in both code systems."""
    return {
        "resourceType": "Condition",
        "clinicalStatus": hl7("condition-clinical", "active", "Active"),
        "verificationStatus": hl7("condition-ver-status", "confirmed", "Confirmed"),
        "category": [hl7("condition-category", "problem-list-item", "Problem List Item")],
        "code": {
            "coding": [
                {"system": ICD10, "code": icd[0], "display": icd[1]},
                {"system": SNOMED, "code": sct[0], "display": sct[1]},
            ],
            "text": text,
        },
        "subject": ref("patient"),
        "encounter": ref(visit),
        "onsetDateTime": onset,
        "asserter": ref("dr-onc"),
    }


def add_labs(chart: Chart) -> None:
    """Five draws of blood counts and metabolic panels, three CEAs, each draw with its reports."""
    panels = (
        ("cbc", loinc("58410-2", "CBC panel - Blood by Automated count"), CBC),
        ("cmp", loinc("24323-8", "Comprehensive metabolic 2000 panel - Serum or Plasma"), METABOLIC),
    )
    for number, day in enumerate(DRAWN_ON):
        for panel, code, tests in panels:
            results = [chart.add(f"lab-{panel}-{number}-{test[1]}", lab(test, number, day)) for test in tests]
            chart.add(
                f"report-{panel}-{number}", report(hl7("v2-0074", "LAB", "Laboratory"), code, day) | {"result": results}
            )
        if number % 2 == 0:
            chart.add(f"lab-cea-{number}", lab(CEA, number, day))


def lab(test: tuple, number: int, day: str) -> dict:
    """One laboratory Observation."""
    name, code, unit, first, step, low, high = test
    value = Decimal(first) + number * Decimal(step)
    return observation("laboratory", loinc(code, name), day) | {
        "performer": [ref("org-lab")],
        "valueQuantity": quantity(value, unit),
        "interpretation": [flag(value, Decimal(low), Decimal(high))],
        "referenceRange": [
            {"low": quantity(low, unit), "high": quantity(high, unit), "text": f"{low} - {high} {unit}"}
        ],
    }


def flag(value: Decimal, low: Decimal, high: Decimal) -> dict:
    """The laboratory's flag, as a laboratory would send it."""
    code, display = ("L", "Low") if value < low else ("H", "High") if value > high else ("N", "Normal")
    return hl7("v3-ObservationInterpretation", code, display)


def observation(category: str, code: dict, day: str) -> dict:
    """What every Observation here has."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [hl7("observation-category", category, category.replace("-", " ").title())],
        "code": code,
        "subject": ref("patient"),
        "effectiveDateTime": at(day),
        "issued": at(day, "15:30"),
    }


def report(category: dict, code: dict, day: str) -> dict:
    """A final DiagnosticReport."""
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "category": [category],
        "code": code,
        "subject": ref("patient"),
        "effectiveDateTime": at(day),
        "issued": at(day, "16:00"),
        "performer": [ref("org-lab")],
    }


def add_vitals(chart: Chart) -> None:
    """Vital signs and smoking."""
    for day in ("2026-02-10", "2026-05-26"):
        pressure = observation("vital-signs", loinc("85354-9", "Blood pressure panel with all children optional"), day)
        chart.add(
            f"bp-{day}",
            pressure
            | {
                "component": [
                    {"code": loinc("8480-6", "Systolic blood pressure"), "valueQuantity": quantity("128", "mm[Hg]")},
                    {"code": loinc("8462-4", "Diastolic blood pressure"), "valueQuantity": quantity("76", "mm[Hg]")},
                ]
            },
        )
        for code, name, value, unit in (
            ("29463-7", "Body weight", "71.50", "kg"),
            ("8302-2", "Body height", "168.0", "cm"),
            ("8867-4", "Heart rate", "68", "/min"),
        ):
            vital = observation("vital-signs", loinc(code, name), day)
            chart.add(f"{code}-{day}", vital | {"valueQuantity": quantity(value, unit)})
    smoking = observation("social-history", loinc("72166-2", "Tobacco smoking status"), "2026-02-10")
    chart.add("smoking", smoking | {"valueCodeableConcept": snomed("266919005", "Never smoked tobacco")})


def add_molecular(chart: Chart) -> None:
    """Results that are no plain numbers: words, a pending one, one below the limit of detection."""
    base = {"specimen": ref("specimen"), "performer": [ref("org-lab")]}
    kras = loinc(
        "21702-0", "KRAS gene mutations found [Identifier] in Blood or Tissue by Molecular genetics method Nominal"
    )
    chart.add(
        "kras",
        observation("laboratory", kras, "2026-05-05")
        | base
        | {"valueString": "No mutation detected in codons 12, 13, 61, 117, 146 (VAF ≥ 5 %)"},
    )
    pending = hl7("data-absent-reason", "temp-unknown", "Temporarily Unknown", "sent out, result pending")
    chart.add(
        "dpyd",
        observation("laboratory", {"text": "DPYD genotype"}, "2026-05-05")
        | base
        | {"status": "registered", "dataAbsentReason": pending},
    )
    chart.add(
        "ctdna",
        observation("laboratory", {"text": "ctDNA, tumour-informed assay"}, "2026-05-26")
        | base
        | {"valueQuantity": quantity("0.50", "ng/mL") | {"comparator": "<"}},
    )


PATHOLOGY = [
    "Sigmoid colon, resection: adenocarcinoma, moderately differentiated.",
    "pT3 pN1b (2/18), margins free (R0), L1 V0 Pn0.",
    "Mismatch repair proteins intact (pMMR). Largest diameter 4.10 cm.",
]
CT = [
    "CT chest, abdomen and pelvis with contrast.",
    "Wall thickening of the sigmoid colon over 5.20 cm.",
    "No distant metastases. Liver cyst of 0.80 cm, segment IV.",
]
FIRST_OPINION = (
    "First opinion, Dr. Synthetic-Nguyen: stage IIIB. I recommend 6 months of FOLFOX.\n"
    "Risk of lasting neuropathy ≈ 15 %.\n"
)


def add_documents(chart: Chart) -> None:
    """Two PDFs as Binary, each shown by a DocumentReference and by a DiagnosticReport; one inline note."""
    add_shown_twice(
        chart,
        "pathology",
        loinc("11526-1", "Pathology study"),
        loinc("LP7839-6", "Pathology"),
        "2026-04-28",
        PATHOLOGY,
        {"specimen": [ref("specimen")]},
    )
    add_shown_twice(
        chart,
        "radiology",
        loinc("18748-4", "Diagnostic imaging study"),
        loinc("LP29684-5", "Radiology"),
        "2026-03-31",
        CT,
        {"imagingStudy": [ref("imaging")]},
    )
    note = attachment(FIRST_OPINION.encode(), "text/plain; charset=utf-8", "First opinion")
    chart.add("document-note", document("D-note", loinc("11488-4", "Consult note"), "2026-05-26", note))


def add_shown_twice(
    chart: Chart, kind: str, code: dict, category: dict, day: str, lines: list[str], more: dict
) -> None:
    """One PDF as US Core asks: the same Binary behind a DocumentReference and a DiagnosticReport."""
    title = f"{code['text']} report"
    data = pdf(title, lines)
    chart.add(
        f"binary-{kind}",
        {"resourceType": "Binary", "contentType": "application/pdf", "data": base64.b64encode(data).decode()},
    )
    shown = attachment(data, "application/pdf", title, url=urn(f"binary-{kind}"))
    chart.add(f"document-{kind}", document(f"D-{kind}", code, day, shown))
    chart.add(
        f"report-{kind}", report(category, code, day) | {"conclusion": " ".join(lines), "presentedForm": [shown]} | more
    )


def document(number: str, code: dict, day: str, shown: dict) -> dict:
    """A current DocumentReference."""
    category = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
    return {
        "resourceType": "DocumentReference",
        "identifier": [{"system": DOCUMENT_IDS, "value": number}],
        "status": "current",
        "docStatus": "final",
        "type": code,
        "category": [concept(category, "clinical-note", "Clinical Note")],
        "subject": ref("patient"),
        "date": at(day, "17:00"),
        "author": [ref("dr-onc")],
        "custodian": ref("org-onc"),
        "content": [{"attachment": shown}],
        "context": {"encounter": [ref("enc-onc")], "period": {"end": at(day)}},
    }


def add_medications(chart: Chart) -> None:
    """What she takes, and what she must not take."""
    for code, name, text in (
        ("866436", "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet", "1 each morning"),
        ("310325", "ferrous sulfate 325 MG Oral Tablet", "1 every other day"),
    ):
        chart.add(
            f"rx-{code}",
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "intent": "order",
                "medicationCodeableConcept": concept(RXNORM, code, name),
                "subject": ref("patient"),
                "authoredOn": "2026-02-10",
                "requester": ref("dr-pcp"),
                "dosageInstruction": [{"text": text}],
            },
        )
    vitamin = concept(RXNORM, "2418", "cholecalciferol", "Vitamin D3 25 µg (own purchase)")
    chart.add(
        "statement",
        {
            "resourceType": "MedicationStatement",
            "status": "active",
            "subject": ref("patient"),
            "medicationCodeableConcept": vitamin,
            "effectivePeriod": {"start": "2025-11"},
            "dosage": [{"text": "once daily"}],
        },
    )
    chart.add(
        "allergy",
        {
            "resourceType": "AllergyIntolerance",
            "patient": ref("patient"),
            "clinicalStatus": hl7("allergyintolerance-clinical", "active", "Active"),
            "verificationStatus": hl7("allergyintolerance-verification", "confirmed", "Confirmed"),
            "category": ["medication"],
            "criticality": "high",
            "code": concept(RXNORM, "7980", "penicillin G"),
            "reaction": [{"manifestation": [snomed("247472004", "Wheal", "Hives")], "severity": "moderate"}],
        },
    )


def add_procedures(chart: Chart) -> None:
    """Procedures and immunizations."""
    for key, code, day in (
        ("colonoscopy", snomed("73761001", "Colonoscopy"), "2026-03-24"),
        ("colectomy", snomed("84604002", "Sigmoid colectomy"), "2026-04-21"),
    ):
        chart.add(
            f"procedure-{key}",
            {
                "resourceType": "Procedure",
                "status": "completed",
                "code": code,
                "subject": ref("patient"),
                "encounter": ref(f"enc-{key}"),
                "performedDateTime": at(day, "10:00"),
                "performer": [{"actor": ref("dr-surgeon")}],
            },
        )
    for vaccine, name, day in (
        ("140", "Influenza, split virus, trivalent, PF", "2025-10-02"),
        ("115", "Tdap", "2019-05-20"),
        ("187", "zoster recombinant", "2024-04-11"),
    ):
        chart.add(
            f"immunization-{vaccine}",
            {
                "resourceType": "Immunization",
                "status": "completed",
                "vaccineCode": concept(CVX, vaccine, name),
                "patient": ref("patient"),
                "occurrenceDateTime": day,
                "primarySource": True,
            },
        )


def add_context(chart: Chart) -> None:
    """Specimen, imaging metadata and family history."""
    chart.add(
        "specimen",
        {
            "resourceType": "Specimen",
            "status": "available",
            "subject": ref("patient"),
            "type": snomed("119376003", "Tissue specimen"),
            "collection": {"collectedDateTime": at("2026-04-21", "11:30")},
        },
    )
    dicom = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
    chart.add(
        "imaging",
        {
            "resourceType": "ImagingStudy",
            "status": "available",
            "subject": ref("patient"),
            "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.3045876123"}],
            "started": at("2026-03-31", "13:00"),
            "description": "CT chest, abdomen, pelvis",
            "numberOfSeries": 1,
            "numberOfInstances": 412,
            "series": [
                {
                    "uid": "2.25.3045876124",
                    "modality": dicom,
                    "numberOfInstances": 412,
                    "description": "portal venous 1.25 mm",
                }
            ],
        },
    )
    chart.add(
        "family",
        {
            "resourceType": "FamilyMemberHistory",
            "status": "completed",
            "patient": ref("patient"),
            "relationship": hl7("v3-RoleCode", "MTH", "mother"),
            "condition": [
                {"code": snomed("363406005", "Malignant neoplasm of colon"), "onsetAge": quantity("61", "a")}
            ],
        },
    )


def add_plan(chart: Chart) -> None:
    """What she wants, and what the first oncologist proposes."""
    chart.add(
        "goal",
        {
            "resourceType": "Goal",
            "lifecycleStatus": "active",
            "subject": ref("patient"),
            "description": {"text": "Disease-free at 5 years; keep working as a teacher"},
            "startDate": "2026-05-26",
            "addresses": [ref("cond-cancer")],
        },
    )
    category = concept(
        "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Assessment and Plan of Treatment"
    )
    narrative = '<div xmlns="http://www.w3.org/1999/xhtml">FOLFOX, 12 cycles</div>'
    chart.add(
        "plan",
        {
            "resourceType": "CarePlan",
            "text": {"status": "additional", "div": narrative},
            "status": "active",
            "intent": "proposal",
            "category": [category],
            "subject": ref("patient"),
            "title": "Adjuvant treatment, proposed",
            "addresses": [ref("cond-cancer")],
            "goal": [ref("goal")],
        },
    )


PARTS = (
    add_people,
    add_encounters,
    add_conditions,
    add_labs,
    add_vitals,
    add_molecular,
    add_documents,
    add_medications,
    add_procedures,
    add_context,
    add_plan,
)


def make() -> dict:
    """The whole chart as a transaction Bundle (https://hl7.org/fhir/R4/bundle.html)."""
    chart = Chart()
    for part in PARTS:
        part(chart)
    return {"resourceType": "Bundle", "type": "transaction", "entry": chart.entries}


def write(path: Path, value: dict) -> None:
    """Write FHIR JSON that a diff can be read of."""
    text = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(DATA / "chart.json", make())
    write(
        DATA / "service_request.json",
        service_request("Patient/PATIENT-ID", "Practitioner/REQUESTER-ID", "Practitioner/CONSULTANT-ID"),
    )
