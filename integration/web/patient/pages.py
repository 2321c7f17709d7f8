"""The patient's own page: the door, which says the same whatever is wrong, and what the patient reads and says behind it."""

from flask import Blueprint, Response, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from integration import health_library, medications, own_page, patient_questions
from integration.health_links import making
from integration.health_links.making import Wanted
from integration.invitations import to_ics
from integration.own_page import Page
from integration.postgres.health import is_away
from integration.store import appointments, audit, consents, findings, private_links
from integration.store.operations import NotPossible, WrongWords
from integration.store.revisions import RevisionRefused, RevisionStale
from integration.web import pages, world
from integration.web.health_links import base_url, qr_of
from integration.web.patient import gate, own_words
from mappings.device import device_of
from mappings.health_link import LinkProblem
from mappings.medications import Informant, What
from mappings.model.consent import How, Said, TypedConsent
from mappings.model.findings import Finding
from mappings.model.private_link import Language

blueprint = Blueprint("own_page", __name__, url_prefix="/p")
blueprint.before_request(gate.guard)
REASON = "the patient's questions, as they typed them on their own page"
BY = "the patient, on their own page"
SAID = (What.TAKING, What.NOT_TAKING, What.DIFFERENTLY)
MOST = 2000  # fields of a form
DOOR_STATUS = 403  # of everything that does not open


@blueprint.after_request
def _careful(answer: Response) -> Response:
    """No address of the page goes on to anybody, and no search engine keeps it."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/<token>")
def door(token: str) -> ResponseReturnValue:
    """The same for every link, there or not: nothing is looked up."""
    return _door()


@blueprint.post("/<token>")
def enter(token: str) -> ResponseReturnValue:
    """Open it with the birth date or the code. What is wrong has one answer: no such link, too old, revoked, closed, too soon, wrong."""
    address = request.remote_addr or ""
    with world.engine().begin() as conn:  # counted whatever comes of it
        in_time = private_links.may_try(conn, address)
    with world.engine().begin() as conn:
        session = private_links.enter(
            conn,
            token if in_time else "",
            born=request.form.get("born", "")[:40],
            code=request.form.get("code", "")[:40],
            address=address,
            device=_device(),
        )
    if session is None:
        return _door("door.wrong", DOOR_STATUS)
    return gate.keep(_to_page(), session)


@blueprint.get("/ended")
def ended() -> ResponseReturnValue:
    """Nobody is in: the link opens it again."""
    return _door("door.ended", DOOR_STATUS, is_door=False)


def _door(says: str = "", status: int = 200, *, is_door: bool = True) -> Response:
    page = render_template("own/door.html", says=says, is_door=is_door, languages=list(Language), w=_in)
    return Response(page, status, content_type="text/html; charset=utf-8")


def _device() -> str:
    """What is kept of the browser's own name: class and family, by which a patient may know it."""
    return device_of(request.headers.get("User-Agent", "")).kept


def _to_page() -> Response:
    return redirect("/p", 303)  # type: ignore[return-value]  # Flask makes it of its own class


@blueprint.get("")
def show() -> ResponseReturnValue:
    """Everything that the patient may see. The look is recorded."""
    return _page()


@blueprint.post("/leave")
def leave() -> ResponseReturnValue:
    """The patient is done here."""
    if gate.is_ours():
        with world.engine().begin() as conn:
            private_links.end(conn, gate.opened().session)
        return gate.keep(_door("left", is_door=False), "")
    return _page("why_locked", 403)


@blueprint.post("/language")
def language() -> ResponseReturnValue:
    """Go on in another language."""
    wanted = request.form.get("language", "")
    if gate.is_ours() and wanted in set(Language):
        with world.engine().begin() as conn:
            private_links.speak(conn, gate.opened().session, wanted)
    return _to_page()


@blueprint.get("/appointment.ics")
def calendar() -> ResponseReturnValue:
    """The visit as a calendar entry that says nothing of why."""
    opened = gate.opened()
    with world.engine().begin() as conn:
        current = appointments.current(conn, opened.request_id)
        audit.record(conn, opened.actor, "visit.calendar-made", opened.request_id)
    if current is None:
        return _page(status=404)
    page, _ = _read()
    name = {"Content-Disposition": 'attachment; filename="appointment.ics"'}
    return Response(
        to_ics(world.config(), page.row.placer, current), headers=name, content_type="text/calendar; charset=utf-8"
    )


@blueprint.post("/questions")
def questions() -> ResponseReturnValue:
    """Move, remove or add one in the form, or send them all. Nothing typed is lost."""
    typed = [each.replace("\r\n", "\n") for each in request.form.getlist("question")]
    press, _, number = request.form.get("press", "").partition(" ")
    if not gate.is_ours():
        return _page("why_locked", 403, at="questions", typed=typed)
    if press != "save":
        moved = patient_questions.moved(typed, press, int(number) if number.isdecimal() else 0)
        return _page("questions.not_saved", at="questions", typed=moved)
    version, opened = request.form.get("version", "")[:9], gate.opened()
    expected = int(version) if version.isascii() and version.isdigit() else 0
    try:
        patient_questions.keep(
            world.engine(), world.config(), opened.request_id, typed, expected, actor=opened.actor, reason=REASON
        )
    except RevisionStale:
        return _page("questions.stale", 409, at="questions", typed=typed)
    except RevisionRefused:
        page, _ = _read()
        same = typed == list(page.content.patient_questions)
        return _page("known" if same else "questions.over", 200 if same else 409, at="questions", typed=typed)
    except NotPossible:
        return _page("questions.too_long", 409, at="questions", typed=typed)
    return _page("kept", at="questions")


@blueprint.post("/medications")
def say_medications() -> ResponseReturnValue:
    """What is taken, as the patient says it: statements of their own. The chart stays as it is."""
    if not gate.is_ours():
        return _page("why_locked", 403, at="medications")
    given, opened = request.form, gate.opened()
    keys = [given[f"key-{n}"][:400] for n in range(MOST) if given.get(f"key-{n}")]
    said = {key: (given.get(f"what-{key}", ""), given.get(f"words-{key}", "")[:2000]) for key in keys}
    after = given.get("after", "")[:18]
    try:
        medications.review(
            world.engine(),
            world.payloads(),
            opened.request_id,
            after=int(after) if after.isascii() and after.isdigit() else 0,
            list_sha256=given.get("list", "")[:64],
            informant=Informant.PATIENT,
            said={key: each for key, each in said.items() if each[0]},
            also=given.get("also", "").replace("\x00", "")[:20_000].splitlines(),
            actor=opened.actor,
        )
    except NotPossible:
        return _page("medications.refused", 409, at="medications")
    return _page("kept", at="medications")


@blueprint.post("/consent")
def say_consent() -> ResponseReturnValue:
    """What may be sent, to whom, until when; or nothing more. It counts from the next thing that is about to leave."""
    if not gate.is_ours():
        return _page("why_locked", 403, at="consent")
    given, opened = request.form, gate.opened()
    typed = TypedConsent(
        given.get("said", ""),
        given.get("seen", "")[:18],
        tuple(given.getlist("kinds")),
        tuple(given.getlist("recipients")),
        given.get("until", "")[:20],
        How.PAGE,
        BY,
    )
    try:
        with world.engine().begin() as conn:
            done = consents.record(
                conn,
                opened.request_id,
                typed,
                actor=opened.actor,
                hosted=world.config().hosted_endpoints,
                by_patient=True,
            )
    except WrongWords as error:
        says = "consent.stale" if set(error.wrong) == {"seen"} else "consent.wrong"
        return _page(says, 409 if says == "consent.stale" else 400, at="consent")
    return _page("kept" if done.is_new else "known", at="consent")


@blueprint.post("/links")
def make_link() -> ResponseReturnValue:
    """A link to the records: shown this once, with its code."""
    if not gate.is_ours():
        return _page("why_locked", 403, at="links")
    opened = gate.opened()
    wanted = Wanted(request.form.get("days", "")[:9], is_long_term=bool(request.form.get("later")), is_theirs=True)
    try:
        made = making.make(world.visits(), opened.request_id, wanted, base_url(), actor=opened.actor)
    except WrongWords:
        return _page("links.days", 400, at="links")
    except (NotPossible, LinkProblem):
        return _page("links.refused", 409, at="links")
    code = Markup(qr_of(made.link, str(own_words.CATALOGS[opened.language]["links.qr"])))  # drawn by us
    return _own("own/link_made.html", made=made, qr=code)


@blueprint.post("/links/end")
def end_link() -> ResponseReturnValue:
    """One of them opens nothing any more."""
    if not gate.is_ours():
        return _page("why_locked", 403, at="links")
    opened, link_id = gate.opened(), request.form.get("link", "")[:40]
    try:
        making.revoke(world.visits(), opened.request_id, link_id, actor=opened.actor, reason=BY)
    except NotPossible:
        return _page("known", 200, at="links")
    return _page("links.ended", at="links")


@blueprint.get("/reading")
def reading() -> ResponseReturnValue:
    """What a health library says of the diagnosis, in the patient's language; on a page of its own, because it names it."""
    page, _ = _read()
    first = page.content.first_opinion
    library = world.config().health_library
    shelf = health_library.about(world.engine(), library, first.diagnosis if first else None, page.opened.language)
    with world.engine().begin() as conn:
        audit.record(conn, page.opened.actor, "library.looked-at", page.row.id)
    return _own("own/library.html", shelf=shelf, page=page)


def _own(template: str, **values: object) -> Response:
    used = gate.opened().language
    html = render_template(template, language=used, w=lambda key, **fields: _in(used, key, **fields), **values)
    return Response(html, content_type="text/html; charset=utf-8")


def _read() -> tuple[Page, list[own_page.Part]]:
    return own_page.open_page(world.engine(), world.payloads(), world.config(), gate.opened(), pages.now())


def _page(says: str = "", status: int = 200, *, at: str = "", typed: list[str] | None = None) -> Response:
    """The page; ``says``: the key of what came of a form, which stands at the part ``at`` and at the top."""
    page, parts = _read()
    used = page.opened.language
    if typed is not None:
        parts = [own_page.Part(each.key, {**each.values, "questions": typed}) if each.key == "questions" else each
                 for each in parts]  # fmt: skip
    html = render_template(
        "own/page.html",
        page=page,
        parts=parts,
        says=says,
        is_good=status < 300,
        at=at,
        language=used,
        languages=list(Language),
        w=lambda key, **values: _in(used, key, **values),
        named=lambda kind: own_words.name_of(used, kind, _tell_missing),
        day=lambda value: own_words.day(used, value),
        moment=lambda at, zone: own_words.moment(used, at, zone),
        token=gate.form_token,
        said_of=SAID,
        consent_said=list(Said),
        most={"most": patient_questions.LONGEST, "many": patient_questions.MOST},
        typed=request.form if request.method == "POST" and not is_good_end(says) else {},
    )
    return Response(html, status, content_type="text/html; charset=utf-8")


def is_good_end(says: str) -> bool:
    """What was typed is kept elsewhere now: the forms show what stands."""
    return says in ("kept", "known")


def _in(language: str, key: str, **values: object) -> Markup:
    return own_words.say(language, key, _tell_missing, **values)


def _tell_missing(key: str) -> None:
    """An operator sees once for each process that a text has no translation."""
    told = world.extension().setdefault("own_page_missing", set())
    if key in told:
        return
    told.add(key)
    words = f"the patient's own page has no Spanish for {key}: English stood there instead"
    with world.engine().begin() as conn:
        findings.record(conn, [Finding(own_words.MISSING, words, key)])


@blueprint.errorhandler(DBAPIError)
@blueprint.errorhandler(PoolTimeout)
def _down(error: DBAPIError | PoolTimeout) -> Response:
    """The database is away: a sentence, and nothing of what was done."""
    if not is_away(error):
        raise error
    g.opened = None
    says = " ".join(str(own_words.say(each, "away", lambda key: None)) for each in Language)
    return Response(says, 503, content_type="text/plain; charset=utf-8")
