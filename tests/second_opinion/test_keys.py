"""`second-opinion keys`: made, rotated, listed and retired; the public half is where vendors fetch it, the private one nowhere."""

import json

import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.site import Site


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text("data_dir: data\n")

    def _run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "keys", *words])
        assert result.exit_code == code, result.output
        return result.output

    return _run


def test_keys_are_made_rotated_listed_and_retired_without_a_database(run, tmp_path):
    assert run("list") == "no keys yet\n"
    made = json.loads(run("new", "production", "--json"))
    assert made["address"] == "http://127.0.0.1:8080/.well-known/jwks/production.json"
    assert "there are keys production already" in run("new", "production", code=1)
    assert "there is no key test" in run("rotate", "test", code=1)
    run("rotate", "production")
    first, second = json.loads(run("list", "--json"))
    assert (first["signs_now"], second["signs_now"]) == (True, False) and second["algorithm"] == "RS384"
    assert "signs now: rotate first" in run("retire", "production", first["kid"], code=1)
    run("retire", "production", second["kid"])
    assert "letters, digits" in run("new", "../etc", code=1)
    assert not list(tmp_path.glob("etc*"))


def test_only_the_public_half_is_published_at_an_address_for_each_name(run, tmp_path, database):
    site = Site(tmp_path, database)
    for name in ("production", "test"):
        run("new", name, "--algorithm", "ES384")
    answer = site.client.get("/.well-known/jwks/production.json")
    [key] = answer.json["keys"]
    assert answer.status_code == 200 and key["alg"] == "ES384" and "d" not in key and key["use"] == "sig"
    assert "max-age" in answer.headers["Cache-Control"]
    assert len(site.client.get("/.well-known/jwks.json").json["keys"]) == 2
    for name in ("nobody", "..", "%2e%2e"):
        assert site.client.get(f"/.well-known/jwks/{name}.json").status_code == 404
