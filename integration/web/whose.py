"""Whose case a page is about, as its readers have to see it: a page that is taken for another patient's does harm."""

from dataclasses import dataclass, field

from integration.store import requests
from integration.web import world


@dataclass(frozen=True)
class Whose:
    """The patient of a request by name and birth date; "" where the request has none."""

    name: str = field(repr=False)
    born: str = field(repr=False)


def patient_of(request_id: str) -> Whose:
    """The patient of a request. Raises UnknownRequest. The page that shows it records who looked."""
    with world.engine().connect() as conn:
        patient = requests.content(requests.get(conn, request_id)).patient
    name = f"{' '.join(patient.name.given)} {patient.name.family}".strip() if patient.name else ""
    return Whose(name, str(patient.birth_date or ""))
