"""What a patient agreed to, for pages, API, commands and the case."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import consents, requests
from integration.store.consents import ConsentRow
from integration.views.case import Part
from integration.views.texts import t
from mappings.model.consent import RecordKind, Standing, standing, why_not_to


@dataclass(frozen=True)
class ConsentState:
    """How the consent of a request stands. ``said``: every statement, oldest first; ``left``: (endpoint, when) of records.

    ``places``: the endpoints of the request; ``required_by``: those for which nothing leaves before it was recorded;
    ``stopped_for``: those for which nothing leaves now.
    """

    request_id: str
    standing: Standing
    said: tuple[ConsentRow, ...]
    places: tuple[str, ...]
    required_by: tuple[str, ...]
    stopped_for: tuple[str, ...]
    left: tuple[tuple[str, datetime], ...]

    @property
    def newest(self) -> ConsentRow | None:
        """The statement that stands."""
        return self.said[-1] if self.said else None

    @property
    def left_home(self) -> tuple[RecordKind, ...]:
        """The kinds of record that do not leave."""
        return self.newest.consent.left_home if self.newest else ()


def read(conn: Connection, config: Config, request_id: str, today: date) -> ConsentState:
    """As it stands today. Raises UnknownRequest."""
    row, said = requests.get(conn, request_id), tuple(consents.of_request(conn, request_id))
    places = tuple(dict.fromkeys((row.fulfiller, row.placer)))
    stands = said[-1].consent if said else None
    stopped = [each for each in places if why_not_to(stands, each, today, is_required=config.asks_consent(each))]
    return ConsentState(
        request_id,
        standing(stands, today),
        said,
        places,
        tuple(filter(config.asks_consent, places)),
        tuple(stopped),
        tuple(consents.sent_before(conn, request_id)),
    )


def view(state: ConsentState) -> dict:
    """As JSON."""
    return {
        "request_id": state.request_id,
        "standing": state.standing.value,
        "newest": state.newest.id if state.newest else None,
        "kinds_left_out": [each.value for each in state.left_home],
        "recipients": state.newest.recipients if state.newest else None,
        "until": state.newest.until if state.newest else None,
        "required_by": list(state.required_by),
        "nothing_leaves_for": list(state.stopped_for),
        "statements": [
            {name: value for name, value in asdict(each).items() if name != "request_id"} for each in state.said
        ],
    }


def part(state: ConsentState) -> Part:
    """One row of the case."""
    says, page = t(f"case.consent.{state.standing}"), "consent.show"
    if state.standing in (Standing.EXPIRED, Standing.WITHDRAWN) or state.stopped_for:
        return Part("consent", "open", says, t("case.consent.ask"), "coordinator", endpoint=page)
    return Part("consent", "none" if state.standing is Standing.NONE else "done", says, endpoint=page)


def limits(row: ConsentRow, name_of: Callable[[str], str]) -> list[str]:
    """What a statement leaves out, as sentences; ``name_of``: what people call an endpoint."""
    consent, made = row.consent, list[str]()
    if consent.left_home:
        made.append(t("consent.left_home", kinds=", ".join(t(f"consent.kind.{each}") for each in consent.left_home)))
    if row.recipients is not None:
        made.append(t("consent.only_to", places=", ".join(map(name_of, row.recipients))))
    if row.until is not None:
        made.append(t("consent.until", day=row.until))
    return made
