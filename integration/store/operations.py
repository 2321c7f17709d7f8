"""What a person may do: retry, park, cancel, link, pause; each audited with a reason, each a twin of a page button."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from integration.settings.config import Config
from integration.store import (
    audit,
    deliveries,
    findings,
    parking,
    patient_links,
    requests,
    schedules,
    steps,
)
from integration.store.tables import endpoints
from integration.store.tables import steps as step_table
from mappings.model.delivery import ARRIVED, DeliveryStatus
from mappings.model.errors import ExchangeError
from mappings.model.findings import Finding
from mappings.model.roads import Level
from mappings.model.states import FINAL, Records
from mappings.model.steps import OPEN, RECORD_KINDS, TO_SEND
from mappings.patient_link import Compared

_PATIENT = re.compile(r"Patient/[A-Za-z0-9._-]{1,255}")


class NotPossible(ExchangeError):
    """What was asked for cannot be done in the state it is in."""


class WrongWords(NotPossible):
    """What a person said cannot be; ``wrong``: a sentence for each field."""

    def __init__(self, wrong: Mapping[str, str]):
        self.wrong = wrong
        super().__init__("; ".join(f"{name.replace('_', '-')} {words}" for name, words in wrong.items()))


@dataclass(frozen=True)
class Unlinked:
    """Whom a link named, and ``{type: number}`` of what this request wrote there meanwhile."""

    reference: str
    sent: dict[str, int]


def retry_step(conn: Connection, step_id: int, *, actor: str, reason: str = "") -> str:
    """Make a parked or waiting step due now. Raises NotPossible when it is neither; returns its request id."""
    step = conn.execute(select(step_table).where(step_table.c.id == step_id)).one_or_none()
    if step is None or not steps.make_due(conn, step_id):
        raise NotPossible(
            f"step {step_id} is {step.status}: only a parked or waiting step can be retried"
            if step
            else f"there is no step {step_id}"
        )
    if step.delivery_id:
        deliveries.move(conn, step.delivery_id, DeliveryStatus.RETRYING)
    if step.kind in RECORD_KINDS and step.request_id:
        requests.set_records(conn, step.request_id, Records.GATHERING)
    audit.record(conn, actor, "step.retried", step.request_id, subject=f"step {step_id}", reason=reason)
    return step.request_id


def open_step_of(conn: Connection, delivery_id: str) -> int | None:
    """The step that is open for a delivery."""
    return conn.execute(
        select(step_table.c.id)
        .where(step_table.c.delivery_id == delivery_id, step_table.c.status.in_(OPEN))
        .order_by(step_table.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def retry_delivery(conn: Connection, delivery_id: str, *, actor: str, reason: str = "") -> str:
    """Retry the open step of a delivery."""
    step_id = open_step_of(conn, delivery_id)
    if step_id is None:
        raise NotPossible(f"delivery {delivery_id} has nothing to retry: it is not known, or done")
    return retry_step(conn, step_id, actor=actor, reason=reason)


def park_delivery(conn: Connection, delivery_id: str, *, actor: str, reason: str) -> None:
    """Stop trying; the payload is kept and a person decides."""
    open_ones = conn.execute(
        select(step_table.c.id)
        .where(step_table.c.delivery_id == delivery_id, step_table.c.status.in_(OPEN))
        .order_by(step_table.c.id)
    ).scalars()
    if not [one for one in open_ones.all() if parking.park_by_person(conn, one, actor=actor, reason=reason)]:
        raise NotPossible(f"delivery {delivery_id} has no waiting or due step to park")


def cancel(conn: Connection, request_id: str, *, actor: str, reason: str) -> None:
    """Ask to cancel a request: what is still owed stops, the fulfiller is told by a step of its own."""
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    if row.status in FINAL:
        raise NotPossible(f"request {request_id} is {row.status}: there is nothing left to cancel")
    if row.cancel_requested:
        raise NotPossible(f"request {request_id} is already being cancelled")
    requests.ask_to_cancel(conn, request_id, actor=actor, reason=reason)
    steps.cancel_open(conn, request_id, reason=reason, kinds=TO_SEND)
    steps.create(
        conn, "cancel_request", row.fulfiller, request_id=request_id, deadline=row.created_at
    )  # before all else of it


def link_patient(
    conn: Connection,
    request_id: str,
    endpoint: str,
    reference: str,
    *,
    actor: str,
    reason: str = "",
    confirmed: bool = False,
    compared: Compared | None = None,
) -> None:
    """A person says who this request's patient is at an endpoint; what waited for that becomes due.

    The next step reads the patient and compares: it goes on when the two are surely one, or when ``confirmed`` is the
    person's second word for what differs; never into a record that is missing, out of use or merged away. ``compared``:
    what the person saw, so that a change since then is noticed.
    """
    steps.lock_with_request(conn, request_id)
    must_take_part(conn, request_id, endpoint)
    if not _PATIENT.fullmatch(reference):
        raise NotPossible(f"give the patient as Patient/<id>, as it is called at {endpoint}; no address, no other type")
    before = patient_links.of(conn, request_id, endpoint)
    patient_links.set_link(
        conn,
        request_id,
        endpoint,
        reference,
        origin="person",
        actor=actor,
        reason=reason,
        confirmed=confirmed,
        compared=compared,
    )
    detail = {"confirmed": list(compared.doubts) if compared else "unseen"} if confirmed else None
    audit.record(
        conn, actor, "patient.linked", request_id, subject=f"{endpoint} {reference}", reason=reason, detail=detail
    )
    for step_id in patient_steps(conn, request_id, endpoint):
        retry_step(conn, step_id, actor=actor, reason=f"patient linked: {reference}")
    if before is None or before.reference != reference:
        _say_who_it_is(conn, request_id, endpoint, actor)


def unlink_patient(conn: Connection, request_id: str, endpoint: str, *, actor: str, reason: str) -> Unlinked:
    """Undo a link: nothing more goes there under it, and the next step asks who the patient is.

    Returns what it was and what had gone there. Raises NotPossible when nobody is linked.
    """
    steps.lock_with_request(conn, request_id)
    must_take_part(conn, request_id, endpoint)
    link = patient_links.end(conn, request_id, endpoint, actor=actor)
    if link is None:
        raise NotPossible(f"no patient at {endpoint} is linked to request {request_id}")
    patient_links.forget_chart(conn, endpoint, link.reference)
    sent = patient_links.sent_under(conn, request_id, endpoint)
    audit.record(
        conn,
        actor,
        "patient.unlinked",
        request_id,
        subject=f"{endpoint} {link.reference}",
        reason=reason,
        detail={"sent": sent},
    )
    if sent:
        findings.record(
            conn,
            [
                Finding(
                    "patient-unlinked",
                    f"{in_words(sent)} went to {link.reference} at {endpoint} before it was unlinked: "
                    "have them removed or moved there",
                    link.reference,
                    "error",
                )
            ],
            request_id=request_id,
            endpoint=endpoint,
        )
    _say_who_it_is(conn, request_id, endpoint, actor)
    return Unlinked(link.reference, sent)


def in_words(sent: dict[str, int]) -> str:
    """``2 Observation, 1 Task``."""
    return ", ".join(f"{number} {kind}" for kind, number in sent.items()) or "nothing"


def patient_steps(conn: Connection, request_id: str, endpoint: str) -> list[int]:
    """Steps that wait at an endpoint for a person to say who the patient is."""
    return list(
        conn.execute(
            select(step_table.c.id).where(
                step_table.c.request_id == request_id,
                step_table.c.status == "parked",
                step_table.c.endpoint == endpoint,
                step_table.c.cause.like("patient-%"),
            )
        ).scalars()
    )


def must_take_part(conn: Connection, request_id: str, endpoint: str) -> None:
    """Raises NotPossible for an endpoint that has nothing to do with a request."""
    from integration.store import record_sources  # it imports this module

    row = requests.get(conn, request_id)
    if endpoint not in (row.placer, row.fulfiller) and record_sources.at(conn, request_id, endpoint) is None:
        raise NotPossible(
            f"{endpoint} is neither the placer nor the fulfiller of {row.id}, and no records are gathered there for it"
        )


def _say_who_it_is(conn: Connection, request_id: str, endpoint: str, actor: str) -> None:
    from integration.store import record_sources  # it imports this module

    record_sources.patient_changed(conn, request_id, endpoint, actor=actor)


def pause(conn: Connection, endpoint: str, paused: bool, *, actor: str, reason: str = "") -> None:
    """Pause or resume an endpoint for all workers. Raises NotPossible when it is unknown."""
    changed = conn.execute(
        update(endpoints)
        .where(endpoints.c.key == endpoint)
        .values(paused=paused, paused_reason=reason if paused else None)
    )
    if not changed.rowcount:
        raise NotPossible(f"there is no endpoint {endpoint}")
    audit.record(conn, actor, "endpoint.paused" if paused else "endpoint.resumed", subject=endpoint, reason=reason)


def run_schedule(conn: Connection, config: Config, name: str, *, actor: str, reason: str) -> bool:
    """Make a schedule's step due now; False when one is open already. Raises NotPossible when there is no such schedule."""
    if name not in schedules.names(config):
        raise NotPossible(f"there is no schedule {name[:80]}")
    made = schedules.make_due(conn, name)
    if made:
        audit.record(conn, actor, "schedule.run", subject=name, reason=reason)
    return made


def summary(conn: Connection, request_id: str) -> dict:
    """The counts people ask for: gathered, sent, verified, findings, whether the loop is closed."""
    row = requests.get(conn, request_id)
    kinds = list(reversed(deliveries.of_request(conn, request_id)))
    returned = [each for each in kinds if each.kind == "report" and each.status in ARRIVED]
    items = [
        item
        for each in kinds
        if each.kind == "records"
        for item in deliveries.items(conn, each.id).values()
        if not item.source.startswith("document:")
    ]
    return {
        "request_id": request_id,
        "status": row.status,
        "business_status": requests.exported_status(
            row, deliveries.records_arrived_as(conn, [request_id]).get(request_id)
        ),
        "closed": row.closed_at is not None,
        "records": row.records,
        "gathered": len({item.source for item in items}),
        "sent": len({item.source for item in items if item.status in ("sent", "verified", "different", "missing")}),
        "verified": len({item.source for item in items if item.status == "verified"}),
        "report_verified": any(each.status == DeliveryStatus.VERIFIED for each in returned),
        "report_level": (returned[-1].level or Level.READ_BACK) if returned else None,
        "closed_level": (row.closed_level or Level.READ_BACK) if row.closed_at is not None else None,
        "closed_road": row.closed_road,
    }
