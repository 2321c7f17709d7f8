"""Which checklist a request is held against: what a person or the configuration says, else its diagnosis and specialty."""

from collections.abc import Collection

from mappings.checklists.ranges import in_ranges
from mappings.model.checklist import Catalog, Checklist

GENERAL = "general"


def choose(
    catalog: Catalog, *, said: str | None, configured: str | None, icd10: Collection[str], nucc: Collection[str]
) -> tuple[Checklist, str]:
    """The checklist, and why it is this one, in words. ``icd10``, ``nucc``: codes of the first diagnosis and of the specialty."""
    for key, why in ((said, "a person chose it"), (configured, "the consulting endpoint's configuration names it")):
        if key is not None and key in catalog.checklists:
            return catalog.checklists[key], why
    by_diagnosis = [each for each in catalog.checklists.values() if any(in_ranges(code, each.icd10) for code in icd10)]
    by_specialty = [each for each in catalog.checklists.values() if each.nucc & set(nucc)]
    both = [each for each in by_diagnosis if _nucc(each, catalog) & set(nucc)]
    for found, why in (
        (both, "the diagnosis and the specialty are of this list"),
        (by_diagnosis, "the diagnosis is of this list"),
        (by_specialty, "the specialty is of this list"),
    ):
        if found:
            return max(found, key=lambda each: _depth(each, catalog)), why
    return catalog.checklists[GENERAL], "neither the diagnosis nor the specialty has a code of another list"


def _depth(checklist: Checklist, catalog: Catalog) -> int:
    """How special it is: one more than the list that it extends."""
    return 0 if checklist.extends is None else 1 + _depth(catalog.checklists[checklist.extends], catalog)


def _nucc(checklist: Checklist, catalog: Catalog) -> frozenset[str]:
    """Its specialties; where it names none, those of the list that it extends."""
    if checklist.nucc or checklist.extends is None:
        return checklist.nucc
    return _nucc(catalog.checklists[checklist.extends], catalog)
