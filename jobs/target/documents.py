"""Packets at an endpoint that takes documents: rendered once, each document written once, and read back as it was written."""

from collections.abc import Iterable, Mapping

from integration import fhir_json
from integration.fhir.failures import safe_issues
from integration.packets import stored as packets
from integration.packets.originals import contents
from integration.packets.stored import Packet
from integration.store import deliveries, links
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery, Item
from jobs.target.checking import Check, differs, read_back
from jobs.target.corrections import earlier_than, is_replaced, supersede
from jobs.target.records import Seen, seen, write
from jobs.target.rendering import SUMMARY, Document, documents_of, name_of, summaries_of
from jobs.target.sending import NO_ROAD, PERHAPS
from jobs.target.troubles import named_trouble, worth_splitting
from jobs.target.waiving import without_waived
from jobs.world import Context
from mappings.model.delivery import ItemStatus
from mappings.model.errors import NeedsPerson, TransferError
from mappings.model.findings import Finding


def push_documents(ctx: Context, delivery: Delivery, packet: Packet, patient: str) -> None:
    """The packet as a person reads it: a summary of everything, and each original document once.

    What is written is made once and kept before any of it goes: a later attempt sends the same, and so the reading back
    compares with the same, whatever version of the Exchange does it.
    """
    earlier = earlier_than(ctx, delivery, packet)
    made, anew = None, bool(packet.manifest.waived) or _was_without(ctx, delivery)
    if anew or not _kept(ctx, delivery):  # what is left out may have been said, or taken back, later
        made = _keep(ctx, delivery, documents_of(ctx, delivery, packet, patient, earlier))
    refused: dict[str, TransferError | NeedsPerson] = {}
    doubts: dict[str, NeedsPerson] = {}
    for name, item in _to_write(ctx, delivery, made).items():
        try:
            reference = _write(ctx, delivery, item, anew=anew)
        except TransferError as error:
            if name.startswith(SUMMARY) or not worth_splitting(error, ctx.step.attempts):
                raise
            refused[name] = error
        except NeedsPerson as error:
            if error.cause == PERHAPS:
                doubts[name] = error
            elif error.cause == NO_ROAD and not name.startswith(SUMMARY):
                refused[name] = error
            else:
                raise
        else:
            _mark_sent(ctx, delivery, (name, *(packet.resources if name == SUMMARY else ())), reference)
    if doubts:
        raise _in_doubt(doubts)
    if refused:
        raise named_trouble(delivery.endpoint, _named(ctx, delivery.endpoint, packet, refused))
    for reference in earlier.superseded:
        supersede(ctx, delivery.endpoint, reference, "an earlier copy of what was corrected since")


def _was_without(ctx: Context, delivery: Delivery) -> bool:
    """An earlier attempt left something out."""
    with ctx.world.engine.begin() as conn:
        return ItemStatus.WAIVED in deliveries.counts(conn, delivery.id)


def _write(ctx: Context, delivery: Delivery, item: Item, *, anew: bool) -> str | None:
    """One document that was kept; ``anew``: it may stand there as it was before a person left something out.

    ``Type/id`` there, None where a person says that it is there.
    """
    return write(ctx, delivery, fhir_json.loads(ctx.world.payloads.get(item.kept)), anew=anew).reference


def _mark_sent(ctx: Context, delivery: Delivery, sources: Iterable[str], reference: str | None) -> None:
    with ctx.transaction() as conn:
        sent = [dict(source=source, status="sent", target=reference, created_by_us=True) for source in sources]
        deliveries.mark_items(conn, delivery.id, sent)


def _in_doubt(doubts: Mapping[str, NeedsPerson]) -> NeedsPerson:
    """Each waits for a person's word; all others were sent."""
    named = "; ".join(f"{name}: {error}" for name, error in list(doubts.items())[:5])
    return NeedsPerson(PERHAPS, f"{len(doubts)} document(s) of the packet: {named}", items=doubts)


def _to_write(ctx: Context, delivery: Delivery, made: set[str] | None) -> dict[str, Item]:
    """What was kept, without what an earlier attempt kept and is left out now. ``made``: what goes; None: all of it."""
    kept = _kept(ctx, delivery)
    left_out = kept.keys() - made if made is not None else set()
    unwritten = sorted(name for name in left_out if kept[name].target is None)
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery.id, [dict(source=name, status=ItemStatus.WAIVED) for name in unwritten])
    return {name: item for name, item in kept.items() if name not in left_out}


def _waived_names(packet: Packet) -> set[str]:
    """The names of originals that do not go, unless the same bytes stand elsewhere in the packet."""
    if not packet.manifest.waived:
        return set()  # to know what goes, every record is read
    going = {each.sha256 for each in contents(packet).originals}
    return {name_of(each.sha256) for each in packet.manifest.waived if each.of and each.sha256 not in going}


def _named(
    ctx: Context, endpoint: str, packet: Packet, refused: Mapping[str, TransferError | NeedsPerson]
) -> dict[str, Finding]:
    """What the endpoint says of each document that it refuses, by its place in the packet."""
    places, left = {name_of(each.sha256): each.of for each in contents(packet).originals}, {}
    for name, error in refused.items():
        place, words = places.get(name, name), str(error)
        if isinstance(error, TransferError):
            words = "; ".join([str(error.status_code or error.cause), *safe_issues(error.outcome or {})])
        left[place] = Finding("record-refused", f"{endpoint} refuses it: {words}", place, "error")
    ctx.found += left.values()
    return left


def check_documents(ctx: Context, delivery: Delivery, packet: Packet) -> Check:
    """Each document read back and compared with the bytes that were kept; the records count with their summary."""
    server, check, summary = ctx.server(delivery.endpoint), Check([], [], []), Check([], [], [])
    waived = _waived_names(packet)
    for name, item in _documents(ctx, delivery).items():
        if (name in waived or item.status == ItemStatus.WAIVED) and item.target is None:
            continue
        part = summary if name.startswith(SUMMARY) else check
        written = _written(ctx, delivery, packet, name, item)
        found = seen(ctx, delivery, written) if written is not None else None
        if found is not None:
            _note(part, name, found)
            continue
        read = read_back(server, item.target)
        if read is None:
            part.missing.append(name)
        else:
            is_wrong = written is None or differs(ctx, written, read, name)
            (part.different if is_wrong else part.verified).append(name)
    verdict = summary.missing or summary.different or summary.verified or check.missing
    verdict += packet.resources
    check.verified += summary.verified
    check.different += summary.different
    check.missing += summary.missing
    check.levels |= summary.levels
    return check


def _note(part: Check, name: str, found: Seen) -> None:
    lists = {ItemStatus.VERIFIED: part.verified, ItemStatus.DIFFERENT: part.different, ItemStatus.MISSING: part.missing}
    lists[found.status].append(name)
    if found.status is ItemStatus.VERIFIED:
        part.levels[found.identifier] = found.level


def current_summaries(ctx: Context, delivery: Delivery, patient: str, version: int) -> list[Document]:
    """The summary of a delivery with what a version of the request says; a part that it no longer has is superseded.

    None when nothing of it was written, or later packets corrected all of it.
    """
    written = {
        name: item for name, item in _documents(ctx, delivery).items() if item.target and name.startswith(SUMMARY)
    }
    if not written or is_replaced(ctx, delivery):
        return []
    with ctx.world.engine.begin() as conn:
        packet_row = packet_rows.one(conn, delivery.packet)
    consent = ctx.consent()
    gathered = packets.load(ctx.world.payloads, packet_row.manifest_sha256)
    packet = without_waived(ctx, gathered, consent.consent if consent else None)
    made = summaries_of(ctx, delivery, packet, patient, earlier_than(ctx, delivery, packet), version)
    gone = {name for name, item in written.items() if item.sent_sha256} - {each.name for each in made}
    return made + [Document(name, _superseded(ctx, written[name])) for name in sorted(gone)]


def keep_renewed(ctx: Context, delivery: Delivery, document: Document, reference: str | None) -> None:
    """A document of the delivery says something else now: that is what reading back compares with."""
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery.id, [_mark(ctx, document) | dict(target=reference)])


def _superseded(ctx: Context, item: Item) -> dict:
    return {**fhir_json.loads(ctx.world.payloads.get(item.kept)), "status": "superseded"}


def _keep(ctx: Context, delivery: Delivery, documents: Iterable[Document]) -> set[str]:
    """The bytes one after the other, the items at once: what is kept is everything, or nothing yet. Returns their names."""
    marks = [_mark(ctx, each) for each in documents]
    with ctx.transaction() as conn:
        deliveries.mark_items(conn, delivery.id, marks)
    return {str(each["source"]) for each in marks}


def _mark(ctx: Context, document: Document) -> dict:
    return dict(source=document.name, sent_sha256=ctx.world.payloads.put(fhir_json.dumps(document.resource)))


def _documents(ctx: Context, delivery: Delivery) -> dict[str, Item]:
    """The items that are documents, the summary first: the records are marked with it."""
    with ctx.world.engine.begin() as conn:
        items = deliveries.items(conn, delivery.id)
    found = {name: item for name, item in items.items() if name.startswith("document:")}
    return dict(sorted(found.items(), key=lambda pair: (not pair[0].startswith(SUMMARY), pair[0])))


def _kept(ctx: Context, delivery: Delivery) -> dict[str, Item]:
    return {name: item for name, item in _documents(ctx, delivery).items() if item.sent_sha256}


def _written(ctx: Context, delivery: Delivery, packet: Packet, name: str, item: Item) -> dict | None:
    """What was written; what an older version of the Exchange wrote is known by its link."""
    digest = item.sent_sha256
    if digest is None:
        system = ctx.world.config.exchange.identifier_system
        pair = (system, f"DocumentReference/{packet.manifest.packet_id}-{name.removeprefix('document:')}")
        with ctx.world.engine.begin() as conn:
            link = links.find_rows(conn, delivery.endpoint, [pair]).get(pair)
        digest = link.sha256 if link is not None else None
    if digest is None:
        ctx.finding("written-unknown", "what was written was not kept; it cannot be compared", name, "error")
        return None
    return fhir_json.loads(ctx.world.payloads.get(digest))
