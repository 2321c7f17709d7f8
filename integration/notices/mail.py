"""E-mail: one notice as a message, handed to the configured mail server, with a sentence for everything that can go wrong."""

import base64
import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from integration.notices.notice import Notice, NotSent, plain
from integration.settings.alerts import Smtp

WIRE = SMTP.clone(max_line_length=900)  # a header that is folded shows a blank in some mail programs


def compose(notice: Notice, server: Smtp, to: str) -> EmailMessage:
    """The message. The same notice has the same Message-ID and date each time, so that a mail program can see a repeat."""
    message = EmailMessage()
    exchange = plain(notice.exchange, 80)
    message["From"] = Address(exchange, addr_spec=server.from_address)
    message["To"] = to
    message["Subject"] = f"[{exchange}] {notice.headline}"
    message["Date"] = notice.created_at
    message["Message-ID"] = f"<{notice.key}@{server.from_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    message.set_content(notice.text(), cte="quoted-printable")
    return message


def send(message: EmailMessage, server: Smtp, *, password: str | None, trust: ssl.SSLContext) -> str:
    """Hand it over and return what the server answered. Raises NotSent; nothing is sent in the clear unless `none` says so."""
    talk = _Talk(server, password)
    with talk.sentences("before the mail was handed over"):
        smtp = talk.connect(trust)
    try:
        with talk.sentences("before the mail was handed over"):
            talk.log_in(smtp)
        with talk.sentences("before it said whether it took the mail, which is sent again"):
            return talk.hand_over(smtp, message)
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        smtp.close()


class _Talk:
    """One conversation with a mail server; says errors as sentences that hold no secret."""

    def __init__(self, server: Smtp, password: str | None):
        self.server, self.password = server, password
        self.place = f"{server.host}:{server.port}"

    def connect(self, trust: ssl.SSLContext) -> smtplib.SMTP:
        """A connection, encrypted as configured."""
        host, port, wait = self.server.host, self.server.port, self.server.timeout_seconds
        if self.server.security == "tls":
            return smtplib.SMTP_SSL(host=host, port=port, timeout=wait, context=trust)
        smtp = smtplib.SMTP(host=host, port=port, timeout=wait)
        if self.server.security == "starttls":
            try:
                smtp.starttls(context=trust)
            except BaseException:
                smtp.close()
                raise
        return smtp

    def log_in(self, smtp: smtplib.SMTP) -> None:
        """With the configured name, if there is one. A refusal is told by its number: its text may repeat what was sent."""
        if self.server.user is None or self.password is None:  # the settings have both or neither
            return
        if not f"{self.server.user}{self.password}".isascii():
            raise NotSent("`user` and password of `alerts.smtp` must be ASCII", for_all=True)
        try:
            smtp.login(self.server.user, self.password)
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(
                f"{self.place} refused the login ({_number(error)}): look at `user` and password of `alerts.smtp`",
                for_all=True,
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise NotSent(
                f"{self.place} offers no login that we know: leave `user` out, or use its port for clients (587)",
                for_all=True,
            ) from None

    def hand_over(self, smtp: smtplib.SMTP, message: EmailMessage) -> str:
        """One mail to one address."""
        smtp.ehlo_or_helo_if_needed()
        self._expect(smtp.mail(self.server.from_address), "refused the address `from_address`", for_all=True)
        self._expect(smtp.rcpt(message["To"]), "refused the recipient")
        answer: tuple[int, bytes | str]
        try:
            answer = smtp.data(message.as_bytes(policy=WIRE))
        except smtplib.SMTPDataError as error:
            answer = error.smtp_code, error.smtp_error
        self._expect(answer, "refused the mail")
        return self._said(*answer)

    def _expect(self, answer: tuple[int, bytes | str], what: str, *, for_all: bool = False) -> None:
        if not 200 <= answer[0] < 300:
            raise NotSent(f"{self.place} {what}: {self._said(*answer)}", for_all=for_all)

    def _said(self, code: int, text: bytes | str) -> str:
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for secret in self._secrets():
            said = said.replace(secret, "(password)")
        return f"{code} {plain(said, 200)}"

    def _secrets(self) -> list[str]:
        if not self.password:
            return []
        forms = (self.password, f"\0{self.server.user}\0{self.password}")
        return [self.password, *(base64.b64encode(each.encode()).decode() for each in forms)]

    @contextlib.contextmanager
    def sentences(self, when: str) -> Iterator[None]:
        """Turns what smtplib and the network raise into NotSent."""
        try:
            yield
        except NotSent:
            raise
        except smtplib.SMTPNotSupportedError:
            raise NotSent(
                f"{self.place} does not offer STARTTLS, so nothing was sent: is it `tls` (465) or another port?",
                for_all=True,
            ) from None
        except smtplib.SMTPServerDisconnected as error:
            late = isinstance(error.__context__, TimeoutError)
            raise NotSent(
                f"{self.place} {'did not answer in time' if late else 'ended the connection'}, {when}", for_all=True
            ) from None
        except smtplib.SMTPResponseException as error:
            raise NotSent(
                f"{self.place} answered {self._said(error.smtp_code, error.smtp_error)}", for_all=True
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"{self.place} {unreachable(error)}, {when}", for_all=True) from None


def unreachable(error: Exception) -> str:
    """What happened to a connection, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted: {plain(error.verify_message, 120)}; "
            "name its authority in `alerts.ca_file`, or fix the certificate"
        )
    if isinstance(error, ssl.SSLError):
        return f"did not begin TLS ({plain(error.reason or 'no reason given', 60)}): are port and `security` right?"
    if isinstance(error, socket.gaierror):
        return "cannot be found: its name has no address"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection: nothing listens there"
    return f"cannot be reached ({type(error).__name__})"


def _number(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error.decode("ascii", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
    finer = re.match(r"\d\.\d{1,3}\.\d{1,3}", text)
    return f"{error.smtp_code} {finer[0]}" if finer else str(error.smtp_code)
