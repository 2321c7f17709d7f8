"""Every English text of the pages, once: what a translator needs, and what a test checks is used."""

TEXTS: dict[str, str | tuple[str, str]] = {
    # the frame
    "app.name": "Second Opinion Exchange",
    "app.skip": "Skip to the content",
    "app.menu": "Main",
    "app.live": "This page renews itself while you look at it.",
    "app.footer": "Times are UTC. Lists show ids only; clinical content opens on request and each look is recorded.",
    "nav.queue": "Queue", "nav.groups": "Failures", "nav.deadlines": "Deadlines", "nav.endpoints": "Endpoints",
    "nav.schedules": "Schedules", "nav.operations": "Bulk operations", "nav.numbers": "Numbers", "nav.new": "New request",
    # times
    "time.none": "none", "time.ago": "{span} ago", "time.in": "in {span}", "time.never": "never",
    "deadline.none": "no deadline", "deadline.late": "late by {span}", "deadline.left": "{span} left",
    "deadline.legend": "Deadline: the wished date less the lead time",
    # kinds of step
    "kind.poll_requests": "Look for new requests", "kind.gather_records": "Gather the records",
    "kind.watch_chart": "Watch the chart for corrections", "kind.match_people": "Match patient and people",
    "kind.push_records": "Send the records", "kind.verify_records": "Read the records back",
    "kind.send_request": "Send the request", "kind.cancel_request": "Tell of the cancellation",
    "kind.verify_request": "Read the request back", "kind.watch_fulfiller": "Watch for progress and report",
    "kind.return_report": "Return the report", "kind.verify_report": "Read the report back",
    "kind.mirror_status": "Mirror the status", "kind.prune": "Remove what is past its retention",
    "kind.bulk_retry": "Retry many", "kind.check_alarms": "Check the alarms",
    "delivery.records": "Records", "delivery.request": "Request", "delivery.report": "Report",
    # states
    "state.attention": "Needs a person", "state.parked": "Parked", "state.retrying": "Retrying", "state.late": "Late",
    "state.running": "Running", "state.due": "Due", "state.waiting": "Scheduled", "state.done": "Done",
    "state.cancelled": "Cancelled", "state.all": "All",
    # queue
    "queue.title": "Queue", "queue.alarms": "Alarms", "queue.search": "Filter", "queue.help": "How to filter",
    "queue.hint": "For example: endpoint:mercy error:timeout due:<3d. Words in one line must all be true; commas mean or; a minus turns a word round.",
    "queue.go": "Show", "queue.clear": "Clear", "queue.tabs": "States", "queue.saved": "Saved views", "queue.save": "Save this view",
    "queue.save_name": "Name of the view", "queue.select": "Select step {id}", "queue.rows": "Steps",
    "queue.empty_attention": "Nothing needs a person.", "queue.empty": "Nothing matches this filter.",
    "queue.next": "Next page", "queue.first": "First page", "queue.retry_selected": "Retry selected…",
    "queue.retry_matching": "Retry all that match…", "queue.retry": "Retry…", "queue.park": "Park…", "queue.link": "Link patient…",
    "queue.attempts": ("{n} failed attempt", "{n} failed attempts"), "queue.next_attempt": "next attempt",
    "queue.since": "since", "queue.todo": "What to do", "queue.to": "{kind}, {place}", "queue.more": "more than {n}",
    "queue.wrong": "The filter was not understood, so nothing is shown.", "queue.wrong_at": "At character {n}: {why}",
    "queue.paused": "endpoint paused", "queue.no_request": "not for one request", "queue.view_saved": "View {name} saved.",
    "queue.view_deleted": "View {name} deleted.", "queue.delete_view": "Delete view {name}", "queue.of_request": "of request",
    # groups
    "groups.title": "Failures by cause and endpoint", "groups.caption": "Open failures, most first", "groups.cause": "Cause",
    "groups.endpoint": "Endpoint", "groups.number": "Steps", "groups.requests": "Requests", "groups.first": "First seen",
    "groups.last": "Last seen", "groups.deadline": "Nearest deadline", "groups.show": "Show steps", "groups.retry": "Retry group…",
    "groups.empty": "No open failures.", "groups.parked": "{n} parked", "groups.repeated": "{n} attempts", "groups.actions": "Actions",
    "groups.none": "no cause stored",
    # request
    "request.title": "Request {id}", "request.closed": "The loop is closed", "request.open": "What closing still lacks", "request.ended": "It ended as {status}; there is nothing to close.",
    "request.sides": "The two organisations", "request.placer": "Asks", "request.fulfiller": "Answers",
    "request.tracks": "The two tracks", "request.records": "Records", "request.visit": "Visit", "request.status": "Status",
    "request.business": "as others see it", "request.waiting": "What waits for whom", "request.nothing": "Nothing is owed now.",
    "request.steps": "Steps and every attempt", "request.step": "Step", "request.where": "Where", "request.state": "State",
    "request.when": "When", "request.attempts": "Attempts", "request.deliveries": "Deliveries", "request.delivery": "Delivery",
    "request.version": "Version", "request.sent": "Sent", "request.verified": "Verified", "request.items": "Items",
    "request.findings": "Findings", "request.no_findings": "No findings.", "request.events": "What the answering side said",
    "request.applied": "applied", "request.not_applied": "stored, not applied", "request.audit": "Who did what",
    "request.reports": "Reports", "request.packets": "Packets", "request.open_packet": "Look at the packet",
    "request.cancel": "Cancel request…", "request.link": "Link patient…", "request.created": "Taken in", "request.due": "Records due",
    "request.none": "None yet.", "request.paused": "paused", "request.health": "Health", "request.contact": "Contact",
    "request.owes": "{place} is talked to next", "request.person": "waits for a person", "request.address": "Address",
    "request.more": "Only the first {n} are shown here.", "request.cancelling": "Cancellation asked for", "request.priority": "Priority",
    "request.no_attempts": "not tried yet", "request.actor": "By", "request.action": "What", "request.reason": "Reason",
    "request.subject": "About", "request.report_state": "State", "request.source": "At the source", "request.target": "At the target",
    "request.item_status": "Status", "request.hash": "Hash of what was sent", "request.delivery_title": "Delivery {id}",
    "request.item_counts": "{verified} of {all} verified", "request.times": "{n} times", "request.patient": "Other requests of this patient",
    # packet
    "packet.title": "Packet of request {id}", "packet.none": "There is no packet yet.", "packet.caption": "Packet {n}: {resources} resources, {attachments} attachments, {size}",
    "packet.look": "Look", "packet.download": "Download everything (zip)", "packet.private": "Opening shows patient data. Each look and each download is recorded with your reason.",
    "packet.version": "Version at source", "packet.kind": "Kind", "packet.size": "Size", "packet.type": "Type", "packet.sha": "SHA-256",
    "packet.content": "Content of {source}", "packet.gathered": "gathered", "packet.manifest": "Manifest", "packet.back": "Back to the packet",
    "packet.look_at": "Look at {source}", "packet.first": "First", "packet.missing": "There is no such item in the packet.",
    "packet.broken": "The packet cannot be read: {why}", "packet.more": "Next items",
    # actions
    "action.reason": "Reason", "action.reason_hint": "Kept in the audit trail.", "action.no_reason": "Write why; it is kept in the audit trail.",
    "action.go_back": "Back without doing it", "action.cli": "The same on the command line", "action.forged": "Nothing was done: the form was too old or did not come from this page. Look at it again and press the button once more.",
    "action.gone": "Nothing was done: {why}", "action.unknown": "There is no such action.", "action.step_is": "It is {state}; attempt {attempts} failed: {cause}",
    "action.missing": "Nothing was selected.",
    "retry.title": ("Retry {n} step?", "Retry {n} steps?"), "retry.button": ("Retry {n} step", "Retry {n} steps"),
    "retry.what": "{kind} at {place} for {request} becomes due now. Its count of attempts starts again. Before anything is written, it is looked up whether it is there already.",
    "retry.many": "Each becomes due now and its count of attempts starts again. Steps that moved on meanwhile are left alone.",
    "park.title": "Park this step?", "park.button": "Park", "park.what": "{kind} at {place} for {request} is not tried again until a person retries it. Everything gathered is kept.",
    "cancel.title": "Cancel request {id}?", "cancel.button": "Cancel the request",
    "cancel.what": ("{n} open step stops, and {place} is told. Records already sent stay there. A report that arrives all the same still completes the request.",
                    "{n} open steps stop, and {place} is told. Records already sent stay there. A report that arrives all the same still completes the request."),
    "cancel.done": "Cancellation of {id} asked for; {place} is told.",
    "link.title": "Link the patient of {id} at {place}", "link.button": "Link", "link.reference": "The patient there",
    "link.hint": "As Patient/<id> at {place}. Take it from their staff, never from a guess.",
    "link.what": "From now on everything about this patient goes to that record. {n} waiting step(s) become due.",
    "link.done": "Linked. What waited for it is due now.",
    "pause.title": "Pause {place}?", "pause.button": "Pause", "pause.what": ("Nothing is sent to {place} until it is resumed. {n} open step waits.", "Nothing is sent to {place} until it is resumed. {n} open steps wait."),
    "pause.done": "{place} is paused.", "pause.already": "{place} was paused already; nothing changed.",
    "resume.title": "Resume {place}?", "resume.button": "Resume", "resume.what": ("{n} due step begins within seconds, within the endpoint's limits.", "{n} due steps begin within seconds, within the endpoint's limits."),
    "resume.done": "{place} is resumed.", "resume.already": "{place} was not paused; nothing changed.",
    "run.title": "Run {name} now?", "run.button": "Run now", "run.what": "It becomes due now, beside its schedule.", "run.done": "{name} is due now.",
    "run.already": "{name} is due or running already; nothing was added.",
    "all.title": ("Retry {n} step in the background?", "Retry all {n} matching steps in the background?"), "all.button": ("Retry {n} step", "Retry {n} steps"),
    "all.what": "Filter: {filter}. Exactly these are retried; what moves on meanwhile is left alone. You can stop it at any time.",
    "all.line": "{n} {state} at {place}, of {requests} request(s)", "all.rate": "Speed", "all.per_second": "{n} per second",
    "all.none": "Nothing that matches can be retried: only parked and retrying steps can.", "all.changed": "It was {before} and is {n} now. Please confirm the new number.",
    "all.started": "Bulk operation {id} started.",
    "stop.title": "Stop bulk operation {id}?", "stop.button": "Stop it", "stop.what": "{retried} were retried and stay so. {left} are not reached any more.",
    "stop.done": "Stopped: {retried} retried, {changed} had moved on, {left} not touched.",
    # bulk operations
    "bulk.title": "Bulk operations", "bulk.one": "Bulk operation {id}", "bulk.none": "No bulk operation yet.", "bulk.filter": "Filter", "bulk.by": "By",
    "bulk.started": "Started", "bulk.progress": "Progress", "bulk.status": "Status", "bulk.stop": "Stop…", "bulk.counts": "{retried} retried, {changed} had moved on, {left} left, of {total}",
    "bulk.running": "running", "bulk.done": "done", "bulk.cancelled": "stopped", "bulk.id": "Id", "bulk.members": "Members", "bulk.caption": "Newest first",
    # endpoints
    "endpoints.title": "Endpoints", "endpoints.caption": "The parties' FHIR servers", "endpoints.name": "Name", "endpoints.health": "Health", "endpoints.role": "Role",
    "endpoints.success": "Last success", "endpoints.failure": "Last failure", "endpoints.latency": "Step time", "endpoints.open": "Open steps", "endpoints.pause": "Pause…", "endpoints.resume": "Resume…",
    "endpoints.latency_words": "last {last} ms, middle {median} ms, longest {longest} ms, of {n}", "endpoints.none": "The configuration names no endpoint.",
    "endpoints.circuit": "Circuit", "endpoints.circuit_closed": "closed (normal)", "endpoints.circuit_open": "open: resting until {at}", "endpoints.circuit_half": "half open: one probe decides", "endpoints.contact": "Contact", "endpoints.silent": "silent: nothing for {span}",
    "health.well": "well", "health.failing": "failing", "health.resting": "resting", "health.probing": "probing", "health.paused": "paused", "health.not used yet": "not used yet",
    # schedules
    "schedules.title": "Schedules", "schedules.caption": "What happens by the clock", "schedules.name": "Schedule", "schedules.every": "How often", "schedules.last": "Last", "schedules.next": "Next",
    "schedules.drift": "Drift", "schedules.enabled": "Enabled", "schedules.run": "Run now…", "schedules.seconds": "every {n} s", "schedules.cron": "cron {cron} (UTC)", "schedules.yes": "yes", "schedules.paused": "endpoint paused",
    "schedules.late": "no worker ticks: expected {at}", "schedules.history": "Last ticks",
    # deadlines
    "deadlines.title": "Deadlines", "deadlines.late": "Late", "deadlines.risk": "At risk", "deadlines.due": "Due", "deadlines.none": "None.", "deadlines.undated": ("{n} open request gives no date.", "{n} open requests give no date."),
    "deadlines.hint": "Records that are not verified yet. At risk: less than {hours} hours left, or something needs a person.", "deadlines.more": ("{n} more", "{n} more"),
    # numbers
    "numbers.title": "Numbers", "numbers.period": "Period", "numbers.days": "{n} days", "numbers.volume": "Requests taken in", "numbers.volume_parts": "Requests taken in (filled: closed)", "numbers.closed": "Loops closed", "numbers.rate": "Loop closure rate",
    "numbers.rate_hint": "Closed of all requests taken in during the period, after CMS50 (closing the referral loop); those that were entered in error are not counted.", "numbers.to_records": "To records verified", "numbers.to_report": "To report returned",
    "numbers.median": "median", "numbers.p90": "90 % within", "numbers.day": "Day", "numbers.week": "Week of", "numbers.csv": "CSV", "numbers.json": "JSON", "numbers.none": "–", "numbers.caption": "Per {unit}", "numbers.hours": "hours",
    "numbers.chart": "{title}, bars per {unit}, highest {n}", "numbers.of": "{n} of {all}", "numbers.unit_day": "day", "numbers.unit_week": "week",
    # new request
    "new.title": "New second opinion request", "new.submit": "Take in", "new.mistakes": ("One place needs another look.", "{n} places need another look."), "new.known": "{id} was taken in before; nothing changed.",
    "new.taken": "{id} is taken in; the records are being gathered.", "new.required": "(required)", "new.emergency": "Not for emergencies: call the consultant, or send the patient to emergency care.",
    "new.choose": "Choose", "new.intro": "It is sent as you write it. Leave empty what you do not know; nothing is guessed.", "new.other": "the form as a whole",
    "new.section.who": "Who asks whom", "new.section.patient": "Patient", "new.section.requester": "You, who ask", "new.section.first": "The first opinion",
    "new.section.question": "What is asked", "new.section.consultant": "Who should answer", "new.section.records": "Records and consent",
    "new.placer": "Your practice", "new.fulfiller": "Consulting organisation", "new.priority": "Priority", "new.priority.routine": "Routine", "new.priority.urgent": "Urgent", "new.priority.asap": "As soon as possible",
    "new.wanted_by": "Opinion needed by", "new.family": "Family name", "new.given": "Given names", "new.npi": "NPI", "new.system": "Who gives the patient number, as an address", "new.value": "Patient number (MRN)",
    "new.birth_date": "Date of birth", "new.sex": "Administrative sex", "new.sex.female": "Female", "new.sex.male": "Male", "new.sex.other": "Other", "new.sex.unknown": "Unknown",
    "new.diagnosis": "Diagnosis in words", "new.icd": "Its ICD-10-CM code", "new.given_on": "Given on", "new.doctor_family": "Family name of the doctor who gave it", "new.doctor_given": "Given names of that doctor", "new.doctor_npi": "NPI of that doctor",
    "new.question": "What should the second opinion answer?", "new.questions": "Questions of the patient, in their words", "new.specialty": "Specialty", "new.consultant_family": "Consultant's family name, if a certain person is asked", "new.consultant_npi": "Consultant's NPI",
    "new.since": "Records not older than", "new.consent": "Consent", "new.order": "Your order in the EHR", "new.hint.system": "For example https://clinic.example.org/mrn", "new.hint.questions": "One a line.", "new.hint.npi": "Ten digits.",
    "new.hint.specialty": "Choose a specialty, or name a consultant below.", "new.hint.consent": "Its reference in your EHR, for example Consent/123", "new.hint.order": "For example ServiceRequest/9", "new.hint.icd": "For example C18.7", "new.hint.since": "Empty: everything.",
    "new.hint.match": "Name and date of birth confirm the match; they are never used to guess.",
    # problems
    "problem.missing": "Not found", "problem.missing_why": "There is no such page. {why}", "problem.back": "To the queue", "problem.host": "This address is not ours.",
    "problem.down": "The database does not answer", "problem.down_why": "The pages come back by themselves when it does. second-opinion database start starts an embedded one.",
}


class Catalogue:
    """``t("key", n=3)``: a text with its values filled in; of a pair, the first for one and the second for more."""

    def __call__(self, key: str, **values) -> str:
        text = TEXTS[key]
        if isinstance(text, tuple):
            text = text[0] if values.get("n") == 1 else text[1]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """True when there is such a text."""
        return key in TEXTS


t = Catalogue()
