"""Writing the records of a packet at an endpoint that takes resources: each once, in chunks, and what changed brought up to date."""

from dataclasses import replace

from integration.packets import stored as packets
from integration.store import deliveries, links
from integration.store.deliveries import Delivery
from integration.store.one_at_a_time import exclusively
from jobs.target.creating import Creating
from jobs.target.expected import expected
from jobs.target.looking import in_parallel
from jobs.target.push import Push
from jobs.target.separate_binaries import send_binary
from jobs.target.troubles import about_content, named_trouble
from jobs.target.updating import Updating
from jobs.world import Context
from mappings.model.errors import TransferError
from mappings.model.link import Link
from mappings.packet_actions import Action, Do, decide

MEANWHILE_SECONDS = 2.0  # a push of the same chart may take minutes: the step goes back rather than hold a thread


def push_resources(ctx: Context, delivery: Delivery, packet: packets.Packet) -> None:
    """While no other request's packet of the same chart is: both hold the same records, and servers race on conditional creates.

    Raises NeedsPerson when a person has to decide about some records; all others are written by then.
    """
    manifest = packet.manifest
    with exclusively(
        ctx.world.engine,
        ctx.step,
        delivery.endpoint,
        manifest.identifier_system,
        manifest.patient,
        wait_seconds=MEANWHILE_SECONDS,
    ):
        _Writing(Push(ctx, delivery, packet, expected(ctx, delivery.endpoint, packet))).run()


class _Writing:
    """Decides about each record of a push, and has it done."""

    def __init__(self, push: Push):
        self.push = push

    def run(self) -> None:
        """Create what is missing, bring up to date what changed, and name what a person has to decide about."""
        actions: dict[Do, list[Action]] = {each: [] for each in Do}
        for action in self._decided():
            actions[action.do].append(action)
        self._adopt_originals(actions[Do.ORIGINAL])
        self._note_kept(actions[Do.KEEP])
        self._send_beside()
        wanted = [each.source for each in actions[Do.CREATE] if each.source not in self.push.left]
        Creating(self.push).create(wanted)
        self.push.to_update |= dict.fromkeys(each.source for each in actions[Do.UPDATE])
        Updating(self.push).update()
        self._mark_rest()
        if self.push.left:
            raise named_trouble(self.push.endpoint, self.push.left)

    def _decided(self) -> list[Action]:
        actions = decide(self.push.items.values(), self.push.links)
        for action in actions:
            if action.finding is not None:
                self.push.ctx.found.append(action.finding)
            if action.do is Do.LEAVE and action.finding is not None:
                self.push.left[action.source] = action.finding
        return actions

    def _adopt_originals(self, actions: list[Action]) -> None:
        unknown = [each for each in actions if self.push.names.get(each.source) != each.target]
        read = in_parallel(
            self.push.ctx, self.push.endpoint, lambda each: self.push.server.read_if_there(each.target), unknown
        )
        rows = []
        for action, there in zip(unknown, read, strict=True):
            if there is None:
                self.push.leave(
                    "original-gone", f"it came from {self.push.endpoint} and is no longer there", action.source
                )
            else:
                rows.append(Link(self.push.system, action.source, action.target or "", "matched"))
        if rows:
            with self.push.ctx.transaction() as conn:
                links.wrote(conn, self.push.endpoint, rows)
        self.push.called({row.value: row.reference for row in rows})

    def _note_kept(self, actions: list[Action]) -> None:
        """What it was made of is noted where it was not known, or where a person was told of the change."""
        told = {each.source for each in actions if each.finding is not None and each.finding.severity == "error"}
        rows = [
            replace(link, **self.push.made_of(link.value))
            for link in (self.push.links[each.source] for each in actions)
            if link.source_sha256 is None or link.value in told
        ]
        if rows:
            with self.push.ctx.transaction() as conn:
                links.wrote(conn, self.push.endpoint, rows)

    def _send_beside(self) -> None:
        """Documents that stand beside their records go first: what names them says where they are."""
        push = self.push
        for document in push.beside.values():
            if document.source in push.left:
                continue
            try:
                push.called({document.binary: send_binary(push.ctx, push.endpoint, push.system, document)})
            except TransferError as error:
                if not about_content(error):
                    raise
                push.refused(document.source, error)

    def _mark_rest(self) -> None:
        """Items resolved before the packet (people) or found there: sent, with their target."""
        with self.push.ctx.transaction() as conn:
            known = deliveries.items(conn, self.push.delivery.id)
            deliveries.mark_items(
                conn,
                self.push.delivery.id,
                [
                    dict(
                        source=source,
                        status="sent",
                        target=self.push.names[source],
                        created_by_us=self.push.is_ours(source),
                    )
                    for source in self.push.resources
                    if source in self.push.names and source not in self.push.left and known[source].status == "queued"
                ],
            )
