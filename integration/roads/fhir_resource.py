"""The road over FHIR of what is no document: the request, its questions and its Task, people and places, each created once.

It is no word of config.yaml: what a consultant is asked by goes over FHIR or not at all (jobs/target/asking.py).
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from integration.fhir.paging import Search
from integration.roads.fhir_document import FhirDocument, prepared_of, twice, version_in
from integration.roads.patient_documents import echoes, is_older
from integration.roads.road import Absent, CannotTell, Prepared, Taken, There
from mappings.addresses import local_reference
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.errors import PermanentError
from mappings.model.outgoing import Outgoing
from mappings.own_resource import verdict
from mappings.same_document import Verdict
from mappings.subject import searched_by, subjects_of

NAME = "fhir-resource"


class FhirResource(FhirDocument):
    """One resource of ours at the endpoint itself."""

    name: str = NAME

    def prepare(self, item: Outgoing) -> Prepared:
        """As it is: no system takes a request in a shape of its own."""
        return prepared_of(item, item.resource)

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """Never here: who wrote it brings it up to date, and overwrites nothing that was changed there."""
        return None

    def _by_content(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell:
        """Among the patient's resources of the type since the send, or among people and places of that name.

        Absent only when all could be seen and told apart.
        """
        item, sent = prepared.item, dict(prepared.resource or {})
        kind, same, unclear = sent["resourceType"], {}, []
        params = _looked_up_by(sent, item.patient)
        if params is None:
            return CannotTell("it has no name to be looked for by", item.visible)
        search = self.server.search(kind, params)
        try:
            for entry in search:
                there = entry.resource
                if there.get("resourceType") != kind or not self._may_be_it(there, item.patient, since):
                    continue
                found = verdict(sent, there, item.identifier)
                if found is Verdict.SAME:
                    same[entry.reference] = there
                elif found is Verdict.UNCLEAR:
                    unclear.append(entry.reference)
        except PermanentError as error:
            if error.status_code is None:
                raise
            return CannotTell(f"{self.at} does not let us look ({error})", item.visible)
        if len(same) > 1:
            raise twice(self.at, list(same.values()))
        for reference, there in same.items():
            return There(reference, version_in(there))
        if unclear:
            return CannotTell(f"{', '.join(unclear[:5])} may be it and says something else", item.visible)
        if not (echoes(search, item.patient) if item.patient else _echo(search, params)):
            return CannotTell("the search does not say what it looked for", item.visible)
        return Absent()

    def _may_be_it(self, there: dict, patient: str, since: datetime) -> bool:
        """About the patient, and changed since; where neither is told it may be."""
        named = [
            local_reference(node.get("reference"), self.way.attempt.bases(self.at)) for _, node in subjects_of(there)
        ]
        return not is_older(there, since) and (not named or patient in named)

    def _is_authored(self, prepared: Prepared) -> bool:
        """People and places are copies of what a source says, and go through as they came."""
        return prepared.item.called == "request"


def _looked_up_by(sent: dict, patient: str) -> dict[str, str] | None:
    """The one search parameter; None where nothing tells it from all others."""
    kind = sent["resourceType"]
    if patient:
        return {searched_by(kind): patient}
    if kind == "Provenance":
        about = [as_text(each.get("reference")) for each in as_dicts(sent.get("target"))]
        return {"target": about[0]} if about and about[0] else None
    if kind == "PractitionerRole":
        found = as_text(as_dict(sent.get("practitioner")).get("reference"))
        return {"practitioner": found} if found else None
    name = sent.get("name")
    said = as_text(name) or next((as_text(each.get("family")) for each in as_dicts(name) if each.get("family")), None)
    return {"name": said} if said else None


def _echo(search: Search, params: Mapping[str, str]) -> bool:
    """Whether the search says in its own link that it looked for this."""
    said = {pair for link in search.links for pair in parse_qsl(urlsplit(link).query)}
    return all(any(name == each and value.endswith(wanted) for name, value in said) for each, wanted in params.items())
