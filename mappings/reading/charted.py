"""Diagnoses, stages, markers, allergies, studies and documents, as their records state them."""

from collections.abc import Iterator
from dataclasses import replace

from mappings.reading.elements import Labels, dated, named, said, value, wrong
from mappings.reading.model import Fact, Stated
from mappings.references import find_attachments
from mappings.rendition.names import source_of
from mappings.rendition.words import Words

CONDITION = {
    "clinical": ("clinicalStatus",),
    "verification": ("verificationStatus",),
    "stage": ("stage",),
    "severity": ("severity",),
    "site": ("bodySite",),
    "began": ("onset[x]",),
    "ended": ("abatement[x]",),
    "recorded": ("recordedDate",),
}
ALLERGY = {
    "reaction": ("reaction",),
    "criticality": ("criticality",),
    "type": ("type",),
    "clinical": ("clinicalStatus",),
    "verification": ("verificationStatus",),
    "began": ("onset[x]",),
    "recorded": ("recordedDate",),
}
RESULT = {
    "value": ("value[x]", "component", "dataAbsentReason"),
    "flag": ("interpretation",),
    "range": ("referenceRange",),
    "date": ("effective[x]",),
    "status": ("status",),
    "method": ("method",),
}
STUDY = {
    "started": ("started",),
    "modality": ("modality", "series[0].modality"),
    "series": ("numberOfSeries",),
    "images": ("numberOfInstances",),
    "site": ("series[0].bodySite",),
    "status": ("status",),
}
DOCUMENT = {
    "title": ("description", "content[0].attachment.title", "title"),
    "date": ("context.period", "date", "created[x]"),
    "author": ("author", "operator"),
    "status": ("status",),
    "finality": ("docStatus",),
    "kind": ("category",),
}
_OF_A_LIST = {"value": ("value[x]", "component", "dataAbsentReason"), "flag": ("interpretation",)}
_ANY = {"status": ("status", "clinicalStatus", "lifecycleStatus"), "verification": ("verificationStatus",)}
ORIGINAL = "original"  # the label of an attachment: what it opens is the document itself
DATES = (
    *("context.period", "effective[x]", "performed[x]", "onset[x]", "occurrence[x]", "started", "period"),
    *("authoredOn", "dateAsserted", "recordedDate", "created[x]", "date", "whenHandedOver", "authored", "sent"),
    *("recorded", "start", "startDate", "issued", "created"),
)
NAMES = (
    *("code", "medication[x]", "vaccineCode", "type", "procedureCode", "description", "title", "category"),
    *("modality", "series[0].modality", "name", "relationship", "class", "serviceType"),
)


def condition(resource: dict, words: Words) -> Fact:
    """A diagnosis or problem with its statuses and stage."""
    return _fact(resource, words, ("code",), CONDITION, ("onset[x]", "recordedDate"))


def allergy(resource: dict, words: Words) -> Fact:
    """An allergy; also the statement that none is known, in its own words."""
    return _fact(resource, words, ("code",), ALLERGY, ("recordedDate", "onset[x]"))


def result(resource: dict, words: Words) -> Fact:
    """A result with its value, flag and range."""
    return _fact(resource, words, ("code",), RESULT, ("effective[x]", "issued"))


def result_in_list(resource: dict, words: Words) -> Fact:
    """A result as one line of a list: its value and flag."""
    return _fact(resource, words, ("code",), _OF_A_LIST, ("effective[x]", "issued"))


def study(resource: dict, words: Words) -> Fact:
    """An imaging study: what it says it holds. Its images are not in a packet."""
    names = ("description", "procedureCode", "modality", "series[0].modality")
    return _fact(resource, words, names, STUDY, ("started",))


def document(resource: dict, words: Words) -> Fact:
    """A document by its card, with what is attached to it."""
    dates = ("context.period", "date", "created[x]")
    made = _fact(resource, words, ("type", "category", "description"), DOCUMENT, dates)
    return replace(made, said=(*made.said, *originals(resource, words)))


def originals(resource: dict, words: Words) -> Iterator[Stated]:
    """Its attachments, each as what it says of itself."""
    for found in find_attachments(resource):
        at = found.path.partition(".")[2]
        if (told := value(resource, at, words)) is not None:
            yield Stated(ORIGINAL, told)


def anything(resource: dict, words: Words) -> Fact:
    """Any record as one line."""
    return _fact(resource, words, NAMES, _ANY, DATES)


def _fact(resource: dict, words: Words, names: tuple[str, ...], labels: Labels, dates: tuple[str, ...]) -> Fact:
    more = tuple(said(resource, words, labels))
    name = named(resource, words, *names)
    return Fact(source_of(resource), name, more, dated(resource, *dates)[0], wrong(resource))
