"""The section `alerts`: what is right is understood, each mistake is a sentence with its line, and no secret stands in it."""

from pathlib import Path

import pytest

from integration.settings.config import load_config
from mappings.model.alarms import RULES
from mappings.model.errors import ConfigError

ROOT = Path(__file__).parents[3]

GOOD = """\
alerts:
  for_minutes: 3
  ca_file: ca.pem
  smtp:
    host: mail.example.org
    user: exchange
    password_file: smtp-password
    from_address: exchange@example.org
  send_to:
    - name: on-call
      email: on-call@example.org
      rules: [endpoint-down, deadline_late]
    - name: pager
      webhook: https://pager.example.org/hooks/1?team=a
      secret_env: PAGER_SECRET
      min_interval_minutes: 0
  rules:
    failure_rate: {share: 0.2, minimum_attempts: 5, window_minutes: 10}
    loop_open: {enabled: false}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str, **environ: str):
        for name in ("ca.pem", "smtp-password"):
            (tmp_path / name).write_text("x")
        (tmp_path / "config.yaml").write_text(text)
        return load_config(tmp_path / "config.yaml", environ)

    return load


def sentences(load, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, **environ)
    return [f"{mistake.line}: {mistake.path}: {mistake.message}" for mistake in caught.value.mistakes]


def test_it_is_understood(load, tmp_path):
    alerts = load(GOOD, PAGER_SECRET="x", SECOND_OPINION_DATA_DIR=str(tmp_path)).alerts
    on_call, pager = alerts.send_to
    assert (on_call.channel, on_call.rules, on_call.min_interval_minutes) == (
        "e-mail",
        ("endpoint-down", "deadline-late"),
        15,
    )
    assert (pager.channel, pager.rules, pager.min_interval_minutes) == ("webhook", None, 0)
    assert (alerts.smtp.port, alerts.smtp.security, alerts.smtp.password_file) == (
        587,
        "starttls",
        str(tmp_path / "smtp-password"),
    )
    assert alerts.ca_file == tmp_path / "ca.pem"
    assert (alerts.rules.failure_rate.share, alerts.rules.loop_open.enabled, alerts.rules.parked.enabled) == (
        0.2,
        False,
        True,
    )


def test_without_it_every_rule_is_on_and_nobody_is_told(load):
    alerts = load("data_dir: data\n").alerts
    assert alerts.send_to == () and alerts.smtp is None
    assert all(getattr(alerts.rules, name).enabled for name in type(alerts.rules).model_fields)


SMTP = "  smtp: {host: mail.example.org, from_address: a@example.org}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "  send_to: [{name: a, email: a@example.org}]\n",
            "2: alerts.send_to[0].email: needs `alerts.smtp`, the mail server that takes it",
        ),
        (
            SMTP + "  send_to:\n    - {name: a, email: a@example.org}\n    - {name: a, email: b@example.org}\n",
            "5: alerts.send_to[1].name: is the name of two recipients; each needs its own",
        ),
        (
            "  send_to: [{name: a}]\n",
            "2: alerts.send_to[0]: needs exactly one of `email`, `webhook`, `webhook_file` and `webhook_env`",
        ),
        (
            SMTP + "  send_to: [{name: a, email: not an address}]\n",
            "alerts.send_to[0].email: must be one e-mail address",
        ),
        (SMTP + "  send_to: [{name: a, email: 'a@example.org, b@example.org'}]\n", "must be one e-mail address"),
        (SMTP + '  send_to: [{name: a, email: "a@example.org\\nBcc: b@example.org"}]\n', "must be one e-mail address"),
        (SMTP + "  send_to: [{name: a, email: a@example.org, secret_env: X}]\n", "signs nothing by e-mail"),
        (
            "  send_to: [{name: a, webhook: http://pager.example.org/}]\n",
            "must begin with https://; http is only for a program on this machine",
        ),
        (
            "  send_to: [{name: a, webhook: 'https://me:pw@pager.example.org/'}]\n",
            "must not hold a user name or a password",
        ),
        (
            "  send_to: [{name: a, webhook_env: NOT_SET}]\n",
            "2: alerts.send_to[0].webhook_env: names an environment variable that is not set",
        ),
        (
            "  send_to: [{name: a, webhook: 'https://x.org', secret_file: nowhere}]\n",
            "secret_file: names a file that does not exist",
        ),
        ("  send_to: [{name: a, webhook: 'https://x.org', secret_file: a, secret_env: b}]\n", "not both"),
        (
            "  send_to: [{name: a, webhook: 'https://x.org', rules: [endpoint-dwn]}]\n",
            "2: alerts.send_to[0].rules[0]: is not a rule; did you mean `endpoint-down`?",
        ),
        ("  send_to: [{name: a, webhook: 'https://x.org', rules: []}]\n", "must not be empty"),
        (
            "  send_to: [{name: 'a b', webhook: 'https://x.org'}]\n",
            "alerts.send_to[0].name: is not of the expected form",
        ),
        (
            "  smtp: {host: mail.example.org, security: none, from_address: a@example.org}\n",
            "2: alerts.smtp: with `security: none` is only for",
        ),
        (
            "  smtp: {host: mail.example.org, user: x, from_address: a@example.org}\n",
            "needs `user` together with one of `password_file`",
        ),
        (
            "  smtp: {host: mail.example.org, password_env: HOME, from_address: a@example.org}\n",
            "needs `user` together with",
        ),
        (
            "  smtp: {host: mail.example.org, password: hunter2, from_address: a@example.org}\n",
            "alerts.smtp.password: is a secret",
        ),
        (
            "  smtp: {host: mail.example.org, user: x, password_file: nowhere, from_address: a@example.org}\n",
            "names a file that does not exist",
        ),
        (
            "  rules: {parked: {older_minutes: 5}}\n",
            "2: alerts.rules.parked.older_minutes: is not a key here; did you mean `older_than_minutes`?",
        ),
        ("  rules: {failure_rate: {share: 1.5}}\n", "alerts.rules.failure_rate.share: must be at most 1"),
        ("  remind_hours: soon\n", "2: alerts.remind_hours: must be a whole number"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(load, text, says):
    found = sentences(load, f"alerts:\n{text}")
    assert any(says in sentence for sentence in found), found
    assert not any("hunter2" in sentence for sentence in found)


def test_a_variable_that_is_named_is_one_of_ours(load):
    text = "alerts:\n  send_to: [{name: a, webhook_env: SECOND_OPINION_CHAT}]\n"
    assert (
        load(text, SECOND_OPINION_CHAT="https://chat.example.org/x").alerts.send_to[0].webhook_env
        == "SECOND_OPINION_CHAT"
    )


@pytest.mark.parametrize("rule", [*RULES.values()], ids=lambda rule: rule.name)
def test_each_rule_says_what_it_is_of_one_and_of_many(rule):
    assert "{subject}" in rule.one or rule.name == "database-away"
    assert "{n}" in rule.many and rule.says[0].islower() and not rule.says.endswith(".")
    assert f"`{rule.name}`" in (ROOT / "docs" / "how-to" / "alerts.md").read_text(encoding="utf-8")
