"""A patient's medications as the chart has them, and what people say of them; for pages, API and commands."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.payloads import Payloads
from integration.store import audit, medication_reviews, requests
from integration.store import packets as packet_rows
from integration.store.medication_reviews import ReviewRow
from integration.store.operations import NotPossible
from mappings.medications import TYPES, Informant, MedicationList, What, Word, medications
from mappings.model.consent import Consent, RecordKind

READ = (*TYPES, "Medication")
MAX_WORDS = 500


@dataclass(frozen=True)
class Shown:
    """The list of the newest packets; ``as_of`` is when they were gathered, "" before anything was. ``review``: the newest.

    ``limit``: the consent within which it is read. Then what was said is there only of medications that are there.
    """

    request_id: str
    listed: MedicationList
    as_of: str
    review: ReviewRow | None
    limit: Consent | None = None

    @property
    def left_out(self) -> tuple[RecordKind, ...]:
        """The kinds of record that are not in it by the patient's choice."""
        return self.limit.left_home if self.limit else ()

    @property
    def is_confirmed(self) -> bool:
        """Somebody went through exactly this list."""
        return self.review is not None and self.review.list_sha256 == self.listed.sha256

    @property
    def said(self) -> dict[str, Word]:
        """What was last said, by key; also of medications that the chart no longer has."""
        words = self.review.as_said.words if self.review else ()
        if not self.left_out:
            return {each.key: each for each in words}
        there = {each.source for entry in self.listed.entries for each in entry.sources}
        return {each.key: each for each in words if there.issuperset(each.sources)}


def shown(
    engine: Engine,
    payloads: Payloads,
    request_id: str,
    *,
    actor: str,
    reason: str | None = None,
    limit: Consent | None = None,
) -> Shown:
    """The list; the look of ``actor`` is recorded first. Raises UnknownRequest, and ExchangeError when a packet cannot be read."""
    with engine.begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, actor, "medications.looked-at", request_id, reason=reason)
    return read(engine, payloads, request_id, limit)


def read(engine: Engine, payloads: Payloads, request_id: str, limit: Consent | None = None) -> Shown:
    """The same for the Exchange itself, which shows it to nobody."""
    with engine.begin() as conn:
        rows = packet_rows.of_request(conn, request_id)
        reviews = medication_reviews.of_request(conn, request_id)
    if limit is not None and RecordKind.MEDICATIONS in limit.left_home:
        reviews = []
    loaded = all_consented([packets.load(payloads, row.manifest_sha256) for row in rows], limit)
    as_of = loaded[-1].manifest.gathered_at if loaded else ""
    return Shown(request_id, medications(_records(loaded)), as_of, reviews[-1] if reviews else None, limit)


def review(
    engine: Engine,
    payloads: Payloads,
    request_id: str,
    *,
    after: int,
    list_sha256: str,
    informant: str,
    said: dict[str, tuple[str, str]],
    also: list[str],
    actor: str,
) -> ReviewRow:
    """Keep what was said of each medication (``{key: (what, words)}``) and which are taken beside them.

    Raises NotPossible when the chart has another list meanwhile, somebody else was first, or something cannot be understood.
    """
    if informant not in Informant.__members__.values():
        raise NotPossible("Say whose word it is: the patient's, a family member's or the practice's.")
    with engine.connect() as conn:
        requests.get(conn, request_id)
    listed = read(engine, payloads, request_id).listed
    if listed.sha256 != list_sha256:
        raise NotPossible(
            "The chart has other medications now than when you looked: nothing was kept. Go through the list as it is now."
        )
    words = [*_of_entries(listed, said), *map(Word.also, dict.fromkeys(each.strip() for each in also if each.strip()))]
    if any(len(each.words) > MAX_WORDS for each in words):
        raise NotPossible(f"At most {MAX_WORDS} characters for each medication; put longer ones into the questions.")
    if not words:
        raise NotPossible("Say of at least one medication whether it is taken.")
    with engine.begin() as conn:
        return medication_reviews.add(
            conn, request_id, after, list_sha256, Informant(informant), tuple(words), actor=actor
        )


def _of_entries(listed: MedicationList, said: dict[str, tuple[str, str]]) -> Iterator[Word]:
    entries = {each.key: each for each in listed.entries}
    if strange := said.keys() - entries.keys():
        raise NotPossible(f"The list has no medication with the key {min(strange)[:80]}.")
    for key, (what, words) in said.items():
        if what not in (What.TAKING, What.NOT_TAKING, What.DIFFERENTLY):
            raise NotPossible("Of a medication one says taking, not-taking or differently.")
        if what == What.DIFFERENTLY and not words.strip():
            raise NotPossible("Say in words how it is taken differently.")
        yield Word.of(entries[key], What(what), words.strip() if what == What.DIFFERENTLY else "")


def _records(loaded: list[packets.Packet]) -> Iterator[dict]:
    """Those that the list is made of, each as the newest packet has it."""
    for source, packet in packets.together(loaded).items():
        if source.partition("/")[0] in READ:
            yield packet.resources[source]
