"""The packet of a request: its manifest for everyone; its content only after an explicit click that is recorded."""

import io
from collections.abc import Callable
from dataclasses import asdict

from flask import Blueprint, Response, request, send_file, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.zipped import packet_zip
from integration.store import consents, deliveries, requests
from integration.store import packets as packet_rows
from integration.store.packets import PacketRow
from integration.views.levels import told
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import consented
from integration.web.operations import looks
from mappings.model.consent import Consent
from mappings.model.delivery import DeliveryKind
from mappings.model.errors import ExchangeError
from mappings.model.packet import Manifest, ManifestItem
from mappings.rendition.tables import TABLES

blueprint = pages.sentences(Blueprint("packets", __name__, url_prefix="/requests/<request_id>/packet"))
ITEMS = 200
TITLES = {kind: table.title for table in TABLES for kind in table.types}


@blueprint.get("")
def manifest(request_id: str) -> ResponseReturnValue:
    """What the packets hold: sources, versions, sizes and hashes; no content."""
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
    return _page(request_id, rows, 200)


def _page(request_id: str, rows: list, status: int, error: str = "") -> Response:
    limit, manifests, broken = consented.limit(request_id), [], error
    if limit is not None:
        manifests = [(row, each.manifest) for row, each in reversed(list(zip(rows, _loaded(rows, limit), strict=True)))]
        rows = []
    for row in reversed(rows):
        try:
            manifests.append((row, Manifest.model_validate_json(world.payloads().get(row.manifest_sha256))))
        except ExchangeError as problem:
            broken = t("packet.broken", why=str(problem))
    with world.engine().connect() as conn:
        home = deliveries.left_out_by_consent(conn, request_id) if limit is None else frozenset()
        said = consents.newest(conn, request_id) if home else None
        sent = told(conn, [asdict(each) for each in deliveries.of_request(conn, request_id, DeliveryKind.RECORDS)])
    start = request.args.get("from", "0")
    return pages.render(
        "packet.html",
        status,
        request_id=request_id,
        manifests=manifests,
        sent={each["packet_id"]: each for each in sent},
        left_out=limit.left_home if limit else (),
        home=sorted(home),
        is_of_a_kind=lambda source: (
            said is not None and not said.consent.lets_go({"resourceType": source.split("/")[0]})
        ),
        error=broken,
        size=ITEMS,
        grouped=_grouped,
        start=int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0,
    )


@blueprint.post("/look")
def look(request_id: str) -> ResponseReturnValue:
    """The content of one item. The look is recorded first, in its own transaction."""
    return _opened(request_id, "packet.looked-at", _show)


@blueprint.post("/read")
def read(request_id: str) -> ResponseReturnValue:
    """The newest packet as people read records: sections, dates, values. The look is recorded first."""
    return _opened(request_id, "packet.read", _readable)


@blueprint.post("/download")
def download(request_id: str) -> ResponseReturnValue:
    """Everything as one zip. The download is recorded first."""
    return _opened(request_id, "packet.downloaded", _zip)


def _opened(request_id: str, action: str, show: Callable[[Connection, str, list, str], Response]) -> Response:
    item = forms.typed("item", 400)
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)

    def shown() -> Response:
        with world.engine().begin() as conn:
            return show(conn, request_id, rows, item)

    return looks.recorded(
        action,
        request_id,
        subject=item or None,
        show=shown,
        refuse=lambda status, why: _page(request_id, rows, status, why),
    )


def _grouped(items: list[ManifestItem]) -> dict[str, list[ManifestItem]]:
    """Under what a person calls them; of a result the list does not know whether it is a laboratory's."""
    found: dict[str, list[ManifestItem]] = {}
    for item in items:
        kind = item.source.partition("/")[0]
        words = t("packet.results") if kind == "Observation" else TITLES.get(kind, t("packet.others"))
        found.setdefault(t("packet.attached") if item.kind == "attachment" else words, []).append(item)
    return found


def _loaded(rows: list[PacketRow], limit: Consent | None) -> list[packets.Packet]:
    """The packets as who asks may read them."""
    return all_consented([packets.load(world.payloads(), row.manifest_sha256) for row in rows], limit)


def _show(_conn: Connection, request_id: str, rows: list, wanted: str) -> Response:
    packet_id, _, source = wanted.partition(" ")
    limit = consented.limit(request_id)
    chosen = rows if limit is not None else [row for row in rows if row.id == packet_id]
    packet = next((each for each in _loaded(chosen, limit) if each.manifest.packet_id == packet_id), None)
    attachment = next((item for item in packet.manifest.items if item.of == source), None) if packet else None
    if attachment is not None:
        return _attachment(attachment)
    if packet is None or source not in packet.resources:
        return pages.problem(t("problem.missing"), t("packet.missing"), 404)
    return looks.page(
        t("packet.content", source=source),
        [looks.pretty("", packet.resources[source])],
        back=url_for("packets.manifest", request_id=request_id),
        back_words=t("packet.back"),
        cut_words=t("packet.cut"),
    )


def _attachment(item: ManifestItem) -> Response:
    name = f"{item.source.replace('/', '-')}-{item.sha256[:8]}"
    return download_of(world.payloads().get(item.sha256), item.content_type, name)


def download_of(data: bytes, content_type: str | None, name: str) -> Response:
    """The bytes as they were sent to us, as a download: nothing of it runs on our pages."""
    ending = {"application/pdf": ".pdf", "text/plain": ".txt", "image/jpeg": ".jpg", "image/png": ".png"}.get(
        (content_type or "").split(";")[0], ".bin"
    )
    answer = send_file(io.BytesIO(data), "application/octet-stream", as_attachment=True, download_name=name + ending)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _readable(conn: Connection, request_id: str, rows: list, wanted: str) -> Response:
    row = next((row for row in rows if row.id == wanted), rows[-1] if rows else None)
    if row is None:
        return pages.problem(t("problem.missing"), t("packet.none"), 404)
    limit = consented.limit(request_id)
    chosen = _loaded(rows if limit is not None else [row], limit)
    packet = next(each for each in chosen if each.manifest.packet_id == row.id)
    content = requests.content(requests.get(conn, request_id))
    rendition = packets.rendition_of(packet, world.payloads(), content)
    sections = [*rendition.sections, rendition.originals]
    return pages.render("reading.html", rendition=rendition, sections=sections, request_id=request_id)


def _zip(conn: Connection, request_id: str, _rows: list, _item: str) -> Response:
    data = packet_zip(conn, world.payloads(), request_id, consented.limit(request_id))
    return send_file(io.BytesIO(data), "application/zip", as_attachment=True, download_name=f"{request_id}-packet.zip")
