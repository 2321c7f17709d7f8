"""One notice by e-mail and by webhook, over real sockets: what arrives, and the sentence when it does not."""

import base64
import json
import os
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import standardwebhooks

from integration.notices import mail, webhook
from integration.notices import notice as notices
from integration.notices.notice import Notice, NotSent
from integration.settings.alerts import Alerts, Smtp
from tests.integration.fhir.endpoints import free_port
from tests.integration.notices.told import PASSWORD, USER, Certificates, Hook, MailServer

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
ALARM = {
    "id": 7,
    "subject": "mercy",
    "message": "2 step(s) at mercy wait.",
    "raised_at": "2026-03-04T12:00:00+00:00",
    "recovered_at": None,
}
NOTICE = Notice(
    "0b8e", "raised", "parked", 1, NOW, (ALARM,), "https://exchange.example.org/alarms", "Second Opinion Exchange"
)


def smtp(server_or_port, security: str = "none", **keys) -> Smtp:
    port = getattr(server_or_port, "port", server_or_port)
    return Smtp.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "security": security,
            "from_address": "exchange@example.org",
            "timeout_seconds": 5.0,
            **keys,
        }
    )


def send(
    server: Smtp, what: Notice = NOTICE, *, to: str = "ops@example.org", ca_file=None, password: str | None = None
) -> str:
    return mail.send(
        mail.compose(what, server, to), server, password=password, trust=notices.trust(Alerts(ca_file=ca_file))
    )


def refused(server: Smtp, **arguments) -> NotSent:
    with pytest.raises(NotSent) as caught:
        send(server, **arguments)
    said = repr([caught.value, caught.value.__cause__, caught.value.args])
    assert PASSWORD not in said and base64.b64encode(PASSWORD.encode()).decode() not in said
    return caught.value


# --- e-mail ---


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_encrypted_and_logged_in(tmp_path, security):
    certificates = Certificates(tmp_path)
    with MailServer(certificates, security=security, login=security == "starttls") as server:
        wanted = smtp(server, security, **({"user": USER, "password_env": "X"} if security == "starttls" else {}))
        assert send(wanted, ca_file=certificates.file, password=PASSWORD) == "250 2.0.0 taken"
    [got] = server.mails
    assert (got["To"], got["From"]) == ("ops@example.org", "Second Opinion Exchange <exchange@example.org>")
    assert got["Subject"] == "[Second Opinion Exchange] steps at mercy wait for a person"
    assert (got["Message-ID"], got["Auto-Submitted"]) == ("<0b8e@example.org>", "auto-generated")
    assert got["Date"].datetime == NOW
    assert "- 2 step(s) at mercy wait. (since 2026-03-04 12:00)" in got.get_content()
    assert "https://exchange.example.org/alarms" in got.get_content()


def test_a_repeat_is_the_same_to_the_byte():
    assert mail.compose(NOTICE, smtp(25), "a@b").as_bytes() == mail.compose(replace(NOTICE), smtp(25), "a@b").as_bytes()


def test_a_wrong_password_is_a_sentence_with_the_number_only(tmp_path):
    certificates = Certificates(tmp_path)
    with MailServer(certificates, security="starttls", login=True) as server:
        error = refused(
            smtp(server, "starttls", user="somebody", password_env="X"), ca_file=certificates.file, password=PASSWORD
        )
    assert (
        str(error).endswith("refused the login (535 5.7.8): look at `user` and password of `alerts.smtp`")
        and error.for_all
    )
    assert server.mails == []


def test_a_server_that_is_not_trusted_gets_nothing(tmp_path):
    with MailServer(Certificates(tmp_path), security="starttls") as server:
        assert "certificate that is not trusted" in str(refused(smtp(server, "starttls")))
    other = Certificates(tmp_path, "mail.example.org")
    with MailServer(other, security="starttls") as server:
        assert "certificate that is not trusted" in str(refused(smtp(server, "starttls"), ca_file=other.file))
    assert server.mails == [] and server.tries == []


def test_a_server_without_starttls_gets_nothing():
    with MailServer() as server:
        assert "does not offer STARTTLS, so nothing was sent" in str(refused(smtp(server, "starttls")))
    assert server.tries == []


def test_a_server_that_offers_no_login_is_told():
    with MailServer() as server:
        assert "offers no login" in str(refused(smtp(server, user=USER, password_env="X"), password=PASSWORD))


def test_tls_at_a_port_that_speaks_plainly_is_told(tmp_path):
    with MailServer() as server:
        assert "did not begin TLS" in str(refused(smtp(server, "tls")))


def test_a_server_that_is_not_there_is_told():
    assert "nothing listens there" in str(refused(smtp(free_port())))
    assert "its name has no address" in str(refused(smtp(25, "starttls", host="nowhere.invalid")))


@pytest.mark.parametrize(
    ("step", "says", "for_all"),
    [
        ("RCPT", "refused the recipient: 550 5.1.1 no such user", False),
        ("DATA", "refused the mail: 550 5.1.1 no such user", False),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(step, says, for_all):
    with MailServer(answers={step: "550 5.1.1 no such user"}) as server:
        error = refused(smtp(server))
    assert str(error) == f"127.0.0.1:{server.port} {says}" and error.for_all is for_all


def test_a_refusal_that_repeats_the_password_does_not_reach_the_sentence():
    whole = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    talk = mail._Talk(smtp(25, user=USER, password_env="X"), PASSWORD)
    assert talk._said(501, f"what is {whole} or {PASSWORD}?".encode()) == "501 what is (password) or (password)?"


def scripted(*answers: bytes) -> int:
    """A server that says these lines, whatever it is asked, and then hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def talk():
        connection, _ = listening.accept()
        with connection, listening:
            for answer in answers:
                connection.sendall(answer)
                if answer is not answers[-1]:
                    connection.recv(65536)

    threading.Thread(target=talk, daemon=True).start()
    return listening.getsockname()[1]


def test_a_server_that_echoes_the_login_and_one_that_hangs_up_are_sentences():
    whole = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode().encode()
    port = scripted(b"220 here\r\n", b"250-here\r\n250 AUTH PLAIN\r\n", b"501 what is AUTH PLAIN " + whole + b"?\r\n")
    error = refused(smtp(port, user=USER, password_env="X"), password=PASSWORD)
    assert "refused the login (501)" in str(error) and whole.decode() not in str(error)
    port = scripted(b"220 here\r\n", b"250 here\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n")
    assert "ended the connection, before it said whether it took the mail" in str(refused(smtp(port)))


def test_nothing_from_elsewhere_makes_a_header_or_a_line_of_its_own():
    evil = "x\r\nBcc: evil@example.org\r\n\r\nhello\u2028\u202e\x00"
    harmed = replace(NOTICE, rule="unknown-kind", exchange=evil, alarms=({**ALARM, "subject": evil, "message": evil},))
    with MailServer() as server:
        send(smtp(server), harmed)
    [got] = server.mails
    assert got["Bcc"] is None and server.tries == ["ops@example.org"]
    assert got["Subject"] == "[x Bcc: evil@example.org hello] no worker knows x Bcc: evil@example.org hello"
    assert "- x Bcc: evil@example.org hello (since" in got.get_content()


def test_a_notice_names_so_many_and_counts_the_rest():
    many = replace(
        NOTICE,
        rule="deadline-at-risk",
        count=33,
        alarms=tuple({**ALARM, "id": n, "message": f"r{n}"} for n in range(20)),
    )
    assert many.headline == "the records of 33 requests are at risk"
    assert many.text().count("\n- ") == 21 and "- and 13 more, on the page" in many.text()
    assert replace(many, kind="recovered").headline == "Over: the records of 33 requests are at risk"


# --- webhook ---


def post(hook, what: Notice = NOTICE, secret: str | None = None, ca_file=None, address: str = "") -> str:
    return webhook.send(
        what,
        address or hook.address,
        secret=secret,
        trust=notices.trust(Alerts(ca_file=ca_file)),
        now=datetime.now(UTC),
    )


@pytest.mark.parametrize("with_prefix", [True, False])
def test_a_webhook_gets_json_that_others_can_verify(with_prefix):
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    verifier = standardwebhooks.Webhook(secret if with_prefix else base64.b64encode(b"only words").decode())
    with Hook() as hook:
        assert post(hook, secret=secret if with_prefix else "only words") == "200"
    [(headers, body)] = hook.posted
    assert verifier.verify(body, headers) == json.loads(body)
    assert headers["webhook-id"] == NOTICE.key == json.loads(body)["id"]
    assert json.loads(body)["alarms"] == [ALARM] and json.loads(body)["count"] == 1
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(body.replace(b"mercy", b"marcy"), headers)


def test_a_webhook_over_tls_is_checked(tmp_path):
    certificates = Certificates(tmp_path)
    with Hook(certificates=certificates) as hook:
        with pytest.raises(NotSent, match="not trusted"):
            post(hook)
        assert post(hook, ca_file=certificates.file) == "200"


def test_no_redirect_is_followed_and_the_address_is_not_told():
    with Hook() as elsewhere, Hook(307, {"Location": elsewhere.address}) as hook:
        with pytest.raises(NotSent, match="redirect, and none is followed") as caught:
            post(hook)
    assert elsewhere.posted == [] and "hook/one" not in str(caught.value)


def test_what_a_webhook_answers_otherwise_is_a_sentence():
    with Hook(503) as hook, pytest.raises(NotSent, match=r"127.0.0.1:\d+ answered 503$"):
        post(hook)
    with pytest.raises(NotSent, match="nothing listens there"):
        post(None, address=f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(NotSent, match="did not answer in HTTP"):
        post(None, address=f"http://127.0.0.1:{scripted(b'220 mail here', b'')}/")
    for address, why in (
        ("http://pager.example.org/", "must begin with https://"),
        ("https://", "must be an address"),
        ("https://u:p@x.org/", "user name"),
    ):
        with pytest.raises(NotSent, match=why) as caught:
            post(None, address=address)
        assert "u:p" not in str(caught.value)


# --- secrets ---


def test_a_secret_is_read_when_it_is_needed_and_a_missing_one_is_a_sentence(tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text(" s3cret\n")
    monkeypatch.setenv("A_SECRET", "other")
    assert notices.secret(str(file), None, "password") == "s3cret"
    assert notices.secret(None, "A_SECRET", "password") == "other"
    assert notices.secret(None, None, "password") is None
    file.write_text("")
    for arguments, says in (
        ((str(file), None), "`password_file` names is empty"),
        ((str(tmp_path), None), "cannot be read"),
        ((None, "NOT_THERE"), "`password_env` names is empty"),
    ):
        with pytest.raises(NotSent, match=says):
            notices.secret(*arguments, "password")
