"""The road over FHIR of what goes beside a report: its Composition, a Communication, and a Provenance, which has no identifier.

https://hl7.org/fhir/R4/provenance.html. No words of config.yaml: they go where a report went over FHIR.
"""

from typing import Any

from integration.roads.fhir_document import prepared_of
from integration.roads.fhir_resource import FhirResource
from integration.roads.road import Prepared
from mappings.model.outgoing import Outgoing

NAME, WITHOUT_IDENTIFIER = "fhir-beside", "fhir-provenance"


class FhirBeside(FhirResource):
    """One resource of ours at the endpoint itself, compared as a whole."""

    name: str = NAME

    def prepare(self, item: Outgoing) -> Prepared:
        """As it is; one that is taken back is what stands there, marked as an error: these types have no second status."""
        if not item.retracts or item.replaces_reference is None:
            return super().prepare(item)
        marked = self._marked(item.replaces_reference, item.resource)
        return prepared_of(item, {name: value for name, value in marked.items() if name != "docStatus"})

    def _differs(self, prepared: Prepared, read: dict[str, Any], name: str) -> bool:
        return self.way.differs(self.at, dict(prepared.resource or {}), read, name)


class FhirProvenance(FhirBeside):
    """What stands there is known by what it is about and what it says."""

    name: str = WITHOUT_IDENTIFIER

    @property
    def finds(self) -> bool:
        """No search finds it by an identifier, and no create can be made under one."""
        return False
