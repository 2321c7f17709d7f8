"""The oracle: counts at the servers themselves, over plain FHIR; shares no code with the product."""

import json
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """What is wrong at a target: business identifiers absent, and extra copies."""

    lost: int
    duplicated: int


def every(base: str, kind: str) -> list[dict]:
    """All resources of a type at a server, page by page."""
    url, found = f"{base}/{kind}?_count=200", []
    while url:
        with urllib.request.urlopen(url, timeout=60) as response:
            bundle = json.load(response)
        found += [entry["resource"] for entry in bundle.get("entry", ())]
        url = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"), None)
        if url:
            url = urllib.parse.urljoin(f"{base}/", url)
    return found


def identifiers(resources: list[dict]) -> Counter:
    """How often each (system, value) occurs."""
    counted: Counter = Counter()
    for resource in resources:
        given = resource.get("identifier") or []
        for each in given if isinstance(given, list) else [given]:
            counted[(each.get("system"), each.get("value"))] += 1
    return counted


def count_records(target: str, system: str, sources: list[str]) -> Count:
    """Each source ``Type/id`` must be at the target once, under {system, Type/id}."""
    counted: Counter = Counter()
    for kind in sorted({source.split("/")[0] for source in sources}):
        counted += identifiers(every(target, kind))
    times = [counted[(system, source)] for source in sources]
    return Count(
        lost=sum(1 for number in times if number == 0), duplicated=sum(number - 1 for number in times if number > 1)
    )


def count_by_system(target: str, kind: str, system: str, values: list[str]) -> Count:
    """Each value of an identifier system must be at the target once."""
    counted = identifiers(every(target, kind))
    times = [counted[(system, value)] for value in values]
    return Count(
        lost=sum(1 for number in times if number == 0), duplicated=sum(number - 1 for number in times if number > 1)
    )
