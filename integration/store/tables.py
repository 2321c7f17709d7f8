"""Every table of the Exchange, once; Alembic and the store read them here."""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()
NEVER = "9999-12-31T00:00:00+00:00"  # psycopg cannot read 'infinity'
SUSPECT = 2  # leases lost, after which a step may be what kills workers: it rests, and goes without others like it
# Conditions of partial indexes, which a query has to repeat word by word to use them.
RECORDS_OWED = (
    "closed_at is null and records_due_at is not null and records not in ('verified', 'acknowledged') "
    "and status in ('draft', 'requested', 'received', 'accepted', 'in-progress', 'on-hold')"
)
LOOP_OPEN = "closed_at is null and status not in ('rejected', 'cancelled', 'failed', 'entered-in-error')"
LINKED_ORDERS = "reference like 'ServiceRequest/%'"
ON_BOARD = "closed_at is null and status not in ('cancelled', 'entered-in-error')"
ANSWERED = "(status = 'completed' or visit = 'completed')"


def _time(name: str, **kwargs: Any) -> Column:
    return Column(name, DateTime(timezone=True), **kwargs)


def _now(name: str) -> Column:
    return _time(name, nullable=False, server_default=func.now())


requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("placer", Text, nullable=False),
    Column("fulfiller", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_reason", Text),
    Column("records", Text, nullable=False, server_default="not-started"),
    Column("visit", Text, nullable=False, server_default="none"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("priority", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the request as JSON bytes, never jsonb (traps.md)
    Column("body_sha256", Text, nullable=False),
    Column("patient_hash", Text, nullable=False),  # keyed hash of the patient's identifiers, to search by
    _time("records_due_at"),  # wanted by, less the lead time; unknown stays null
    _now("created_at"),
    _now("updated_at"),
    _time("closed_at"),
    Column("closed_level", Text),  # on which Level of mappings/model/roads.py, and by which road; empty before 0013
    Column("closed_road", Text),
    Column("live_step", BigInteger),  # the one step now under a lease
    Column("mirrored", Text),  # business status last written to the placer
    Column("version", Integer, nullable=False, server_default="1"),  # of the body: see request_versions
    Column("gathered_version", Integer),  # the version whose wish for records was last read in full
    _time("chart_read_at"),  # when the whole chart was last read
    _time("visit_at"),  # when the booked visit begins; empty without one, and of one that was canceled
    Column("case_id", Text),  # the request that began the case; empty of the one that did
    Column("requisition", Text),  # the placer's number that requests of one case share, as system|value
    _time("records_risk_at"),  # from when on what is owed takes longer than there is time; empty without a visit
    Column("directory_entry", BigInteger, ForeignKey("directory_entries.id")),  # from which its consultant was chosen
    Column("to_do", Integer),  # parts of the case for the side that asks, when it was last opened; empty: changed since
    Index("requests_created", "created_at", "id"),
    Index("requests_patient", "patient_hash"),
    Index("requests_priority", "priority", "id"),
    Index("requests_open", "status", postgresql_where=text("closed_at is null")),
    Index(
        "requests_due",
        "records_due_at",
        "id",
        postgresql_where=text("closed_at is null and records_due_at is not null"),
    ),
    Index("requests_records_owed", "records_due_at", "id", postgresql_where=text(RECORDS_OWED)),
    Index(
        "requests_at_risk", "records_risk_at", postgresql_where=text(f"records_risk_at is not null and {RECORDS_OWED}")
    ),
    Index("requests_breached", "visit_at", postgresql_where=text(f"visit_at is not null and {RECORDS_OWED}")),
    Index("requests_loop_open", "created_at", "id", postgresql_where=text(LOOP_OPEN)),
    Index("requests_board_placer", "placer", postgresql_where=text(ON_BOARD)),
    Index("requests_board_fulfiller", "fulfiller", postgresql_where=text(ON_BOARD)),
    Index("requests_answered", "updated_at", "id", postgresql_where=text(f"{LOOP_OPEN} and {ANSWERED}")),
    Index("requests_case", "case_id", postgresql_where=text("case_id is not null")),
    Index("requests_requisition", "requisition", "placer", postgresql_where=text("requisition is not null")),
)

orders = Table(
    "orders",
    metadata,  # the placer's own order behind a request, as it was when it was last followed
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("placer", Text, nullable=False),
    Column("reference", Text, nullable=False),  # Type/id there
    Column("sha256", Text),  # of the order without its meta, in the payload store
    Column("came_sha256", Text),  # of all of it: the same at two endpoints is one server under two names
    Column("subject", Text),  # the reference as it stands
    Column("body", LargeBinary),  # the request that it says, as JSON bytes: a later change is a difference to this
    _now("seen_at"),
    Index("orders_reference", "reference", "placer"),
    Index("orders_placer", "placer", "request_id"),
)

polls = Table(
    "polls",
    metadata,  # where reading the orders of a placer stands, page by page
    Column("endpoint", Text, primary_key=True),
    Column("changes", Text),  # the search for what changed, as JSON; empty when its last page was read
    Column("sweep", Text),  # the search for all that there is
    _time("swept_at"),  # when the last whole one began
)

request_versions = Table(
    "request_versions",
    metadata,  # what was entered, and each correction of it; never changed
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Column("patient_hash", Text, nullable=False),
    Column("fields", JSONB, nullable=False, server_default=text("'[]'")),  # paths that changed, without values
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    _now("created_at"),
)

steps = Table(
    "steps",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id")),
    Column("kind", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("delivery_id", Text),
    Column("status", Text, nullable=False),  # waiting due leased done parked cancelled
    _time("due_at", nullable=False, server_default=func.now()),
    _time("next_attempt_at", nullable=False, server_default=func.now()),
    _time("deadline", nullable=False, server_default=text(f"'{NEVER}'")),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("first_attempt_at"),
    Column("lease_no", Integer, nullable=False, server_default="0"),
    _time("lease_until"),
    Column("started", Boolean, nullable=False, server_default=text("false")),
    Column("lost", Integer, nullable=False, server_default="0"),  # leases in a row that ran out under a started worker
    Column(
        "put_backs", Integer, nullable=False, server_default="0"
    ),  # how often in a row it was put back for the same cause
    Column("cause", Text),
    Column("message", Text),
    Column("action", Text),
    Column("items", ARRAY(Text)),  # what of the record it is about, as Type/id or Type/id#path
    _now("created_at"),
    _time("finished_at"),
    _time("parked_at"),
    Column("priority", Text),  # of the request; null in what an older version made: the request says it
    Column("holds", Text),
    Column("holds_lease", Integer),  # what no other step may make meanwhile; counts while it has that lease
    Index("steps_due", "endpoint", "deadline", "id", postgresql_where=text("status = 'due'")),
    Index("steps_waiting", "next_attempt_at", postgresql_where=text("status = 'waiting'")),
    Index("steps_leased", "endpoint", postgresql_where=text("status = 'leased'")),
    Index("steps_parked", "endpoint", "cause", "id", postgresql_where=text("status = 'parked'")),
    Index("steps_one_live", "request_id", unique=True, postgresql_where=text("status = 'leased'")),
    Index(
        "steps_one_open",
        text("coalesce(request_id, '')"),
        "kind",
        "endpoint",
        unique=True,
        postgresql_where=text("status in ('waiting', 'due', 'leased', 'parked')"),
    ),
    Index(
        "steps_holds",
        "holds",
        unique=True,
        postgresql_where=text("status = 'leased' and holds_lease = lease_no and holds is not null"),
    ),
    Index("steps_suspects", "endpoint", "status", postgresql_where=text(f"lost >= {SUSPECT}")),
    Index("steps_request", "request_id", "id"),
    Index("steps_delivery", "delivery_id"),
    Index("steps_cause", "cause", postgresql_where=text("cause is not null")),
    Index("steps_open", "deadline", "id", postgresql_where=text("status in ('waiting', 'due', 'leased', 'parked')")),
    Index("steps_finished", "status", "finished_at", "id", postgresql_where=text("status in ('done', 'cancelled')")),
    postgresql_with={"fillfactor": "80"},  # lease renewals stay HOT
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("key", Text, primary_key=True),
    Column("identifier_system", Text, nullable=False),  # frozen at first use
    Column("concurrency", Integer, nullable=False),
    Column("rate", Float, nullable=False),  # requests per second
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("paused_reason", Text),
    Column("breaker", Text, nullable=False, server_default="closed"),  # closed open half-open
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    _time("breaker_until"),
    Column("capabilities", JSONB),
    _time("probed_at"),
    _time("last_success_at"),
    _time("last_failure_at"),
    Column("last_failure", Text),
    Column("last_failure_cause", Text),
    _time("polled_at"),  # last poll for requests that succeeded
    Column("latencies", JSONB, nullable=False, server_default=text("'[]'")),  # last 60 step times, milliseconds
    Column("base_url", Text),  # normalized, frozen at first use: another address may be another server
    Column("software", Text),  # name and version at the last check
    Column("says", JSONB),  # what the server said of itself at first use: software, implementation
    Column(
        "addresses", ARRAY(Text), nullable=False, server_default=text("'{}'")
    ),  # its own, as its answers showed them
)

held_tokens = Table(
    "held_tokens",
    metadata,  # access tokens of other servers, for all workers; see store/held_tokens.py
    Column("endpoint", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # of the configuration that the token belongs to
    Column("token", Text),
    Column("scope", Text),
    _time("renew_at"),
    _time("expires_at"),
    _time("given_at"),
    _time("renewing_until"),  # one worker asks for a new one until then
)

pace = Table(
    "pace",
    metadata,  # written before each request: not in the endpoint's row, which dispatch locks
    Column("endpoint", Text, primary_key=True),
    _time("next_at", nullable=False),  # when the next request may go
)

packets = Table(
    "packets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("manifest_sha256", Text, nullable=False),  # the manifest's own bytes in the payload store
    Column("patient", Text, nullable=False),
    Column("resources", Integer, nullable=False),
    Column("attachments", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    _now("created_at"),
    UniqueConstraint("request_id", "version"),
    Index("packets_patient", "patient"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("packet_id", Text, ForeignKey("packets.id")),
    Column("request_version", Integer),  # whose words stand on the readable summary; set when it is sent
    Column("status", Text, nullable=False, server_default="queued"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("cause", Text),
    Column("message", Text),
    Column("action", Text),
    _time("deadline"),
    _now("created_at"),
    _now("updated_at"),
    _time("sent_at"),
    _time("verified_at"),
    Column("encounter", Text),  # Encounter/id at the endpoint, as a person named it
    Column("consent_id", BigInteger, ForeignKey("consents.id")),  # by which its records were chosen; empty: none then
    Column("road", Text),  # by which it went: a RoadName of mappings/model/roads.py
    Column("level", Text),  # what is known of it: a Level of mappings/model/roads.py; empty before 0007: read-back
    UniqueConstraint("request_id", "kind", "version"),
    Index(
        "deliveries_travelled",
        "verified_at",
        postgresql_where=text("kind = 'records' and version = 1 and verified_at is not null"),
    ),
    Index("deliveries_list", "updated_at", "id"),
    Index("deliveries_status", "status", "updated_at", "id"),
    Index("deliveries_attention", "deadline", "id", postgresql_where=text("status in ('parked', 'retrying')")),
    Index("deliveries_failures", "cause", "endpoint", postgresql_where=text("status in ('parked', 'retrying')")),
)

delivery_items = Table(
    "delivery_items",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.id"), primary_key=True),
    Column("source", Text, primary_key=True),  # Type/id at the source
    Column("status", Text, nullable=False, server_default="queued"),  # an ItemStatus of mappings/model/delivery.py
    Column("target", Text),  # Type/id at the target
    Column("sent_sha256", Text),  # of the bytes we sent, or were about to send
    Column("sent_in", Text),  # payload that has them as a line; empty: they are a payload of their own
    Column("created_by_us", Boolean),
    _now("updated_at"),
)

# One row for each document of ours at each endpoint, written before it is sent: what is not here was never on its way.
sendings = Table(
    "sendings",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("delivery_id", Text, ForeignKey("deliveries.id"), nullable=False),
    Column("road", Text, nullable=False),
    Column("state", Text, nullable=False),  # a SendingState of mappings/model/sending.py
    Column("sha256", Text),  # of what was about to be sent, a payload of its own
    Column("control_id", Text),
    Column("reference", Text),  # what it is called there
    Column("level", Text),
    Column("receipt", JSONB, nullable=False, server_default=text("'{}'")),
    Column(
        "tried", JSONB, nullable=False, server_default=text("'[]'")
    ),  # roads that were impossible: road, cause, message
    Column(
        "sends", Integer, nullable=False, server_default="0"
    ),  # how often it was sent, repeats of the same message too
    _time("begun_at"),  # when it was first about to be sent by this road
    _time("sent_at"),  # when last
    _time("ended_at"),
    Column(
        "whole_sha256", Text
    ),  # of a report whose documents go one by one, and of which this is the first: all of them
    Index("sendings_delivery", "delivery_id"),
)

hand_overs = Table(
    "hand_overs",
    metadata,  # a person's word that a document is in the other system; what was taken back stays
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("delivery_id", Text, ForeignKey("deliveries.id"), nullable=False),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("handed_to", Text),  # a name or an office; empty: it was not carried, somebody saw it there
    _time("handed_at"),
    Column("by_way", Text),  # a ByWay of mappings/model/hand_over.py
    Column("handed_by", Text, nullable=False),  # who handed it over or saw it there, by name
    Column("note", Text),
    Column("actor", Text, nullable=False),  # who wrote it down
    Column("reason", Text, nullable=False),
    Column("state_before", Text, nullable=False),  # of its row of sendings, which taking it back restores
    Column("level_before", Text),
    _now("created_at"),
    _time("undone_at"),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Index("hand_overs_request", "request_id"),
    Column("item", Text, nullable=False, server_default=""),  # which document, where a report went as several
    Index("hand_overs_each", "delivery_id", "item", unique=True, postgresql_where=text("undone_at is null")),
)

endpoint_checks = Table(
    "endpoint_checks",
    metadata,  # what was tried at an endpoint, and what came of it
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _now("asked_at"),
    _time("done_at"),  # null: asked for, and not done yet
    Column("found", JSONB),
    Index("endpoint_checks_done", "endpoint", "done_at"),
    Index("endpoint_checks_waiting", "endpoint", unique=True, postgresql_where=text("done_at is null")),
)

hints = Table(
    "hints",
    metadata,  # an endpoint says that it has news (a notification of a Subscription); nothing of what it says is kept
    Column("endpoint", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # of the last notification
    _time("heard_at", nullable=False),
    _time("asked_at"),  # a look is asked for and was not made due yet
    _time("taken_at"),  # when one was last made due
)

checklist_facts = Table(
    "checklist_facts",
    metadata,  # what people said of a checklist's items; the newest of a topic and key counts, nothing is changed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("topic", Text, nullable=False),  # a Topic of integration/store/checklist_facts.py
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _time("created_at", nullable=False, server_default=func.now()),
    Index("checklist_facts_request", "request_id", "id"),
    Index("checklist_facts_items", "created_at", postgresql_where=text("topic = 'item'")),
)

key_facts = Table(
    "key_facts",
    metadata,  # what was made of a packet for a reader; the bytes are in the payload store, and can be made anew
    Column("packet_id", Text, ForeignKey("packets.id"), primary_key=True),
    Column("made_of", Text, nullable=False),
    Column("page_sha256", Text, nullable=False),
    Column("whole_sha256", Text, nullable=False),
    Column("chart_sha256", Text, nullable=False),
    _now("made_at"),
)

limited_key_facts = Table(
    "limited_key_facts",
    metadata,  # the same without the kinds of record that the patient leaves out, for who reads within the consent
    Column("packet_id", Text, ForeignKey("packets.id"), primary_key=True),
    Column("left_out", Text, primary_key=True),  # RecordKinds in their order, with spaces between
    Column("made_of", Text, nullable=False),
    Column("page_sha256", Text, nullable=False),
    Column("whole_sha256", Text, nullable=False),
    Column("chart_sha256", Text, nullable=False),
    _now("made_at"),
)

medication_reviews = Table(
    "medication_reviews",
    metadata,  # what people say of a patient's medications; the newest of a request counts, nothing is changed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("list_sha256", Text, nullable=False),
    Column("informant", Text, nullable=False),
    Column("words", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    _time("created_at", nullable=False, server_default=func.now()),
    Index("medication_reviews_request", "request_id", "id"),
)

received_records = Table(
    "received_records",
    metadata,  # records that arrived from elsewhere; the bytes are in the payload store
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("state", Text, nullable=False),  # a State of integration/store/received_records.py
    Column("version", Integer, nullable=False, server_default="1"),
    Column("sha256", Text, nullable=False),
    Column("sha1", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("format", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("said", JSONB, nullable=False),  # what the file says of itself
    Column("uploaded_by", Text, nullable=False),
    _now("uploaded_at"),
    Column("kind", Text),
    Column("label", Text),
    Column("code", JSONB),
    Column("dated", Text),
    Column("author", Text),
    Column("source", Text),
    Column("identity_reason", Text),
    Column("accepted_by", Text),
    _time("accepted_at"),
    Column("ended_by", Text),
    _time("ended_at"),
    Column("ended_because", Text),
    Column("ended_reason", Text),
    Index("received_records_request", "request_id", "uploaded_at"),
    Index(
        "received_records_once",
        "request_id",
        "sha256",
        unique=True,
        postgresql_where=text("state IN ('arrived', 'accepted')"),
    ),
)

checklist_codes = Table(
    "checklist_codes",
    metadata,  # a source's own code for a kind of record, as a person said it last
    Column("endpoint", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _time("created_at", nullable=False, server_default=func.now()),
)

insurances = Table(
    "insurances",
    metadata,  # of a request's patient, as the placer's EHR showed them when it was last read
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("reference", Text, primary_key=True),  # Coverage/id there
    Column("insurer", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("begins", Date),
    Column("ends", Date),
    Column("relationship", Text, nullable=False),
    _time("read_at", nullable=False),
)

suitability_words = Table(
    "suitability_words",
    metadata,  # what people answered about whether a program takes a request; the newest of a key counts, nothing is changed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("key", Text, nullable=False),  # a question of mappings/suitability.py, or go-on
    Column("value", Text, nullable=False),  # yes or no
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _time("created_at", nullable=False, server_default=func.now()),
    Index("suitability_words_request", "request_id", "id"),
)

record_sources = Table(
    "record_sources",
    metadata,  # other providers whose records a person had gathered for a request, and what was read there last
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("whole", Boolean, nullable=False),  # false: only what it gave because it was asked by a Task
    Column("number_system", Text, nullable=False),  # the patient's number there, as a person said it; empty: not said
    Column("number", Text, nullable=False),
    Column("named_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
    Column("manifest_sha256", Text),  # of what was read last, in the payload store
    _time("read_at"),
    _time("changed_at"),  # when what was read was another than before
    Column("gone", JSONB, nullable=False, server_default="{}"),  # {Type/id there: why it is taken back}
    Column("ended_by", Text),
    _time("ended_at"),
    Column("ended_reason", Text),
    Index("record_sources_request", "request_id", "id"),
    Index("record_sources_once", "request_id", "endpoint", unique=True, postgresql_where=text("ended_at IS NULL")),
)

source_asks = Table(
    "source_asks",
    metadata,  # what is missing, asked of a source; never changed, what became of it are events
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text),  # of config.yaml, or none: another place, by what follows
    Column("holder", Text, nullable=False),
    Column("address", ARRAY(Text), nullable=False),
    Column("fax", Text, nullable=False),
    Column("road", Text, nullable=False),  # an AskRoad of mappings/model/source_ask.py
    Column("items", ARRAY(Text), nullable=False),  # kinds of the checklist
    Column("what", Text, nullable=False),
    Column("due", Date, nullable=False),
    Column("renews", BigInteger, ForeignKey("source_asks.id"), unique=True),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
    Index("source_asks_request", "request_id", "id"),
)

source_ask_events = Table(
    "source_ask_events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("ask_id", BigInteger, ForeignKey("source_asks.id"), nullable=False),
    Column("word", Text, nullable=False),  # an AskWord
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("day", Date),  # when the letter went, or the answer is expected
    Column("done_by", Text, nullable=False),
    Column("by_way", Text, nullable=False),
    Column("reference", Text, nullable=False),  # of the Task at the source
    Column("outputs", ARRAY(Text), nullable=False),  # Type/id at the source of what it gave
    Column("kept_sha256", Text, nullable=False),  # of what it gave inside the Task, a payload
    _now("created_at"),
    Index("source_ask_events_ask", "ask_id", "id"),
)

parcels = Table(
    "parcels",
    metadata,  # what travels by courier; never changed, where it is are moves
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("kind", Text, nullable=False),  # of the checklist
    Column("what", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _now("created_at"),
    Index("parcels_request", "request_id", "id"),
)

parcel_moves = Table(
    "parcel_moves",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("parcel_id", BigInteger, ForeignKey("parcels.id"), nullable=False),
    Column("word", Text, nullable=False),  # a Move of mappings/model/parcel.py
    Column("day", Date, nullable=False),
    Column("done_by", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("pieces_sent", Integer),
    Column("pieces_counted", Integer),
    Column("carrier", Text, nullable=False),
    Column("tracking", Text, nullable=False),
    Column("note", Text, nullable=False),
    _now("created_at"),
    Index("parcel_moves_parcel", "parcel_id", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("step_id", BigInteger, nullable=False),
    Column("request_id", Text),
    Column("delivery_id", Text),
    Column("kind", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("lease_no", Integer, nullable=False),
    _time("started_at", nullable=False),
    _now("finished_at"),
    Column("outcome", Text, nullable=False),  # done again temporary unknown permanent person lost
    Column("status_code", Integer),
    Column("cause", Text),
    Column("message", Text),
    Index("attempts_request", "request_id", "id"),
    Index("attempts_step", "step_id", "id"),
    Index("attempts_finished", "finished_at"),
    Index("attempts_cause", "endpoint", "cause", "finished_at", postgresql_where=text("cause is not null")),
)

exchanges = Table(
    "exchanges",
    metadata,  # each request to another server that an attempt made
    Column("attempt_id", BigInteger, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # from 1; a gap was left out
    Column("endpoint", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("shown", Text, nullable=False),  # path and names of parameters, no values
    Column("status", Integer),  # empty: no answer
    _time("began", nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("sent_bytes", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("cause", Text),
    Column("retry_after_seconds", Float),
    Column("issues", JSONB, nullable=False, server_default=text("'[]'")),  # severity, code, element path
    Column("request_body", LargeBinary),
    Column("response_body", LargeBinary),  # zlib; only of what went wrong, then pruned
    Index("exchanges_bodies", "began", postgresql_where=text("request_body is not null or response_body is not null")),
)

links = Table(
    "links",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("reference", Text, nullable=False),  # Type/id at the endpoint
    Column("version", Text),
    Column("sha256", Text),  # of the bytes we last wrote there
    Column("origin", Text, nullable=False),  # created matched person
    Column("written_in", Text),  # payload that has those bytes as a line; empty: they are a payload of their own
    Column("ours_sha256", Text),  # what of them was ours alone, where something of the other side was kept
    Column("source_sha256", Text),  # what it was made of: the record at the source and its attachments
    Column("source_version", Text),
    _time("source_updated_at"),
    _time("gathered_at"),  # when that was read at the source
    _time("verified_at"),  # when what we last wrote was read back as written
    _now("created_at"),
    _now("updated_at"),
    Index("links_orders", "endpoint", "reference", postgresql_where=text(LINKED_ORDERS)),
)

patient_links = Table(
    "patient_links",
    metadata,  # who a request's patient is at an endpoint; for that request alone
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("reference", Text, nullable=False),  # Patient/id there
    Column("origin", Text, nullable=False),  # matched created person
    Column("confirmed", Boolean, nullable=False, server_default=text("false")),  # the person's second word
    Column("described", Text),  # fingerprint of the patient as described when it was linked; empty: not compared yet
    Column("found", Text),  # and of the patient there
    Column("merges", JSONB, nullable=False, server_default=text("'[]'")),  # Patient.link there
    Column("doubts", JSONB, nullable=False, server_default=text("'[]'")),  # what the person confirmed
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    _now("created_at"),
    _time("undone_at"),
    Column("undone_by", Text),
    Index("patient_links_one", "request_id", "endpoint", unique=True, postgresql_where=text("undone_at is null")),
    Index("patient_links_there", "endpoint", "reference"),
)

patient_candidates = Table(
    "patient_candidates",
    metadata,  # whom a step found when it was not sure; a person compares them
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("reference", Text, primary_key=True),  # Patient/id there; "described" is the patient as we know them
    Column("sha256", Text),  # the resource as read, in the payload store
    Column("why", Text, nullable=False),  # the first doubt
    _now("read_at"),
)

eligibility_asks = Table(
    "eligibility_asks",
    metadata,  # questions to payers' own systems, asked by people
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text, nullable=False),  # the payer's
    Column("coverage", Text, nullable=False),  # Coverage/id at the placer
    Column("service", Text, nullable=False),  # X12 service type
    Column("service_on", Date),
    Column("status", Text, nullable=False),  # an AskWord of mappings/model/eligibility.py
    Column("detail", Text, nullable=False),  # why it was not asked: status and codes
    Column("reference", Text),  # what the question, then the response is called there
    Column("answer_id", Text),  # the request's coverage answer that came of it
    Column("actor", Text, nullable=False),
    _now("created_at"),
    _now("changed_at"),
    Index("eligibility_asks_request", "request_id", "id"),
)

appointments = Table(
    "appointments",
    metadata,  # what became of a request's visit, one row for each change; never changed: the newest version is how it stands
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column(
        "began", Integer, nullable=False
    ),  # version at which this appointment was made; a new one after a cancellation
    Column("change", Text, nullable=False),  # a Change of mappings/model/visit.py
    Column("status", Text, nullable=False),  # a Visit of mappings/model/states.py
    Column("known", Text, nullable=False),  # a Known of mappings/model/visit.py
    _time("start_at", nullable=False),
    _time("end_at"),
    Column("zone", Text, nullable=False),  # IANA name: how people read the start
    Column("place", Text, nullable=False, server_default=""),
    Column("with_whom", Text, nullable=False, server_default=""),
    Column("endpoint", Text),  # where it stands as an Appointment
    Column("reference", Text),  # Appointment/id there
    Column("told_by", Text, nullable=False, server_default=""),  # who said so, as it was typed
    Column("cancelation", Text),  # why it was canceled: a code of FHIR's appointment-cancellation-reason
    Column("confirmed", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # warnings that a person set aside
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    _now("created_at"),
)

bookings = Table(
    "bookings",
    metadata,  # free times that a person chose at a server, and what became of each
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("slot", Text, nullable=False),  # Slot/id there
    _time("start_at", nullable=False),  # as the person saw it: at no other time anything is booked
    _time("end_at"),
    Column("zone", Text, nullable=False),  # IANA name: how people read the start
    Column("place", Text, nullable=False),
    Column("with_whom", Text, nullable=False),
    Column("status", Text, nullable=False),  # a BookingWord of mappings/model/booking.py
    Column("why", Text, nullable=False),  # a Why of it
    Column("detail", Text, nullable=False),  # status and codes of an answer that refuses
    Column("reference", Text),  # Appointment/id there, as soon as it is known
    Column("visit_version", Integer, nullable=False),  # of the visit as the person saw it
    Column("confirmed", ARRAY(Text), nullable=False),  # warnings that the person set aside
    Column("others", ARRAY(Text)),  # Appointment/id of who was booked in the Slot before ours was made
    Column("cancelation", Text),  # why it is taken back: a code of FHIR's appointment-cancellation-reason
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
    _now("changed_at"),
    Index("bookings_request", "request_id", "id"),
    Index("bookings_one_waits", "request_id", unique=True, postgresql_where=text("status in ('asked', 'pending')")),
)

found_appointments = Table(
    "found_appointments",
    metadata,  # what an EHR shows of a patient's appointments, as last read: offered, never linked by itself
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("reference", Text, primary_key=True),  # Appointment/id
    Column("status", Text, nullable=False),  # as the EHR writes it
    _time("start_at", nullable=False),
    _time("end_at"),
    Column("place", Text, nullable=False, server_default=""),
    Column("with_whom", Text, nullable=False, server_default=""),
    Column("version", Text),  # meta.versionId
    _now("read_at"),
    _time("dismissed_at"),
    Column("dismissed_by", Text),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("source", Text, nullable=False),  # Type/id at the fulfiller
    Column("source_version", Text),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),  # final amended retracted
    Column("resource_sha256", Text, nullable=False),
    Column("bytes_sha256", Text),
    Column("content_type", Text),
    Column("diagnosis_agreement", Text),  # as its author coded it, never derived; empty where nothing was coded
    Column("plan_agreement", Text),
    _now("created_at"),
    _time("unread_since"),  # it is in the primary care EHR, is the newest, and nobody has said that they read it
    UniqueConstraint("request_id", "revision"),
    Index("reports_unread", "unread_since", postgresql_where=text("unread_since is not null")),
)

consents = Table(
    "consents",
    metadata,  # what the patient agreed to, or took back; the newest of a request stands, and none is ever changed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("said", Text, nullable=False),  # a Said of mappings/model/consent.py
    Column("kinds", ARRAY(Text)),  # RecordKinds that may leave; empty: all
    Column("recipients", ARRAY(Text)),  # endpoints that they may leave for; empty: all
    Column("until", Date),  # its last day, UTC
    Column("how", Text, nullable=False),  # a How
    Column("said_by", Text, nullable=False),  # the patient, or who speaks for them
    Column("note", Text),
    Column("actor", Text, nullable=False),  # who wrote it down
    _now("created_at"),
    Index("consents_request", "request_id", "id"),
)

private_links = Table(
    "private_links",
    metadata,  # a patient's own page; neither the link nor what opens it can be read from here
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("opened_by", Text, nullable=False),  # an OpenedBy of mappings/model/private_link.py
    Column("answer_hmac", Text, nullable=False),
    Column("language", Text, nullable=False),  # a Language
    _time("expires_at", nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # wrong answers, ever
    Column("opened", Integer, nullable=False, server_default="0"),
    Column("actor", Text, nullable=False),
    _now("created_at"),
    _time("revoked_at"),
    Column("revoked_by", Text),
    Column("revoked_reason", Text),
    Index("private_links_request", "request_id", "id"),
)

private_sessions = Table(
    "private_sessions",
    metadata,  # what a private link opened; never a session of staff
    Column("token_sha256", Text, primary_key=True),
    Column("link_id", BigInteger, ForeignKey("private_links.id"), nullable=False),
    Column("device", Text, nullable=False),  # as the browser calls itself
    Column("language", Text, nullable=False),
    _now("created_at"),
    _now("seen_at"),
    _time("ended_at"),
    Index("private_sessions_link", "link_id", "created_at"),
)

releases = Table(
    "releases",
    metadata,  # a doctor let the patient read a revision of the report; what was taken back stays
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("released_by", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _now("created_at"),
    _time("undone_at"),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Index("releases_request", "request_id", "id"),
)

acknowledgments = Table(
    "acknowledgments",
    metadata,  # a clinician has read a revision of the report, and what was decided; what was taken back stays
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("read_by", Text, nullable=False),
    _time("read_at", nullable=False),
    Column("decision", Text, nullable=False),  # a Decision of mappings/model/acknowledgment.py
    Column("note", Text),  # about the patient
    Column("actor", Text, nullable=False),
    _now("created_at"),
    _time("undone_at"),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Index("acknowledgments_request", "request_id", "id"),
)

findings = Table(
    "findings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text),
    Column("delivery_id", Text),
    Column("endpoint", Text),
    Column("severity", Text, nullable=False),  # info warning error
    Column("cause", Text, nullable=False),
    Column("path", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False),
    Column("count", Integer, nullable=False, server_default="1"),
    _now("created_at"),
    _now("last_seen_at"),
    Index(
        "findings_once", text("coalesce(request_id, '')"), text("coalesce(endpoint, '')"), "cause", "path", unique=True
    ),
    Index("findings_errors", "request_id", postgresql_where=text("severity = 'error' and request_id is not null")),
)

waivers = Table(
    "waivers",
    metadata,  # a person says: send without it, or as it is; the consultant is told
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("item", Text, nullable=False),  # Type/id or Type/id#path
    Column("what", Text, nullable=False, server_default=""),  # type and size in words, no content
    Column("as_it_is", Boolean, nullable=False, server_default=text("false")),  # its bytes, though their hash differs
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
    _time("undone_at"),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Index("waivers_once", "request_id", "item", unique=True, postgresql_where=text("undone_at is null")),
)

received_messages = Table(
    "received_messages",
    metadata,  # HL7 v2 messages that were taken, and what was answered; their bytes are payloads
    Column("endpoint", Text, primary_key=True),
    Column("control_id", Text, primary_key=True),  # MSH-10
    Column("sha256", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # ORM^O01
    Column("request_id", Text, ForeignKey("requests.id")),
    Column("code", Text),  # MSA-1; none while the transaction that takes it is not over
    Column("place", Text, nullable=False, server_default=""),
    Column("error", Text, nullable=False, server_default=""),
    Column("words", Text, nullable=False, server_default=""),
    _now("received_at"),
    Index("received_messages_request", "request_id"),
)

refused_orders = Table(
    "refused_orders",
    metadata,  # what a poll did not take in, as it was then; skipped while it is still the same
    Column("endpoint", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    _now("seen_at"),
    Column("skipped_sha256", Text),
    _time("skipped_at"),
    Column("skipped_by", Text),
    Column("skipped_reason", Text),
)

events = Table(
    "events",
    metadata,  # what the fulfiller said, applied or not
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("status", Text),
    Column("applied", Boolean, nullable=False),
    Column("why", Text),
    _now("created_at"),
    UniqueConstraint("request_id", "source", "version"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("request_id", Text),
    Column("subject", Text),
    Column("reason", Text),
    Column("detail", JSONB),
    Column("transaction", BigInteger, server_default=text("pg_current_xact_id()::text::bigint")),
    Index("audit_request", "request_id", "id"),
    Index("audit_at", "at"),
    Index("audit_transaction", "transaction", "id"),
)

# What makes the trail tamper-evident: audit_seals.py. Triggers refuse UPDATE, DELETE and TRUNCATE of both.
audit_seals = Table(
    "audit_seals",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _now("sealed_at"),
    Column("after_id", BigInteger, nullable=False),
    Column("from_transaction", BigInteger, nullable=False),
    Column("to_transaction", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("previous", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)

_APPEND_ONLY = [
    """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of %% are never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$"""
] + [
    f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    for table in ("audit", "audit_seals")
]
# Of a request with a recorded consent nothing is written down as leaving by code that did not ask it: a worker of an older version.
# The reasons are those that carry nothing (mappings/model/leaving.py).
_ASKED = [
    """
CREATE FUNCTION leaving_has_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF split_part(coalesce(NEW.reason, ''), ':', 1) NOT IN
    ('status', 'cancellation', 'withdrawal', 'check', 'subscription', 'consent') THEN
    PERFORM 1 FROM requests WHERE id = NEW.request_id FOR KEY SHARE;
    IF (SELECT max(id) FROM consents WHERE request_id = NEW.request_id)
      IS DISTINCT FROM (NEW.detail->>'consent')::bigint THEN
      RAISE EXCEPTION 'nothing leaves for a request before the consent that stands was asked'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
  END IF;
  RETURN NEW;
END $$""",
    "CREATE TRIGGER audit_leaving_asked BEFORE INSERT ON audit FOR EACH ROW "
    "WHEN (NEW.action = 'data.leaves' AND NEW.request_id IS NOT NULL) EXECUTE FUNCTION leaving_has_asked()",
]
for _statement in [*_APPEND_ONLY, *_ASKED]:
    event.listen(metadata, "after_create", DDL(_statement))

ticks = Table(
    "ticks",
    metadata,
    Column("job", Text, primary_key=True),
    _time("fire_time", primary_key=True),
    _now("claimed_at"),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, nullable=False),
    _now("updated_at"),
)

settings = Table(
    "settings",
    metadata,  # keys of this installation, made once
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False),
    _now("raised_at"),
    _now("last_seen_at"),
    _time("recovered_at"),
    _time("notified_at"),
    Index("alarms_open", "rule", "subject", unique=True, postgresql_where=text("recovered_at is null")),
    Index("alarms_of", "rule", "subject", "recovered_at"),
)

alarm_silences = Table(
    "alarm_silences",
    metadata,  # maintenance: nothing is told until then; * is any
    Column("rule", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    _time("until", nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
)

told_alarms = Table(
    "told_alarms",
    metadata,  # what a recipient believes to be open
    Column("recipient", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    _time("told_at", nullable=False),
    _time("last_told_at", nullable=False),
)

notices = Table(
    "notices",
    metadata,  # what a recipient is told, of one rule at a time
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # the same when it is sent again
    Column("recipient", Text, nullable=False),  # its name in config.yaml, never its address
    Column("channel", Text, nullable=False),  # e-mail webhook
    Column("kind", Text, nullable=False),  # raised recovered reminder
    Column("rule", Text, nullable=False),
    Column("alarm_ids", ARRAY(BigInteger), nullable=False),
    Column("content", JSONB),  # what it says: integration.notices.notice.Notice
    Column("status", Text, nullable=False, server_default="queued"),  # queued sent failed dropped
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("next_attempt_at", nullable=False),
    _time("created_at", nullable=False),
    _time("sent_at"),
    Column("last_error", Text),
    Index("notices_queued", "next_attempt_at", postgresql_where=text("status = 'queued'")),
    Index("notices_unsent", "recipient", "created_at", postgresql_where=text("status in ('queued', 'failed')")),
    Index("notices_last", "recipient", "rule", "created_at"),
    Index("notices_alarms", "alarm_ids", postgresql_using="gin"),
)

bulk_operations = Table(
    "bulk_operations",
    metadata,  # one button pressed on many steps, done in the background
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),  # retry
    Column("filter", Text, nullable=False),  # as the person confirmed it
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="running"),  # running done cancelled
    Column("total", Integer, nullable=False),
    Column("per_second", Integer, nullable=False),
    _now("created_at"),
    _time("finished_at"),
    Index("bulk_operations_running", "id", postgresql_where=text("status = 'running'")),
)

bulk_steps = Table(
    "bulk_steps",
    metadata,  # exactly the steps that were confirmed, as they stood then
    Column("operation_id", BigInteger, ForeignKey("bulk_operations.id"), primary_key=True),
    Column("step_id", BigInteger, primary_key=True),
    Column("lease_no", Integer, nullable=False),
    Column("outcome", Text),  # retried changed; empty: not reached yet
    Index("bulk_steps_left", "operation_id", "step_id", postgresql_where=text("outcome is null")),
)

accounts = Table(
    "accounts",
    metadata,  # people who sign in here
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),  # Argon2id, with its parameters
    Column("roles", ARRAY(Text), nullable=False),
    Column(
        "practices", ARRAY(Text), nullable=False, server_default=text("'{}'")
    ),  # keys of endpoints; see store/scope.py
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
    _now("password_at"),
    _time("signed_in_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),  # the token itself is only in the browser
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    _now("created_at"),
    _now("seen_at"),
    Index("sessions_account", "account"),
    Index("sessions_seen", "seen_at"),
)

sign_in_tries = Table(
    "sign_in_tries",
    metadata,  # failed sign-ins in a row, by keyed hash of account and address
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    _now("last_at"),
    Index("sign_in_tries_last", "last_at"),
)

tokens = Table(
    "tokens",
    metadata,  # for machines and practices
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),  # its beginning, to tell it in lists
    Column("roles", ARRAY(Text), nullable=False),
    Column("practice", Text),  # may use /fhir/<practice>
    Column(
        "practices", ARRAY(Text), nullable=False, server_default=text("'{}'")
    ),  # whom it acts for; see store/scope.py
    _now("created_at"),
    _time("expires_at", nullable=False),
    _time("used_at"),
    _time("revoked_at"),
    Index("tokens_name", "name", unique=True, postgresql_where=text("revoked_at is null")),
)

clients = Table(
    "clients",
    metadata,  # who signs in at a hosted endpoint by SMART Backend Services
    Column("id", Text, primary_key=True),  # the client_id
    Column("practice", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("jwks", Text),  # its key set: as it was given, or as it was last fetched from jwks_url
    Column("jwks_url", Text),
    _time("jwks_asked_at"),  # when one process last began to fetch it
    _time("jwks_answered_at"),  # when that one had an answer, or none
    _time("jwks_until"),  # what was fetched counts until then
    Column("jwks_problem", Text),  # why the last fetch brought nothing
    Column("scopes", Text, nullable=False),
    _now("created_at"),
    _time("used_at"),
    _time("revoked_at"),
    Index("clients_name", "practice", "name", unique=True, postgresql_where=text("revoked_at is null")),
)

client_assertions = Table(
    "client_assertions",
    metadata,  # each opens once: what was shown is refused until long after it has ended
    Column("client", Text, ForeignKey("clients.id"), primary_key=True),
    Column("jti_sha256", Text, primary_key=True),
    _time("until", nullable=False, index=True),
)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("client", Text, ForeignKey("clients.id"), nullable=False),
    Column("scopes", Text, nullable=False),  # those granted, of the client's
    _time("expires_at", nullable=False, index=True),
)

# --- the directory of doctors --------------------------------------------------------------------------------------

DIRECTORY_ACTIVE = "state_now = 'active'"
NAME_ORDER = "C"  # folded names are compared byte by byte: a prefix is a range of the index, and its order the pages'

zip_points = Table(
    "zip_points",
    metadata,  # where each ZIP code is; read once from the wheel `zipcodes`
    Column("zip", Text, primary_key=True),
    Column("lat", Float, nullable=False),
    Column("lon", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("kind", Text, nullable=False),  # STANDARD, PO BOX, UNIQUE, MILITARY
    Column("active", Boolean, nullable=False),
)

directory_loads = Table(
    "directory_loads",
    metadata,  # each file and each reading of a server: whose word it is, how old, and what it changed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),  # nppes, fhir:<key>, nucc
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),  # of the file, or of the server
    Column("file_on", Date, nullable=False),  # how old what it says is
    Column("is_whole", Boolean, nullable=False),  # all there is, so what is not in it is gone at the source
    Column("rows", BigInteger, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("left_out", BigInteger, nullable=False),
    Column("notes", ARRAY(Text), nullable=False),
    Column("actor", Text, nullable=False),
    _now("loaded_at"),
    Index("directory_loads_source", "source", "id"),
)

directory_entries = Table(
    "directory_entries",
    metadata,  # see mappings/directory/entry.py; a correction of a person stands in here too
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("source", Text, nullable=False),  # nppes, fhir:<key>, person
    Column("source_id", Text, nullable=False),
    Column("load_id", BigInteger, ForeignKey("directory_loads.id")),
    Column("file_on", Date, nullable=False),
    Column("npi", Text),
    Column("family", Text, nullable=False),
    Column("given", Text, nullable=False),
    Column("name_key", Text(collation=NAME_ORDER), nullable=False),  # folded, family name first
    Column("credentials", Text),
    Column("gender", Text),
    Column("languages", ARRAY(Text)),
    Column("spoken", ARRAY(Text)),
    Column("specialties", ARRAY(Text)),
    Column("specialty_texts", ARRAY(Text)),
    Column("organization", Text),
    Column("line", Text),
    Column("city", Text),
    Column("state", Text),
    Column("postal_code", Text),
    Column("zip", Text),
    Column("country", Text),
    Column("lat", Float),
    Column("lon", Float),
    Column("position", Text),  # where lat and lon are from: source, zip, zip3
    Column("phone", Text),
    Column("licensed_in", ARRAY(Text)),
    Column("second_opinions", Boolean),
    Column("accepting", Boolean),
    Column("endpoint", Text),  # of config.yaml
    Column("fhir_address", Text),
    Column("direct_address", Text),
    Column("services", JSONB(none_as_null=True)),  # what is stated of them; see mappings/directory/services.py
    Column("version", Text),
    Column("updated_on", Date),
    Column("state_now", Text, nullable=False),  # active, deactivated, gone
    Column("ended_on", Date),
    Column("entered_by", Text),
    Column("revision", Integer, nullable=False, server_default="1"),  # goes up when a person corrects it
    UniqueConstraint("source", "source_id", name="directory_entries_source"),
    Index("directory_entries_npi", "npi"),
    Index("directory_entries_name", "name_key", "id", postgresql_where=text(DIRECTORY_ACTIVE)),
    Index("directory_entries_place", "lat", "lon", postgresql_where=text(DIRECTORY_ACTIVE)),
    Index("directory_entries_no_place", "id", postgresql_where=text(f"{DIRECTORY_ACTIVE} and lat is null")),
    Index(
        "directory_entries_specialties",
        "specialties",
        postgresql_using="gin",
        postgresql_where=text(DIRECTORY_ACTIVE),
    ),
    Index(  # of another condition than that of the places: PostgreSQL never combines two partial indexes of one condition
        "directory_entries_spoken",
        "spoken",
        "specialties",
        postgresql_using="gin",
        postgresql_where=text("spoken is not null"),
    ),
    Index(
        "directory_entries_second_opinions",
        "name_key",
        "id",
        postgresql_where=text(f"{DIRECTORY_ACTIVE} and second_opinions"),
    ),
)

directory_corrections = Table(
    "directory_corrections",
    metadata,  # what a person said of an entry; a load never overwrites it, and what the source says stands beside it
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("entry_id", BigInteger, ForeignKey("directory_entries.id"), nullable=False),
    Column("field", Text, nullable=False),
    Column("value", Text, nullable=False),  # as JSON
    Column("source_value", Text, nullable=False),  # what the source said last, as JSON
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _now("created_at"),
    _time("ended_at"),  # a later word, or the source's own counts again
    Index(
        "directory_corrections_open",
        "entry_id",
        "field",
        unique=True,
        postgresql_where=text("ended_at is null"),
    ),
)

specialty_codes = Table(
    "specialty_codes",
    metadata,  # NUCC's own list, where a site loaded it; ours stand in mappings/specialties.py
    Column("code", Text, primary_key=True),
    Column("words", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("load_id", BigInteger, ForeignKey("directory_loads.id"), nullable=False),
)

totals = Table(
    "totals",
    metadata,  # what /metrics counts; goes up only
    Column("name", Text, primary_key=True),  # step records-verified loop-closed
    Column("endpoint", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column(
        "buckets", ARRAY(BigInteger), nullable=False
    ),  # how many fell under each bound of store/totals.py, and above
    postgresql_with={"fillfactor": "50"},  # changed by each step, stays HOT
)

health_links = Table(
    "health_links",
    metadata,  # by which a patient carries the packet; the link itself, its token and its key stand nowhere
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("flag", Text, nullable=False),  # L, P, U of mappings/health_link.py
    Column("passcode", Text),  # salt and scrypt of it
    Column("attempts_left", Integer, nullable=False),
    Column("wrapped_key", LargeBinary),  # of a long-term link, under keys_dir/health-links.key
    Column("packet_version", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    _now("created_at"),
    _time("expires_at", nullable=False),
    _time("ended_at"),
    Column("ended_by", Text),
    Column("ended_because", Text),
    Column("consent_id", BigInteger, ForeignKey("consents.id")),  # by which its records were chosen; empty: none then
    Index("health_links_request", "request_id", "created_at"),
)

health_link_files = Table(
    "health_link_files",
    metadata,  # encrypted; the bytes are in the payload store
    Column("link_id", Text, ForeignKey("health_links.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("title", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    _now("made_at"),
)

health_link_locations = Table(
    "health_link_locations",
    metadata,  # an address of a file that works once
    Column("token_sha256", Text, primary_key=True),
    Column("link_id", Text, ForeignKey("health_links.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("recipient", Text, nullable=False),
    _time("expires_at", nullable=False),
    _time("used_at"),
    Index("health_link_locations_expire", "expires_at"),
)

health_link_accesses = Table(
    "health_link_accesses",
    metadata,  # who opened a link, in their own words, or tried to
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("link_id", Text, ForeignKey("health_links.id"), nullable=False),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    _time("at", nullable=False, server_default=func.statement_timestamp()),
    Column("recipient", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("files", Integer, nullable=False),
    Index("health_link_accesses_link", "link_id", "at"),
    Index("health_link_accesses_request", "request_id", "id"),
)


library_answers = Table(
    "library_answers",
    metadata,  # what a health library said of a code; of no patient
    Column("address", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # JSON bytes, as they came
    _time("read_at", nullable=False),
)

library_asks = Table(
    "library_asks",
    metadata,  # each request to it for a minute, and rests: over all processes
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("address", Text, nullable=False),
    _time("until", nullable=False),
    Column("is_rest", Boolean, nullable=False),
    Index("library_asks_until", "until"),
)

drafts = Table(
    "drafts",
    metadata,  # requests that are still being written
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # of the request that it becomes: sent twice, it is one
    Column("placer", Text, nullable=False),  # the endpoint that asks
    Column("created_by", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # a Content of mappings/model/draft.py as JSON bytes
    Column("version", Integer, nullable=False, server_default="1"),
    Column("step", Text, nullable=False),  # of the form, where to go on
    _now("created_at"),
    _now("updated_at"),
    Column("updated_by", Text, nullable=False),
    Column("request_id", Text),  # once it is sent
    Index("drafts_open", "placer", "updated_at", postgresql_where=text("request_id is null")),
    Index("drafts_updated", "updated_at"),
)

desk_answers = Table(
    "desk_answers",
    metadata,  # what a consulting practice answered on our pages; nothing is changed or removed
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False),
    Column("answer", Text, nullable=False),  # an Answer of mappings/model/desk.py
    Column("reason", Text),  # a DeclineReason
    Column("words", Text, nullable=False),  # about the patient
    Column("people", ARRAY(Text), nullable=False),  # who has it from then on, by name
    Column("items", ARRAY(Text), nullable=False),  # kinds of the checklist that were asked for
    Column("actor", Text, nullable=False),
    _now("created_at"),
    Index("desk_answers_request", "request_id", "id"),
)

desk_looks = Table(
    "desk_looks",
    metadata,  # when somebody last opened a request in their inbox
    Column("actor", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    _now("looked_at"),
)

report_drafts = Table(
    "report_drafts",
    metadata,  # reports that are still being written, one for each request
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # a TypedReport of mappings/model/written_report.py as JSON bytes
    Column("file_sha256", Text),  # a PDF that is the report, in the payload store
    Column("file_doubts", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # why it may be another patient's
    Column("corrects", Integer),  # the number of the signed report that it replaces
    Column("version", Integer, nullable=False, server_default="1"),
    _now("updated_at"),
    Column("updated_by", Text, nullable=False),
)

written_reports = Table(
    "written_reports",
    metadata,  # reports that were signed on our pages, as they stand at the practice's own endpoint
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("reference", Text, nullable=False),  # DocumentReference/id there
    Column("composition", Text, nullable=False),  # Composition/id there
    Column("signed_by", Text, nullable=False),
    Column("actor", Text, nullable=False),
    _now("signed_at"),
    _time("retracted_at"),
    Column("retracted_by", Text),
    Column("retracted_reason", Text),
)

saved_views = Table(
    "saved_views",
    metadata,  # filters people gave a name, for everyone here
    Column("name", Text, primary_key=True),
    Column("filter", Text, nullable=False),
    _now("created_at"),
)
