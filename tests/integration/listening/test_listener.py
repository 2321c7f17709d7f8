"""Orders over a real socket into a real database: kept before they are answered, once, and refused by segment and field."""

import concurrent.futures
import contextlib
import socket
import ssl
import time

import pytest
import trustme
from sqlalchemy import func, select, text

from integration.listening import listener as listening
from integration.listening.listener import Listener
from integration.listening.taking import Taking
from integration.packets.payloads import Payloads
from integration.settings.config import load_config
from integration.store.tables import findings, received_messages, requests, steps
from mappings.hl7v2.acknowledgment import read_acknowledgment
from tests.integration.listening.asking import CONFIG, ask
from tests.mappings.hl7v2.orders import ORM, REF, message

pytestmark = pytest.mark.postgres


@pytest.fixture
def listen_with(tmp_path, database):
    """Starts a listener of Alice's; more keys of `listen`."""
    started = []

    def start(more: str = "encryption: none") -> Listener:
        path = tmp_path / "config.yaml"
        path.write_text(CONFIG.format(more=more))
        config = load_config(path, {})
        endpoint = config.endpoints["alice"]
        assert endpoint.hl7v2 is not None and endpoint.hl7v2.listen is not None
        taking = Taking(config, database.engine, Payloads(tmp_path / "payloads"), "alice")
        started.append(Listener(endpoint.hl7v2.listen, taking).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def port(listen_with) -> int:
    return listen_with().port


def count(database, table) -> int:
    with database.engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def told(database) -> list[tuple[str, str]]:
    with database.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(select(findings.c.cause, findings.c.path))]


def test_an_order_is_a_request_before_it_is_answered(port, database):
    assert ask(port, ORM) == ["AA"]
    with database.engine.connect() as conn:
        row = conn.execute(select(requests)).one()
        kinds = conn.execute(select(steps.c.kind).where(steps.c.request_id == row.id)).scalars().all()
        kept = conn.execute(select(received_messages)).one()
    assert (row.placer, row.fulfiller) == ("alice", "bob") and "gather_records" in kinds
    assert (kept.kind, kept.code, kept.request_id) == ("ORM^O01", "AA", row.id)
    assert ("information-missing", "order A-1") in told(database), "a person is asked for the first opinion"


def test_the_same_message_is_the_same_request_however_often_and_at_once(port, database):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: ask(port, REF, REF), range(8)))
    assert said == [["AA", "AA"]] * 8 and count(database, requests) == 1 and count(database, received_messages) == 1


def test_the_same_order_in_another_message_is_the_same_request_and_another_content_is_refused(port, database):
    again = ORM.replace("|C-1|", "|C-2|")
    other = again.replace("|C-2|", "|C-3|").replace("Is surgery needed?", "Is radiation needed?")
    assert ask(port, ORM, again, other) == ["AA", "AA", "AE (ORC-2 205)"]
    assert count(database, requests) == 1 and ("order-message-refused", "message C-3#ORC-2") in told(database)


def test_what_cannot_be_read_is_told_to_the_site_by_place_and_to_an_operator(port, database):
    wrong = ORM.replace("M1^^^HILL^MR", "M1^^^ELSEWHERE^MR")
    assert ask(port, wrong, ORM.replace("|P|2.5.1", "|T|2.5.1"), ORM.replace("ORM^O01", "ADT^A01")) == [
        "AE (PID-3 101)",
        "AR (MSH-11 202)",
        "AR (MSH-9 200)",
    ]
    assert count(database, requests) == 0 and told(database) == [("order-message-refused", "message C-1#PID-3")]


def test_what_was_refused_and_mended_is_taken(port, database):
    assert ask(port, ORM.replace("M1^^^HILL^MR", "M1^^^ELSEWHERE^MR"), ORM) == ["AE (PID-3 101)", "AA"]
    assert count(database, requests) == 1


def test_a_refusal_that_our_own_configuration_caused_is_over_with_it(listen_with, database):
    listener = listen_with()
    own = listener.taking.endpoint
    listener.taking.endpoint = own.model_copy(update={"default_fulfiller": None})
    assert ask(listener.port, ORM, ORM) == ["AE (MSH 207)", "AE (MSH 207)"] and count(database, requests) == 0
    listener.taking.endpoint = own
    assert ask(listener.port, ORM, ORM) == ["AA", "AA"]
    assert count(database, requests) == count(database, received_messages) == 1


def test_what_no_code_says_to_be_a_second_opinion_is_kept_and_said(port, database):
    assert ask(port, ORM.replace("2ND-OP^", "XRAY^")) == ["AA"]
    assert count(database, requests) == 0 and told(database) == [("order-not-second-opinion", "message C-1")]


def test_a_cancellation_cancels_its_request_and_nothing_else(port, database):
    cancelling = ORM.replace("ORC|NW", "ORC|CA").replace("|C-1|", "|C-9|")
    assert ask(port, cancelling, ORM, cancelling.replace("C-9", "C-10"), cancelling.replace("C-9", "C-11")) == [
        "AE (ORC-2 204)",
        "AA",
        "AA",
        "AA",
    ]
    with database.engine.connect() as conn:
        assert conn.execute(select(requests.c.cancel_requested)).scalar_one()


def test_while_the_database_is_away_nothing_is_accepted(port, database):
    with database.engine.begin() as conn:
        conn.execute(text("ALTER TABLE received_messages RENAME TO away"))
    assert ask(port, ORM) == ["AE (MSH 207)"] and count(database, requests) == 0
    with database.engine.begin() as conn:
        conn.execute(text("ALTER TABLE away RENAME TO received_messages"))
    assert ask(port, ORM) == ["AA"] and count(database, requests) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x0b" + message(ORM)[:150],
        b"\x0b" + message(ORM),
        message(ORM) + b"\x1c\r",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x0b",
    ],
)
def test_half_a_message_is_none(port, database, sent):
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        assert wire.recv(100) == b""
    assert ask(port, ORM) == ["AA"] and count(database, requests) == 1


def test_the_end_of_a_frame_may_come_in_two_parts_and_the_connection_goes_on(port, database):
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        for control_id in ("C-1", "C-2"):
            wire.sendall(b"\x0b" + message(ORM.replace("C-1", control_id)) + b"\x1c")
            held = b""
            while not held.endswith(b"\x1c\r"):
                data = wire.recv(65536)
                assert data, "it was closed"
                held += data
            assert b"MSA|AA|" in held
            wire.sendall(b"\r")
            time.sleep(0.1)  # that it does not come with the next message


def test_a_message_that_stops_in_the_middle_ends_its_connection(listen_with, monkeypatch):
    monkeypatch.setattr(listening, "REST_SECONDS", 0.3)
    port = listen_with().port
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(b"\x0bMSH|")
        assert wire.recv(100) == b""


def test_more_than_may_be_sent_is_refused_while_it_comes(port, database):
    large = ORM + "OBX|1|ED|x||^AP^PDF^Base64^" + "A" * 10_000_000
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        with contextlib.suppress(OSError):
            wire.sendall(b"\x0b" + message(large))
        with contextlib.suppress(ConnectionResetError):
            said = read_acknowledgment(wire.recv(65536).strip(b"\x0b\x1c\r"))
            assert said is not None and said.words == "AR (MSH 207)"
    assert count(database, requests) == 0


def test_another_character_set_than_it_says_is_refused(port):
    assert ask(port, ORM.replace("Synthetic1", "señor").encode("latin-1")) == ["AE (MSH-18 102)"]
    named = ORM.replace("Synthetic1", "señor").replace("|2.5.1", "|2.5.1||||||8859/1")
    assert ask(port, named.encode("latin-1")) == ["AA"]


def test_connections_are_bounded_and_come_back(listen_with, monkeypatch):
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 2)
    port = listen_with().port
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(2)]
    idle[0].sendall(b"\x0b")
    assert ask(port, ORM) == ["closed"]
    for each in idle:
        each.close()
    for _ in range(50):
        with contextlib.suppress(OSError):
            if ask(port, ORM) == ["AA"]:
                return
    raise AssertionError("no connection came back")


def test_over_tls_the_site_shows_its_certificate(listen_with, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    authority.issue_cert("site").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "site.pem"))
    port = listen_with("tls: {ca_file: ca.pem, certificate_file: own.pem, key_file: own.pem}").port
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(OSError):
        ask(port, ORM, context=context)
        raise OSError("closed without a word")
    context.load_cert_chain(str(tmp_path / "site.pem"))
    assert ask(port, ORM, context=context) == ["AA"]
