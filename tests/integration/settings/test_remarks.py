"""What `check config` and `serve` say of a configuration that is right."""

from integration.settings.config import load_config
from integration.settings.remarks import remarks

RIGHT = """\
hosted: [{practice: a, name: A}, {practice: b, name: B}]
endpoints:
  a: {base_url: "hosted:a", role: placer, name: A, identifier_system: "urn:a", default_fulfiller: b, contact: Desk A}
  b: {base_url: "hosted:b", role: fulfiller, name: B, identifier_system: "urn:b"%s}
%s
"""
TOLD = "alerts: {send_to: [{name: ops, webhook: 'https://ops.example/hook'}]}"


def said(tmp_path, contact: str, alerts: str) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(RIGHT % (contact, alerts))
    return " ".join(remarks(load_config(path, {})))


def test_an_endpoint_with_nobody_to_call_and_alarms_told_to_nobody_are_remarked(tmp_path):
    assert said(tmp_path, ", contact: Desk B", TOLD) == ""
    alone = said(tmp_path, "", "")
    assert "endpoints.b.contact is not set" in alone and "endpoints.a" not in alone
    assert "alerts.send_to names nobody" in alone


def test_the_road_to_athenahealth_without_its_settings_is_remarked(tmp_path):
    assert "athena" not in said(tmp_path, ", contact: Desk B", TOLD)
    path = tmp_path / "config.yaml"
    for settings, words in (
        ("", "endpoints.c.athena is not set"),
        (", athena: {practice_id: 1, department_id: 1}", ""),
    ):
        clinic = "  c: {base_url: 'https://c.example/fhir/r4', role: placer, contact: C, profile: athenahealth%s}\n"
        path.write_text((RIGHT % (", contact: Desk B", TOLD)).replace("alerts:", clinic % settings + "alerts:"))
        found = " ".join(remarks(load_config(path, {})))
        assert words in found and bool(words) == bool(found)
