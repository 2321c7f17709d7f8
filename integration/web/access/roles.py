"""Who may use what: each route and each action once, with the roles of which one is needed. A route without a row stops the start.

A route that people of a practice may use is for the requests of their practices alone. Before its view runs, ``scope`` finds the
request of every id in its path, query and form (``integration/store/owners.py``); a route that has none in its path says in
HOW_SCOPED what keeps to their practices instead.
"""

from enum import StrEnum

from integration.store.roles import INCLUDES, Role

__all__ = ["ACTIONS_NEED", "ANSWERING", "ASKING", "CASE", "HOW_SCOPED", "INCLUDES", "NEEDS", "How", "Need", "Role"]

Need = Role | frozenset[Role] | None
CASE = frozenset({Role.CLINICAL_DATA, Role.COORDINATOR, Role.CONSULTANT})  # a case, for both of its sides
ASKING = frozenset({Role.CLINICAL_DATA, Role.COORDINATOR})  # what the side that asks does
ANSWERING = frozenset({Role.CLINICAL_DATA, Role.CONSULTANT})  # what the side that is asked does
ANYONE_IN = frozenset(Role)
_WATCHING = frozenset({Role.VIEWER, Role.COORDINATOR, Role.CONSULTANT})  # ids and words
_DOING = frozenset({Role.OPERATOR, Role.COORDINATOR})  # buttons about a request as a whole


class How(StrEnum):
    """What keeps a route without a request in its path to the practices of who asks."""

    FORM = "form"  # the request is named in the query or the form, and has to be
    SQL = "sql"  # the view gives scope.mine() to the store
    NOTHING = "nothing"  # there is nothing of a request in it


# Flask endpoint -> the role it needs, or several of which one is enough; None: anyone, also who has not signed in.
NEEDS: dict[str, Need] = {
    "static": None,
    "jwks.of_name": None,
    "jwks.of_all": None,
    "hooks.heard": None,  # it asks for a secret of its own
    "smart.configuration": None,
    "smart.token": None,  # it asks for a signed assertion
    "health.live": None,
    "health.ready": None,
    "health.metrics": Role.VIEWER,
    "sign_in.form": None,
    "sign_in.enter": None,
    "sign_in.leave": None,
    "accounts.mine": ANYONE_IN,
    "accounts.change_password": ANYONE_IN,
    "accounts.sign_out_everywhere": ANYONE_IN,
    "accounts.listed": Role.ADMIN,
    "clients.listed": Role.ADMIN,
    "api.coverage": CASE,
    "api.record_coverage": ASKING,
    "api.read_coverage": ASKING,
    "api.suitability": CASE,
    "api.answer_suitability": ASKING,
    "api.reading_of_report": CASE,
    "api.acknowledge": ASKING,
    "api.take_back_acknowledgment": ASKING,
    "api.create": ASKING,
    "api.show": _WATCHING,
    "api.listed": _WATCHING,
    "api.items": _WATCHING,
    "api.delivery": _WATCHING,
    "api.case": CASE,
    "api.board": CASE,
    "api.checklist": CASE,
    "api.say_of_checklist": ASKING,
    "api.sources": CASE,
    "api.ask_source": ASKING,
    "api.say_of_source": ASKING,
    "api.ask_source_again": ASKING,
    "api.parcels": CASE,
    "api.add_parcel": CASE,
    "api.move_parcel": CASE,
    "api.cancel": _DOING,
    "api.waive": _DOING,
    "api.undo_waiver": _DOING,
    "api.resend": Role.OPERATOR,
    "api.confirm": _DOING,
    "api.send_again": Role.OPERATOR,
    "api.take_back": _DOING,
    "api.skip_order": Role.OPERATOR,
    "api.steps": Role.VIEWER,
    "api.step_counts": Role.VIEWER,
    "api.failures": Role.VIEWER,
    "api.find": Role.VIEWER,
    "api.retry_step": Role.OPERATOR,
    "api.park_step": Role.OPERATOR,
    "api.retry_matching": Role.OPERATOR,
    "api.operations": Role.VIEWER,
    "api.operation": Role.VIEWER,
    "api.stop_operation": Role.OPERATOR,
    "api.endpoints": Role.VIEWER,
    "api.pause_endpoint": Role.OPERATOR,
    "api.resume_endpoint": Role.OPERATOR,
    "api.endpoint_check": Role.VIEWER,
    "api.check_endpoint": Role.OPERATOR,
    "api.schedules": Role.VIEWER,
    "api.run_schedule": Role.OPERATOR,
    "api.deadlines": Role.VIEWER,
    "api.numbers": Role.VIEWER,
    "api.alarms": Role.VIEWER,
    "api.findings": Role.VIEWER,
    "api.description": ANYONE_IN,
    "listing.requests": Role.VIEWER,
    "queue.queue": Role.VIEWER,
    "queue.find": Role.VIEWER,
    "queue.groups": Role.VIEWER,
    "queue.save_view": Role.OPERATOR,
    "queue.delete_view": Role.OPERATOR,
    "alarms.listed": Role.VIEWER,
    "actions.ask": Role.OPERATOR,
    "actions.do": Role.OPERATOR,
    "bulk.listed": Role.VIEWER,
    "bulk.show": Role.VIEWER,
    "requests.show": Role.VIEWER,
    "drafts.listed": ASKING,
    "drafts.begin": ASKING,
    "drafts.show": ASKING,
    "drafts.save": ASKING,
    "drafts.discard": ASKING,
    "patient.look": Role.CLINICAL_DATA,
    "patient.compare": Role.VIEWER,
    "patient.compare_shown": Role.CLINICAL_DATA,
    "patient.link": Role.CLINICAL_DATA,
    "patient.unlink": Role.CLINICAL_DATA,
    "requests.delivery": _WATCHING,
    "attempts.show": Role.VIEWER,
    "attempts.look": Role.CLINICAL_DATA,
    "visit.show": CASE,
    "visit.say": CASE,
    "visit.calendar": CASE,
    "api.visit": CASE,
    "api.change_visit": CASE,
    "correct.open_form": ASKING,
    "correct.check": ASKING,
    "correct.do": ASKING,
    "correct.look": CASE,
    "packets.manifest": _WATCHING,
    "packets.look": CASE,
    "packets.read": CASE,
    "reports.look": CASE,
    "hand_over.report": ASKING,
    "hand_over.packet": ASKING,
    "packets.download": CASE,
    "boards.endpoints": Role.VIEWER,
    "checks.show": Role.VIEWER,
    "boards.findings": Role.VIEWER,
    "boards.schedules": Role.VIEWER,
    "boards.deadlines": Role.VIEWER,
    "numbers.numbers": Role.VIEWER,
    "numbers.as_json": Role.VIEWER,
    "numbers.as_csv": Role.VIEWER,
    "coverage.show": CASE,
    "coverage.record": ASKING,
    "coverage.read": ASKING,
    "suitability.show": CASE,
    "suitability.say": ASKING,
    "opinion.show": CASE,
    "opinion.acknowledge": ASKING,
    "opinion.take_back": ASKING,
    "cases.show": CASE,
    "cases.board": CASE,
    # records from elsewhere: what the side that asks hands in
    "api.received": ASKING,
    "api.receive": ASKING,
    "api.accept_received": ASKING,
    "api.take_back_received": ASKING,
    "received.listed": ASKING,
    "received.upload": ASKING,
    "received.show": ASKING,
    "received.accept": ASKING,
    "received.take_back": ASKING,
    "received.download": ASKING,
    "received.read": ASKING,
    "api.medications": CASE,
    "api.review_medications": ASKING,
    "api.questions": CASE,
    "api.keep_questions": ASKING,
    "medications.show": CASE,
    "medications.review": ASKING,
    "patient_questions.show": ASKING,
    "visit_sheet.show": ASKING,
    "visit_sheet.pdf": ASKING,
    "patient_questions.change": ASKING,
    "api.key_facts": CASE,
    "key_facts.show": CASE,
    "key_facts.rest": CASE,
    "key_facts.element": CASE,
    "checklist.show": CASE,
    "checklist.say": ASKING,
    "sources.show": CASE,
    "sources.ask": ASKING,
    "sources.say": ASKING,
    "sources.again": ASKING,
    "sources.letter": ASKING,
    "parcels.show": CASE,
    "parcels.add": CASE,
    "parcels.move": CASE,
    "directory.find": _WATCHING,
    "directory.show": _WATCHING,
    "directory.enter_form": ASKING,
    "directory.enter": ASKING,
    "directory.correct_form": ASKING,
    "directory.correct": ASKING,
    "directory.choose": ASKING,
    "api.directory_search": _WATCHING,
    "api.directory_entry": _WATCHING,
    "api.directory_enter": ASKING,
    "api.directory_correct": ASKING,
}

# Buttons under actions.ask and actions.do that need another role than those.
ACTIONS_NEED: dict[str, Need] = {
    "cancel": _DOING,
    "waive": _DOING,
    "accept": _DOING,
    "undo-waiver": _DOING,
    "confirm": _DOING,
    "take-back": _DOING,
    "revoke-client": Role.ADMIN,
    "disable-account": Role.ADMIN,
    "enable-account": Role.ADMIN,
    "sign-out-account": Role.ADMIN,
    "give-role": Role.ADMIN,
    "take-role": Role.ADMIN,
    "give-practice": Role.ADMIN,
    "take-practice": Role.ADMIN,
}

# Routes that people of practices may use and that have no id of a request in their path.
HOW_SCOPED: dict[str, How] = {
    "accounts.mine": How.NOTHING,
    "accounts.change_password": How.NOTHING,
    "accounts.sign_out_everywhere": How.NOTHING,
    "actions.ask": How.FORM,
    "actions.do": How.FORM,
    "api.create": How.SQL,
    "api.board": How.SQL,
    "api.listed": How.SQL,
    "api.description": How.NOTHING,
    "cases.board": How.SQL,
    "directory.choose": How.FORM,
    **dict.fromkeys(
        (
            *(f"directory.{each}" for each in ("find", "show", "enter_form", "enter", "correct_form", "correct")),
            *(f"api.directory_{each}" for each in ("search", "entry", "enter", "correct")),
        ),
        How.NOTHING,
    ),
    "drafts.listed": How.SQL,
    "drafts.begin": How.SQL,
}

# Arguments of paths that name nothing of a request by themselves: what they number is looked for within its request.
WITHIN = frozenset({"name", "revision", "at", "entry_id"})

# Where people of a practice go from a page of the installation that has one of their own.
INSTEAD = {"listing.requests": "cases.board", "requests.show": "cases.show"}
