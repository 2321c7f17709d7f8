"""Records that arrive from elsewhere: uploaded, compared with the patient, said what they are, taken back."""

from collections.abc import Callable

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from integration import received
from integration.arriving.files import ENDINGS, FORMATS
from integration.arriving.refused import Refused
from integration.health_links import opening
from integration.received import Classified, Looking
from integration.settings.checklist_files import load_catalog
from integration.store.operations import NotPossible
from integration.store.received_records import ReceivedRecord, State
from integration.views.received import sorted_by_state, where_words
from integration.views.texts import t
from integration.views.words import size
from integration.web import FORM_BYTES, UPLOAD_PATH, forms, pages, world
from mappings.health_link import LinkProblem
from mappings.received import WITHDRAWN_BECAUSE

blueprint = pages.sentences(Blueprint("received", __name__, url_prefix=f"/requests/<request_id>{UPLOAD_PATH}"))


@blueprint.before_request
def _a_file_may_be_large() -> None:
    if request.endpoint == "received.upload":
        request.max_content_length = world.config().records.max_upload_bytes + FORM_BYTES


@blueprint.get("")
def listed(request_id: str) -> ResponseReturnValue:
    """What arrived, and the form to add a file. It says what a file is about: the look is recorded."""
    return _list(request_id, 200)


@blueprint.post("")
def upload(request_id: str) -> ResponseReturnValue:
    """Take in files. What is wrong with one stops no other."""
    try:
        if not forms.is_ours():
            return _list(request_id, 403, [forms.refusal()])
        files = [each for each in request.files.getlist("file") if each.filename]
    except RequestEntityTooLarge:
        return _list(request_id, 413, [received.too_large(world.config().records.max_upload_bytes) + "."])
    if not files:
        return _list(request_id, 400, [t("received.no_file")])
    made, told, wrong = _taken(request_id, files)
    if wrong or not made:
        return _list(request_id, 422 if wrong else 200, wrong, told)
    first = next(iter(made))
    where = (
        url_for("received.show", request_id=request_id, record_id=first.id)
        if len(made) == 1
        else url_for("received.listed", request_id=request_id)
    )
    return forms.told(" ".join([t("received.taken", n=len(made)), *told]), where)


@blueprint.post("/link")
def open_link(request_id: str) -> ResponseReturnValue:
    """Take in what a link holds that the patient brought. A refusal keeps what was pasted; the link stands in no address."""
    if not forms.is_ours():
        return _list(request_id, 403, [forms.refusal()])
    try:
        made = opening.open_link(
            world.visits(), request_id, forms.typed("link", 5000), forms.typed("passcode", 300), actor=forms.actor()
        )
    except (LinkProblem, NotPossible) as error:
        return _list(request_id, 422 if isinstance(error, LinkProblem) else 409, [str(error)])
    twice = [
        t("received.twice", name=each.file_name, when=f"{each.uploaded_at:%Y-%m-%d %H:%M} UTC") for each in made.known
    ]
    if made.wrong:
        taken = [t("received.taken", n=len(made.taken))] if made.taken else []
        return _list(request_id, 422, made.wrong, [*taken, *twice])
    words = [t("received.taken", n=len(made.taken))] if made.taken else []
    return forms.told(" ".join([*words, *twice]), url_for("received.listed", request_id=request_id))


@blueprint.get("/<record_id>")
def show(request_id: str, record_id: str) -> ResponseReturnValue:
    """One record: whose it says it is beside the request's patient, what it is, where it went."""
    return _one(request_id, record_id, 200)


@blueprint.post("/<record_id>/accept")
def accept(request_id: str, record_id: str) -> ResponseReturnValue:
    """It is this patient's, and this is what it is. A refusal shows the page again with what was typed."""
    said = Classified(
        **{name: forms.typed(name, 300) for name in ("kind", "source", "author", "dated", "code", "identity_reason")},
        is_theirs=bool(forms.typed("is_theirs")),
    )

    def do(version: int) -> str:
        received.accept(world.engine(), world.config(), request_id, record_id, version, said, actor=forms.actor())
        return t("received.accepted")

    return _done(request_id, record_id, do)


@blueprint.post("/<record_id>/take-back")
def take_back(request_id: str, record_id: str) -> ResponseReturnValue:
    """Discard it, or withdraw it wherever it went."""

    def do(version: int) -> str:
        made = received.end(
            world.engine(),
            world.config(),
            request_id,
            record_id,
            version,
            forms.typed("because"),
            actor=forms.actor(),
            reason=forms.typed("reason"),
        )
        return t("received.discarded" if made.state == State.DISCARDED else "received.ended")

    return _done(request_id, record_id, do)


@blueprint.get("/<record_id>/file")
def download(request_id: str, record_id: str) -> ResponseReturnValue:
    """The bytes as they were received; nothing of them runs on our pages. Recorded first."""
    record = received.opened(world.engine(), request_id, record_id, actor=forms.actor())
    answer = Response(world.payloads().open(record.sha256), content_type="application/octet-stream")
    answer.content_length = record.size
    ending = FORMATS[record.format].endings[0]
    answer.headers["Content-Disposition"] = f'attachment; filename="received-{record.id}{ending}"'
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


@blueprint.get("/<record_id>/read")
def read(request_id: str, record_id: str) -> ResponseReturnValue:
    """A C-CDA or FHIR document as text, lists and tables. Recorded first."""
    shown = received.shown_document(world.engine(), world.payloads(), request_id, record_id, actor=forms.actor())
    return pages.render("received_read.html", shown=shown, request_id=request_id, record_id=record_id)


def _taken(request_id: str, files: list[FileStorage]) -> tuple[list[ReceivedRecord], list[str], list[str]]:
    """(what is new, what is said of what was there already, what is wrong); several images are one record."""
    made, told, wrong = [], [], []
    images = [each for each in files if len(files) > 1 and _is_image(each)]
    singles = [each for each in files if each not in images]
    todo: list[tuple[str, Callable]] = [
        (each.filename or "", lambda each=each: _one_file(request_id, each)) for each in singles
    ]
    if images:
        todo.append((t("received.studies"), lambda: _images(request_id, images)))
    for name, take in todo:
        try:
            record, is_new = take()
        except (Refused, NotPossible) as error:
            wrong.append(f"{name}: {error}")
            continue
        if is_new:
            made.append(record)
        else:
            told.append(t("received.twice", name=name, when=f"{record.uploaded_at:%Y-%m-%d %H:%M} UTC"))
    return made, told, wrong


def _is_image(file: FileStorage) -> bool:
    head = file.stream.read(132)
    file.stream.seek(0)
    return head[128:] == b"DICM"


def _one_file(request_id: str, file: FileStorage) -> tuple[ReceivedRecord, bool]:
    return received.receive(
        world.engine(),
        world.payloads(),
        world.config(),
        request_id,
        received.read_blocks(file.stream),  # type: ignore[arg-type]  # werkzeug says IO[bytes]
        name=file.filename or "",
        claimed=file.mimetype,
        actor=forms.actor(),
    )


def _images(request_id: str, files: list[FileStorage]) -> tuple[ReceivedRecord, bool]:
    named = [(each.filename or "", each.stream) for each in files]
    return received.receive_images(
        world.engine(),
        world.payloads(),
        world.config(),
        request_id,
        named,  # type: ignore[arg-type]
        actor=forms.actor(),
    )


def _done(request_id: str, record_id: str, do: Callable[[int], str]) -> Response:
    if not forms.is_ours():
        return _one(request_id, record_id, 403, forms.refusal())
    version = forms.typed("version", 9)
    try:
        message = do(int(version) if version.isascii() and version.isdigit() else 0)
    except NotPossible as error:
        return _one(request_id, record_id, 409, str(error))
    return forms.told(message, url_for("received.listed", request_id=request_id))


def _looking(request_id: str) -> Looking:
    return received.look_at(world.engine(), request_id, actor=forms.actor())


def _list(request_id: str, status: int, wrong: list[str] | None = None, told: list[str] | None = None) -> Response:
    looking = _looking(request_id)
    waiting, there, over = sorted_by_state(looking.records)
    return pages.render(
        "received.html",
        status,
        again=forms.again,
        looking=looking,
        waiting=waiting,
        there=there,
        over=over,
        wrong=wrong or [],
        told=told or [],
        endings=ENDINGS,
        most=size(world.config().records.max_upload_bytes),
        formats=FORMATS,
        where=where_words,
        because=WITHDRAWN_BECAUSE,
    )


def _one(request_id: str, record_id: str, status: int, error: str = "") -> Response:
    looking = _looking(request_id)
    record = next((each for each in looking.records if each.id == record_id), None)
    if record is None:
        raise NotPossible(f"request {request_id} has no received record {record_id[:40]}")
    return pages.render(
        "received_one.html",
        status,
        looking=looking,
        record=record,
        said=record.what_it_says,
        compared=looking.compared(record),
        kinds=load_catalog(world.config().checklists).kinds,
        error=error,
        formats=FORMATS,
        where=where_words,
        because=WITHDRAWN_BECAUSE,
    )
