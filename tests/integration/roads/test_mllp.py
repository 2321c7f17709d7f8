"""One message over a real socket: what surely was not sent is "later", all else is unknown until its acknowledgment is whole."""

import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest
import trustme

from integration.checks.connection import interface
from integration.roads.mllp import MAX_ANSWER_BYTES, sent
from integration.settings.hl7v2 import Hl7v2
from mappings.hl7v2.acknowledgment import read_acknowledgment
from mappings.model.errors import NeedsPerson, TemporaryError, UnknownOutcome
from tests.servers.mllp_engine import MllpEngine

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260601||MDM^T02|C1|T|2.5.1\rTXA|1|CN||||||||||N1\r"


def settings(port: int, **more) -> Hl7v2:
    parties = {"sending_facility": "EX", "receiving_application": "EHR", "receiving_facility": "HILL"}
    return Hl7v2.model_validate({"host": "localhost", "port": port, "encryption": "none", **parties, **more})


def exchange(to: Hl7v2, *, before=lambda: None, seconds: float = 2.0) -> bytes:
    with sent("ehr", to, MESSAGE, timeout_seconds=seconds, before_write=before) as talk:
        return talk.answer()


def test_a_message_is_answered():
    with MllpEngine() as engine:
        said = read_acknowledgment(exchange(settings(engine.port)))
        assert said is not None and said.control_id == "C1" and engine.standing() == {"N1": 1}


@pytest.mark.parametrize(
    ("fault", "cause"), [("half", "cut"), ("swallow", "cut"), ("delay", "timeout"), ("huge", "hl7v2-answer-unreadable")]
)
def test_without_a_whole_answer_nobody_knows(fault, cause):
    with MllpEngine(delay_seconds=2) as engine:
        engine.faults = [fault]
        with pytest.raises(UnknownOutcome) as caught:
            exchange(settings(engine.port, ack_timeout_seconds=0.5 if fault == "delay" else 5.0))
        assert caught.value.cause == cause and engine.standing() == {"N1": 1}


def test_an_answer_that_trickles_for_ever_ends_in_time():
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            while True:
                try:
                    connection.sendall(b"\x0bMSH"[:1])
                except OSError:
                    return
                time.sleep(0.05)

    threading.Thread(target=trickle, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(UnknownOutcome):
        exchange(settings(listener.getsockname()[1], ack_timeout_seconds=0.5))
    assert time.monotonic() - began < 3 and MAX_ANSWER_BYTES < 1 << 24
    listener.close()


def test_a_connection_that_ends_while_it_is_sent_leaves_it_in_doubt():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(UnknownOutcome) as caught:
            to = settings(listener.getsockname()[1])
            with sent("ehr", to, MESSAGE * 100_000, timeout_seconds=5.0, before_write=lambda: None) as talk:
                talk.answer()
    assert caught.value.cause == "cut"


def test_what_is_stopped_before_the_first_byte_sends_nothing():
    def stop() -> None:
        raise NeedsPerson("patient-not-linked", "no")

    with MllpEngine() as engine:
        with pytest.raises(NeedsPerson):
            exchange(settings(engine.port), before=stop)
        assert engine.arrived == []


def test_where_nobody_listens_nothing_was_sent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TemporaryError) as caught:
        exchange(settings(port))
    assert caught.value.cause == "connection-refused"
    with pytest.raises(TemporaryError) as caught:
        exchange(settings(port, host="no-such-host.invalid"))
    assert caught.value.cause == "name-unknown"


class Certified:
    """An authority, the engine's certificate, and ours."""

    def __init__(self, folder, name: str = "localhost"):
        self.authority = trustme.CA()
        self.ca_file, self.own = str(folder / "ca.pem"), str(folder / "own.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.authority.issue_cert("exchange").private_key_and_cert_chain_pem.write_to_path(self.own)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(self.context)

    @property
    def demanding(self) -> ssl.SSLContext:
        """One that wants our certificate."""
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.authority.configure_trust(self.context)
        return self.context


def test_over_tls_with_our_certificate_it_is_taken(tmp_path):
    made = Certified(tmp_path)
    tls = {"ca_file": made.ca_file, "certificate_file": made.own, "key_file": made.own}
    with MllpEngine(context=made.demanding) as engine:
        exchange(settings(engine.port, encryption="tls", tls=tls))
        assert engine.standing() == {"N1": 1}


def test_a_check_connects_and_sends_nothing(tmp_path):
    made = Certified(tmp_path)
    tls = {"ca_file": made.ca_file, "certificate_file": made.own, "key_file": made.own}
    with MllpEngine(context=made.demanding) as engine:
        endpoint = SimpleNamespace(key="hillside", hl7v2=settings(engine.port, encryption="tls", tls=tls))
        seen = interface(endpoint)
        assert seen is not None and seen.worked and "TLSv1" in seen.says and not engine.arrived
    seen = interface(endpoint)
    assert seen is not None and seen.worked is False and "nothing was sent" in seen.says


def test_without_our_certificate_nothing_is_taken_and_it_is_said(tmp_path):
    made = Certified(tmp_path)
    with MllpEngine(context=made.demanding) as engine:
        with pytest.raises((TemporaryError, UnknownOutcome)) as caught:
            exchange(settings(engine.port, encryption="tls", tls={"ca_file": made.ca_file}))
        assert caught.value.cause in ("certificate-refused", "cut") and engine.arrived == []


@pytest.mark.parametrize("name", ["elsewhere.example", "localhost"])
def test_an_engine_that_is_not_surely_theirs_gets_nothing(tmp_path, name):
    made = Certified(tmp_path, name)
    trusted = {"ca_file": made.ca_file} if name != "localhost" else {}  # of another host; of an unknown authority
    with MllpEngine(context=made.context) as engine:
        with pytest.raises(TemporaryError) as caught:
            exchange(settings(engine.port, encryption="tls", tls=trusted))
        assert caught.value.cause == "certificate-refused" and engine.arrived == []


def test_what_does_not_speak_tls_gets_nothing():
    with MllpEngine() as engine:
        with pytest.raises(TemporaryError) as caught:
            exchange(settings(engine.port, encryption="tls"), seconds=1.0)
        assert caught.value.cause in ("tls", "connect-timeout") and engine.arrived == []
