"""Step 5: what is asked, by whom, how soon, and how far back the records go."""

from integration.web.coordinator.drafting.step import Step, act_on_people

REQUESTER = "requester.name.family"

STEP = Step(
    "question",
    (
        "question",
        "patient_questions",
        REQUESTER,
        "requester.name.given[0]",
        "requester.identifiers[0].value",
        "priority",
        "wanted_by",
        "records.since",
    ),
    ("requester",),
    act_on_people("requester", REQUESTER),
)
