"""Every alarm rule, once: its name, what it says, how notices word one and many, how bad it is, and whom an operator calls.

Configuration, checks, notices, pages and metrics use these names.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad an alarm is."""

    NOW = "now"  # a patient's records stand still, or soon will
    SOON = "soon"


class Told(StrEnum):
    """Whom an operator calls about it."""

    ENDPOINT = "endpoint"  # the contact of the endpoint that the subject begins with
    FULFILLER = "fulfiller"  # the contact of the consulting provider of the request that the subject is
    PLACER = "placer"  # the contact of the practice that asked for the request that the subject is
    HOUSE = "house"  # whoever runs this machine
    ADMIN = "admin"  # whoever keeps config.yaml


@dataclass(frozen=True)
class AlarmRule:
    """``one`` takes ``{subject}``, ``many`` takes ``{n}``."""

    name: str
    says: str
    one: str
    many: str
    severity: Severity
    told: Told


S, T = Severity, Told
# The worst first, which is the order of the strip: what stops everybody, one endpoint, one request.
_ALL = (
    AlarmRule("database-away", "the database did not answer",
              "the database did not answer for a while", "the database did not answer {n} times", S.NOW, T.HOUSE),
    AlarmRule("payloads-away", "payloads cannot be stored",
              "payloads cannot be stored at {subject}", "payloads cannot be stored at {n} machines", S.NOW, T.HOUSE),
    AlarmRule("audit-changed", "the audit trail is not as it was sealed",
              "the audit trail ({subject}) was changed", "the audit trail was changed {n} times", S.NOW, T.HOUSE),
    AlarmRule("process-restarts", "a process ends again and again",
              "{subject} ends again and again", "{n} processes end again and again", S.NOW, T.HOUSE),
    AlarmRule("endpoint-down", "an endpoint does not do what is asked of it",
              "nothing succeeds at {subject}", "nothing succeeds at {n} endpoints", S.NOW, T.ENDPOINT),
    AlarmRule("deadline-late", "records were due and are not verified",
              "the records of request {subject} are late", "the records of {n} requests are late",
              S.NOW, T.FULFILLER),
    AlarmRule("parked", "steps at an endpoint wait for a person",
              "steps at {subject} wait for a person", "steps at {n} endpoints wait for a person", S.NOW, T.ENDPOINT),
    AlarmRule("request-error", "something is wrong with a request, and nothing will correct it by itself",
              "something is wrong with request {subject}", "something is wrong with {n} requests",
              S.NOW, T.FULFILLER),
    AlarmRule("order-refused", "an order found by polling was not taken in",
              "the order {subject} was not taken in", "{n} orders were not taken in", S.NOW, T.ENDPOINT),
    AlarmRule("silence", "nothing succeeds at an endpoint, or no request comes from it as usual",
              "{subject} is silent", "{n} endpoints are silent", S.SOON, T.ENDPOINT),
    AlarmRule("notices-unsent", "a recipient of alerts could not be told for a day",
              "{subject} could not be told of alarms for a day", "{n} recipients could not be told of alarms for a day", S.SOON, T.ADMIN),
    AlarmRule("failure-rate", "many attempts at an endpoint fail",
              "many attempts at {subject} fail", "many attempts fail at {n} endpoints", S.SOON, T.ENDPOINT),
    AlarmRule("deadline-at-risk", "records are due soon and not verified",
              "the records of request {subject} are at risk", "the records of {n} requests are at risk",
              S.SOON, T.FULFILLER),
    AlarmRule("loop-open", "the loop of a request is open for too long",
              "the loop of request {subject} is open for too long", "the loops of {n} requests are open for too long",
              S.SOON, T.FULFILLER),
    AlarmRule("report-unread", "a report is in the primary care EHR, and nobody has said that they read it",
              "nobody has said that they read the report of request {subject}",
              "of {n} reports nobody has said that they read them", S.SOON, T.PLACER),
    AlarmRule("client-keys", "the key set of a client of a hosted practice cannot be fetched",
              "the key set of {subject} cannot be fetched", "the key sets of {n} clients cannot be fetched", S.SOON, T.ADMIN),
    AlarmRule("unknown-kind", "no worker knows a kind of step",
              "no worker knows {subject}", "no worker knows {n} kinds of step", S.SOON, T.HOUSE),
)  # fmt: skip

RULES: dict[str, AlarmRule] = {rule.name: rule for rule in _ALL}
