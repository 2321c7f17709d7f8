"""Specialties by their SNOMED CT code, with the words that pages show: an order's own words may hold anything."""

# https://hl7.org/fhir/R4/valueset-c80-practice-codes.html, those that give second opinions most
SPECIALTIES = {
    "394593009": "Medical oncology",
    "394803006": "Clinical hematology",
    "394579002": "Cardiology",
    "394591006": "Neurology",
    "394610002": "Neurosurgery",
    "394801008": "Trauma and orthopedics",
    "394609007": "General surgery",
    "394584008": "Gastroenterology",
    "394612005": "Urology",
    "394585009": "Obstetrics and gynecology",
    "394589003": "Nephrology",
    "394583002": "Endocrinology",
    "418112009": "Pulmonary medicine",
    "394582007": "Dermatology",
    "394594003": "Ophthalmology",
    "394587001": "Psychiatry",
    "394914008": "Radiology",
    "394915009": "General pathology",
}
