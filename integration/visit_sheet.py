"""What stands on a request's visit sheet, as a page and as a PDF."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Engine

from integration import checklists, health_library, medications
from integration.packets.payloads import Payloads
from integration.packets.text_pdf import LINES, pdf_of_text
from integration.settings.config import Config
from integration.store import appointments, audit, requests
from integration.store.appointments import Appointment
from integration.views.texts import t
from integration.views.visit import in_zone
from mappings.medications import Entry
from mappings.model.request import SecondOpinionRequest
from mappings.visit_sheet import Sheet, as_text, medicines


def sheet_of(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    today: date,
    *,
    actor: str,
    with_library: bool = False,
) -> Sheet:
    """The sheet as of now; the look is recorded first. Raises UnknownRequest, and ExchangeError when a packet cannot be read.

    ``with_library``: also what there is to read about the diagnosis, which then stands on the sheet.
    """
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        visit = appointments.current(conn, request_id)
        audit.record(conn, actor, "sheet.looked-at", request_id)
    found = medications.read(engine, payloads, request_id)
    judged = checklists.judged(engine, payloads, config, request_id, today)
    carried = [item.kind.plain for item in judged.items if item.kind.by_courier and item.is_open]
    return Sheet(
        t("sheet.heading"),
        (
            (t("sheet.when"), tuple(_when(config, content, visit))),
            (t("sheet.bring"), tuple(f"- {each}" for each in (*_always(), *carried))),
            (t("sheet.medications"), tuple(_medicines(found))),
            (t("sheet.questions"), tuple(_questions(content))),
            *(_to_read(engine, config, content) if with_library else ()),
            (t("sheet.call"), tuple(_whom(config, content))),
        ),
    )


def _to_read(engine: Engine, config: Config, content: SecondOpinionRequest) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Titles and addresses of what the configured library has; why there are none, where it has none."""
    shelf = health_library.about(engine, config.health_library, content.diagnosis)
    if shelf.state == "off":
        return
    links = tuple(f"- {each.title}: {each.href}" for each in shelf.readings)
    says = (
        t("sheet.to_read_from", source=shelf.source)
        if links
        else t(f"library.state.{shelf.state}", source=shelf.source)
    )
    yield t("sheet.to_read"), (says, *links)


def pdf_of(sheet: Sheet) -> bytes | str:
    """One page, or more that say so; a str says why there is none: letters that a PDF of ours cannot show."""
    return pdf_of_text(as_text(sheet, LINES, t("sheet.continued")), t("sheet.title"))


def _place(config: Config, key: str) -> str:
    endpoint = config.endpoints.get(key)
    return endpoint.name if endpoint else key


def _when(config: Config, content: SecondOpinionRequest, visit: Appointment | None) -> Iterator[str]:
    place = _place(config, content.fulfiller)
    if visit is not None and visit.is_booked:
        yield in_zone(visit.start_at, visit.zone)
        yield from filter(None, (visit.with_whom, visit.place))
        yield t("sheet.where", place=place)
        return
    yield t("sheet.where", place=place)
    yield t("sheet.no_visit", place=place)
    if content.wanted_by:
        yield t("sheet.wanted_by", day=f"{content.wanted_by:%A, %B %-d, %Y}")


def _always() -> tuple[str, ...]:
    return t("sheet.bring.id"), t("sheet.bring.medications"), t("sheet.bring.sheet")


def _medicines(found: medications.Shown) -> Iterator[str]:
    if not found.as_of:
        yield t("medications.not_yet")
        return
    reviewed = found.review.created_at if found.review and found.is_confirmed else None
    yield t("sheet.medications_confirmed", day=f"{reviewed:%Y-%m-%d}") if reviewed else t("sheet.medications_open")
    for each in medicines(map(_line, found.listed.current), found.said):
        words = f": {each.dosage}" if each.dosage else ""
        yield f"- {each.name}{words}" if each.is_taken else f"- {each.name}: {t('sheet.not_taking')}"


def _line(entry: Entry) -> tuple[str, str, str]:
    return entry.key, entry.name, entry.sources[0].dosage


def _questions(content: SecondOpinionRequest) -> Iterator[str]:
    for number, each in enumerate(content.patient_questions, 1):
        yield f"{number}. {each}"
    if not content.patient_questions:
        yield t("sheet.no_questions")


def _whom(config: Config, content: SecondOpinionRequest) -> Iterator[str]:
    for key in (content.fulfiller, content.placer):
        endpoint = config.endpoints.get(key)
        if endpoint and endpoint.contact:
            yield t("sheet.call_line", place=endpoint.name, contact=endpoint.contact)
        else:
            yield _place(config, key)
