"""A consultant's report in parts: what was judged, point by point, and who signs it; pure, with every mistake named by its field.

Whether the consultant agrees is said by them, of the diagnosis and of the plan for itself; nothing is derived from anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mappings.model.hand_over import MAX_NAME, line_problem
from mappings.model.request import Code

MAX_SUMMARY, MAX_WORDS = 20_000, 4_000  # characters
MAX_PARTS = 50  # of each kind
_KEPT = "\n\t"


class Agreement(StrEnum):
    """What a consultant says of another's diagnosis, plan, or of one point of theirs."""

    AGREES = "agrees"
    PARTLY = "partly-agrees"
    DIFFERS = "differs"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True)
class Point:
    """``said``: what the first opinion said, in its words. ``agreement`` None: the other side said nothing of it that is known."""

    said: str
    agreement: Agreement | None
    words: str = ""


@dataclass(frozen=True)
class Test:
    """A test that is recommended; ``code`` only where a person chose one."""

    __test__ = False  # it is not one of pytest's

    words: str
    code: Code | None = None


@dataclass(frozen=True)
class Answer:
    """A question of the patient, as they asked it, and what the consultant answers."""

    question: str
    words: str


@dataclass(frozen=True)
class WrittenReport:
    """``diagnosis`` and ``plan`` are None, and the words empty, where nothing was said. ``signed_at`` knows its zone."""

    diagnosis: Agreement | None = None
    plan: Agreement | None = None
    summary: str = ""
    points: tuple[Point, ...] = ()
    tests: tuple[Test, ...] = ()
    answers: tuple[Answer, ...] = ()
    signed_by: str = ""
    signed_at: datetime | None = None


@dataclass(frozen=True)
class TypedPoint:
    """As it was typed."""

    said: str = ""
    agreement: str = ""
    words: str = ""


@dataclass(frozen=True)
class TypedTest:
    """As it was typed; ``system`` and ``code`` are both given or neither, ``display`` is what the chooser showed."""

    words: str = ""
    system: str = ""
    code: str = ""
    display: str = ""


@dataclass(frozen=True)
class TypedAnswer:
    """As it was typed; the question stands there already."""

    question: str = ""
    words: str = ""


@dataclass(frozen=True)
class TypedReport:
    """What a person typed so far; empty where nothing was. Parts in which nothing was typed do not count."""

    diagnosis: str = ""
    plan: str = ""
    summary: str = ""
    points: tuple[TypedPoint, ...] = ()
    tests: tuple[TypedTest, ...] = ()
    answers: tuple[TypedAnswer, ...] = ()


def sign_report(
    typed: TypedReport, *, by: str, now: datetime, has_document: bool = False
) -> tuple[WrittenReport | None, Mapping[str, str]]:
    """The report as ``by`` signs it, or a sentence for each field that is wrong (``points-1-said``, ``signed_by``).

    ``has_document``: the report itself is a file beside it; then nothing has to be said here as well.
    """
    wrong = dict(_wrong(typed, has_document=has_document))
    if not by.strip():
        wrong["signed_by"] = "say which clinician signs it, by name"
    elif problem := line_problem(by.strip(), MAX_NAME):
        wrong["signed_by"] = problem
    if wrong:
        return None, wrong
    return _report(typed, by.strip(), now), {}


def shown_report(typed: TypedReport) -> WrittenReport:
    """What was typed so far as the report that it would be, for a preview: unsigned, without what is not understood."""
    return _report(typed, "", None)


def read_agreement(said: str) -> Agreement | None:
    """The word, None for anything else."""
    return Agreement(said) if said in set(Agreement) else None


def same_lines(text: str) -> str:
    """The words with line ends as we keep them, without spaces around them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _report(typed: TypedReport, by: str, now: datetime | None) -> WrittenReport:
    return WrittenReport(
        diagnosis=read_agreement(typed.diagnosis),
        plan=read_agreement(typed.plan),
        summary=same_lines(typed.summary),
        points=tuple(
            Point(same_lines(each.said), read_agreement(each.agreement), same_lines(each.words))
            for each in typed.points
            if _any(each.said, each.agreement, each.words)
        ),
        tests=tuple(_test(each) for each in typed.tests if _any(each.words, each.code)),
        answers=tuple(
            Answer(same_lines(each.question), same_lines(each.words)) for each in typed.answers if _any(each.words)
        ),
        signed_by=by,
        signed_at=now,
    )


def _test(typed: TypedTest) -> Test:
    system, code = typed.system.strip(), typed.code.strip()
    coded = Code(system=system, code=code, display=typed.display.strip() or None) if system and code else None
    return Test(same_lines(typed.words), coded)


def _any(*typed: str) -> bool:
    return any(each.strip() for each in typed)


def _wrong(typed: TypedReport, *, has_document: bool) -> Iterator[tuple[str, str]]:
    for name, said in (("diagnosis", typed.diagnosis), ("plan", typed.plan)):
        if (said or not has_document) and said not in set(Agreement):
            yield name, f"say whether you agree with the {name} of the first opinion, or cannot tell"
    if not has_document and not typed.summary.strip():
        yield "summary", "write the opinion in your own words"
    yield from _text("summary", typed.summary, MAX_SUMMARY)
    for kind, parts in (("points", typed.points), ("tests", typed.tests), ("answers", typed.answers)):
        if len(parts) > MAX_PARTS:
            yield kind, f"has {len(parts)} lines; at most {MAX_PARTS} are kept"
    for number, point in enumerate(typed.points, 1):
        yield from _wrong_point(f"points-{number}", point)
    for number, test in enumerate(typed.tests, 1):
        yield from _wrong_test(f"tests-{number}", test)
    for number, answer in enumerate(typed.answers, 1):
        yield from _text(f"answers-{number}-words", answer.words, MAX_WORDS)


def _wrong_point(name: str, point: TypedPoint) -> Iterator[tuple[str, str]]:
    if not _any(point.said, point.agreement, point.words):
        return
    if not point.said.strip():
        yield f"{name}-said", "say what the first opinion said, in its words"
    if point.agreement not in set(Agreement):
        yield f"{name}-agreement", "say whether you agree, or cannot tell"
    yield from _text(f"{name}-said", point.said, MAX_WORDS)
    yield from _text(f"{name}-words", point.words, MAX_WORDS)


def _wrong_test(name: str, test: TypedTest) -> Iterator[tuple[str, str]]:
    if _any(test.code) and not _any(test.words):
        yield f"{name}-words", "say in words which test it is"
    if _any(test.code) != _any(test.system):
        yield f"{name}-code", "needs both its system and its code, or neither"
    yield from _text(f"{name}-words", test.words, MAX_WORDS)


def _text(name: str, value: str, most: int) -> Iterator[tuple[str, str]]:
    if len(value) > most:
        yield name, f"has {len(value)} characters; at most {most} are kept"
    elif not all(letter.isprintable() or letter in _KEPT or letter.isspace() for letter in value.replace("\r", "\n")):
        yield name, "holds a character that cannot be shown"
