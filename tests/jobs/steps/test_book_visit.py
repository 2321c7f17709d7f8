"""Free times of a server that is not kind, over HTTP: chosen by a person, booked once or not at all, and taken back."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

import second_opinion
from integration import free_times, visit_reading, visits
from integration.free_times import Taken
from integration.live_reads import LiveReads, NotNow
from integration.store import appointments, bookings, patient_links, requests, steps
from integration.store.operations import NotPossible, cancel
from integration.store.tables import audit
from integration.visit_reading import House
from integration.visits import MustConfirm, Said
from jobs.steps import book_visit
from mappings.model.booking import BookingWord as B
from mappings.model.booking import Why
from mappings.model.errors import TemporaryError
from mappings.model.visit import Change, Known, Slot, Warn
from tests.jobs.exchange import a_request
from tests.servers.scheduling import Scheduling, schedule, slot

PATIENT = "Patient/p1"
START = (datetime.now(UTC) + timedelta(days=60)).replace(hour=16, minute=0, second=0, microsecond=0)
while START.weekday() > 2:
    START += timedelta(days=1)
HOUR = timedelta(hours=1)


class Desk:
    """A coordinator before a server with two free times, ``Slot/t1`` and ``Slot/t2`` a day later."""

    def __init__(self, exchange, server):
        self.exchange, self.server = exchange, server
        self.house = House(exchange.engine, exchange.payloads, exchange.config)
        self.reads = LiveReads.of(exchange.config, exchange.engine)
        self.request_id = exchange.submit(a_request())
        with exchange.engine.begin() as conn:
            steps.cancel_open(conn, self.request_id, reason="only booking is tried")
            patient_links.set_link(conn, self.request_id, "bob", PATIENT, origin="person", actor="ann")

    def choose(self, number: int = 1, start: datetime = START, **values) -> None:
        said = Said(**{"now": datetime.now(UTC), "actor": "ann", "reason": "the patient wants it"} | values)
        free_times.choose(self.house, self.reads, self.request_id, f"Slot/t{number}", start, said)

    def book(self, number: int = 1, start: datetime = START, **values) -> None:
        self.choose(number, start, **values)
        self.exchange.drain()

    def say(self, what: Change, slot_: Slot | None = None, **values) -> None:
        said = Said(**{"now": datetime.now(UTC), "actor": "ann", "reason": "tested"} | values)
        visits.change(self.house, self.request_id, what, said, slot_)

    @property
    def reading(self):
        return visit_reading.read(self.house, self.request_id, datetime.now(UTC))

    @property
    def stand(self) -> list[tuple[str, str]]:
        return [(each.status, each.why) for each in self.reading.bookings]


@pytest.fixture
def server():
    with Scheduling(
        schedule(), slot(1, START, START + HOUR), slot(2, START + timedelta(days=1), START + timedelta(days=1) + HOUR),
        slot(3, START + timedelta(days=2), START + timedelta(days=2) + HOUR, "busy"),
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def desk(make_exchange, server):
    exchange = make_exchange(
        bob=server.address, at_bob="appointments: book, calendar: {zone: America/Chicago, country: US}"
    )
    made = Desk(exchange, server)
    yield made
    made.reads.close()


def look(desk, since=None):
    return free_times.look(desk.house, desk.reads, desk.reading, since, actor="ann")


@pytest.mark.long
def test_free_times_are_shown_as_the_server_has_them_now_and_the_look_is_recorded(desk, server):
    server.ignores_status = True  # it shows what is busy too
    found = look(desk)
    assert [(each.time.reference, each.time.start) for each in found.choices] == [
        ("Slot/t1", START),
        ("Slot/t2", START + timedelta(days=1)),
    ]
    first = found.choices[0].time
    assert (first.with_whom, first.place, first.kind) == ("Dr. Lake", "200 Main Street", "Consultation")
    server.refuses_include = True
    assert look(desk).choices == found.choices  # the Schedule is read by itself then
    server.held["Slot/t1"]["status"] = "busy-unavailable"
    assert [each.time.reference for each in look(desk).choices] == ["Slot/t2"]
    assert "status=free" in next(each for each in server.asked if each.startswith("/fhir/Slot?"))
    with desk.exchange.engine.connect() as conn:
        looks = select(func.count()).where(audit.c.action == "visit.free-times-looked-at")
        assert conn.execute(looks).scalar_one() == 3


def test_a_time_is_booked_once_read_back_and_is_the_visit(desk, server):
    desk.book()
    (made,) = server.appointments()
    assert (made["status"], made["slot"], made["start"]) == ("booked", [{"reference": "Slot/t1"}], START.isoformat())
    assert [each["actor"].get("reference") for each in made["participant"]] == [
        PATIENT,
        "PractitionerRole/1",
        "Location/1",
    ]
    assert not {"reasonCode", "reasonReference", "description", "comment", "specialty"} & set(made)
    current = desk.reading.current
    assert (current.known, current.start_at, current.actor) == (Known.BOOKED, START, "ann")
    assert (current.endpoint, current.reference) == ("bob", f"Appointment/{made['id']}")
    assert (current.with_whom, current.place, desk.reading.row.visit) == ("Dr. Lake", "200 Main Street", "booked")
    assert desk.reading.row.records_due_at is not None and desk.stand == [("booked", "")]
    desk.exchange.watch()
    assert len(server.creates) == 1 and desk.reading.found == ()


def test_what_nobody_answered_for_is_found_and_not_booked_twice(desk, server):
    server.loses_answer = True
    desk.book()
    assert len(server.creates) == 1 and desk.stand == [("booked", "")]


@pytest.mark.long
def test_it_is_found_among_the_patients_own_where_identifiers_are_dropped(desk, server):
    server.loses_answer = server.drops_identifier = True
    desk.book()
    assert len(server.creates) == 1 and desk.stand == [("booked", "")]


@pytest.mark.long
def test_where_nobody_can_look_a_person_is_asked_and_recording_by_hand_ends_it(desk, server):
    server.loses_answer = server.drops_identifier = True
    server.searches_appointments = False
    desk.book()
    assert desk.exchange.parked(desk.request_id) == ["booking-unclear"], desk.exchange.view(desk.request_id)["owed"]
    assert desk.stand == [("asked", "")]
    assert len(server.creates) == 1
    slot_ = Slot(START, "America/Chicago", START + HOUR, "200 Main Street", "Dr. Lake")
    desk.say(Change.BOOKED, slot_, told_by="desk")
    desk.exchange.drain()
    assert desk.stand == [("set-aside", "otherwise")]
    assert "booking-unclear" not in desk.exchange.parked(desk.request_id)
    assert [each["status"] for each in server.appointments()] == ["booked"]  # it may be the very one


@pytest.mark.parametrize(
    ("breaks", "why"),
    [
        (lambda server: server.held["Slot/t1"].update(status="busy"), Why.BUSY),
        (lambda server: server.held.pop("Slot/t1"), Why.GONE),
        (lambda server: server.held["Slot/t1"].update(start=(START + HOUR).isoformat()), Why.MOVED),
        (lambda server: setattr(server, "answers_with", 409), Why.CONFLICT),
    ],
)
def test_a_time_that_was_taken_meanwhile_is_said_and_nothing_is_booked(desk, server, breaks, why):
    desk.choose()
    breaks(server)
    desk.exchange.drain()
    assert desk.stand == [("taken", why)] and server.appointments() == [] and desk.reading.current is None
    assert not desk.exchange.parked(desk.request_id)
    if why is not Why.CONFLICT:
        with pytest.raises(Taken):
            desk.choose()
    desk.book(2, START + timedelta(days=1))
    assert desk.stand[-1] == ("booked", "")


@pytest.mark.long
def test_a_server_that_takes_no_such_appointment_is_a_sentence_and_a_finding(desk, server):
    server.answers_with = 422
    desk.book()
    assert desk.stand == [("refused", Why.NOT_TAKEN)] and "booking-refused" in desk.exchange.causes()
    assert "422" in desk.reading.booking.detail and not desk.exchange.parked(desk.request_id)


@pytest.mark.long
def test_a_practice_that_confirms_by_hand_has_booked_nothing_before_it_did(desk, server):
    server.books_as = "pending"
    desk.book()
    assert desk.stand == [("pending", "")] and desk.reading.current is None
    with pytest.raises(NotPossible, match="chose a time already"):
        desk.choose(2, START + timedelta(days=1))
    (made,) = server.appointments()
    server.put({**made, "status": "booked"})
    desk.exchange.watch()
    assert desk.stand == [("booked", "")] and desk.reading.row.visit == "booked"


@pytest.mark.long
def test_a_practice_that_says_no_is_believed(desk, server):
    server.books_as = "pending"
    desk.book()
    server.put({**server.appointments()[0], "status": "cancelled"})
    desk.exchange.watch()
    assert desk.stand == [("refused", Why.DECLINED)] and desk.reading.current is None


@pytest.mark.long
def test_another_time_than_the_chosen_one_is_taken_back(desk, server):
    server.books_at = (START + 2 * HOUR).isoformat()
    desk.book()
    assert desk.stand == [("canceled", Why.OTHER_TIME)] and desk.reading.current is None
    assert [each["status"] for each in server.appointments()] == ["cancelled"]
    assert "booked-otherwise" in desk.exchange.causes()


def another(server, number: int = 900) -> None:
    server.put(
        {
            "resourceType": "Appointment",
            "id": str(number),
            "status": "booked",
            "slot": [{"reference": "Slot/t1"}],
            "start": START.isoformat(),
            "participant": [{"actor": {"reference": "Patient/other"}, "status": "accepted"}],
        }
    )


def test_of_two_who_get_one_time_in_one_moment_ours_gives_way(desk, server):
    server.marks_busy, server.before_create = False, lambda _: another(server)
    desk.book()
    assert desk.stand == [("canceled", Why.TWICE)] and desk.reading.current is None
    assert [each["id"] for each in server.appointments("booked")] == ["900"]
    assert "booked-twice" in desk.exchange.causes()


def test_a_worker_that_dies_after_the_create_does_not_lose_the_look_for_who_else_got_it(desk, server, monkeypatch):
    server.marks_busy, server.before_create = False, lambda _: another(server)
    with monkeypatch.context() as dies:
        dies.setattr(book_visit._Booker, "_look_for_others", lambda *_: (_ for _ in ()).throw(TemporaryError("killed")))
        desk.choose()
        desk.exchange.drain(hurry=False)
    assert desk.stand == [("asked", "")] and len(server.creates) == 1
    desk.exchange.drain()
    assert desk.stand == [("canceled", Why.TWICE)] and len(server.creates) == 1
    assert [each["id"] for each in server.appointments("booked")] == ["900"]


@pytest.mark.long
def test_a_practice_that_books_several_at_a_time_does_so(desk, server):
    server.marks_busy = False
    another(server)
    desk.book()
    assert desk.stand == [("booked", "")]


@pytest.mark.long
def test_a_server_that_still_calls_it_free_is_a_finding(desk, server):
    server.marks_busy = False
    desk.book()
    assert desk.stand == [("booked", "")] and "slot-still-free" in desk.exchange.causes()


def test_canceled_by_a_person_it_is_canceled_there_and_the_watch_does_not_bring_it_back(desk, server):
    desk.book()
    desk.say(Change.CANCELLED, cancelation="pat")
    desk.exchange.watch()
    (made,) = server.appointments()
    assert made["status"] == "cancelled" and made["cancelationReason"]["coding"][0]["code"] == "pat"
    assert desk.stand == [("canceled", Why.BY_PERSON)] and desk.reading.row.visit == "cancelled"
    assert server.held["Slot/t1"]["status"] == "free"
    desk.exchange.watch()
    assert desk.reading.row.visit == "cancelled"


@pytest.mark.long
def test_a_cancellation_that_the_server_takes_and_does_not_do_waits_for_a_person(desk, server):
    desk.book()
    server.refuses_cancel = True
    desk.say(Change.CANCELLED, cancelation="pat")
    desk.exchange.drain()
    assert desk.exchange.parked(desk.request_id) == ["booking-not-canceled"] and desk.stand[0][0] == B.CANCELING


def test_a_practice_that_takes_the_cancellation_of_a_recorded_visit_and_does_not_do_it_is_a_finding(
    make_exchange, server
):
    exchange = make_exchange(
        bob=server.address, at_bob="appointments: write, calendar: {zone: America/Chicago, country: US}"
    )
    desk = Desk(exchange, server)
    desk.say(Change.BOOKED, Slot(START, "America/Chicago", START + HOUR, "200 Main Street", "Dr. Lake"), told_by="desk")
    exchange.drain()
    assert [each["status"] for each in server.appointments()] == ["booked"]
    assert "own-different" not in exchange.causes()
    server.refuses_cancel = True
    desk.say(Change.CANCELLED, cancelation="pat")
    exchange.drain()
    assert "own-different" in exchange.causes() and exchange.parked(desk.request_id) == []


def test_canceled_at_the_server_it_is_canceled_here(desk, server):
    desk.book()
    server.put({**server.appointments()[0], "status": "cancelled"})
    desk.exchange.watch()
    assert desk.stand == [("canceled", Why.THERE)] and desk.reading.row.visit == "cancelled"


@pytest.mark.long
def test_another_time_is_booked_before_the_first_one_is_given_back(desk, server):
    desk.book()
    with pytest.raises(NotPossible, match="say why the time changes"):
        desk.choose(2, START + timedelta(days=1), reason="")
    desk.book(2, START + timedelta(days=1), expected=1)
    assert desk.stand == [("canceled", Why.REPLACED), ("booked", "")]
    assert [each["slot"][0]["reference"] for each in server.appointments("booked")] == ["Slot/t2"]
    assert (desk.reading.current.change, desk.reading.current.start_at) == ("rescheduled", START + timedelta(days=1))


def test_where_the_other_time_is_taken_the_first_one_stays(desk, server):
    desk.book()
    server.answers_with = 409
    desk.book(2, START + timedelta(days=1))
    assert desk.stand == [("booked", ""), ("taken", Why.CONFLICT)]
    assert desk.reading.current.start_at == START and len(server.appointments("booked")) == 1


@pytest.mark.long
def test_a_visit_that_changed_meanwhile_is_not_booked_over(desk, server):
    desk.choose()
    slot_ = Slot(START + timedelta(days=9), "America/Chicago", None, "", "")
    desk.say(Change.BOOKED, slot_, told_by="desk")
    desk.exchange.drain()
    assert server.appointments() == [] and desk.stand == [("set-aside", "otherwise")]


@pytest.mark.long
def test_a_request_that_is_canceled_gives_its_time_back(desk, server):
    desk.book()
    with desk.exchange.engine.begin() as conn:
        bookings.end_all(conn, desk.request_id, actor="exchange")
    desk.exchange.drain()
    assert [each["status"] for each in server.appointments()] == ["cancelled"]
    assert desk.stand == [("canceled", Why.WITHDRAWN)]


def test_nothing_is_booked_for_a_request_that_is_being_canceled(desk, server):
    desk.choose()
    with desk.exchange.engine.begin() as conn:
        cancel(conn, desk.request_id, actor="ann", reason="tested")
        steps.cancel_open(conn, desk.request_id, reason="only booking is tried", kinds=("cancel_request",))
    desk.exchange.drain()
    assert server.appointments() == [] and desk.stand == [("canceled", Why.WITHDRAWN)]


@pytest.mark.long
def test_an_early_time_and_a_closed_day_are_asked_about_before_they_are_booked(desk, server):
    early = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0) + timedelta(days=2)
    server.put(slot(7, early, early + HOUR))
    with pytest.raises(MustConfirm) as asked:
        desk.choose(7, early)
    assert set(asked.value.warnings) == {Warn.RECORDS, Warn.CLOSED} and desk.stand == []
    (shown,) = [each for each in look(desk, datetime.now(UTC).date()).choices if each.time.reference == "Slot/t7"]
    assert set(shown.warnings) == {Warn.RECORDS, Warn.CLOSED}
    desk.book(7, early, confirmed=frozenset({Warn.RECORDS, Warn.CLOSED}))
    assert desk.stand == [("booked", "")]
    assert set(desk.reading.current.confirmed) == {"records", "closed"}


@pytest.mark.long
def test_without_a_linked_patient_or_where_nothing_is_booked_a_sentence_says_so(desk, server):
    with desk.exchange.engine.begin() as conn:
        patient_links.end(conn, desk.request_id, "bob", actor="ann")
    with pytest.raises(NotPossible, match="nobody knows yet who the patient is"):
        look(desk)
    with pytest.raises(NotPossible, match="name the time as Slot"):
        free_times.choose(desk.house, desk.reads, desk.request_id, "Patient/1", START, Said(datetime.now(UTC), "ann"))
    with desk.exchange.engine.connect() as conn:
        row = requests.get(conn, desk.request_id)
    assert free_times.can_book(desk.exchange.config, row)
    assert not free_times.can_book(desk.exchange.config, replace(row, fulfiller="alice"))


@pytest.mark.long
def test_a_server_that_is_away_is_a_sentence_and_nothing_is_asked_for(desk, server):
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(NotNow):
        look(desk)
    with pytest.raises(NotNow):
        desk.choose()
    with desk.exchange.engine.connect() as conn:
        assert appointments.current(conn, desk.request_id) is None
    assert desk.stand == []


def test_the_commands_show_and_book_a_time_as_json(desk, server, tmp_path, database):
    def run(*words: str) -> dict:
        runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
        done = runner.invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "visits", *words, "--json"]
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    found = run("times", desk.request_id)
    assert [each["slot"] for each in found["times"]] == ["Slot/t1", "Slot/t2"]
    asked = [word for warning in found["times"][0]["warnings"] for word in ("--confirm", warning)]
    run("book", desk.request_id, "Slot/t1", "--start", START.isoformat(), "--reason", "the patient wants it", *asked)
    desk.exchange.drain()
    assert len(server.appointments()) == 1
