"""A request held against what its consulting program takes: certain facts refuse, what is not known is asked, never refused."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

from mappings.checklists.conditions import in_ranges
from mappings.codes import SYSTEM_GOOD_REASON
from mappings.model.checklist import Question, Said
from mappings.model.request import Code, SecondOpinionRequest
from mappings.model.suitability import (
    DO_THIS_INSTEAD,
    EMERGENCY,
    EVERYDAY,
    GO_ON,
    GoodReason,
    Known,
    Program,
    Refusal,
    Requirement,
    Suitability,
)

REASON_WORDS: Mapping[GoodReason, str] = {
    GoodReason.SERIOUS_DIAGNOSIS: "The diagnosis is serious",
    GoodReason.COSTLY_OR_RISKY: "A test or treatment that is costly or risky",
    GoodReason.UNCLEAR_BENEFIT: "It is not clear that the test or treatment helps",
    GoodReason.FRESH_PERSPECTIVE: "A fresh look is wanted",
}
_IS_EVERYDAY = Question(
    EVERYDAY, "None of the four good reasons is named. Is this everyday care, such as a cold or a routine check-up?"
)
Found = Refusal | Question | str


def code_of(reason: GoodReason) -> Code:
    """A good reason as one of a request's ``reasons``."""
    return Code(system=SYSTEM_GOOD_REASON, code=reason.value, display=REASON_WORDS[reason])


def good_reasons(codes: tuple[Code, ...]) -> frozenset[GoodReason]:
    """Those of the four that are among a request's reasons."""
    known = set(GoodReason)
    return frozenset(
        GoodReason(each.code) for each in codes if each.system == SYSTEM_GOOD_REASON and each.code in known
    )


def known_of(request: SecondOpinionRequest, answers: Mapping[str, Said]) -> Known:
    """What a request says of itself, and what people answered."""
    first = request.first_opinion
    codes = [code for code in first.diagnosis.codes if "icd-10" in code.system] if first else []
    return Known(
        birth_date=request.patient.birth_date,
        has_diagnosis=first is not None,
        icd10=tuple(code.code for code in codes),
        all_coded=bool(codes),
        specialty=request.specialty.code if request.specialty else None,
        has_physician=request.requester is not None or (first is not None and first.doctor is not None),
        reasons=good_reasons(request.reasons),
        answers=answers,
    )


def judge(program: Program | None, known: Known, day: date, listed: Program | None = None) -> Suitability:
    """How a request stands on ``day``, which is that of the visit, else of the request.

    ``program``: what somebody here wrote down; ``listed``: what the directory states (`mappings/directory/stated.py`).
    """
    found = [*_of_any(program, known), *(_of_program(program, known, day) if program else ())]
    found += _of_listed(listed, known, day) if listed else []
    said = known.answers.get(GO_ON)
    return Suitability(
        program,
        refusals=tuple(each for each in found if isinstance(each, Refusal)),
        questions=tuple(each for each in found if isinstance(each, Question)),
        cautions=(*_cautions(program, known), *(listed.cautions if listed else ())),
        fits=tuple(each for each in found if isinstance(each, str)),
        overridden=said if said is not None and said.what == "yes" else None,
        listed=listed,
    )


def _of_listed(listed: Program, known: Known, day: date) -> list[Found]:
    """As of any program, with whose word it is; an answer about another program is none about this one."""
    mark = listed.prefix
    answers = {key.removeprefix(mark): said for key, said in known.answers.items() if key.startswith(mark)}
    return [_as_listed(each, listed) for each in _of_program(listed, replace(known, answers=answers), day)]


def _as_listed(found: Found, listed: Program) -> Found:
    if isinstance(found, Refusal):
        return Refusal(f"{listed.prefix}{found.key}", f"{found.sentence}, as {listed.says} lists")
    if isinstance(found, Question):
        return Question(f"{listed.prefix}{found.key}", found.text)
    return f"{found} ({listed.says})"


def in_words(program: Program) -> tuple[str, ...]:
    """What a program takes and refuses, a line each."""
    return tuple(_lines(program))


def _of_any(program: Program | None, known: Known) -> Iterator[Found]:
    """What holds of every second opinion: none for an emergency, and everyday care is asked about."""
    if _answer(known, EMERGENCY) == "yes":
        yield Refusal(EMERGENCY, DO_THIS_INSTEAD)
    if known.reasons:
        yield "a good reason is named"
    elif _answer(known, EVERYDAY) is None:
        yield _IS_EVERYDAY
    elif _answer(known, EVERYDAY) == "yes" and program and program.refuses_everyday_care:
        yield Refusal(EVERYDAY, "it gives no second opinions on everyday care")


def _cautions(program: Program | None, known: Known) -> Iterator[str]:
    if not known.reasons and _answer(known, EVERYDAY) == "yes" and not (program and program.refuses_everyday_care):
        yield "Somebody said that this is everyday care: a second opinion is seldom worth its time then. Talk with the patient."


def _of_program(program: Program, known: Known, day: date) -> Iterator[Found]:
    yield from _age(program, known, day)
    yield from _diagnoses(program, known)
    yield from _specialty(program, known)
    yield from _required(program, known)
    for key, is_asked, question, refusal in _to_ask(program):
        if is_asked:
            yield from _asked(known, key, question, refusal)
    for each in program.conditions:
        yield from _asked(known, each.key, each.question, f"it states: {each.words}")


def _age(program: Program, known: Known, day: date) -> Iterator[Found]:
    if program.minimum_age is None and program.maximum_age is None:
        return
    taken = _ages(program)
    if known.birth_date is None:
        yield from _asked(known, "age", f"It takes {taken}. Is the patient of that age on {day}?", f"it takes {taken}")
        return
    age = age_on(known.birth_date, day)
    young = program.minimum_age is not None and age < program.minimum_age
    old = program.maximum_age is not None and age > program.maximum_age
    yield Refusal("age", f"it takes {taken}, on the day of the visit") if young or old else f"it takes {taken}"


def age_on(born: date, day: date) -> int:
    """Whole years on a day; who was born on February 29 has the birthday on March 1 in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _ages(program: Program) -> str:
    if program.maximum_age is None:
        return f"patients of {program.minimum_age} years and older"
    if program.minimum_age is None:
        return f"patients up to {program.maximum_age} years old"
    return f"patients from {program.minimum_age} to {program.maximum_age} years old"


def _diagnoses(program: Program, known: Known) -> Iterator[Found]:
    """Refused by a code that is refused; for lack of one that is taken only where every diagnosis is coded, else asked."""
    if any(in_ranges(code, program.refused_diagnoses) for code in known.icd10):
        yield Refusal("diagnosis-refused", "it does not take a diagnosis that the request names")
    elif program.refused_diagnoses and not known.all_coded:
        listed = ", ".join(program.refused_diagnoses)
        yield from _asked(
            known,
            "diagnosis-refused",
            f"It does not take diagnoses under ICD-10 {listed}. Is the diagnosis another one?",
            "it does not take this diagnosis",
        )
    if not program.only_diagnoses:
        return
    listed = ", ".join(program.only_diagnoses)
    if any(in_ranges(code, program.only_diagnoses) for code in known.icd10):
        yield "it takes the diagnosis"
    elif known.all_coded:
        yield Refusal("diagnosis-only", f"it takes diagnoses under ICD-10 {listed} only")
    else:
        yield from _asked(
            known,
            "diagnosis-only",
            f"It takes diagnoses under ICD-10 {listed} only. Is the diagnosis one of these?",
            f"it takes diagnoses under ICD-10 {listed} only",
        )


def _specialty(program: Program, known: Known) -> Iterator[Found]:
    if not program.only_specialties and not program.refused_specialties:
        return
    if known.specialty is None:
        yield from _asked(
            known,
            "specialty",
            "It takes certain specialties only, and the request names none. Does it take this one?",
            "it does not take this specialty",
        )
    elif known.specialty in program.refused_specialties or (
        program.only_specialties and known.specialty not in program.only_specialties
    ):
        yield Refusal("specialty", "it does not take the specialty that is asked")
    else:
        yield "it takes the specialty"


def _required(program: Program, known: Known) -> Iterator[Found]:
    """What the request does not name may be known to a person all the same: it is asked."""
    named = {Requirement.DIAGNOSIS: known.has_diagnosis, Requirement.TREATING_PHYSICIAN: known.has_physician}
    for each in sorted(program.requires):
        words = _REQUIRED[each]
        if named.get(each):
            yield f"{words} is named"
        else:
            yield from _asked(
                known, each.value, f"It wants {words}. Is there one, and is it in the records?", f"it wants {words}"
            )


_REQUIRED = {
    Requirement.DIAGNOSIS: "a diagnosis of the first opinion",
    Requirement.TREATING_PHYSICIAN: "a treating physician",
    Requirement.PLAN: "a plan of treatment of the first opinion",
}


def _to_ask(program: Program) -> Iterator[tuple[str, bool, str, str]]:
    """What no request tells: key, whether it matters here, the question (yes is good), and why not."""
    yield (
        "state",
        bool(program.states),
        f"It takes patients who live in {', '.join(program.states)}. Does the patient live there?",
        f"it takes patients who live in {', '.join(program.states)} only",
    )
    yield (
        "in-person",
        program.in_person,
        "It sees patients in person only. Can the patient travel there?",
        "it sees patients in person only",
    )
    yield (
        "insurer",
        bool(program.insurers) and not program.self_pay,
        f"It accepts {', '.join(program.insurers)}. Is the patient insured by one of these?",
        f"it accepts {', '.join(program.insurers)} only",
    )
    yield (
        "self-pay",
        program.self_pay,
        "It takes no insurance: patients pay themselves. Does the patient know, and agree?",
        "it takes no insurance, and the patient does not want to pay",
    )


def _asked(known: Known, key: str, question: str, refusal: str) -> Iterator[Found]:
    said = known.answers.get(key)
    if said is None:
        yield Question(key, question)
    elif said.what == "no":
        yield Refusal(key, f"{refusal}, and {said.by} answered so on {said.at:%Y-%m-%d}")
    else:
        yield f"{said.by} answered on {said.at:%Y-%m-%d}: {question} Yes"


def _answer(known: Known, key: str) -> str | None:
    said = known.answers.get(key)
    return said.what if said else None


def _lines(program: Program) -> Iterator[str]:
    if program.minimum_age is not None or program.maximum_age is not None:
        yield f"takes {_ages(program)}"
    if program.requires:
        yield f"wants {', '.join(_REQUIRED[each] for each in sorted(program.requires))}"
    for words, codes in (
        ("takes only diagnoses under ICD-10", program.only_diagnoses),
        ("takes no diagnoses under ICD-10", program.refused_diagnoses),
        ("takes only specialties", program.only_specialties),
        ("takes no specialties", program.refused_specialties),
        ("takes patients who live in", program.states),
        ("accepts insurance of", program.insurers),
    ):
        if codes:
            yield f"{words} {', '.join(codes)}"
    if program.self_pay:
        yield "takes no insurance: patients pay themselves"
    if program.in_person:
        yield "sees patients in person only"
    if program.refuses_everyday_care:
        yield "gives no second opinions on everyday care"
    yield from (f"states: {each.words}" for each in program.conditions)
    yield from program.notes
    if program.says:
        yield f"so says {program.says}"
