"""Every cause a step or delivery can wait or park for, once: what happened, what to do, does a retry help, which ways on exist.

Errors name a cause by its word; pages, API, commands, alarms and docs/reference/errors.md read its sentences here.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Way(StrEnum):
    """A way on from a parked step; `WAYS` says where a person finds it."""

    RETRY = "retry"  # the same again
    WAIVE = "waive"  # without the named items; the consultant is told
    RESEND = "resend"  # look at one item at the target, then send only that one
    LINK = "link"  # say who the patient is
    SKIP_ORDER = "skip-order"  # an order is dealt with until it changes
    ENCOUNTER = "encounter"  # name the visit that a report, or records, belong to
    GO_ON = "go-on"  # a named person asks a program that refuses all the same
    CONFIRM = "confirm"  # a person says that it is there, or that they handed it over
    SEND_AGAIN = "send-again"  # a person says that it is not there
    CORRECT = "correct"  # correct the request
    CONSENT = "consent"  # record what the patient agrees to
    CANCEL = "cancel"  # cancel the request
    ENDPOINT = "endpoint"  # check the endpoint, pause it, have it fixed
    CONFIGURE = "configure"  # config.yaml
    CALL = "call"  # whoever runs or staffs the endpoint


@dataclass(frozen=True)
class WayOn:
    """Where a way is: the page's action, or page (None: only words and a contact), and the command that does the same."""

    button: str
    action: str | None
    command: str


WAYS: dict[Way, WayOn] = {
    Way.RETRY: WayOn("Retry", "retry", "steps retry"),
    Way.WAIVE: WayOn("Send without it", "waive", "waive"),
    Way.RESEND: WayOn("Send one item again", "resend", "deliveries resend"),
    Way.LINK: WayOn("Link patient", "patient.compare", "patients link"),
    Way.SKIP_ORDER: WayOn("Skip this order", "skip-order", "findings skip"),
    Way.ENCOUNTER: WayOn("Name the encounter", None, "requests encounter"),
    Way.GO_ON: WayOn("Should I ask?", "suitability.show", "suitability go-on"),
    Way.CONFIRM: WayOn("It is there", "confirm", "deliveries confirm"),
    Way.SEND_AGAIN: WayOn("It is not there: send again", "send-again", "deliveries send-again"),
    Way.CORRECT: WayOn("Correct this request", None, "requests revise"),
    Way.CONSENT: WayOn("Consent", "consent.show", "consent record"),
    Way.CANCEL: WayOn("Cancel request", "cancel", "requests cancel"),
    Way.ENDPOINT: WayOn("Pause", "pause", "endpoints check"),
    Way.CONFIGURE: WayOn("config.yaml", None, "check config"),
    Way.CALL: WayOn("Contact", None, "endpoints list"),
}


@dataclass(frozen=True)
class Cause:
    """One cause. ``retry_helps``: sending the same again can succeed, so Retry is the button to press first."""

    word: str
    happened: str
    to_do: str
    ways: tuple[Way, ...]
    retry_helps: bool = False
    of_the_house: bool = False  # ours, or a wait: the endpoint is not to blame, its breaker does not count it
    of_all_there: bool = False  # the endpoint would answer the same to everything

    @property
    def first(self) -> Way | None:
        """The way whose button stands first."""
        return self.ways[0] if self.ways else None


W = Way
_PASSES = (W.RETRY, W.ENDPOINT, W.CALL)
_LINK = (W.LINK, W.CORRECT, W.CALL, W.RETRY)
_CONSENT = (W.CONSENT, W.CALL, W.CANCEL, W.RETRY)
_LINK_WORDS = "Compare with the staff there, then press Link patient."

_ALL = (
    # --- the network ---------------------------------------------------------------------------------------------
    Cause("timeout", "The endpoint took too long to answer.",
          "Usually clears up by itself. If it lasts, call the contact, or pause the endpoint.", _PASSES, True),
    Cause("connect-timeout", "No connection could be made in time.",
          "Check that the endpoint and the network between are up.", _PASSES, True),
    Cause("connection-refused", "The endpoint's server is not running, or a firewall refuses us.",
          "Call the contact. Pause the endpoint for a longer outage.", _PASSES, True),
    Cause("no-connection", "The endpoint cannot be reached.", "Check the network and the endpoint's address.",
          (W.RETRY, W.ENDPOINT, W.CONFIGURE, W.CALL), True),
    Cause("name-unknown", "The endpoint's host name is not known.",
          "Check base_url in config.yaml, and the name service of this machine.", (W.CONFIGURE, W.RETRY, W.CALL), True),
    Cause("certificate-refused", "The endpoint's certificate is not valid for us.",
          "Do not bypass it. Ask the contact to renew it, or to give you their certificate authority's certificate.",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("tls", "The encrypted connection failed.", "Ask the contact which TLS versions are offered.",
          (W.CALL, W.RETRY), of_all_there=True),
    Cause("cut", "The connection ended in the middle of an answer.",
          "The endpoint is checked before anything is sent again. Usually clears up by itself.", _PASSES, True),
    Cause("network", "The exchange with the endpoint failed on the way.", "Usually clears up by itself.", _PASSES, True),
    # --- answers -------------------------------------------------------------------------------------------------
    Cause("http-3xx", "The endpoint answers with another address, and we do not follow.",
          "Set base_url in config.yaml to the final address.", (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("http-400", "The endpoint says that what we sent is wrong.",
          "The message names the place. Send without the item it names, or call the contact.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("http-401", "The endpoint asks for sign-in, or refuses ours.",
          "Check the endpoint's sign-in in config.yaml with its contact.", (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("http-403", "We may not do this at the endpoint.", "Ask the contact for the missing permission.",
          (W.CALL, W.RETRY), of_all_there=True),
    Cause("break-the-glass", "The endpoint protects this chart from us.",
          "This is hospital policy and will not clear up by itself: ask the contact to open the chart for our client, or send by hand.",
          (W.CALL, W.CANCEL, W.RETRY)),
    Cause("daily-ceiling", "The endpoint answers no more of this today.",
          "Nothing: we try every few hours until it does. Ask the contact for a higher limit if this repeats.",
          (W.RETRY, W.CALL), True, of_the_house=True),
    Cause("http-404", "What we asked for is not there.",
          "Check base_url in config.yaml; otherwise ask the contact what happened to it.", (W.CALL, W.CONFIGURE, W.RETRY)),
    Cause("http-408", "The endpoint took too long to read what we sent.", "Usually clears up by itself.", _PASSES, True),
    Cause("http-409", "The endpoint holds another version.", "The endpoint is checked before anything is sent again.",
          _PASSES, True),
    Cause("http-410", "What we asked for was deleted there.", "Ask the contact what happened to it.",
          (W.CALL, W.RETRY)),
    Cause("http-412", "Somebody changed it at the endpoint in the meantime.",
          "The endpoint is checked before anything is sent again.", _PASSES, True),
    Cause("http-413", "What we sent is too large for the endpoint.",
          "Send without the item, or set max_inline_bytes or chunk_size of the endpoint in config.yaml to what it takes.",
          (W.WAIVE, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("http-422", "The endpoint refuses the content by rules of its own.",
          "The message names the rule or the place. Send without the item it names, or call the contact.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("http-425", "The endpoint is not ready for us yet.", "Usually clears up by itself.", _PASSES, True),
    Cause("http-429", "The endpoint asks us to go slower.",
          "Nothing: we wait as long as it asked. Lower its limits in config.yaml if this repeats.",
          (W.RETRY, W.CONFIGURE, W.CALL), True),
    Cause("http-4xx", "The endpoint refuses what we asked.", "The message says why. Call the contact.",
          (W.CALL, W.WAIVE, W.RETRY)),
    Cause("http-500", "The endpoint failed inside.",
          "It was tried three times. Give the message to the contact.", (W.CALL, W.RETRY, W.WAIVE, W.ENDPOINT), True),
    Cause("http-502", "A proxy in front of the endpoint got no answer.", "Usually clears up by itself.", _PASSES, True),
    Cause("http-503", "The endpoint is down for the moment.", "Usually clears up by itself. Pause it for planned maintenance.",
          _PASSES, True),
    Cause("http-504", "A proxy in front of the endpoint waited too long.",
          "The endpoint is checked before anything is sent again.", _PASSES, True),
    Cause("http-5xx", "The endpoint failed inside.", "Usually clears up by itself. If it lasts, call the contact.", _PASSES, True),
    Cause("not-fhir", "The address answers with a web page or XML, not with FHIR.",
          "Check base_url in config.yaml; a sign-in page or a proxy may be in between.",
          (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("not-json", "The endpoint's answer cannot be read.", "Give the message to the contact.",
          (W.CALL, W.RETRY), True, of_all_there=True),
    Cause("too-large", "The endpoint's answer is larger than we read.",
          "Send without the item, or raise the limit in config.yaml if the size is right.",
          (W.WAIVE, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("too-deep", "The endpoint's answer is nested deeper than we read.",
          "Send without the item, or raise max_json_depth of the endpoint in config.yaml if the nesting is right.",
          (W.WAIVE, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("search-too-large", "A search at the endpoint found more than we read.",
          "Send without the item, or raise the limit in config.yaml if the size is right.",
          (W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("bad-request", "What we would ask cannot be written as HTTP.",
          "The message names the place. Send without the item, or correct the request.",
          (W.WAIVE, W.CORRECT, W.CALL, W.RETRY)),
    Cause("other-origin", "The endpoint's answer leads to another server, or out of its base_url, and we do not go there.",
          "Check base_url in config.yaml with the contact; if its files are at another path of it, name that in file_paths.", (W.CALL, W.CONFIGURE, W.RETRY)),
    Cause("private-address", "A host of documents leads to an address inside a private network; nothing was asked there.",
          "If that is right, list the network in content_networks of the endpoint; else ask the contact.", (W.CALL, W.CONFIGURE, W.WAIVE, W.RETRY)),
    Cause("page-expired", "The endpoint forgot a search before all of it was read.", "The search starts over.", _PASSES, True),
    Cause("not-a-searchset", "The endpoint answered a search with something else.", "Give the message to the contact.",
          (W.CALL, W.RETRY)),
    Cause("wrong-resource", "The endpoint answered with another resource than the one asked for.",
          "Give the message to the contact.", (W.CALL, W.RETRY)),
    Cause("no-response-bundle", "The endpoint did not say what it did with what we sent.",
          "The endpoint is checked before anything is sent again.", _PASSES, True),
    Cause("no-location", "The endpoint stored something and did not say where.",
          "The endpoint is checked before anything is sent again.", _PASSES, True),
    Cause("not-found-after-write", "The endpoint took what we sent, and does not show it.",
          "It is checked again: the index may be late. If it lasts, call the contact.", _PASSES, True),
    Cause("not-searchable", "The endpoint does not find yet what we sent.", "Usually clears up by itself: its index is late.",
          _PASSES, True),
    Cause("not-readable-yet", "The endpoint does not show yet what we sent.", "Usually clears up by itself: its index is late.",
          (*_PASSES, W.RESEND), True),
    Cause("not-the-attachment", "The address of a document gives something else.",
          "Send without the item, or ask the contact to repair the document.", (W.WAIVE, W.CALL, W.RETRY)),
    Cause("not-base64", "A document at the endpoint cannot be decoded.",
          "Send without the item, or ask the contact to repair the document.", (W.WAIVE, W.CALL, W.RETRY)),
    # --- the endpoint and its configuration ------------------------------------------------------------------------
    Cause("takes-no-request", "The consulting provider's system takes no requests. Nothing was sent there.",
          "Give the practice a hosted endpoint, where the consultant works on our pages; or download the packet, bring it there "
          "and cancel the request. If the system does take requests, set capabilities.task to true.",
          (W.CONFIGURE, W.CALL, W.RETRY, W.CANCEL), of_all_there=True),
    Cause("endpoint-unusable", "The endpoint cannot do what is needed.",
          "Call the contact; or set capabilities in config.yaml if the endpoint is mistaken about itself.",
          (W.CALL, W.ENDPOINT, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("unknown-endpoint", "There is no such endpoint in config.yaml.", "Add it to config.yaml, or cancel the request.",
          (W.CONFIGURE, W.CANCEL, W.RETRY)),
    Cause("sign-in-client", "The endpoint does not know our client id, or cannot check our signature.",
          "Normal for up to an hour after a registration: then retry, and do not register again. Else check with the contact: "
          "client_id, that the address of our keys answers without sign-in and without redirect, and that our newest key is there.",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-not-allowed", "Our client id may not sign in as a machine.",
          "Ask the contact to allow backend services for it; at Epic a background user has to be mapped.",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-not-offered", "The endpoint does not offer sign-in for machines.",
          "Ask the contact for SMART Backend Services (client_credentials).",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-scope", "The endpoint does not give what we ask for.",
          "Set auth.scopes in config.yaml to what was registered; for Epic leave it empty.",
          (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-assertion", "The endpoint does not accept what we signed for the sign-in.",
          "Check the clock of this machine, and auth.token_url in config.yaml.",
          (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-request", "The token address does not understand how we sign in.",
          "Check auth.token_url and auth.type in config.yaml.", (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-refused", "The endpoint refuses our sign-in.",
          "Ask the contact what its log says about our client id; check auth in config.yaml.",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-redirect", "The token address is a redirect, and nothing secret follows one.",
          "Set auth.token_url in config.yaml to the final address.", (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-no-token", "The token address gives no access token that can be used.",
          "Check auth.token_url in config.yaml with the contact.", (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-not-bearer", "The token address gives a kind of token that we do not use.",
          "Ask the contact for bearer tokens.", (W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-no-discovery", "The endpoint does not say where tokens are given.",
          "Write auth.token_url into config.yaml.", (W.CONFIGURE, W.CALL, W.RETRY), of_all_there=True),
    Cause("sign-in-not-encrypted", "The endpoint names a token address that is not encrypted, and no sign-in goes there.",
          "Ask the contact for the https address, and write it into auth.token_url in config.yaml.",
          (W.CALL, W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-key", "Our own key or secret for the sign-in cannot be used.",
          "The message names the file. Restore it, or make another key.",
          (W.CONFIGURE, W.RETRY), of_all_there=True),
    Cause("sign-in-away", "The token address does not answer.", "Usually clears up by itself. If it lasts, call the contact.",
          _PASSES, True),
    Cause("identifier-system-changed", "The identifier_system in config.yaml is another one than at first use.",
          "Set it back to the first one, or use a new endpoint name.", (W.CONFIGURE, W.RETRY)),
    # --- the record and what is sent -----------------------------------------------------------------------------
    Cause("record-partial", "Part of the record could not be read, so no packet was made.",
          "Ask the referring provider's IT to make it readable, then retry; or send without the items named.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("many-withdrawn", "Many of the records that were sent are gone at their source at once. None was withdrawn.",
          "Ask the referring provider's IT whether the system lost records (an old backup). When they are there again, retry. "
          "If they were removed on purpose, set records.max_withdrawn_percent in config.yaml to 100, retry, and set it back.",
          (W.CALL, W.RETRY, W.CONFIGURE)),
    Cause("resource-unreadable", "A resource cannot be read the way FHIR writes it.",
          "The message names the resource. Send without it, or have it repaired where it comes from.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("packet-too-large", "The chart is too large for one packet.",
          "Ask for fewer kinds of records or only newer ones, or raise records.max_packet_bytes in config.yaml.",
          (W.CORRECT, W.CONFIGURE, W.RETRY)),
    Cause("attachment-too-large", "A document is larger than the endpoint takes.",
          "Send without it and deliver it another way, or raise max_inline_bytes in config.yaml if the endpoint takes more.",
          (W.WAIVE, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("record-refused", "The endpoint refuses a record; all others are written.",
          "The message names the record and what the endpoint says of it. Give both to its contact, or send without it.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("records-refused", "The endpoint refuses one record after another, so no more were sent.",
          "It is not the records: the message says what the endpoint answers. Show it to the contact, then retry.",
          (W.CALL, W.ENDPOINT, W.RETRY)),
    Cause("record-not-sendable", "A record cannot be written as it is; all others are written.",
          "The message names the place. Have the primary care office correct the record, or send without it.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("record-not-readable", "A record is not valid FHIR; all others are written.",
          "Give the record's name to whoever runs the primary care EHR, or send without it.",
          (W.WAIVE, W.CALL, W.RETRY)),
    Cause("original-gone", "A record came from the consultant's own system, where it is no longer.",
          "Ask the contact there what happened to it, or send without it.", (W.WAIVE, W.CALL, W.RETRY)),
    Cause("cannot-look-up", "A record may have been written already, and the endpoint cannot be searched for it.",
          "Ask the contact whether it is there. If it is, send without it; if not, send it again.",
          (W.WAIVE, W.RESEND, W.CALL, W.RETRY)),
    Cause("document-left-out", "A document of the packet would have been left out.",
          "This is a fault of the Exchange: give the message to whoever runs it. Send without the document named, or retry "
          "after an upgrade.", (W.WAIVE, W.RETRY)),
    Cause("verify-missing", "Something we sent cannot be found at the endpoint.",
          "Look at the items of the delivery. Send the missing item again, or go on without it.",
          (W.RESEND, W.CALL, W.WAIVE, W.RETRY)),
    Cause("verify-different", "What the endpoint stored differs from what we sent.",
          "Look at the findings. When the contact has fixed it there, send that item again or verify again.",
          (W.RESEND, W.CALL, W.RETRY)),
    Cause("duplicate-at-target", "The endpoint holds the same thing more than once.",
          "Ask the contact which one is right and to remove the others, then retry.", (W.CALL, W.RETRY)),
    Cause("request-withdrawn", "The request was cancelled or withdrawn while a step was working on it; nothing more was sent.",
          "Nothing: the other side is notified by the cancellation. Call if they need to know sooner.", (W.CALL, W.RETRY)),
    Cause("consent-withdrawn", "The patient has withdrawn consent. Nothing more was sent.",
          "Ask the patient. If they agree again, record it on the page Consent, and what waits goes on by itself; else cancel the "
          "request. What had arrived before stays there: ask that practice if the patient wants it removed.",
          _CONSENT, of_the_house=True),
    Cause("consent-expired", "The last day of the patient's consent is over. Nothing more was sent.",
          "Ask the patient whether it goes on. Record what they say on the page Consent, and what waits goes on by itself.",
          _CONSENT, of_the_house=True),
    Cause("consent-not-to-them", "The patient's consent does not include this place. Nothing was sent there.",
          "Ask the patient. If they agree, record it on the page Consent, and what waits goes on by itself.",
          _CONSENT, of_the_house=True),
    Cause("consent-required", "Nothing leaves for this place before the patient's consent is recorded.",
          "Ask the patient, and record what they say on the page Consent: what waits goes on by itself.",
          _CONSENT, of_the_house=True),
    Cause("booking-unclear", "A time may have been booked, and nobody can look: the endpoint shows no appointments to us.",
          "Ask the consulting practice. If it is booked, record the visit by hand; if not, retry.", (W.CALL, W.RETRY)),
    Cause("booking-not-canceled", "The endpoint took the cancellation of an appointment and still shows it as booked.",
          "Have the practice cancel it, then retry.", (W.CALL, W.RETRY)),
    Cause("patient-not-linked", "Something was about to be sent for a request whose patient is not linked there; it was not.",
          _LINK_WORDS, _LINK),
    Cause("condition-ignored", "The endpoint says that what we sent was there already, and shows something that is not ours.",
          "Nothing was linked or overwritten. Set capabilities.conditional_create to false for this endpoint, then retry: "
          "the target is then searched before each create.", (W.CONFIGURE, W.ENDPOINT, W.RETRY)),
    Cause("changed-at-target", "The endpoint changed it since we wrote it, so the correction did not overwrite it.",
          "Agree with the contact which is right. If theirs, correct the request to say the same. If ours, have them "
          "undo theirs, then retry.", (W.CALL, W.CORRECT, W.RETRY)),
    Cause("own-gone", "Something we wrote is no longer at the endpoint.",
          "Ask the contact: have it restored and retry, or cancel the request.", (W.CALL, W.RETRY, W.CANCEL)),
    Cause("correction-too-late", "The consultant had finished before the correction was written.",
          "Call the consulting provider and say what is corrected. When the request has ended here, retry: then the "
          "correction is only noted.", (W.CALL, W.RETRY)),
    Cause("task-gone", "The consultant's Task is not there anymore.",
          "Ask the consulting provider whether the request was taken off their list.", (W.CALL, W.RETRY, W.CANCEL)),
    Cause("endpoint-moved", "The endpoint is at another address than at first use, or answers as another server.",
          "If it is the same server, confirm that it moved. If it is another one, set the first address back and give the "
          "other server its own endpoint name.", (W.CONFIGURE, W.CALL, W.RETRY), of_the_house=True),
    Cause("directory-fewer", "A directory of doctors lists far fewer than it did, as if it had been cut. Nothing was changed.",
          "Ask its contact. If the list is right, read it once with the option --fewer of the command directory sync.",
          (W.CALL, W.RETRY), of_the_house=True),
    Cause("information-missing", "The order does not say everything a consultant needs to know.",
          "Ask the provider who placed the order. Correct this request, or have the order completed in its EHR; or retry to send it "
          "as it is: what is not known is then marked as not stated. Without a question it is not sent.",
          (W.CORRECT, W.CALL, W.RETRY, W.CANCEL)),
    Cause("program-refuses", "The consulting program does not take this request. Nothing was gathered.",
          "Open Should I ask?: it says what speaks against it and who says so. Ask another program (cancel this request, and enter "
          "one for that), correct the request, or go on all the same by your own word and with a reason.",
          (W.GO_ON, W.CORRECT, W.CALL, W.CANCEL, W.RETRY), of_the_house=True),
    Cause("order-other-patient", "The order is about another patient in its EHR now. Nothing more is sent.",
          "Ask the provider who placed the order which patient is meant. If it was moved to the right patient, cancel this "
          "request, call the consulting provider, and have a new order placed. If the move was a mistake, have it undone "
          "there, then retry.", (W.CALL, W.CANCEL, W.RETRY)),
    # --- the patient ---------------------------------------------------------------------------------------------
    Cause("patient-none", "No patient there carries one of the numbers.",
          "Ask the staff there to register the patient, or whom they found, then press Link patient.", _LINK),
    Cause("patient-several", "More than one patient there could be the one.", _LINK_WORDS, _LINK),
    Cause("patient-similar", "Somebody there has a similar name and birth date, and shares no number.", _LINK_WORDS, _LINK),
    Cause("patient-gone", "The linked patient is not there anymore.", _LINK_WORDS, _LINK),
    Cause("patient-inactive", "The record there is inactive.", _LINK_WORDS, _LINK),
    Cause("patient-replaced", "The record there was merged into another one.",
          "Ask the staff there into which one, then press Link patient.", _LINK),
    Cause("patient-merged", "Records were merged there since the patient was linked.", _LINK_WORDS, _LINK),
    Cause("patient-changed", "The name, birth date or sex there changed since the patient was linked.", _LINK_WORDS, _LINK),
    Cause("patient-not-a-patient", "What is there is not a patient.", _LINK_WORDS, _LINK),
    Cause("patient-same-id", "This is the id of the patient at the other side; here it names somebody else.", _LINK_WORDS, _LINK),
    Cause("patient-search-ignored", "The endpoint answers a search for a number with patients who do not carry it.", _LINK_WORDS, _LINK),
    Cause("patient-not-created", "The endpoint answered our creation with a patient who does not carry our identifier.", _LINK_WORDS, _LINK),
    Cause("patient-no-shared-identifier", "No number that tells persons apart is known on both sides.", _LINK_WORDS, _LINK),
    Cause("patient-identifier-differs", "A number of the same kind differs.", _LINK_WORDS, _LINK),
    Cause("patient-name-unknown", "One side has no name.", _LINK_WORDS, _LINK),
    Cause("patient-name-differs", "The names differ.", _LINK_WORDS, _LINK),
    Cause("patient-given-name-unknown", "One side has no first name, or only an initial.", _LINK_WORDS, _LINK),
    Cause("patient-birth-date-unknown", "One side has no complete birth date.", _LINK_WORDS, _LINK),
    Cause("patient-birth-date-differs", "The birth dates differ.", _LINK_WORDS, _LINK),
    Cause("patient-sex-differs", "The sex differs.", _LINK_WORDS, _LINK),
    Cause("patient-deceased-differs", "One side says that the patient has died.", _LINK_WORDS, _LINK),
    Cause("patient-multiple-birth-differs", "They are different children of a multiple birth.", _LINK_WORDS, _LINK),
    Cause("patient-twin", "The patient is a twin, and not all given names are the same.", _LINK_WORDS, _LINK),
    # --- the report ----------------------------------------------------------------------------------------------
    Cause("report-other-patient", "The report is about another patient. It was not returned.",
          "Call the consulting provider at once. When they have corrected it, retry.", (W.CALL, W.RETRY)),
    Cause("report-other-request", "The report belongs to another request. It was not returned.",
          "Call the consulting provider. When they have corrected it, retry.", (W.CALL, W.RETRY)),
    Cause("report-without-document", "The report has no document in it.",
          "Ask the consulting provider to attach it, then retry.", (W.CALL, W.RETRY)),
    Cause("report-too-large", "The report is larger than the primary care EHR takes.",
          "Send it another way, or raise max_inline_bytes of the endpoint in config.yaml if it takes more.",
          (W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("road-not-offered", "The endpoint does not accept what this road sends.",
          "Set roads of the endpoint in config.yaml to those that it has.", (W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("hl7v2-refused", "The EHR's interface engine refused the report's message.",
          "Nothing of it was filed. The message names the segment and the code: set hl7v2 of the endpoint in config.yaml right "
          "with whoever runs the engine, then retry.", (W.CALL, W.CONFIGURE, W.RETRY)),
    Cause("hl7v2-answer-unreadable", "The EHR's interface engine answered a message with something that is not an acknowledgment.",
          "Nobody knows whether it filed the report. It is not sent again on a guess: see what the next attempt asks.", _PASSES, True),
    Cause("hl7v2-answer-other", "The EHR's interface engine answered a message with the acknowledgment of another one.",
          "Nobody knows whether it filed the report. Call whoever runs the engine: its acknowledgments are mixed up.",
          (W.CALL, W.RETRY, W.ENDPOINT), True),
    Cause("report-no-text", "The EHR takes only text, and the text of the report cannot be read from its document.",
          "Ask the consulting provider for text, or for a PDF that is not a scan; or send the document another way.",
          (W.CALL, W.CONFIGURE, W.RETRY)),
    Cause("report-no-shape", "The EHR does not take the report in the format it has.",
          "Send it another way: set roads of the endpoint in config.yaml; or document, if the EHR takes more.",
          (W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("report-no-time", "The EHR requires the time the service ended, and the report does not say it.",
          "Ask the consulting provider to date the report, then retry.", (W.CALL, W.CONFIGURE, W.RETRY)),
    Cause("encounter-unclear", "The EHR requires an encounter of the patient, and it is not clear which one.",
          "Ask there which visit the document belongs to, name it as the message shows, then retry.",
          (W.CALL, W.ENCOUNTER, W.CONFIGURE, W.RETRY)),
    Cause("encounter-other-patient", "The encounter that was named is about another patient. Nothing was sent.",
          "Ask there which visit is meant, name it as the message shows, then retry.",
          (W.CALL, W.ENCOUNTER, W.RETRY)),
    Cause("no-road", "There is no way to get the document into this EHR.",
          "The message says why for each. Set roads of the endpoint in config.yaml, or hand the document over and confirm it.",
          (W.CONFIRM, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("to-hand-over", "The report waits for a person to hand it over: nothing is sent to this EHR.",
          "Download the report on the page of its delivery, bring it to the primary care office, then say to whom.",
          (W.CONFIRM, W.CONFIGURE, W.CALL, W.RETRY)),
    Cause("sent-perhaps", "A document was sent, and neither the answer nor a search says whether it is there.",
          "Have the chart searched for the words in the message. Confirm that it is there, or that it is not: then it is sent again.",
          (W.CONFIRM, W.SEND_AGAIN, W.CALL, W.RETRY)),
    Cause("level-too-low", "A document was sent, and what is known of it is not enough.",
          "Ask there whether it is in the chart, by the words in the message, and confirm it; or ask for "
          "permission to read, then retry.",
          (W.CONFIRM, W.RETRY, W.CALL, W.CONFIGURE)),
    Cause("looked-too-soon", "A document whose answer was lost is not found yet.",
          "Nothing: its index may be late. The endpoint is checked again before anything is sent.", _PASSES, True),
    Cause("retraction-unknown", "The consultant took back a report that we never returned.",
          "Nothing of it is at the primary care EHR. Cancel the request if it has no other report.",
          (W.CALL, W.RETRY, W.CANCEL)),
    # --- our own house, and waits ----------------------------------------------------------------------------------
    Cause("earlier-delivery-open", "An earlier delivery of the same request is not done yet.",
          "It continues when that one is verified. Look at that one first.", (W.RETRY, W.CANCEL), True, True),
    Cause("made-elsewhere",
          "Another request is creating the same person or place, or sending the same chart, at the endpoint.",
          "Nothing: it continues when the other one is done.", (W.RETRY,), True, True),
    Cause("paced", "There are more requests for this endpoint than its requests_per_second allow.",
          "Nothing: it waits its turn. Raise requests_per_second in config.yaml if the endpoint can bear more.",
          (W.RETRY, W.CONFIGURE), True, True),
    Cause("revised-meanwhile", "The request was corrected while this was done.", "Nothing: it is done again.",
          (W.RETRY,), True, True),
    Cause("consent-changed", "The patient's consent was recorded anew while this was done.",
          "Nothing: it is done again, by the consent as it is now.", (W.RETRY,), True, True),
    Cause("parked-by-person", "A person parked it.", "Retry it when the reason no longer applies.", (W.RETRY, W.CANCEL), True, True),
    Cause("worker-lost", "The worker stopped during this step, again and again.",
          "Read the worker's log, or tell whoever runs this machine; then retry.", (W.RETRY, W.CANCEL), True, True),
    Cause("unknown-kind", "No worker knows this kind of step: they are an older version.",
          "Upgrade the workers.", (W.RETRY,), True, True),
    Cause("database-away", "The database stopped answering during this step, again and again.",
          "Tell whoever runs this machine: the step may be too large for it.", (W.RETRY, W.CANCEL), True, True),
    Cause("payloads-away", "The folder that holds the packets cannot be used now.",
          "Nothing: it continues when the folder can be used again. Tell whoever runs this machine.", (W.RETRY,), True, True),
    Cause("payload-missing", "Files that the database names are missing from the packets folder.",
          "Restore them from a backup, then retry.", (W.CALL, W.RETRY, W.CANCEL), of_the_house=True),
    Cause("internal-error", "Our own program failed.",
          "Tell whoever runs this machine: the worker's log says where. Then retry, or send without the item named.",
          (W.RETRY, W.WAIVE, W.CANCEL), True, True),
)  # fmt: skip

CAUSES: dict[str, Cause] = {cause.word: cause for cause in _ALL}


def cause_named(word: str | None) -> Cause:
    """The cause of this word; a status or word that is not declared keeps its word, with Retry and the contact as ways on."""
    known = CAUSES.get(word or "") or CAUSES.get(f"{word[:6]}xx" if word and word[:5] == "http-" else "")
    return replace(known, word=word) if known and word else Cause(word or "", "", "", (Way.RETRY, Way.CALL), True)
