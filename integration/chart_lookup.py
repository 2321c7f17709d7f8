"""What an endpoint's server knows, for a person who fills in a request: patients to choose from, and what their chart offers.

Reads only, by `integration.live_reads`; each raises NotNow when the server cannot be asked. What comes back has to carry what
was asked for, since a server may ignore a parameter and show everybody. Nothing here chooses.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from integration.fhir.server import FhirServer
from integration.live_reads import LiveReads
from integration.settings.config import Config
from mappings import offers, patient_search
from mappings.model.errors import MappingError, PermanentError
from mappings.model.request import Code
from mappings.names import fold
from mappings.offers import Offer
from mappings.patient_search import Asked, Hit
from mappings.subject import searched_by

MOST_HITS = 20  # with more a person cannot be sure: they narrow it
MOST_READ = 500  # of one search, where a server shows others than those asked for
MOST_OFFERED = 50
_VISITS = 100


@dataclass(frozen=True)
class Patients:
    """Who was found. ``too_many``: nobody is shown; ``others``: the server also showed people who do not carry what was asked."""

    hits: tuple[Hit, ...] = ()
    too_many: bool = False
    others: bool = False


@dataclass(frozen=True)
class Offers:
    """Choices of one kind. ``more``: there are more than are shown."""

    found: tuple[Offer, ...] = ()
    more: bool = False


class Lookup:
    """What one process may look up."""

    def __init__(self, config: Config, reads: LiveReads):
        self._config, self._reads = config, reads

    def patients(self, endpoint: str, asked: Asked) -> Patients:
        """Whom the server shows who carries what was asked, at most ``MOST_HITS``."""
        systems = self._config.endpoints[endpoint].patient_identifier_systems

        def read(server: FhirServer) -> Patients:
            return _patients(server, asked, systems)

        return self._reads.ask(endpoint, read)

    def patient(self, endpoint: str, reference: str) -> dict:
        """One Patient as it is now; NotNow says `gone` when there is none, ValueError that nothing can be called so."""
        return self._reads.ask(endpoint, lambda server: _with_id(server, reference))

    def number_system(self, endpoint: str) -> str | None:
        """Who gives patient numbers there: what is configured, else what its patients show; None when nobody knows which."""
        of = self._config.endpoints[endpoint]
        if of.patient_identifier_systems:
            return of.patient_identifier_systems[0] if len(of.patient_identifier_systems) == 1 else None
        seen = self._reads.ask(endpoint, lambda server: list(islice(_found(server, "Patient", {"_count": "50"}), 50)))
        systems = patient_search.number_systems(seen)
        if not systems and of.hosted_practice and not seen:
            return (
                f"{of.identifier_system}/mrn"  # a practice that we host, and its first patient: nobody else gives one
            )
        return next(iter(systems)) if len(systems) == 1 else None

    def first_opinion(self, endpoint: str, patient: str) -> tuple[Offers, Offers]:
        """Diagnoses of the problem list, and clinicians who stand in problems and visits."""

        def read(server: FhirServer) -> tuple[Offers, Offers]:
            who, bases = _with_id(server, patient), server.endpoint.bases
            problems = list(_of_patient(server, "Condition", patient))
            visits = sorted(islice(_of_patient(server, "Encounter", patient), _VISITS), key=_began, reverse=True)
            return (
                _shown(offers.diagnoses(problems, who, bases)),
                _shown(offers.clinicians([*problems, *visits[:20]], who, bases)),
            )

        return self._reads.ask(endpoint, read)

    def insurance_and_orders(self, endpoint: str, patient: str) -> dict[str, Offers]:
        """By part of a request: coverage, order, consent. A kind that the server does not have is empty."""
        codes = [Code(system=each.system, code=each.code) for each in self._config.endpoints[endpoint].local_codes]

        def read(server: FhirServer) -> dict[str, Offers]:
            who, bases = _with_id(server, patient), server.endpoint.bases
            there = {kind: _if_it_has_them(server, kind, patient) for kind in ("Coverage", "ServiceRequest", "Consent")}
            return {
                "coverage": _shown(offers.coverages(there["Coverage"], who, bases)),
                "order": _shown(offers.orders(there["ServiceRequest"], who, bases, codes)),
                "consent": _shown(offers.consents(there["Consent"], who, bases)),
            }

        return self._reads.ask(endpoint, read)

    def clinicians_named(self, endpoint: str, family: str) -> Offers:
        """Practitioners whose family name begins so."""

        def read(server: FhirServer) -> Offers:
            found = islice(_found(server, "Practitioner", {"family": family, "_count": "50"}, by_form=True), MOST_READ)
            named = [
                offer for each in found if (offer := _readable(each)) and fold(offer.words).startswith(fold(family))
            ]
            return _shown(named)

        return self._reads.ask(endpoint, read)

    def clinician(self, endpoint: str, reference: str) -> Offer:
        """One Practitioner or PractitionerRole. Raises MappingError when nothing there says who it is, ValueError as `patient`."""

        def read(server: FhirServer) -> Offer:
            resource = _with_id(server, reference)
            person = (resource.get("practitioner") or {}).get("reference") if "practitioner" in resource else None
            there = server.read_if_there(person) if isinstance(person, str) and person.count("/") == 1 else None
            return offers.clinician(resource, {person: there} if person and there else {}, server.endpoint.bases)

        return self._reads.ask(endpoint, read)


def _patients(server: FhirServer, asked: Asked, systems: tuple[str, ...]) -> Patients:
    found: dict[str, dict] = {}
    others = False
    for params in patient_search.searches(asked, systems):
        for each in islice(_found(server, "Patient", {**params, "_count": "50"}, by_form=True), MOST_READ):
            if not patient_search.is_answer(each, asked, frozenset(systems)):
                others = True
            elif len(found.setdefault(each["id"], each) and found) > MOST_HITS:
                return Patients(too_many=True, others=others)
    hits = [patient_search.hit(each, asked, frozenset(systems)) for each in found.values()]
    return Patients(tuple(sorted(hits, key=lambda hit: (bool(hit.refused), hit.names, hit.reference))), others=others)


def _found(server: FhirServer, kind: str, params: dict[str, str], *, by_form: bool = False) -> Iterator[dict]:
    return (entry.resource for entry in server.search(kind, params, by_form=by_form, max_pages=MOST_READ))


def _of_patient(server: FhirServer, kind: str, patient: str) -> Iterator[dict]:
    """Everything of one type about a patient, as this server can be asked for it."""
    for part in server.endpoint.searches_for(kind) or ("",):
        name, _, value = part.partition("=")
        more = {name: value} if name else {}
        yield from _found(server, kind, {searched_by(kind): patient.partition("/")[2], **more, "_count": "100"})


def _if_it_has_them(server: FhirServer, kind: str, patient: str) -> list[dict]:
    """A server without a type refuses the search; that it is away, or does not let us in, is no such answer."""
    try:
        return list(_of_patient(server, kind, patient))
    except PermanentError as error:
        if error.status_code not in (400, 404, 405, 501):
            raise
        return []


def _with_id(server: FhirServer, reference: str) -> dict:
    kind, _, logical_id = reference.partition("/")
    return {**server.read(kind, logical_id), "id": logical_id}


def _readable(resource: dict) -> Offer | None:
    try:
        return offers.clinician(resource) if resource.get("resourceType") == "Practitioner" else None
    except (MappingError, ValueError):
        return None


def _began(visit: dict) -> str:
    period = visit.get("period")
    return str(period.get("start") or "") if isinstance(period, dict) else ""


def _shown(found: Iterable[Offer]) -> Offers:
    first = tuple(islice(found, MOST_OFFERED + 1))
    return Offers(first[:MOST_OFFERED], len(first) > MOST_OFFERED)
