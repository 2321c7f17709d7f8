"""What is said of where records came from: each once, created, corrected, taken back, and nothing of the chart itself."""

from mappings.elsewhere import beginning, name_of
from mappings.model.packet import Manifest, ManifestItem
from mappings.record_origins import MOST, Sent, origins

PLACES = {beginning(1): "Mercy Lab", beginning(12): "Other Lab", "received-aa": "a courier"}


def packet(*names: str, withdrawn: dict[str, str] | None = None) -> Manifest:
    items = [ManifestItem(source=each, size=1, sha256="0") for each in names]
    items += [
        ManifestItem(source=each, size=1, sha256="0", kind="withdrawn", why=why)
        for each, why in (withdrawn or {}).items()
    ]
    about = dict(packet_id="p", request_id="r", source_endpoint="alice", identifier_system="urn:a", patient="Patient/1")
    return Manifest(**about, gathered_at="2026-03-02T08:00:00Z", items=tuple(items))


def sent(version: int, manifest: Manifest, without: str = "") -> Sent:
    return Sent(
        version, manifest, {each.source: f"{each.source}-there" for each in manifest.items if each.source != without}
    )


ONE, TWO = (name_of(1, f"Observation/{number}") for number in (1, 2))
OF_ANOTHER = name_of(12, "Observation/1")
HANDED_IN = "DocumentReference/received-aa"


def test_each_place_is_told_once_of_what_it_gave_and_the_chart_is_not():
    said = list(origins([sent(1, packet("Condition/1", ONE, TWO, OF_ANOTHER, HANDED_IN))], PLACES))
    assert [(each.came_from, each.activity.code, each.targets) for each in said] == [
        ("Mercy Lab", "CREATE", (f"{ONE}-there", f"{TWO}-there")),
        ("Other Lab", "CREATE", (f"{OF_ANOTHER}-there",)),
        ("a courier", "CREATE", (f"{HANDED_IN}-there",)),
    ]
    assert len({each.name for each in said}) == 3 and "accepted" in said[2].activity.words


def test_what_goes_again_was_corrected_and_what_is_taken_back_says_why():
    first, second = packet(ONE, TWO), packet(ONE, withdrawn={TWO: "it was deleted at its source"})
    corrected, gone = list(origins([sent(1, first), sent(2, second)], PLACES))[1:]
    assert (corrected.activity.code, corrected.targets) == ("UPDATE", (f"{ONE}-there",))
    assert (gone.activity.code, gone.activity.words) == ("NULLIFY", "it was deleted at its source")
    assert (gone.version, gone.targets) == (2, (f"{TWO}-there",))


def test_what_the_consultant_has_itself_is_nobodys_to_tell():
    assert not list(origins([sent(1, packet(ONE), without=ONE), sent(2, packet(withdrawn={ONE: "gone"}))], PLACES))


def test_many_are_said_in_several_of_names_that_stay():
    names = [name_of(1, f"Observation/{number}") for number in range(MOST + 1)]
    said = [each for _ in range(2) for each in origins([sent(1, packet(*names))], PLACES)]
    assert [len(each.targets) for each in said] == [MOST, 1, MOST, 1] and said[:2] == said[2:]
    assert len({each.name for each in said}) == 2
