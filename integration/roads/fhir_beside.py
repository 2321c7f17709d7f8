"""The road over FHIR of what goes beside a report: a Communication, and a Provenance, which has no identifier.

https://hl7.org/fhir/R4/provenance.html. No words of config.yaml: they go where a report went over FHIR.
"""

from typing import Any

from integration.roads.fhir_resource import FhirResource
from integration.roads.road import Prepared

NAME, WITHOUT_IDENTIFIER = "fhir-beside", "fhir-provenance"


class FhirBeside(FhirResource):
    """One resource of ours at the endpoint itself, compared as a whole."""

    name: str = NAME

    def _differs(self, prepared: Prepared, read: dict[str, Any], name: str) -> bool:
        return self.way.differs(self.at, dict(prepared.resource or {}), read, name)


class FhirProvenance(FhirBeside):
    """What stands there is known by what it is about and what it says."""

    name: str = WITHOUT_IDENTIFIER

    @property
    def finds(self) -> bool:
        """No search finds it by an identifier, and no create can be made under one."""
        return False
