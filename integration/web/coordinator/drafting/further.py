"""Ask another doctor: a draft in the case of an earlier request, filled in with what stays the same."""

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from integration import case_opinions
from integration.case_opinions import CaseOpinion
from integration.store import drafts, packets, requests
from integration.store.drafts import Draft
from integration.store.requests import Request, UnknownRequest
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import scope
from integration.web.coordinator import request_fields
from mappings.model.draft import Pick
from mappings.model.request import HumanName, SecondOpinionRequest
from mappings.model.suitability import GoodReason
from mappings.specialties import offered, with_loaded
from mappings.suitability import REASON_WORDS

blueprint = pages.sentences(Blueprint("further", __name__, url_prefix="/requests/<request_id>/ask-another"))


@blueprint.post("")
def begin(request_id: str) -> ResponseReturnValue:
    """A draft that follows this request; one that waits to be finished is shown instead of a second one."""
    back = url_for("cases.show", request_id=request_id)
    if not forms.is_ours():
        return forms.told(forms.refusal(), back, good=False)
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        if not scope.mine().asks_for(row.placer):
            raise UnknownRequest(f"there is no request {request_id}")
        typed, picked = filled_in(conn, row)
        draft, new = drafts.begin_after(conn, row.placer, request_id, typed, picked, actor=forms.actor())
    at = url_for("drafts.show", draft_id=draft.id, at=draft.step)
    return forms.see_other(at) if new else forms.told(t("further.known", name=draft.created_by), at)


def filled_in(conn: Connection, row: Request) -> tuple[dict[str, str], dict[str, Pick]]:
    """What a further request takes over. Not whom it asks, not by when, and no consent: that was for somebody else."""
    content, source = requests.content(row), t("further.source")
    first = content.first_opinion
    picked = {
        "follows": Pick(row.id, t("further.follows", place=world.place_name(row.fulfiller)), source),
        "number": Pick(next_number(conn, row), str(next_number(conn, row)), source),
        "patient": Pick(_json(content.patient), _patient_words(content), _chart(conn, row) or source),
    }
    if content.requester:
        picked["requester"] = Pick(_json(content.requester), _name(content.requester.name), source)
    if first:
        picked["diagnosis"] = Pick(_json(first.diagnosis), first.diagnosis.text, source)
    if first and first.doctor:
        picked["doctor"] = Pick(_json(first.doctor), _name(first.doctor.name), source)
    if content.coverage:
        picked["coverage"] = Pick(list(content.coverage), ", ".join(content.coverage), source)
    if reasons := [each for each in content.reasons if each.code in set(GoodReason)]:
        words = "; ".join(REASON_WORDS[GoodReason(each.code)] for each in reasons)
        picked["reasons"] = Pick([_json(each) for each in reasons], words, source)
    return _typed(content), picked


def _typed(content: SecondOpinionRequest) -> dict[str, str]:
    first, specialty = content.first_opinion, content.specialty
    loaded = request_fields.loaded_specialties()
    is_offered = (
        specialty is not None
        and offered(specialty.code, loaded)["system"] == specialty.system
        and specialty.code in with_loaded(loaded)
    )
    found = {
        "question": content.question,
        "patient_questions": "\n".join(content.patient_questions),
        "priority": content.priority,
        "records.since": content.records.since,
        "specialty.code": specialty.code if specialty and is_offered else None,
        "first_opinion.given_on": first.given_on if first else None,
    }
    return {path: str(value) for path, value in found.items() if value}


def next_number(conn: Connection, row: Request) -> int:
    """Which opinion is asked for: one more than the highest of the case that was answered; a declined one counts as none."""
    answered = (each for each in case_opinions.of_case(conn, row.case) if each.report)
    return max((each.number for each in answered), default=1) + 1


def opinions_before(draft: Draft) -> list[CaseOpinion]:
    """The requests of the case that a draft belongs to, as far as who writes it may see them; none when it begins one."""
    request_id = drafts.follows(draft.content)
    if request_id is None:
        return []
    with world.engine().connect() as conn:
        return case_opinions.of_case(conn, requests.get(conn, request_id).case, scope.mine())


def _chart(conn: Connection, row: Request) -> str | None:
    """The patient's chart, where the records were gathered from it: what it offers can be chosen here too."""
    rows = packets.of_request(conn, row.id)
    return f"{rows[-1].patient} at {row.placer}" if rows else None


def _json(value: object) -> dict:
    return value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)  # type: ignore[attr-defined]


def _name(name: HumanName | None) -> str:
    return " ".join([*name.given, name.family]) if name else t("opinion.unknown")


def _patient_words(content: SecondOpinionRequest) -> str:
    patient = content.patient
    born = t("draft.born", date=patient.birth_date or t("draft.not_stated"))
    return ", ".join((_name(patient.name), born, patient.identifiers[0].value))
