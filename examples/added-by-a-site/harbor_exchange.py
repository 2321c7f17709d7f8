"""What Harbor Hospital adds: its EHR takes reports from a folder that its importer watches, and wants plain text over FHIR.

HARBOR_IMPORT_FOLDER names the folder. The importer takes a file whose name ends in ``.json`` and moves it to ``done`` beside it.
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from integration import fhir_json
from integration.roads.road import Absent, CannotTell, Impossible, NotAllowed, Prepared, Taken, There, Way
from mappings.model.errors import UnknownOutcome
from mappings.model.leaving import Going
from mappings.model.outgoing import Outgoing
from mappings.model.profiles import DocumentHabits, Profile
from mappings.model.roads import Level

HARBOR = Profile(
    "harbor",
    "Harbor EHR",
    ("import-folder", "fhir-document", "download"),
    DocumentHabits(formats=("text/plain",), encounter="required"),
    {"task": False},
)


class ImportFolder:
    """A file in the folder of the importer: the DocumentReference, its attachments inside."""

    name = "import-folder"
    sends = True

    def __init__(self, way: Way):
        self.way = way
        self.folder = Path(os.environ.get("HARBOR_IMPORT_FOLDER", ""))

    @property
    def at(self) -> str:
        """Where it will stand."""
        return self.way.key

    def can(self) -> Impossible | None:
        """Where the folder is there; else the next road is tried."""
        if self.folder.is_absolute() and self.folder.is_dir():
            return None
        return Impossible("road-not-configured", "HARBOR_IMPORT_FOLDER names no folder that is there")

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """All of it. What was imported cannot be taken back by a file."""
        if item.retracts:
            return Impossible(
                "road-not-offered", f"nothing is taken back at {self.at} by a file: have it deleted there"
            )
        return self.restore(item, fhir_json.dumps(dict(item.resource)), None)

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """As it was kept."""
        return Prepared(item, body, resource=self.resource_of(body))

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """The bytes are the resource."""
        return fhir_json.loads(body)

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Written beside, flushed, and given its name in one step that never replaces a file."""
        identifier = prepared.item.identifier.value
        self.way.attempt.before_write(self.at, Going("import-folder", (identifier,), len(prepared.body)))  # the gate
        name, half = self._name(prepared), self.folder / f"{self._name(prepared)}.{os.getpid()}.part"
        try:
            with half.open("wb") as file:
                file.write(prepared.body)
                file.flush()
                os.fsync(file.fileno())
            os.link(half, self.folder / name)
        except FileExistsError:
            return There(name)
        except OSError as error:
            raise UnknownOutcome(
                f"a file for {self.at} could not be written", endpoint=self.at, cause="disk"
            ) from error
        finally:
            half.unlink(missing_ok=True)
        return Taken(name, Level.UNVERIFIABLE)

    def look_up(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell:
        """In the folder, or where the importer puts what it took: the very bytes."""
        found = [each for each in self._places(prepared) if each.is_file()]
        if not found:
            return Absent()
        wanted = hashlib.sha256(prepared.body).digest()
        if all(hashlib.sha256(each.read_bytes()).digest() == wanted for each in found):
            return There(self._name(prepared))
        return CannotTell(f"a file of that name for {self.at} holds something else", prepared.item.visible)

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """A file is never changed: the importer may be reading it."""
        return None

    def read_back(self, prepared: Prepared, reference: str | None) -> NotAllowed:
        """The importer tells nothing: a person says that the report is in the chart, or `closes_on` says `unverifiable`."""
        return NotAllowed(f"the importer of {self.at} does not say what became of a file")

    def _name(self, prepared: Prepared) -> str:
        """One for each revision, of ids only."""
        return prepared.item.visible.replace(" ", "-") + ".json"

    def _places(self, prepared: Prepared) -> tuple[Path, Path]:
        name = self._name(prepared)
        return self.folder / name, self.folder / "done" / name
