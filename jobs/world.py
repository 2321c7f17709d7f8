"""What a step is handed: the world it works on, its lease, and how it says what came of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, Engine

from integration.backups.restore import LEASE_GAP
from integration.fhir.capabilities import Capabilities, probe
from integration.fhir.server import FhirServer
from integration.fhir.servers import configured
from integration.fhir.transport import refuse_writes
from integration.packets.payloads import Payloads
from integration.server_address import address_of
from integration.settings.config import Config, Endpoint
from integration.store import consents, endpoints, findings, requests, steps, waivers
from integration.store.consents import ConsentRow
from integration.store.requests import Request
from integration.store.steps import LeaseLost, NextStep, Step, fenced
from integration.store.waivers import Waiver
from integration.tracing import OFF, NoTracing
from jobs import gate
from jobs.recorder import Recorder
from mappings.addresses import comparable
from mappings.model.errors import ExchangeError, NeedsPerson
from mappings.model.findings import Finding
from mappings.model.leaving import Going, Reason
from mappings.model.request import SecondOpinionRequest

if TYPE_CHECKING:
    from integration.fhir.servers import Servers

RENEWAL_SHARE = 0.8  # no write to another system when the last renewal is older than this share of the lease
FRESH_SECONDS = 0.25  # a renewal older than this is asked for again when the write goes out
PROBE_SECONDS = 86400


def utc_now() -> datetime:
    """The clock of production; tests hand in another."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class World:
    """Everything outside a step: handed in, never global."""

    config: Config
    engine: Engine
    servers: "Servers"
    payloads: Payloads
    now: Callable[[], datetime] = utc_now
    tracing: NoTracing = OFF


class Revised(ExchangeError):
    """The request was corrected while a step worked with what it said before: the step is done again."""


class Lease:
    """The right to work on one step; renewed by the worker's heartbeat and before each write."""

    def __init__(self, engine: Engine, step_id: int, lease_no: int, seconds: float):
        self.engine, self.step_id, self.lease_no, self.seconds = engine, step_id, lease_no, seconds
        self.begun = self._renewed = time.monotonic()
        self._lock = threading.Lock()

    def renew(self) -> None:
        """Hold it longer. Raises LeaseLost."""
        asked = time.monotonic()  # before the question: a freeze while it is answered must not count as fresh
        if not steps.renew(self.engine, self.step_id, self.lease_no, self.seconds):
            raise LeaseLost(f"the lease {self.lease_no} of step {self.step_id} was taken over")
        with self._lock:
            self._renewed = asked

    def before_write(self) -> None:
        """Call right before each write to another system: renews, and refuses when that took too long."""
        self.renew()
        if time.monotonic() - self._renewed > RENEWAL_SHARE * self.seconds:
            raise LeaseLost(f"the renewal of step {self.step_id} took longer than its lease allows")

    def renew_if_it_waited(self) -> None:
        """Called with each write when it goes out: asks again when it had to wait for its turn."""
        if time.monotonic() - self._renewed > FRESH_SECONDS:
            self.before_write()


@dataclass
class Outcome:
    """What a step did. ``apply`` runs in the one transaction that also finishes the step."""

    next_steps: tuple[NextStep, ...] = ()
    again_at: datetime | None = None
    apply: list[Callable[[Connection], object]] = field(default_factory=list)


class Context:
    """One attempt of one step."""

    def __init__(self, world: World, step: Step, lease: Lease):
        self.world, self.step, self.lease = world, step, lease
        self.found: list[Finding] = []
        self.exchanges = Recorder()
        self.result: tuple[str, str] | None = None  # outcome and cause of what is told in traces
        self.closed_loop = False
        self.announced: set[str] = set()  # what a row of the gate names already, and is about to leave one by one
        self.because: Reason | None = None  # what leaves now, where that is not what the step is for
        self._addresses: dict[
            str, tuple[str, ...]
        ] = {}  # of endpoints that are the servers they were: what they showed
        self.read_version: int | None = None  # of the request's content, once this attempt has read it
        self.read_consent: int | None = None  # by which it chose records; 0: there was none; None: it chose none

    @property
    def now(self) -> datetime:
        """The time, aware."""
        return self.world.now()

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.world.config

    @property
    def request_id(self) -> str:
        """The request this step is owed for. A poll, and what we owe ourselves, has none, and asks for none."""
        return cast(str, self.step.request_id)

    @property
    def looks_first(self) -> bool:
        """True when an earlier attempt of this step may have written something: look before sending."""
        return self.step.attempts > 0 or self.step.lost > 0 or self.step.lease_no > 1

    @property
    def was_restored(self) -> bool:
        """True when the database is older than what was sent from it: what it does not know may be there all the same."""
        return self.step.lease_no > LEASE_GAP

    def row(self) -> Request:
        """The request as it is now."""
        with self.world.engine.begin() as conn:
            return requests.get(conn, self.request_id)

    def request(self) -> SecondOpinionRequest:
        """The request as it was entered or last corrected."""
        row = self.row()
        self.read_version = row.version
        return requests.content(row)

    @property
    def version(self) -> int:
        """Of the request's content, as this attempt has read it."""
        if self.read_version is None:
            raise LookupError("the request has not been read")
        return self.read_version

    def was_revised(self, conn: Connection) -> bool:
        """True when the request was corrected since this attempt read it; until the transaction ends it stays as it is."""
        return self.read_version is not None and requests.version_now(conn, self.request_id) != self.read_version

    def must_be_current(self, conn: Connection) -> None:
        """For the commit of what follows from the request's content. Raises Revised."""
        if self.was_revised(conn):
            raise Revised(
                f"request {self.request_id} was corrected meanwhile; what was done with version {self.read_version} "
                "is done again"
            )

    def endpoint(self, key: str) -> Endpoint:
        """The configuration of an endpoint. Raises PermanentError when config.yaml has it no longer."""
        return configured(self.world.config.endpoints, key)

    def server(self, key: str) -> FhirServer:
        """The FHIR server of an endpoint; what is exchanged with it is kept beside this attempt."""
        self._must_be_where_it_was(key)
        return self.world.servers.server(key).observed(
            self.exchanges, partial(self.before_write, key), partial(self.learn_address, key)
        )

    def content_host(self, key: str, url: str) -> tuple[FhirServer, str] | None:
        """For reading: a listed content host of an endpoint and the path of ``url`` there; None for every other host."""
        found = self.world.servers.content_host(key, url)
        return found and (found[0].observed(self.exchanges, refuse_writes), found[1])

    def turn(self, key: str) -> None:
        """Until something may be sent to the endpoint: its requests per second are those of all wires."""
        self.world.servers.turn(key)

    def before_write(self, key: str, going: Going) -> None:
        """With each write when it goes out: the step is still ours, it may leave, and neither question took too long."""
        self.lease.renew_if_it_waited()
        gate.passes(self, key, going)
        self.lease.renew_if_it_waited()

    @contextmanager
    def for_the_reason(self, reason: Reason) -> Iterator[None]:
        """What leaves meanwhile is for another reason than the rest of the step."""
        before, self.because = self.because, reason
        try:
            yield
        finally:
            self.because = before

    def bases(self, key: str) -> tuple[str, ...]:
        """Every address that names the server of an endpoint: as configured, and as its own answers showed, now or earlier."""
        self._must_be_where_it_was(key)
        return (*self.endpoint(key).bases, *self._addresses[key])

    def learn_address(self, key: str, base: str) -> None:
        """Another address of an endpoint's server, because it says so of what it keeps; never that of another endpoint.

        Remembered at once: who reads back may be another worker, and the server's index too late to show it again.
        """
        others = {comparable(each) for one in self.world.config.endpoints.values() for each in one.bases}
        if comparable(base) in others | {comparable(each) for each in self._addresses[key]}:
            return
        with self.world.engine.begin() as conn:
            is_new = endpoints.learn_address(conn, key, base)
        self._addresses[key] += (base,)
        if is_new:
            self.say_learned(key, base)

    def say_learned(self, key: str, base: str) -> None:
        """That a server calls itself by an address that config.yaml does not tell."""
        self.finding(
            "address-learned",
            f"{key} calls itself {base}; references to that address are understood as its own. "
            "Write it under `also_known_as` of the endpoint, or have its base address set right",
            base,
        )

    def _must_be_where_it_was(self, key: str) -> None:
        """Another address may be another server, where the same ids name other patients. Asked once in an attempt."""
        endpoint = self.world.config.endpoints.get(key)
        if key in self._addresses or endpoint is None:
            return
        with self.world.engine.begin() as conn:
            known = endpoints.known(conn, key)
        was, now = known.base_url, address_of(endpoint)
        if was not in (None, now):
            raise NeedsPerson(
                endpoints.MOVED,
                f"base_url of {key} was {was} at first use and is {now} now; nothing is sent to it or read from it",
            )
        self._addresses[key] = known.addresses

    def capabilities(self, key: str) -> Capabilities:
        """What the endpoint can do, asked once a day and overridden by config."""
        can = capabilities_of(self.world, key, lambda: self.server(key))
        if can.problems:
            raise NeedsPerson("endpoint-unusable", f"{key}: {'; '.join(can.problems)}")
        return can

    def waivers(self) -> list[Waiver]:
        """What this request is sent without, or with its bytes as they are, because a person said so."""
        with self.world.engine.begin() as conn:
            return waivers.in_force(conn, self.request_id)

    def waived(self) -> frozenset[str]:
        """The items (``Type/id`` or ``Type/id#path``) that this request is sent without."""
        return frozenset(each.item for each in self.waivers() if not each.as_it_is)

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that commits only while the lease is ours."""
        return fenced(self.world.engine, self.step.id, self.step.lease_no)

    def consent(self) -> ConsentRow | None:
        """The statement of consent that stands; what this attempt sends is chosen by it, and leaves by no other one."""
        with self.world.engine.begin() as conn:
            found = consents.newest(conn, self.request_id)
        self.read_consent = found.id if found else 0
        return found

    def finding(self, cause: str, message: str, path: str = "", severity: str = "warning") -> None:
        """Note something an operator shall see; stored when the attempt ends, whichever way it ends."""
        self.found.append(Finding(cause, message, path, severity))

    def store_findings(self, conn: Connection) -> None:
        """Write what was found so far."""
        findings.record(
            conn,
            self.found,
            request_id=self.step.request_id,
            delivery_id=self.step.delivery_id,
            endpoint=self.step.endpoint,
        )


def capabilities_of(world: World, key: str, server: Callable[[], FhirServer]) -> Capabilities:
    """Read from the endpoint's row, or probe ``server()`` and remember. Raises NeedsPerson when another server answers."""
    with world.engine.begin() as conn:
        known = endpoints.known(conn, key)
    endpoint = configured(world.config.endpoints, key)
    overrides = endpoint.overrides
    if known.capabilities and known.probed_at and (world.now() - known.probed_at).total_seconds() < PROBE_SECONDS:
        return Capabilities.from_json(known.capabilities).with_overrides(overrides)
    probed = probe(server())
    if probed.problems:
        return probed  # not remembered: it is asked again when somebody has fixed it
    says = probed.of_itself
    is_hosted = bool(endpoint.hosted_practice)
    if known.says is not None and known.says != says and not is_hosted:
        raise NeedsPerson(
            endpoints.MOVED,
            f"{key} answers as another server than at first use (software {says.get('software')}, "
            f"was {known.says.get('software')}); nothing is sent to it or read from it",
        )
    with world.engine.begin() as conn:
        endpoints.remember(conn, key, probed.to_json(), says, world.now())
    return probed.with_overrides(overrides)
