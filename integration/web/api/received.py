"""Records that arrive from elsewhere: sent as bytes, said whose and what they are, taken back."""

from typing import Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from integration import received as records
from integration.arriving.files import FORMATS
from integration.arriving.refused import Refused
from integration.received import Classified, TooLarge
from integration.store.operations import NotPossible
from integration.views.received import one, view
from integration.web import forms, world
from integration.web.api.answers import Done
from integration.web.api.record_answers import ReceivedRecord, ReceivedRecords
from integration.web.api.record_bodies import AcceptReceived, TakeBackReceived
from integration.web.api.routes import BYTES, get, post
from integration.web.problems import Problem

KIND_OF_FILE = Literal["pdf", "jpeg", "png", "tiff", "dicom", "zip", "ccda", "text"]


class FileQuery(BaseModel):
    """What the body is; no name of a file, which may hold a patient's."""

    model_config = ConfigDict(extra="forbid")

    format: KIND_OF_FILE = Field(description="What the file is; it has to be that.", examples=["pdf"])


@get("/requests/<request_id>/records-received", refuses=("unknown",))
def received(request_id: str) -> ReceivedRecords:
    """What arrived from elsewhere for a request. The look is recorded."""
    looking = records.look_at(world.engine(), request_id, actor=forms.actor(), reason="API")
    return ReceivedRecords.model_validate({"request_id": request_id, "records": view(looking)})


@post(
    "/requests/<request_id>/records-received",
    statuses=(201, 200),
    refuses=("unknown", "not-possible", "file-refused"),
    takes=BYTES,
)
def receive(request_id: str, query: FileQuery) -> tuple[ReceivedRecord, int, dict]:
    """Hand in one file; it waits until somebody says whose and what it is. 200: these very bytes are there already."""
    limit = world.config().records.max_upload_bytes
    request.max_content_length = limit + 1
    if (request.content_length or 0) > limit:
        raise Problem("too-large", records.too_large(limit) + ".")
    try:
        record, is_new = records.receive(
            world.engine(),
            world.payloads(),
            world.config(),
            request_id,
            iter(lambda: request.stream.read(256 * 1024), b""),
            name=f"file{FORMATS[query.format].endings[0]}",
            claimed=None,
            actor=forms.actor(),
        )
    except TooLarge as error:
        raise Problem("too-large", str(error)) from error
    except Refused as error:
        raise Problem("file-refused", str(error)) from error
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    looking = records.look_at(world.engine(), request_id, actor=forms.actor(), reason="API")
    return ReceivedRecord.model_validate(one(looking, record)), 201 if is_new else 200, {}


@post("/requests/<request_id>/records-received/<record_id>/accept", refuses=("wrong-body", "unknown", "not-possible"))
def accept_received(request_id: str, record_id: str, body: AcceptReceived) -> Done:
    """Say whose and what it is: it goes with the next packet."""
    said = Classified(
        kind=body.kind,
        source=body.source,
        author=body.author,
        dated=body.dated,
        code=body.code,
        is_theirs=body.is_this_patients,
        identity_reason=body.reason,
    )
    try:
        records.accept(world.engine(), world.config(), request_id, record_id, body.version, said, actor=forms.actor())
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="It goes with the next packet.")


@post(
    "/requests/<request_id>/records-received/<record_id>/take-back",
    refuses=("wrong-body", "unknown", "not-possible"),
)
def take_back_received(request_id: str, record_id: str, body: TakeBackReceived) -> Done:
    """Discard it before it was accepted; withdraw it wherever it went afterwards."""
    try:
        made = records.end(
            world.engine(),
            world.config(),
            request_id,
            record_id,
            body.version,
            body.because,
            actor=forms.actor(),
            reason=body.reason,
        )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message=f"It is {made.state}.")
