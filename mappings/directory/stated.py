"""What the directory states of a doctor's service as a program that a request is held against: text is asked, never judged."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mappings.directory.services import FEES, REFERRAL_METHODS, Service, ages_in_words, in_words, that_count
from mappings.model.suitability import Condition, Program
from mappings.specialties import NUCC, nucc_of

PREFIX = "listed-"
LONGEST = 300  # letters of a condition in a sentence that says why something is refused
_BY_WIRE = frozenset({REFERRAL_METHODS["elec"], REFERRAL_METHODS["semail"]})


def stated(services: Iterable[Service], name: str, says: str, specialty: str | None) -> Program | None:
    """What those services state that count for a second opinion; None when they state nothing.

    ``name``: what the program is called where it has no name itself; ``says``: whose word it is; ``specialty``: the code of
    the one that is asked. Ages refuse where they are coded and one service counts; with several, nobody knows which of them it
    would be, so all is asked.
    """
    counting = that_count(services)
    if not counting:
        return None
    one = counting[0] if len(counting) == 1 else None
    conditions = [each for service in counting for each in _conditions(service, specialty, is_one=service is one)]
    program = Program(
        name=(one.name if one else "") or name,
        says=says,
        minimum_age=one.minimum_age if one else None,
        maximum_age=one.maximum_age if one else None,
        conditions=tuple({each.key: each for each in conditions}.values()),
        notes=tuple(_notes(counting)),
        cautions=tuple(_cautions(counting)),
        prefix=PREFIX,
    )
    return None if program == Program(program.name, says=says, prefix=PREFIX) else program


def _conditions(service: Service, specialty: str | None, *, is_one: bool) -> Iterator[Condition]:
    of = "" if is_one or not service.name else f" ({service.name})"
    if not is_one and (ages := ages_in_words(service.minimum_age, service.maximum_age)):
        yield _condition(f"patients {ages}{of}", "Does the patient meet this?")
    for words in service.eligibility:
        yield _condition(f"{words}{of}", "Does the patient meet this?")
    if service.areas:
        yield _condition(f"patients who live in {', '.join(service.areas)}{of}", "Does the patient live there?")
    if not _is_among(specialty, service) and (listed := _specialties(service)):
        yield _condition(f"the specialties {listed}{of}", "Is what is asked one for these?")
    if FEES in service.provision:
        yield _condition(f"{FEES}{of}", "Does the patient know, and agree?")


def _condition(words: str, question: str) -> Condition:
    key = hashlib.sha256(f"{words} {question}".encode()).hexdigest()[:12]
    short = words if len(words) <= LONGEST else f"{words[:LONGEST]} ..."
    return Condition(key, short, f"The directory states: {words.rstrip('.')}. {question}")


def _is_among(specialty: str | None, service: Service) -> bool:
    """Is the specialty that is asked one of those listed, by its code or by what SNOMED CT and NUCC have in common?"""
    return specialty is not None and bool({specialty, *nucc_of(specialty)} & set(service.specialties))


def _specialties(service: Service) -> str:
    return ", ".join([*(NUCC.get(each, each) for each in service.specialties), *service.specialty_texts])


def _notes(services: Sequence[Service]) -> Iterator[str]:
    """What is only told: programs, how it is asked, what it costs, whether an appointment is needed, comments."""
    for service in services:
        of = f" ({service.name})" if len(services) > 1 and service.name else ""
        told = replace(service, eligibility=(), minimum_age=None, maximum_age=None, areas=())
        yield from (f"{_LABELS[what]}: {words}{of}" for what, words in in_words(told))


_LABELS = {
    "program": "program",
    "referral": "takes requests by",
    "provision": "under these conditions",
    "appointment": "appointment",
    "comment": "comment",
}


def _cautions(services: Sequence[Service]) -> Iterator[str]:
    """Where every service that counts says how it is asked, and none of them by wire."""
    if all(each.referral_methods and not _BY_WIRE & set(each.referral_methods) for each in services):
        ways = dict.fromkeys(way for each in services for way in each.referral_methods)
        yield f"The directory states that requests are taken by {', '.join(ways)}: tell them that this one comes electronically."
