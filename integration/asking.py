"""What is missing, asked of the source that has it: by whom and how, and the letter where the source takes no Task."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from sqlalchemy import Connection, Engine

from integration import checklists
from integration.packets import stored as packets
from integration.packets.letter import to_pdf, unreadable
from integration.packets.payloads import Payloads
from integration.settings.config import Config, Endpoint
from integration.store import audit, endpoints, leaving, requests, source_asks
from integration.store import packets as packet_rows
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.views.checklist import Completeness
from mappings.model.causes import cause_named
from mappings.model.leaving import Going, Reason, why_not
from mappings.model.request import SecondOpinionRequest
from mappings.model.source_ask import Ask, AskRoad, Holder, TypedHolder, read_ask, read_holder
from mappings.source_letter import Letter, accession_numbers, write

ELSEWHERE = ""  # in place of an endpoint: another place, as somebody types it


def holder_of(endpoint: Endpoint) -> Holder:
    """An endpoint as a place that keeps records, or takes them."""
    office = endpoint.records_office
    name = ", ".join(filter(None, (endpoint.name, office.name)))
    phone = office.phone or endpoint.contact or ""
    return Holder(endpoint.key, name, office.address, office.fax or "", office.portal or "", phone)


def asks(engine: Engine, config: Config, request_id: str) -> list[Ask]:
    """Every ask of a request, with what config.yaml says of its source now. Raises UnknownRequest."""
    with engine.connect() as conn:
        requests.get(conn, request_id)
        return [_as_configured(config, each) for each in source_asks.of_request(conn, request_id)]


def one(engine: Engine, config: Config, request_id: str, ask_id: int) -> Ask:
    """One of them. Raises NotPossible."""
    with engine.connect() as conn:
        return _as_configured(config, source_asks.get(conn, request_id, ask_id))


def takes_tasks(conn: Connection, endpoint: Endpoint) -> bool:
    """Whether its server is known to hold Task; one that was never asked is written to."""
    known = endpoints.known(conn, endpoint.key).capabilities or {"task": bool(endpoint.hosted_practice)}
    return bool({**known, **endpoint.overrides}.get("task"))


def ask(
    engine: Engine,
    config: Config,
    request_id: str,
    *,
    items: tuple[str, ...],
    source: str,
    elsewhere: TypedHolder = TypedHolder(),
    road: str = "",
    what: str = "",
    due: str,
    renews: int | None = None,
    today: date,
    actor: str,
    reason: str,
) -> int:
    """Ask a source for items of the checklist by a day; the number of the ask.

    ``source``: an endpoint, or empty for another place; ``road``: task or letter, empty: a Task where it is taken.
    Raises WrongWords with a sentence for each field, and NotPossible.
    """
    day, wrong = read_ask(items, what, due, today)
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        unknown = sorted(set(items) - set(checklists.catalog_of(config, content.fulfiller).kinds))
        if unknown:
            wrong["items"] = f"no checklist has an item {', '.join(unknown)}"
        endpoint = config.endpoints.get(source)
        holder, more = _holder(endpoint, source, elsewhere)
        chosen = _road(conn, endpoint, road) if not more else AskRoad.LETTER
        wrong |= more
        if chosen is AskRoad.LETTER and not more and not holder.can_be_written_to:
            wrong["source"] = (
                f"there is no address, fax or portal of {holder.name}: write records_office for endpoints.{source}, or "
                "choose another place and type one"
            )
        if wrong or day is None:
            raise WrongWords(wrong)
        return source_asks.ask(
            conn, request_id, holder, chosen, items, what, day, renews=renews, actor=actor, reason=reason
        )


def ask_again(
    engine: Engine, config: Config, request_id: str, ask_id: int, due: str, *, today: date, actor: str, reason: str
) -> int:
    """The same of the same source, once more, because a person says so."""
    known = one(engine, config, request_id, ask_id)
    place = TypedHolder(known.holder.name, "\n".join(known.holder.address), known.holder.fax)
    return ask(
        engine,
        config,
        request_id,
        items=known.items,
        source=known.holder.endpoint,
        elsewhere=place,
        road=AskRoad.LETTER if known.by_letter else known.road,
        what=known.what,
        due=due,
        renews=ask_id,
        today=today,
        actor=actor,
        reason=reason,
    )


def letter(
    engine: Engine, payloads: Payloads, config: Config, request_id: str, ask_id: int, today: date, *, actor: str
) -> bytes:
    """The letter of an ask as PDF; it leaves by a person's hand, so the gate is asked and writes it down first.

    Raises NotPossible: it goes as a Task, there is nowhere to send records to, or it cannot be printed.
    """
    known = one(engine, config, request_id, ask_id)
    if not known.by_letter:
        raise NotPossible(f"ask {ask_id} goes to {known.holder.name} over FHIR: there is no letter")
    made = _letter(engine, payloads, config, known, today)
    if unseen := unreadable(made):
        raise NotPossible(
            f"{unseen} of its letters cannot be shown in a PDF of ours as they are written: write this one by hand"
        )
    data = to_pdf(made)
    going = Going("Letter", (f"{request_id}-ask-{ask_id}",), len(data))
    to = known.holder.endpoint or "elsewhere"
    with engine.begin() as conn:
        stand = leaving.stand(conn, request_id, to, asks_consent=config.asks_consent(to))
        why = why_not(Reason.RECORDS, going, stand)
        action = leaving.KEPT if why else leaving.LEAVES
        leaving.record(conn, request_id, to, Reason.RECORDS, going, action, actor=actor, about={"ask": ask_id}, why=why)
        audit.record(conn, actor, "source.letter", request_id, subject=f"ask {ask_id}")
    if why:
        raise NotPossible(cause_named(why).happened)
    return data


def _letter(engine: Engine, payloads: Payloads, config: Config, known: Ask, today: date) -> Letter:
    found = checklists.judged(engine, payloads, config, known.request_id, today)
    with engine.connect() as conn:
        row = requests.get(conn, known.request_id)
        content, rows = requests.content(row), packet_rows.of_request(conn, known.request_id)
    send_to = _places(config, content.fulfiller, content.placer)
    writer = config.endpoints.get(content.placer)
    if send_to is None:
        raise NotPossible(
            "the letter needs an address, fax or portal to which records are sent: an administrator writes records_office for "
            f"endpoints.{content.fulfiller} or endpoints.{content.placer}"
        )
    loaded = [packets.load(payloads, each.manifest_sha256) for each in rows]
    return write(
        known,
        content,
        found.items,
        found.catalog,
        numbers=_numbers(found, {name: each for packet in loaded for name, each in packet.resources.items()})
        if loaded
        else {},
        record_number=_record_number(config, content, known.holder.endpoint),
        writer=holder_of(writer) if writer else Holder("", content.placer),
        send_to=send_to,
        visit=found.visit,
        day=today,
    )


def _numbers(found: Completeness, resources: Mapping[str, dict]) -> dict[str, tuple[str, ...]]:
    """By kind of report, the accession numbers that its records in the packets say."""
    told: dict[str, tuple[str, ...]] = {}
    for item in found.items:
        named = [resources[each.source] for each in item.evidence if each.source in resources]
        told[item.rule.kind] = tuple(number for each in named for number in accession_numbers(each))
    return told


def _places(config: Config, *keys: str) -> Holder | None:
    """The first of these endpoints that records can be sent to."""
    known = (holder_of(config.endpoints[key]) for key in keys if key in config.endpoints)
    return next((each for each in known if each.can_be_written_to), None)


def _record_number(config: Config, content: SecondOpinionRequest, source: str) -> str | None:
    """What the source itself calls the patient; a number of another place would be looked up in vain, or found wrong."""
    numbers = content.patient.identifiers
    if source == content.placer:
        return numbers[0].value
    endpoint = config.endpoints.get(source)
    systems = endpoint.patient_identifier_systems if endpoint else ()
    return next((each.value for each in numbers if each.system in systems), None)


def _holder(endpoint: Endpoint | None, source: str, elsewhere: TypedHolder) -> tuple[Holder, dict[str, str]]:
    if endpoint is not None:
        return holder_of(endpoint), {}
    if source != ELSEWHERE:
        return Holder("", source), {"source": "is not connected here: choose one from the list"}
    return read_holder(elsewhere)


def _road(conn: Connection, endpoint: Endpoint | None, wanted: str) -> AskRoad:
    if endpoint is None or wanted == AskRoad.LETTER:
        return AskRoad.LETTER
    return AskRoad.TASK if wanted == AskRoad.TASK or takes_tasks(conn, endpoint) else AskRoad.LETTER


def _as_configured(config: Config, known: Ask) -> Ask:
    endpoint = config.endpoints.get(known.holder.endpoint)
    return replace(known, holder=holder_of(endpoint)) if endpoint else known


def whose_items(asked: Iterable[Ask]) -> set[str]:
    """Kinds that are asked for and not answered."""
    return {kind for each in asked if each.is_open for kind in each.items}
