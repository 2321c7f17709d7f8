"""The steps of the conversation in their order. One more is a module with a ``STEP``, a line here and a template of its name."""

from integration.web.coordinator.drafting import asked, chart, first, patient, question, reasons

STEPS = (patient.STEP, first.STEP, chart.STEP, asked.STEP, reasons.STEP, question.STEP)
BY_KEY = {step.key: step for step in STEPS}
REVIEW = "review"


def after(key: str) -> str:
    """The step that follows; the review after the last one."""
    keys = [*BY_KEY, REVIEW]
    return keys[min(keys.index(key) + 1, len(keys) - 1)]
