"""Ranges of ICD-10 codes, as rules write them."""

from collections.abc import Iterable


def in_ranges(code: str, ranges: Iterable[str]) -> bool:
    """Whether an ICD-10 code lies in one of ``C22`` (it and everything below) or ``C15-C26`` (both ends and below)."""
    plain = code.replace(".", "").upper()
    for each in ranges:
        low, _, high = each.replace(".", "").partition("-")
        high = high or low
        if plain[: len(low)] >= low and plain[: len(high)] <= high:
            return True
    return False
