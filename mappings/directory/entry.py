"""One entry of the directory: a practitioner in one role at one place, as one source says it. Shaped like PractitionerRole.

https://hl7.org/fhir/R4/practitionerrole.html
"""

from dataclasses import dataclass
from datetime import date

from mappings.directory.services import Service

GENDERS = (
    "female",
    "male",
    "other",
)  # https://hl7.org/fhir/R4/valueset-administrative-gender.html; unknown is None here


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source says. None: it does not say, which is neither yes nor no.

    ``zip``: five digits of a place in the United States; ``postal_code`` as it was written, of any country. ``lat``, ``lon``: degrees,
    where the source itself has them. ``languages``: BCP-47 tags, or words as they came; ``spoken``: the primary subtags of those that are
    languages. ``specialties``: NUCC codes, the primary one first. ``licensed_in``: states of licenses that are stated; others may exist.
    """

    source_id: str
    npi: str | None = None
    family: str = ""
    given: str = ""
    credentials: str | None = None
    gender: str | None = None
    languages: tuple[str, ...] | None = None
    spoken: tuple[str, ...] | None = None
    specialties: tuple[str, ...] | None = None
    specialty_texts: tuple[str, ...] | None = None
    organization: str | None = None
    line: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    zip: str | None = None
    country: str | None = None
    lat: float | None = None
    lon: float | None = None
    phone: str | None = None
    licensed_in: tuple[str, ...] | None = None
    second_opinions: bool | None = None
    accepting: bool | None = None
    endpoint: str | None = None
    fhir_address: str | None = None
    direct_address: str | None = None
    services: tuple[Service, ...] | None = None
    version: str | None = None
    updated_on: date | None = None
    active: bool = True
    ended_on: date | None = None
