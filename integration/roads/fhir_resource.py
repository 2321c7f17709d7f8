"""The road over FHIR of what is no document: the request, its questions and its Task, each created once.

It is no word of config.yaml: what a consultant is asked by goes over FHIR or not at all (jobs/target/asking.py).
"""

from datetime import UTC, datetime, timedelta

from integration.roads.fhir_document import FhirDocument, prepared_of, twice, version_in
from integration.roads.patient_documents import echoes
from integration.roads.road import Absent, CannotTell, Prepared, Taken, There
from mappings.addresses import local_reference
from mappings.codes import as_dict
from mappings.model.errors import PermanentError
from mappings.model.outgoing import Outgoing
from mappings.own_resource import verdict
from mappings.same_document import Verdict
from mappings.subject import searched_by, subjects_of
from mappings.times import as_instant

NAME = "fhir-resource"
_CLOCKS = timedelta(days=1)


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
        """Among the patient's resources of the type since the send. Absent only when all could be seen and told apart."""
        item, sent = prepared.item, dict(prepared.resource or {})
        kind, same, unclear = sent["resourceType"], {}, []
        search = self.server.search(kind, {searched_by(kind): item.patient})
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
        if not echoes(search, item.patient):
            return CannotTell("the search does not say what it looked for", item.visible)
        return Absent()

    def _may_be_it(self, there: dict, patient: str, since: datetime) -> bool:
        """About the patient, and changed since; where neither is told it may be."""
        named = [
            local_reference(node.get("reference"), self.way.attempt.bases(self.at)) for _, node in subjects_of(there)
        ]
        said = as_instant(as_dict(there.get("meta")).get("lastUpdated"))
        is_older = said is not None and datetime.fromisoformat(said).astimezone(UTC) < since - _CLOCKS
        return not is_older and (not named or patient in named)
