"""What a poll makes of one order: taken in as a new request, followed as a known one, left alone as our own, or refused aloud."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from integration.fhir.server import NotFound
from integration.settings.one_server import is_one_server
from integration.store import findings, operations, orders, refused_orders, requests
from integration.store.orders import Order
from integration.store.storable import storable
from jobs.items import error_as_finding
from jobs.steps.following import Read, digest, follow_order, is_changed, keep, tell_status
from jobs.world import Context
from mappings.coverage_information import unknown_codes
from mappings.identifiers import local_reference, to_identifier
from mappings.model.coverage import OrderCoverage
from mappings.model.errors import MappingError, PartialError, RequestError, TemporaryError, TransferError
from mappings.model.findings import Finding
from mappings.model.request import Code, SecondOpinionRequest
from mappings.model.states import Status
from mappings.order import earlier_orders, in_a_loop, in_line, mark_of
from mappings.polled_order import OnKnown, OnNew, on_known, on_new
from mappings.references import find_references
from mappings.service_request import from_service_request, is_second_opinion

READ_ALONG = (
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Condition",
    "Communication",
    "QuestionnaireResponse",
)
BLIPS = 2  # so often the whole poll is tried again before what cannot be read now is the order's own trouble
LONGEST_NAME = 200
Change = Callable[[Connection], object]


class Orders:
    """The orders of one placer, and what is to be done about those that a poll reads."""

    def __init__(self, ctx: Context, key: str, refused: set[str]):
        self.ctx, self.key, self.refused = ctx, key, refused
        self.config, self.endpoint = ctx.world.config, ctx.endpoint(key)
        with ctx.world.engine.begin() as conn:
            self.names = orders.names_of_server(conn, self.config, key)
            self.systems = orders.systems_known(conn, self.config)
        self.bases = [
            base for name, each in self.config.endpoints.items() if name not in self.names for base in each.bases
        ]
        self.codes = [Code(system=each.system, code=each.code) for each in self.endpoint.local_codes]

    def changes_of(self, found: Mapping[str, dict | None]) -> list[tuple[str, Change]]:
        """``(reference, change for a commit)`` for each order that something is to be done about; what is odd is a finding."""
        asked: dict[str, dict] = {}
        for reference, order in found.items():
            with error_as_finding(self.ctx, reference, "request-unreadable"):
                if order is not None and is_second_opinion(order, self.codes):
                    asked[reference] = order
        with self.ctx.world.engine.begin() as conn:
            known = orders.known(conn, self.names, [each for each in found if is_address(each)])
            earlier = {each for order in asked.values() for each in earlier_orders(order, self.endpoint.bases)}
            ours = orders.written_by_us(conn, self.names, {*filter(is_address, asked), *earlier})
            dealt_with = refused_orders.skipped(conn, self.key, list(found))
        changes, before = [], len(self.ctx.found)
        self.based_on = {each: earlier_orders(order, self.endpoint.bases) for each, order in asked.items()}
        self.looping = in_a_loop(self.based_on)
        for reference, order in self._earlier_first(found):
            if order is None or not (reference in known or reference in asked):
                continue
            if reference in dealt_with and dealt_with[reference] == _said(order):
                continue
            with error_as_finding(self.ctx, reference, "request-unreadable"):
                change = (
                    self._known(known[reference], order, asks=reference in asked)
                    if reference in known
                    else self._new(reference, order, ours)
                )
                changes += [(reference, change)] if change else []
        refused = {
            findings.reference_of(each.path) for each in self.ctx.found[before:] if each.cause in findings.REFUSED
        }
        for reference in refused & asked.keys():
            changes.append((reference, self._note_refused(reference, asked[reference])))
        return changes

    def _earlier_first(self, found: Mapping[str, dict | None]) -> list[tuple[str, dict | None]]:
        """What another order is based on is taken in before it: they are one case."""
        places = {each: number for number, each in enumerate(in_line(self.based_on))}
        return sorted(found.items(), key=lambda each: places.get(each[0], -1))

    def _note_refused(self, reference: str, order: dict) -> Change:
        """A person may deal with it as it is now; it comes back when it says something else."""
        return lambda conn: refused_orders.note(conn, self.key, reference, _said(order))

    def is_gone(self, order: Order) -> None:
        """An open request whose order is no longer in its EHR: a person decides, nothing is drawn from silence."""
        self.ctx.finding(
            "order-gone",
            f"the order of request {order.request_id} is no longer at {self.key}; the request goes on. Ask the provider who "
            "placed it, and cancel the request if it is not wanted any more",
            order.reference,
            "error",
        )

    def _known(self, known: Order, order: dict, *, asks: bool) -> Change | None:
        what = on_known(
            order.get("status"),
            Status(known.status),
            is_being_cancelled=known.cancel_requested,
            is_changed=is_changed(known, order),
            asks=asks,
        )
        match what:
            case OnKnown.CANCEL:
                return partial(_cancel, request_id=known.request_id, actor=f"poll {self.key}")
            case OnKnown.TELL_STATUS:
                return tell_status(self.key, known, order)
            case OnKnown.FOLLOW:
                return follow_order(self.ctx, self.key, known, order, self._reading(known, order))
        return None

    def _reading(self, known: Order, order: dict) -> Callable[[], Read]:
        def read() -> Read:
            included, gone = self._included(order)
            return Read(self._request(order, included, known.request_id), tuple(gone))

        return read

    def _new(self, reference: str, order: dict, ours: set[str]) -> Change | None:
        mark = mark_of(
            order,
            systems=self.systems,
            own_system=self.endpoint.identifier_system,
            bases=self.bases,
            own_bases=self.endpoint.bases,
        )
        what = on_new(
            order.get("status"),
            mark,
            is_written_by_us=reference in ours,
            follows_ours=bool(ours & set(earlier_orders(order, self.endpoint.bases))),
            is_address=is_address(reference),
        )
        if what is OnNew.TELL_DERIVED:
            self.ctx.finding(
                "order-derived",
                "this order was made from one that the Exchange wrote there: it is part of that request, and not taken in as "
                "a new one. Enter a further second opinion as an order of its own",
                reference,
                "info",
            )
        elif what is OnNew.REFUSE_ID:
            self._refuse(
                "request-unreadable",
                "its id is none that a FHIR server may give, so it cannot be read again",
                reference,
            )
        elif what is OnNew.READ and reference in self.looping:
            self._refuse(
                "request-case-refused",
                "it is based on an order that is, by others, based on it again: a chain of requests has a first one. Have the "
                "practice correct what it is based on",
                f"{reference}#ServiceRequest.basedOn",
            )
        elif what is OnNew.READ and not self._no_fulfiller(reference) and not self._is_elsewhere(reference, order):
            return self._read_new(reference, order)
        return None

    def _read_new(self, reference: str, order: dict) -> Change | None:
        try:
            included, gone = self._included(order)
            request = self._request(order, included)
        except MappingError as error:
            self._refuse("request-unreadable", str(error), f"{reference}#{error.path}")
            return None
        except (TransferError, PartialError) as error:
            if isinstance(error, TemporaryError) and self.ctx.step.attempts < BLIPS and reference not in self.refused:
                raise
            self._refuse("request-incomplete", f"half an order is not taken in: {error}", reference)
            return None
        return partial(self._take_in, reference=reference, order=order, request=request, gone=gone)

    def _request(self, order: dict, included: dict, request_id: str | None = None) -> SecondOpinionRequest:
        fulfiller = self.endpoint.default_fulfiller
        if request_id is not None:
            with self.ctx.world.engine.begin() as conn:
                fulfiller = requests.get(conn, request_id).fulfiller
        made = from_service_request(
            order,
            placer=self.key,
            fulfiller=fulfiller or "",  # looked at before: without one no order is taken in
            included=included,
            base=self.endpoint.bases,
        )
        self._tell_of_coverage(name_of(order), made.order_coverage)
        return made.model_copy(update={"requisition": to_identifier(order.get("requisition"))})

    def _tell_of_coverage(self, reference: str, said: Iterable[OrderCoverage]) -> None:
        """What an insurer wrote on the order and is not known here is kept as said; somebody is told."""
        for each in said:
            for element in unknown_codes(each):
                self.ctx.finding(
                    "coverage-code-unknown",
                    f"what an insurer wrote on the order says {element} in a code that is not known: it is shown as it stands",
                    f"{reference}#ServiceRequest.extension",
                )
            if each.not_understood:
                self.ctx.finding(
                    "coverage-part-left",
                    f"what an insurer wrote on the order has parts that go no further: {', '.join(each.not_understood)}"[
                        :300
                    ],
                    f"{reference}#ServiceRequest.extension",
                )

    def _no_fulfiller(self, reference: str) -> bool:
        fulfiller = self.endpoint.default_fulfiller
        if fulfiller is None:
            why = "a second opinion request, and no default_fulfiller is configured for this placer"
        elif fulfiller in self.names or is_one_server(self.config.endpoints[fulfiller], self.endpoint):
            why = f"the default_fulfiller {fulfiller} is the server that asks: nothing is sent to where it comes from"
        else:
            return False
        self._refuse("no-fulfiller", why, reference)
        return True

    def _is_elsewhere(self, reference: str, order: dict) -> bool:
        """True when it was taken in from another endpoint: the same order, so the same server under two names."""
        with self.ctx.world.engine.begin() as conn:
            others = orders.elsewhere(conn, self.names, reference)
        return any(self._is_the_same(other, reference, order) for other in others)

    def _is_the_same(self, other: Order, reference: str, order: dict) -> bool:
        same = other.came_sha256 == digest(order)
        if not same and other.placer in self.config.endpoints:
            same = self.ctx.server(other.placer).read_if_there(reference) == order
        if same:
            self._note_one_server(self.ctx.finding, other)
        return same

    def _note_one_server(self, note: Callable[..., object], other: Order) -> None:
        note(
            "one-server",
            f"{self.key} and {other.placer} are one server: the same orders stand at both, and each is taken in once. "
            "Configure it once",
            f"endpoints {self.key} {other.placer}",
            "error",
        )

    def _take_in(
        self, conn: Connection, *, reference: str, order: dict, request: SecondOpinionRequest, gone: list[str]
    ) -> None:
        orders.hold(conn, reference)  # two names of one server may be polled at once
        if orders.known(conn, self.names, [reference]):
            return
        for other in orders.elsewhere(conn, self.names, reference):
            if other.came_sha256 == digest(order):
                return self._note_one_server(self.ctx.finding, other)
        request = self._in_its_case(conn, reference, request)
        try:
            with conn.begin_nested():
                request_id, _ = requests.take_in(
                    conn, request, actor=f"poll {self.key}", **self.config.intake(request.fulfiller)
                )
        except RequestError as error:
            return self._keep_refused(conn, reference, order, error)
        keep(conn, self.ctx, request_id, self.key, reference, order, request)
        findings.record(
            conn,
            [
                Finding(
                    "order-reference-gone",
                    f"the order points to {each}, which is not at {self.key}: what it said is not in the request",
                    f"{reference} -> {each}",
                    "error",
                )
                for each in gone
            ],
            request_id=request_id,
            endpoint=self.key,
        )

    def _in_its_case(self, conn: Connection, reference: str, request: SecondOpinionRequest) -> SecondOpinionRequest:
        """The order that it is based on, where that became a request."""
        named = self.based_on.get(reference, ())
        known = orders.known(conn, self.names, named)
        earlier = next((known[each].request_id for each in named if each in known), None)
        return request.model_copy(update={"follows": earlier})

    def _keep_refused(self, conn: Connection, reference: str, order: dict, error: RequestError) -> None:
        first = error.mistakes[0]
        path = f"{reference}#ServiceRequest.{'requisition' if first.path == 'requisition' else 'basedOn'}"
        self._refuse("request-case-refused", f"{first.path} {first.message}", path)
        refused_orders.note(conn, self.key, reference, _said(order))

    def _refuse(self, cause: str, message: str, path: str) -> None:
        self.ctx.finding(cause, message, path, "error")

    def _included(self, resource: dict) -> tuple[dict[str, dict], list[str]]:
        """What the order points to, and what a PractitionerRole or Condition among it points to; and what is not there."""
        found: dict[str, dict | None] = {}
        self._include(resource, found)
        for each in [
            each for each in found.values() if each and each["resourceType"] in ("PractitionerRole", "Condition")
        ]:
            self._include(each, found)
        return {local: each for local, each in found.items() if each}, [
            local for local, each in found.items() if not each
        ]

    def _include(self, resource: dict, found: dict[str, dict | None]) -> None:
        for at in find_references(resource, source_base=self.endpoint.bases):
            local = local_reference(at.target)
            if local is None or local in found or local.split("/")[0] not in READ_ALONG or not is_address(local):
                continue
            try:
                found[local] = self.ctx.server(self.key).read(*local.split("/"))
            except NotFound:  # the server's own word, not some gateway's page: then it is not known what the order says
                found[local] = None


def is_address(reference: str) -> bool:
    """Whether a read can ask for it: a server may give ids that no address holds."""
    return local_reference(reference) == reference and reference.split("/")[1].strip(".") != ""


def _said(order: dict) -> str:
    """One value for what an order says; that a server touched it is no change."""
    return digest({name: value for name, value in order.items() if name != "meta"})


def name_of(resource: dict) -> str:
    """``Type/id`` of what a server gave, as the database can hold it."""
    return storable(f"{resource.get('resourceType')}/{resource.get('id', '')}", LONGEST_NAME)


def _cancel(conn: Connection, *, request_id: str, actor: str) -> None:
    with suppress(operations.NotPossible):  # it has ended, or is being cancelled already
        operations.cancel(conn, request_id, actor=actor, reason="the placer revoked its ServiceRequest")
