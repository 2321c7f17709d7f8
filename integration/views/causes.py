"""Causes in plain language: what happened, and what a person may do about it. The step's own words come first."""

# cause -> (what happened, what to do). A cause that is not here shows the message and action stored with the step.
CAUSES: dict[str, tuple[str, str]] = {
    "timeout": (
        "The endpoint took too long to answer.",
        "Usually passes. If it stays, call the endpoint's contact, or pause the endpoint.",
    ),
    "connect-timeout": (
        "No connection could be made in time.",
        "Check that the endpoint and the network between are up.",
    ),
    "connection-refused": (
        "The endpoint's server is not running, or a firewall refuses us.",
        "Call the endpoint's contact; pause it for a longer outage.",
    ),
    "no-connection": ("The endpoint cannot be reached.", "Check the network and the endpoint's address."),
    "name-unknown": ("The endpoint's host name is not known.", "Check base_url in config.yaml and the name service."),
    "certificate-refused": (
        "The endpoint's certificate is not valid.",
        "Do not go around it: ask the endpoint's contact to renew it.",
    ),
    "tls": ("The encrypted connection failed.", "Ask the endpoint's contact which TLS versions are offered."),
    "cut": (
        "The connection ended in the middle of an answer.",
        "It is looked up before anything is sent again. Usually passes.",
    ),
    "earlier-delivery-open": (
        "An earlier delivery of the same request is not done yet.",
        "It goes on when that one is verified: look at that one.",
    ),
    "made-elsewhere": (
        "Another request is creating the same person or place, or sending the same chart, at the endpoint.",
        "Passes when the other one is done: nothing to do.",
    ),
    "http-400": (
        "The endpoint says that what we sent is wrong.",
        "Read the message; it names the place. Mend the record or the mapping, then retry.",
    ),
    "http-401": (
        "The endpoint asks for sign-in, or refuses ours.",
        "Check the endpoint's sign-in in config.yaml, then retry.",
    ),
    "http-403": (
        "We may not do this at the endpoint.",
        "Ask the endpoint's contact for the missing right, then retry.",
    ),
    "http-404": ("What we asked for is not there.", "Check base_url; then look the resource up at the endpoint."),
    "http-409": ("The endpoint holds another version.", "It is looked up before anything is sent again."),
    "http-412": ("Somebody changed it at the endpoint meanwhile.", "It is looked up before anything is sent again."),
    "http-413": ("Too large for the endpoint.", "Lower max_inline_bytes or chunk_size of the endpoint, then retry."),
    "http-422": (
        "The endpoint refuses the content by its own rules.",
        "Read the message; it names the rule or the place.",
    ),
    "http-429": (
        "The endpoint asks us to go slower.",
        "Nothing: we wait as long as it asked. Lower its limits if this repeats.",
    ),
    "http-500": (
        "The endpoint failed inside.",
        "It is tried three times. If it stays, send the message to the endpoint's contact.",
    ),
    "http-502": ("A proxy in front of the endpoint got no answer.", "Usually passes."),
    "http-503": ("The endpoint is down for the moment.", "Usually passes. Pause it for planned maintenance."),
    "http-504": ("A proxy in front of the endpoint waited too long.", "It is looked up before anything is sent again."),
    "not-fhir": (
        "The address answers with something that is not FHIR.",
        "Check base_url; a sign-in page or a proxy may be in between.",
    ),
    "endpoint-unusable": (
        "The endpoint cannot do what is needed.",
        "Run endpoints check; set capabilities in config.yaml if it is mistaken about itself.",
    ),
    "record-partial": (
        "Part of the record could not be read, so no packet was made.",
        "Ask the placer's IT to make the missing part readable, then retry.",
    ),
    "patient-none": (
        "No such patient at the endpoint.",
        "Ask the endpoint to register the patient, then link the patient.",
    ),
    "patient-similar": (
        "There is a similar patient, but it is not certain to be the same.",
        "Compare with the endpoint's staff, then link the patient.",
    ),
    "patient-many": (
        "More than one patient could be meant.",
        "Compare with the endpoint's staff, then link the right one.",
    ),
    "verify-missing": (
        "Something we sent cannot be found at the endpoint.",
        "Look at the items of the delivery. Retry sends what is missing.",
    ),
    "verify-different": (
        "What the endpoint stored differs from what we sent.",
        "Look at the findings. Nothing is sent again by itself.",
    ),
    "duplicate-at-target": (
        "The endpoint holds the same thing more than once.",
        "Ask the endpoint's contact which one is right, and to remove the other.",
    ),
    "report-other-patient": (
        "The report is about another patient. It was not returned.",
        "Tell the consultant at once; ask for a corrected report.",
    ),
    "report-other-request": ("The report belongs to another request.", "Ask the consultant which request it answers."),
    "report-without-document": ("The report has no document in it.", "Ask the consultant to attach it."),
    "report-too-large": (
        "The report is larger than the primary care EHR takes.",
        "Raise max_inline_bytes of the endpoint if it can take more, then retry.",
    ),
    "attachment-too-large": (
        "An attachment is larger than the endpoint takes.",
        "Raise max_inline_bytes of the endpoint if it can take more, then retry.",
    ),
    "task-gone": (
        "The consultant's Task is not there any more.",
        "Ask the consultant whether the request was taken out of their list.",
    ),
    "parked-by-person": ("A person parked it.", "Retry it when the reason is gone."),
    "worker-lost": (
        "The worker that did this stopped answering.",
        "Nothing: it is done again, later each time and by itself. If it repeats, read the worker's log.",
    ),
    "database-away": (
        "The database went away under this step, again and again.",
        "Read the worker's log and the database's; the step may be too large for the machine.",
    ),
    "internal-error": (
        "Our own program failed.",
        "It is tried again. If it stays, read the worker's log and report it.",
    ),
    "paced": (
        "More is to be asked of this endpoint than its requests_per_second allow.",
        "Nothing: it goes when it is its turn. Raise requests_per_second if the endpoint can bear more.",
    ),
    "sign-in-not-built": ("This endpoint needs a sign-in this version does not have.", "See the release notes."),
}


def explain(row) -> tuple[str, str]:
    """What happened and what to do, for a step, delivery or group (anything with cause, action and maybe message)."""
    cause = row.cause or ""
    happened, advice = CAUSES.get(cause, ("", ""))
    if not happened and cause.startswith("patient-"):
        happened, advice = (
            "It is not certain who the patient is at the endpoint.",
            "Compare with the endpoint's staff, then link the patient.",
        )
    if not happened and cause.startswith("http-5"):
        happened, advice = "The endpoint failed inside.", "Usually passes."
    return happened or getattr(row, "message", None) or cause, getattr(row, "action", None) or advice
