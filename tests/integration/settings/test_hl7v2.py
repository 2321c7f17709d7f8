"""The section `hl7v2` of an endpoint: what it takes, and each mistake in it as a sentence with its line."""

import pytest

from integration.settings.config import load_config
from mappings.model.errors import ConfigError

GOOD = """\
endpoints:
  hill:
    base_url: https://hill.example.org/fhir
    role: placer
    profile: meditech
    hl7v2:
      host: engine.hill.example.org
      port: 2575
      sending_facility: EXCHANGE^2.16.840.1^ISO
      receiving_application: EHR
      receiving_facility: HILL
"""


def load(tmp_path, text: str):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path, {})


def test_it_says_how_a_message_is_made(tmp_path):
    text = (
        GOOD
        + "      version: 2.3\n      acknowledgment: enhanced\n      events: {replacement: T08, retraction: null}\n"
    )
    engine = load(tmp_path, text).endpoints["hill"].hl7v2
    assert engine is not None and engine.encryption == "tls"
    habits = engine.habits(("urn:mrn",))
    assert habits.version == "2.3"
    assert habits.acknowledgments == ("AL", "AL") and habits.patient_systems == ("urn:mrn",)
    assert habits.events == {"original": "T02", "replacement": "T08"} and habits.sending_facility.startswith("EXCHANGE")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("port: 2575", "port: 70000", 8, "must be at most 65,535"),
        ("engine.hill.example.org", "engine.hill.example.org:2575", 7, "without a port"),
        ("      receiving_application: EHR\n", "", 6, "is missing"),
        ("receiving_facility: HILL", "receiving_facility: HI|LL", 11, "expected form"),
        ("receiving_facility: HILL", 'receiving_facility: HILL\n      version: "2.9"', 12, "`2.3`"),
        ("receiving_facility: HILL", "receiving_facility: HILL\n      character_set: utf-8", 12, "`UNICODE UTF-8`"),
        ("receiving_facility: HILL", "receiving_facility: HILL\n      tls: {ca_file: gone.pem}", 12, "names a file that does not exist"),
        ("receiving_facility: HILL", "receiving_facility: HILL\n      tls: {certificate_file: gone.pem}", 12, "belong together"),
        ("profile: meditech", "profile: meditech\n    roads: [download]", 7, "has no use"),
        ("profile: meditech", "profile: generic", 6, "has no use"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_with_its_line(tmp_path, old, new, line, words):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert f":{line}: endpoints.hill" in str(caught.value) and words in str(caught.value)


def test_the_road_needs_its_section(tmp_path):
    text = GOOD.partition("    hl7v2:")[0] + "    roads: [fhir-document, hl7v2]\n"
    with pytest.raises(ConfigError, match=r"config.yaml:6: endpoints.hill.roads\[1\]: needs the section `hl7v2`"):
        load(tmp_path, text)


LISTEN = "      listen: {host: 127.0.0.1, port: 2576, encryption: none, sending_facility: HILL, order_system: 'urn:hill:orders'}\n"


def test_orders_come_one_way(tmp_path):
    assert load(tmp_path, GOOD + LISTEN).endpoints["hill"].hl7v2.listen.port == 2576
    with pytest.raises(
        ConfigError, match="12: endpoints.hill.hl7v2.listen: brings its orders here, and they are polled too"
    ):
        load(tmp_path, GOOD.replace("profile: meditech", "profile: generic") + LISTEN)
    with pytest.raises(ConfigError, match="needs `tls.certificate_file` and `tls.key_file`"):
        load(tmp_path, GOOD + LISTEN.replace("encryption: none, ", ""))
    second = (GOOD + LISTEN).replace("endpoints:\n", "").replace("hill", "other")
    with pytest.raises(ConfigError, match="is also the port of `hill`; each needs its own"):
        load(tmp_path, GOOD + LISTEN + second)
