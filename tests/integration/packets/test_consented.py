"""Packets within a consent: of a kind that the patient left out nothing is anywhere in what a reader gets, and the rest is all there.

Each record says a word of its own, its canary; so what should not be there can be looked for in everything that is made.
"""

import json
import uuid
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from integration.packets import stored
from integration.packets.consented import all_consented, consented
from mappings.ips import to_summary
from mappings.model.consent import (
    BY_THE_PATIENT,
    KIND_OF,
    LEFT_HOME,
    SENSITIVE_LABELS,
    Consent,
    RecordKind,
    Said,
    kinds_of,
)
from mappings.model.packet import Manifest, ManifestItem
from mappings.reading import key_facts
from mappings.rendition import as_text, render
from tests.jobs.exchange import a_request

TYPES = (*sorted(KIND_OF), "Basic", "CarePlan")
LABELS = [{"system": system, "code": code} for system, codes in SENSITIVE_LABELS.items() for code in sorted(codes)]
PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Nunez"}]}


def record(number: int, kind: str, canary: str, label: dict | None = None, inside: dict | None = None) -> dict:
    """A record that says its canary wherever a record of some type is named."""
    words = {"text": canary, "coding": [{"system": "urn:test", "code": canary, "display": canary}]}
    named = ("code", "type", "medicationCodeableConcept", "vaccineCode", "reasonCode")
    return {
        "resourceType": kind,
        "id": f"r{number}",
        "subject": {"reference": "Patient/p"},
        **dict.fromkeys(named, words),
        "valueString": canary,
        "conclusion": canary,
        "description": canary,
        "note": [{"text": canary}],
        "effectiveDateTime": "2026-01-01",
        **({"meta": {"security": [label]}} if label else {}),
        **({"contained": [inside]} if inside else {}),
    }


def packet(version: int, resources: list[dict], withdrawn: list[str]) -> stored.Packet:
    items = [ManifestItem(source="Patient/p", size=1, sha256="p")]
    for each in resources:
        source = f"{each['resourceType']}/{each['id']}"
        items.append(ManifestItem(source=source, size=1, sha256=str(each)))
        of = f"{source}#{each['resourceType']}.content[0].attachment"
        items.append(
            ManifestItem(source=f"Binary/{each['id']}", kind="attachment", size=1, sha256=f"bytes of {source}", of=of)
        )
    items += [ManifestItem(source=each, kind="withdrawn", size=1, sha256="w", why="gone") for each in withdrawn]
    manifest = Manifest(
        packet_id=f"packet-{version}",
        request_id="r",
        source_endpoint="alice",
        identifier_system="urn:test:alice",
        patient="Patient/p",
        gathered_at=f"2026-06-0{version}T09:00:00Z",
        items=tuple(items),
    )
    return stored.Packet(
        manifest, {"Patient/p": PATIENT, **{f"{each['resourceType']}/{each['id']}": each for each in resources}}
    )


@st.composite
def packets(draw) -> list[stored.Packet]:
    """One to three packets; a later one corrects (also its label) and takes back."""
    made, kinds, number = [], dict[int, str](), 0
    for version in range(1, draw(st.integers(1, 3)) + 1):
        again = draw(st.sets(st.sampled_from(sorted(kinds)))) if kinds else set()
        new = set(range(number, number + draw(st.integers(0, 5))))
        kinds |= {each: draw(st.sampled_from(TYPES)) for each in new}
        number += len(new)
        resources = []
        for each in sorted(again | new):
            label = draw(st.one_of(st.none(), st.sampled_from(LABELS)))
            kind = draw(st.one_of(st.none(), st.none(), st.sampled_from(TYPES)))
            inside = record(900, kind, f"canary-{version}-{each}-inside") if kind else None
            resources.append(record(each, kinds[each], f"canary-{version}-{each}-own", label, inside))
        left = sorted(set(kinds) - again - new)
        gone = draw(st.sets(st.sampled_from(left))) if left and version > 1 else set()
        made.append(packet(version, resources, [f"{kinds[each]}/r{each}" for each in sorted(gone)]))
    return made


CONSENTS = st.sets(st.sampled_from(RecordKind), min_size=1).map(lambda kinds: Consent(Said.GIVEN, frozenset(kinds)))


def outputs(loaded: list[stored.Packet], consent: Consent) -> dict[str, str]:
    """Everything that a reader within the consent gets, as text."""
    together = stored.together(loaded)
    resources = [each.resources[source] for source, each in together.items()]
    manifests = [each.manifest for each in loaded]
    summary, _ = to_summary(
        resources,
        patient="Patient/p",
        identifier_system="urn:test:alice",
        document_id=str(uuid.UUID(int=1)),
        made_at="2026-06-09T00:00:00Z",
        made_by="x",
        left_out=consent.left_home,
    )
    facts = asdict(key_facts(manifests, resources))
    pages = [
        render(manifest=each.manifest, resources=list(each.resources.values()), request=a_request()) for each in loaded
    ]
    return {
        "manifests": json.dumps([each.model_dump() for each in manifests]),
        "resources": json.dumps([dict(each.resources) for each in loaded]),
        "facts": repr(facts),
        "summary": json.dumps(summary),
        "rendition": "\n".join(map(as_text, pages)),
    }


@settings(max_examples=150, deadline=None)
@given(packets(), CONSENTS)
def test_nothing_of_a_kind_that_is_left_out_is_anywhere_and_the_rest_is_all_there(loaded, consent):
    newest = {source: each.resources[source] for each in loaded for source in each.resources if source != "Patient/p"}
    home = {source for source, resource in newest.items() if not kinds_of(resource) <= consent.kinds}
    made = outputs(all_consented(loaded, consent), consent)
    for each in loaded:
        for source, resource in each.resources.items():
            if source != "Patient/p" and (source in home or not kinds_of(resource) <= consent.kinds):
                [own, *inside] = {resource["valueString"]}, *resource.get("contained", [])
                for where, text in made.items():
                    assert not any(canary in text for canary in own), (where, source)
                    assert not any(one["valueString"] in text for one in inside), (where, source)
    for source in home:
        assert all(f'"{source}' not in text for text in made.values()), source
    there = stored.together(loaded)
    for source in there.keys() - home - {"Patient/p"}:
        assert newest[source]["valueString"] in made["resources"] and newest[source]["valueString"] in made["summary"]
        assert source in made["facts"]
    for kind in consent.left_home:
        for where in ("facts", "summary", "rendition", "manifests"):
            assert LEFT_HOME[kind] in made[where] and "whether there are any is not said" in made[where], (where, kind)


@settings(max_examples=50, deadline=None)
@given(packets(), CONSENTS)
def test_one_packet_as_it_is_sent_is_cut_by_the_same_rule(loaded, consent):
    sent = consented(loaded[-1], consent)
    assert set(sent.resources) == {
        source
        for source, each in loaded[-1].resources.items()
        if source == "Patient/p" or kinds_of(each) <= consent.kinds
    }
    assert {each.why for each in sent.manifest.waived} == ({BY_THE_PATIENT} if consent.left_home else set())
    assert [each.source for each in sent.manifest.withdrawn] == [
        each.source for each in loaded[-1].manifest.withdrawn
    ], "what takes something back goes in any case"


def test_without_a_limit_the_packets_are_the_same():
    loaded = [packet(1, [record(1, "Condition", "x")], [])]
    assert all_consented(loaded, None) == all_consented(loaded, Consent(Said.GIVEN)) == loaded


def test_a_record_that_is_labeled_later_is_in_no_packet_any_more_and_what_takes_it_back_is_not_named():
    first, later = record(1, "Condition", "unlabeled"), record(1, "Condition", "labeled", LABELS[0])
    loaded = [packet(1, [first], []), packet(2, [later], []), packet(3, [], ["Condition/r1"])]
    consent = Consent(Said.GIVEN, frozenset(RecordKind) - {RecordKind.SENSITIVE})
    made = all_consented(loaded, consent)
    assert all("Condition/r1" not in each.resources for each in made)
    assert "Condition/r1" not in str([each.manifest for each in made])
