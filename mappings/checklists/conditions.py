"""When a conditional rule holds: by diagnoses, by age, else by what a person answered. What is not known is asked, once."""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from mappings.checklists.chart import Chart, Record
from mappings.checklists.ranges import in_ranges
from mappings.model.checklist import Condition, Facts, Question


class Answer(Enum):
    """Whether a condition holds."""

    YES = "yes"
    NO = "no"
    ASK = "ask"


@dataclass(frozen=True)
class Verdict:
    """The answer, why, and the question where there is none."""

    answer: Answer
    reason: str = ""
    question: Question | None = None
    by_person: bool = False


def holds(condition: Condition, chart: Chart, facts: Facts, visit: date) -> Verdict:
    """Whether a condition holds at the visit: by what the chart says for certain, else by a person's answer, else asked."""
    known = _by_age(condition, chart, visit) or _by_diagnosis(condition, chart)
    if known is not None:
        return known
    said = facts.answers.get(condition.key)
    if said is not None:
        reason = f"{said.by} answered {said.what} on {said.at:%Y-%m-%d}"
        return Verdict(Answer.YES if said.what == "yes" else Answer.NO, reason, by_person=True)
    return Verdict(Answer.ASK, question=Question(condition.key, condition.question))


def _by_age(condition: Condition, chart: Chart, visit: date) -> Verdict | None:
    """Judged on the day of the visit; an unfinished birth date decides only where every day of it says the same."""
    if condition.below_age is None or chart.born is None:
        return None
    last = chart.born.replace(month=12, day=31) if chart.born_is_partial else chart.born
    ages = {_age(born, visit) < condition.below_age for born in (chart.born, last)}
    if len(ages) > 1:
        return None
    under = f"under {condition.below_age} years at the visit"
    return Verdict(Answer.YES, under) if ages == {True} else Verdict(Answer.NO, f"not {under}")


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _by_diagnosis(condition: Condition, chart: Chart) -> Verdict | None:
    """Yes by a confirmed, active diagnosis; no only where every diagnosis has an ICD-10 code and none is among them."""
    if not condition.icd10:
        return None
    diagnoses = [record for record in chart.by_type.get("Condition", ()) if record.has & {"code"}]
    hits = [record for record in diagnoses if _is_one(record, condition)]
    settled = [record for record in hits if record.is_settled]
    if settled:
        return Verdict(Answer.YES, f"a confirmed diagnosis says so ({settled[0].kind_and_day})")
    if hits or not diagnoses or any(not record.icd10 for record in diagnoses):
        return None
    return Verdict(Answer.NO, "no diagnosis of the chart is one of these")


def _is_one(record: Record, condition: Condition) -> bool:
    return any(in_ranges(code, condition.icd10) and not in_ranges(code, condition.not_icd10) for code in record.icd10)
