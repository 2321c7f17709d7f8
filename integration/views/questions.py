"""The patient's questions as a row of the case page: how many, never which."""

from integration.views.case import Part
from integration.views.texts import t
from mappings.model.request import SecondOpinionRequest


def questions_part(content: SecondOpinionRequest) -> Part:
    """A request may go without any; somebody should have asked."""
    count = len(content.patient_questions)
    if count:
        return Part("questions", "done", t("part.questions.done", n=count), endpoint="patient_questions.show")
    return Part(
        "questions",
        "none",
        t("part.questions.none"),
        next=t("part.questions.next"),
        who="coordinator",
        endpoint="patient_questions.show",
    )
