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
