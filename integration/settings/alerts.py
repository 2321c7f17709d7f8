"""The section `alerts` of config.yaml: which alarms are raised, and who is told of them by which way."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from integration.settings.mistakes import listed, nearest, value_at
from integration.settings.parts import VARIABLE, Key, Name, Section, is_loopback, split_address
from integration.settings.yaml_lines import At
from mappings.model.alarms import RULES

_ATOM, _LABEL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


class FailureRate(Section):
    """`failure-rate`: of the attempts at one endpoint so many fail. Watches are not counted: most leave no attempt behind."""

    enabled: bool = Field(True, description="Raise it at all.", examples=[True])
    share: float = Field(
        0.5, gt=0, le=1, description="Share of attempts that failed, from which on it is raised.", examples=[0.5]
    )
    minimum_attempts: int = Field(
        20, ge=1, le=1_000_000, description="With fewer attempts it says nothing.", examples=[20]
    )
    window_minutes: int = Field(
        30, ge=1, le=1440, description="Attempts of so many minutes are looked at.", examples=[30]
    )


class Parked(Section):
    """`parked`: steps of one endpoint wait for a person."""

    enabled: bool = Field(True, description="Raise it at all.", examples=[True])
    more_than: int = Field(
        0, ge=0, le=1_000_000, description="Raised when more than so many wait for so long.", examples=[0]
    )
    older_than_minutes: int = Field(
        15, ge=0, le=43_200, description="Only those are counted that wait longer.", examples=[15]
    )


class Silence(Section):
    """`silence`: nothing comes or goes although something should. A paused endpoint is not silent."""

    enabled: bool = Field(True, description="Raise it at all.", examples=[True])
    hours: float = Field(
        1.0,
        gt=0,
        le=720,
        description="No success for so long at an endpoint where something is due, or no successful poll of a placer.",
        examples=[1],
    )
    usual_hours: int = Field(
        4,
        ge=1,
        le=168,
        description="Or no new request from a placer in so many hours, although in the same "
        "hours of each of the last three weeks there were `usual_requests`.",
        examples=[4],
    )
    usual_requests: int = Field(10, ge=1, le=1_000_000, description="Fewer are too few to expect any.", examples=[10])


class DeadlineAtRisk(Section):
    """`deadline-at-risk` and `deadline-late`: records that have to be there before a date and are not verified."""

    enabled: bool = Field(True, description="Raise them at all.", examples=[True])
    within_hours: int = Field(
        48,
        ge=1,
        le=2160,
        description="At risk when due within so many hours; late, and not at risk any more, when past.",
        examples=[48],
    )


class LoopOpen(Section):
    """`loop-open`: a request whose report is not known to be at the placer."""

    enabled: bool = Field(True, description="Raise it at all.", examples=[True])
    days: int = Field(30, ge=1, le=3650, description="The request was taken in so many days ago.", examples=[30])
    completed_hours: int = Field(
        24,
        ge=1,
        le=2160,
        description="Or the opinion or the visit is completed, and nothing moved for so many hours.",
        examples=[24],
    )


class ReportUnread(Section):
    """`report-unread`: the newest report is in the primary care EHR, and no clinician is known to have read it."""

    enabled: bool = Field(True, description="Raise it at all.", examples=[True])
    days: int = Field(7, ge=1, le=365, description="It has been there for so many days.", examples=[7])
    urgent_days: int = Field(
        2,
        ge=1,
        le=365,
        description="The same for a request that is urgent or asap, and for a report that changed or was retracted.",
        examples=[2],
    )


class Rules(Section):
    """What is watched. These rules are always on: `order-refused`, `endpoint-down`, `unknown-kind`, `database-away`,
    `payloads-away`, `process-restarts`, `notices-unsent`."""

    failure_rate: FailureRate = Field(default_factory=FailureRate, description="Many attempts fail.")
    parked: Parked = Field(default_factory=Parked, description="Steps wait for a person.")
    silence: Silence = Field(default_factory=Silence, description="Nothing comes or goes.")
    deadline_at_risk: DeadlineAtRisk = Field(default_factory=DeadlineAtRisk, description="Records are due.")
    loop_open: LoopOpen = Field(default_factory=LoopOpen, description="The loop is open for too long.")
    report_unread: ReportUnread = Field(default_factory=ReportUnread, description="Nobody has read the report.")


def _a_file_name(value: str | None) -> str | None:
    if value is not None and ("\n" in value or "-----BEGIN" in value):
        raise ValueError("must be the name of a file; what is secret is never written here")
    return value


def _an_address(value: str | None) -> str | None:
    if value is not None and (len(value) > 254 or not _ADDRESS.fullmatch(value)):
        raise ValueError("must be one e-mail address, such as ops@example.org")
    return value


class Smtp(Section):
    """The mail server that takes our e-mail."""

    host: Name = Field(description="Its name.", examples=["mail.example.org"])
    port: int = Field(
        587, ge=1, le=65535, description="TCP port; usually 587 with `starttls`, 465 with `tls`.", examples=[587]
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="`starttls` begins in the clear and sends nothing before it is encrypted, `tls` is encrypted from "
        "the start, `none` is only for a server on this machine.",
        examples=["starttls"],
    )
    user: Name | None = Field(
        None, description="Name to log in with. Without it nobody logs in.", examples=["exchange"]
    )
    password_file: str | None = Field(
        None, description="A file with its password.", examples=["/run/secrets/smtp-password"]
    )
    password_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Or an environment variable that holds it.",
        examples=["EXCHANGE_SMTP_PASSWORD"],
    )
    from_address: str = Field(description="Address the mails are from.", examples=["exchange@example.org"])
    timeout_seconds: float = Field(
        20.0, gt=0, le=120, description="How long we wait for each answer of the server.", examples=[20]
    )

    _file = field_validator("password_file")(_a_file_name)
    _from = field_validator("from_address")(_an_address)

    @model_validator(mode="after")
    def _safe(self) -> "Smtp":
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError(
                "with `security: none` is only for a server on this machine (127.0.0.1, ::1, localhost); "
                "write `starttls` or `tls`"
            )
        if (self.user is None) != (self.password_file is None and self.password_env is None):
            raise ValueError("needs `user` together with one of `password_file` and `password_env`")
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("needs one of `password_file` and `password_env`, not both")
        return self


class Recipient(Section):
    """Somebody who is told: by e-mail, or a program by webhook."""

    name: Key = Field(description="What pages and logs call it; its address stands nowhere else.", examples=["on-call"])
    email: str | None = Field(None, description="One e-mail address; needs `smtp`.", examples=["on-call@example.org"])
    webhook: str | None = Field(
        None,
        description="Or an address that gets each notice by POST: https, or http on this machine.",
        examples=["https://pager.example.org/hooks/exchange"],
    )
    webhook_file: str | None = Field(
        None,
        description="Or a file that holds such an address, when the address itself is a secret.",
        examples=["/run/secrets/chat-webhook"],
    )
    webhook_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Or an environment variable that holds it.",
        examples=["EXCHANGE_CHAT_WEBHOOK"],
    )
    secret_file: str | None = Field(
        None, description="A file with the secret that signs what is posted.", examples=["/run/secrets/pager-secret"]
    )
    secret_env: str | None = Field(
        None,
        pattern=VARIABLE,
        description="Or an environment variable that holds it.",
        examples=["EXCHANGE_PAGER_SECRET"],
    )
    rules: tuple[str, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="Only these rules; without it, all.",
        examples=[["endpoint-down", "silence", "deadline-late"]],
    )
    practices: tuple[Key, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="Only alarms about these endpoints, and about requests that they ask or are asked: who is told when records "
        "of their visits are at risk or late. Without it, all.",
        examples=[["university-hospital"]],
    )
    min_interval_minutes: int = Field(
        15,
        ge=0,
        le=1440,
        description="At most one notice of one rule in so many minutes; what comes between is told together.",
        examples=[15],
    )

    _files = field_validator("webhook_file", "secret_file")(_a_file_name)
    _email = field_validator("email")(_an_address)

    @property
    def channel(self) -> str:
        """The way it is told."""
        return "e-mail" if self.email else "webhook"

    @field_validator("webhook")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is not None:
            check_webhook(value)
        return value

    @field_validator("rules", mode="before")
    @classmethod
    def _either_spelling(cls, value: Any) -> Any:
        """`failure_rate`, as the rule's own keys are written, is `failure-rate`."""
        if isinstance(value, list | tuple):
            return [each.replace("_", "-") if isinstance(each, str) else each for each in value]
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "Recipient":
        ways = [self.email, self.webhook, self.webhook_file, self.webhook_env]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("needs exactly one of `email`, `webhook`, `webhook_file` and `webhook_env`")
        if self.email is not None and (self.secret_file or self.secret_env):
            raise ValueError("signs nothing by e-mail: `secret_file` and `secret_env` are for webhooks")
        if self.secret_file is not None and self.secret_env is not None:
            raise ValueError("needs one of `secret_file` and `secret_env`, not both")
        return self


def check_webhook(value: str) -> None:
    """Raises ValueError for an address that a notice may not be sent to."""
    parts = split_address(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or a password; sign with `secret_file` or `secret_env`")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https://; http is only for a program on this machine")


class Alerts(Section):
    """What is told to whom, and how often."""

    rules: Rules = Field(default_factory=Rules, description="What raises an alarm.")
    send_to: tuple[Recipient, ...] = Field(
        (), strict=False, description="Who is told. Without anybody, alarms are only on the pages."
    )
    smtp: Smtp | None = Field(None, description="The mail server; needed for `email`.")
    ca_file: Path | None = Field(
        None,
        strict=False,
        description="Certificates (PEM) to trust beside those of this machine, for mail server and webhooks.",
        examples=["/etc/ssl/clinic-ca.pem"],
    )
    for_minutes: int = Field(5, ge=0, le=1440, description="An alarm is told when it has lasted so long.", examples=[5])
    recovered_minutes: int = Field(
        10,
        ge=0,
        le=1440,
        description="Its end is told when it has been over for so long; one that comes back before is the same.",
        examples=[10],
    )
    remind_hours: int = Field(
        24, ge=0, le=720, description="While it lasts it is told again after so many hours; 0: never.", examples=[24]
    )


# --- what keys say about each other, read from the file as it is, so that it is told beside other mistakes ---


def file_names(values: dict[str, Any]) -> Iterator[At]:
    """Where file names stand; relative ones are relative to config.yaml."""
    yield ("alerts", "ca_file")
    yield ("alerts", "smtp", "password_file")
    for index, _ in _recipients(values):
        yield from (("alerts", "send_to", index, name) for name in ("webhook_file", "secret_file"))


def variables(values: dict[str, Any]) -> Iterator[tuple[At, str]]:
    """Where environment variables are named, and their names."""
    places = [
        ("alerts", "smtp", "password_env"),
        *(
            ("alerts", "send_to", index, name)
            for index, _ in _recipients(values)
            for name in ("webhook_env", "secret_env")
        ),
    ]
    for at in places:
        name = value_at(values, at)
        if isinstance(name, str):
            yield at, name


def problems(values: dict[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[At, str]]:
    """What is wrong between keys of `alerts`, and files and variables that are not there."""
    seen: set[Any] = set()
    for index, recipient in _recipients(values):
        at: At = ("alerts", "send_to", index)
        name = recipient.get("name")
        if isinstance(name, str) and name in seen:
            yield (*at, "name"), "is the name of two recipients; each needs its own"
        seen.add(name if isinstance(name, str) else None)
        if "email" in recipient and not value_at(values, ("alerts", "smtp")):
            yield (*at, "email"), "needs `alerts.smtp`, the mail server that takes it"
        yield from _rule_problems(at, recipient.get("rules"))
        yield from _practice_problems(at, recipient.get("practices"), values.get("endpoints"))
    for at in file_names(values):
        file = value_at(values, at)
        if isinstance(file, str) and "\n" not in file and not Path(file).is_file():
            yield at, "names a file that does not exist"
    for at, name in variables(values):
        if not environ.get(name):
            yield at, "names an environment variable that is not set"


def _rule_problems(at: At, rules: Any) -> Iterator[tuple[At, str]]:
    for number, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, str) and rule.replace("_", "-") not in RULES:
            yield (*at, "rules", number), "is not a rule" + (nearest(rule, RULES) or listed(RULES))


def _practice_problems(at: At, practices: Any, endpoints: Any) -> Iterator[tuple[At, str]]:
    """A typing mistake would mean that nobody is told."""
    known = list(endpoints) if isinstance(endpoints, dict) else []
    for number, key in enumerate(practices if isinstance(practices, list) else []):
        if isinstance(key, str) and key not in known:
            yield (*at, "practices", number), "is not an endpoint" + (nearest(key, known) or listed(known))


def _recipients(values: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    found = value_at(values, ("alerts", "send_to"))
    return [
        (index, each) for index, each in enumerate(found if isinstance(found, list) else []) if isinstance(each, dict)
    ]
