"""config.yaml: what is right is understood, what is wrong is said all at once, with line, path and a right value."""

import dataclasses
import pickle
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.settings.config import Config, Endpoint, SmartBackendServices, load_config
from mappings.model.capabilities import DECIDED_NOTHING
from mappings.model.delivery import RetryPolicy
from mappings.model.errors import ConfigError, Mistake

EXAMPLE = Path(__file__).parents[3] / "config.yaml"
GOOD = """\
data_dir: data
hosted:
  - practice: hillside
    name: Hillside
endpoints:
  hillside:
    base_url: hosted:hillside
    role: placer
    default_fulfiller: university
  university:
    base_url: https://fhir.university.example.org/r4/
    role: fulfiller
"""


@pytest.fixture
def write(tmp_path: Path):
    """Writes a config.yaml and gives its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def mistakes_of(path: Path | None, environ: dict[str, str] | None = None) -> list[Mistake]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ or {})
    return caught.value.mistakes


def test_it_loads_a_good_file(write) -> None:
    path = write(GOOD)
    config = load_config(path, {})
    hillside, university = config.endpoints["hillside"], config.endpoints["university"]
    assert (hillside.key, hillside.name, hillside.base_url) == (
        "hillside",
        "hillside",
        "http://127.0.0.1:8080/fhir/hillside",
    )
    assert (university.base_url, university.identifier_system) == ("https://fhir.university.example.org/r4",) * 2
    assert (university.auth, university.accepts, university.patients) == ("none", "documents", "match")
    assert (hillside.is_placer, hillside.is_fulfiller, university.is_placer) == (True, False, False)
    assert config.data_dir == path.parent / "data"
    assert config.payloads.url == str(path.parent / "data" / "payloads")
    assert config.database.url is None


def test_the_configuration_that_comes_with_the_project_brings_up_two_practices() -> None:
    config = load_config(EXAMPLE, {})
    assert list(config.endpoints) == ["hillside", "university-hospital"]
    assert [each.hosted_practice for each in config.endpoints.values()] == [each.practice for each in config.hosted]
    assert all("127.0.0.1" not in each.identifier_system and each.contact for each in config.endpoints.values())
    assert config.endpoints["hillside"].local_codes[0].code == "2ND-OP"
    assert config.retry.max_attempts == 12


def test_it_has_the_defaults_of_the_retry_policy() -> None:
    retry = Config().retry
    assert isinstance(retry, RetryPolicy)
    assert dataclasses.asdict(retry) == dataclasses.asdict(RetryPolicy())


def test_by_default_a_dead_workers_steps_are_due_again_within_30_seconds() -> None:
    config = Config()
    assert config.engine.lease_seconds + config.schedules.dispatch_seconds < 30


def test_it_is_frozen_and_travels_to_other_processes(write) -> None:
    config = load_config(write(GOOD), {})
    with pytest.raises(ValueError, match="frozen"):
        config.data_dir = Path("/elsewhere")
    assert pickle.loads(pickle.dumps(config)) == config


def test_it_reaches_a_hosted_practice_over_an_ipv6_loopback(write) -> None:
    config = load_config(write(GOOD + 'web: {host: "::1", port: 9000}\n'), {})
    assert config.endpoints["hillside"].base_url == "http://[::1]:9000/fhir/hillside"


def test_beyond_loopback_it_needs_sign_in_and_a_tls_proxy_and_reaches_itself_by_loopback(write) -> None:
    web = 'web: {host: 0.0.0.0, sign_in: required, public_url: "https://exchange.example.org/"}\n'
    config = load_config(write(GOOD + web), {})
    assert (config.web.host, config.web.public_url) == ("0.0.0.0", "https://exchange.example.org")
    assert config.endpoints["hillside"].base_url == "http://127.0.0.1:8080/fhir/hillside"
    assert config.endpoints["hillside"].hosted_practice == "hillside"


def test_one_server_may_stand_as_placer_and_as_fulfiller() -> None:
    one = {"base_url": "https://a.example.org", "role": "placer"}
    config = Config.model_validate({"endpoints": {"asks": one, "answers": {**one, "role": "fulfiller"}}})
    assert config.endpoints["asks"].identifier_system == config.endpoints["answers"].identifier_system


def test_it_names_endpoints_given_as_objects() -> None:
    endpoint = Endpoint(base_url="http://127.0.0.1:1/fhir/", role="both")
    assert Config(endpoints={"clinic": endpoint}).endpoints["clinic"].key == "clinic"


class TestEnvironment:
    def test_it_names_the_file(self, write) -> None:
        path = write(GOOD)
        assert load_config(None, {"SECOND_OPINION_CONFIG": str(path)}) == load_config(path, {})

    def test_it_looks_in_the_current_folder_last(self, write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(write(GOOD).parent)
        assert "hillside" in load_config(None, {}).endpoints

    def test_it_overrides_database_and_folder(self, write, tmp_path: Path) -> None:
        environ = {
            "SECOND_OPINION_DATABASE_URL": "postgresql://me:secret@db/x",
            "SECOND_OPINION_DATA_DIR": str(tmp_path / "there"),
            "SECOND_OPINION_DATA": "/charts",
            "HOME": "/",
        }
        config = load_config(write(GOOD + "database: {url: postgresql://other/x}\n"), environ)
        assert config.database.url == "postgresql://me:secret@db/x"
        assert config.data_dir == tmp_path / "there"
        assert config.payloads.url == str(tmp_path / "there" / "payloads")

    def test_it_never_prints_the_address_with_its_password(self, write) -> None:
        config = load_config(write(GOOD), {"SECOND_OPINION_DATABASE_URL": "postgresql://me:hunter2@db/x"})
        assert "hunter2" not in repr(config) + str(config)

    def test_it_says_that_a_variable_is_misspelled(self, write) -> None:
        [mistake] = mistakes_of(write(GOOD), {"SECOND_OPINION_DATABASE_URI": "hunter2"})
        assert str(mistake) == (
            "environment: SECOND_OPINION_DATABASE_URI: is not a setting; did you mean `SECOND_OPINION_DATABASE_URL`?"
        )

    def test_it_says_that_a_variable_is_wrong_without_its_value(self, write) -> None:
        [mistake] = mistakes_of(write(GOOD), {"SECOND_OPINION_DATABASE_URL": "mysql://me:hunter2@db/x"})
        assert (mistake.file, mistake.path) == ("environment", "SECOND_OPINION_DATABASE_URL")
        assert "hunter2" not in mistake.message

    def test_it_says_so_when_the_database_key_itself_is_wrong_beside_it(self, write) -> None:
        assert [
            mistake.path
            for mistake in mistakes_of(
                write(GOOD + "database: 5\n"), {"SECOND_OPINION_DATABASE_URL": "postgresql://db/x"}
            )
        ] == ["database"]

    def test_an_empty_variable_counts_as_unset(self, write) -> None:
        environ = dict.fromkeys(("SECOND_OPINION_DATABASE_URL", "SECOND_OPINION_DATA_DIR"), "")
        assert load_config(write(GOOD), environ) == load_config(write(GOOD), {})


class TestSecrets:
    def test_the_database_address_may_stand_in_a_file(self, write, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("postgresql://me:hunter2@db/x\n")
        config = load_config(write(GOOD + "database: {url_file: url}\n"), {})
        assert config.database.url == "postgresql://me:hunter2@db/x"

    @pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("mysql://x", "does not hold an address")])
    def test_it_refuses_a_file_that_holds_none(self, write, tmp_path: Path, content: str | None, said: str) -> None:
        if content:
            (tmp_path / "url").write_text(content)
        [mistake] = mistakes_of(write(GOOD + "database: {url_file: url}\n"))
        assert (mistake.path, mistake.line) == ("database.url_file", 13) and said in mistake.message

    def test_a_key_comes_from_a_file_beside_the_configuration(self, write, tmp_path: Path) -> None:
        (tmp_path / "key.pem").write_text("synthetic")
        auth = "    auth: {type: smart-backend-services, client_id: us, private_key_file: key.pem}\n"
        auth_read = load_config(write(GOOD + auth), {}).endpoints["university"].auth
        assert isinstance(auth_read, SmartBackendServices)
        assert auth_read.private_key_file == str(tmp_path / "key.pem")

    def test_a_key_comes_from_a_variable_of_any_name(self, write) -> None:
        auth = "    auth: {type: smart-backend-services, client_id: us, private_key_env: SECOND_OPINION_UNI_KEY}\n"
        path = write(GOOD + auth)
        assert load_config(path, {"SECOND_OPINION_UNI_KEY": "synthetic"}).endpoints["university"].auth != "none"
        [mistake] = mistakes_of(path)
        assert mistake.message == "names an environment variable that is not set"


E = "endpoints:\n  clinic:\n    base_url: https://clinic.example.org\n    role: both\n"
TWO = E + "  other:\n    base_url: https://other.example.org\n    role: {role}\n"
SMART = E + "    auth:\n      type: smart-backend-services\n      client_id: us\n"
BILLION = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

# text, line, path, what is said
CLEAR = "web: {sign_in: required, public_url: 'https://exchange.example.org', "
CORPUS = {
    "empty": ("", None, "", "is empty"),
    "only comments": ("# nothing\n", None, "", "is empty"),
    "a list": ("- a\n", 1, "", "must be a group of keys"),
    "a word": ("hello\n", 1, "", "must be a group of keys"),
    "not UTF-8": (b"data_dir: x\nexchange: {name: \xff}\n", 2, "", "not UTF-8"),
    "UTF-16": ("data_dir: x\n".encode("utf-16"), 1, "", "not UTF-8"),
    "NUL byte": (b"data_dir: x\n\n# \x00\n", 3, "", "NUL byte"),
    "NUL escape": ('exchange: {name: "a\\0b"}\n', 1, "exchange.name", "control character"),
    "escape character": (b"data_dir: \x1b[31m\n", 1, "", "control character (U+001B)"),
    "half a character": ('exchange: {name: "\\ud83d"}\n', 1, "exchange.name", "half of a character"),
    "too large": ("#" + "x" * 1_000_001, None, "", "larger than"),
    "tab": ("web:\n\tport: 1\n", 2, "", "a tab is used for indentation; use spaces"),
    "open quote": ('data_dir: "x\nweb: {}\n', 1, "", "a quote is opened here and not closed"),
    "open bracket": ("web: {port: 1\n", 1, "", "a bracket is opened here"),
    "colon in text": ("exchange:\n  name: Clinic: North\n", 2, "", "needs quotes"),
    "at sign": ("data_dir: @x\n", 1, "", "needs quotes"),
    "indentation": ("web:\n    port: 1\n  host: localhost\n", 3, "", "indentation"),
    "two documents": ("data_dir: x\n---\ndata_dir: y\n", 2, "", "a second document"),
    "anchor bomb": (BILLION, 1, "a", "anchors (&name) and aliases (*name) are not used here"),
    "alias": ("data_dir: *x\n", 1, "data_dir", "aliases"),
    "merge key": (E + "    <<: *x\n", 5, "endpoints.clinic.<<", "aliases"),
    "tag": ("data_dir: !!python/object:os.system x\n", 1, "data_dir", "tags"),
    "too deep": ("data_dir: " + "[" * 40 + "]" * 40, 1, "data_dir[0][0][0]", "nested deeper"),
    "very deep": ("data_dir: " + "[" * 20_000, 1, "data_dir[0][0][0]", "nested deeper"),
    "complex key": ("? [a]\n: b\n", 1, "", "a key must be a word"),
    "key twice": ("data_dir: x\nweb: {}\ndata_dir: y\n", 3, "data_dir", "is written twice (first on line 1); keep one"),
    "endpoint twice": (E + "  clinic: {}\n", 5, "endpoints.clinic", "is written twice (first on line 2)"),
    "unknown key": (E + "    baseurl: x\n", 5, "endpoints.clinic.baseurl", "did you mean `base_url`?"),
    "camel case": (E + "    defaultFulfiller: x\n", 5, "endpoints.clinic.defaultFulfiller", "`default_fulfiller`?"),
    "unknown section": ("endpoint: {}\n", 1, "endpoint", "did you mean `endpoints`?"),
    "far from any": (
        E + "    colour: x\n",
        5,
        "endpoints.clinic.colour",
        "the keys are `base_url`, `also_known_as`, ",
    ),
    "one level up": (E + "    concurrency: 3\n", 5, "endpoints.clinic.concurrency", "it belongs under `limits`"),
    "retry key": ("retry:\n  max_attempt: 3\n", 2, "retry.max_attempt", "did you mean `max_attempts`?"),
    "key of an endpoint": (E + "    key: x\n", 5, "endpoints.clinic.key", "the word above"),
    "missing": (
        "endpoints:\n  clinic:\n    role: both\n",
        2,
        "endpoints.clinic.base_url",
        "is missing; for example `base_url: https://fhir.example.org/r4`",
    ),
    "empty endpoint": ("endpoints:\n  clinic:\n", 2, "endpoints.clinic", "must be a group of keys"),
    "endpoints as list": ("endpoints:\n  - base_url: x\n", 1, "endpoints", "must be a group of keys"),
    "hosted as group": ("hosted:\n  practice: x\n", 1, "hosted", "must be a list"),
    "bad endpoint name": (
        "endpoints:\n  my clinic: {base_url: 'https://a.example.org', role: both}\n",
        2,
        "endpoints.my clinic",
        "expected form: up to 63 letters, digits and . _ -",
    ),
    "role": (E.replace("both", "fulfiler"), 4, "endpoints.clinic.role", "did you mean `fulfiller`?"),
    "number in quotes": ('web:\n  port: "8080"\n', 2, "web.port", "without quotes or unit; for example `port: 8080`"),
    "unit": ("retry: {first_retry_seconds: 5s}\n", 1, "retry.first_retry_seconds", "must be a number"),
    "not whole": ("engine: {workers: 1.5}\n", 1, "engine.workers", "must be a whole number"),
    "true for a number": ("engine: {workers: true}\n", 1, "engine.workers", "must be a whole number"),
    "too small": ("engine: {workers: 0}\n", 1, "engine.workers", "must be at least 1"),
    "too large number": ("web: {port: 70000}\n", 1, "web.port", "must be at most 65,535"),
    "infinite": ("schedules: {watch_seconds: 1e999}\n", 1, "schedules.watch_seconds", "must be"),
    "boolean in quotes": (
        E + '    capabilities: {transaction: "false"}\n',
        5,
        "endpoints.clinic.capabilities.transaction",
        "must be true or false, without quotes",
    ),
    "boolean as no": (
        E + "    capabilities: {transaction: no}\n",
        5,
        "endpoints.clinic.capabilities.transaction",
        "must be true or false",
    ),
    "capability by number": (
        E + "    capabilities: {transaction: 1}\n",
        5,
        "endpoints.clinic.capabilities.transaction",
        "must be true or false",
    ),
    "page by flag": (
        E + "    capabilities: {max_page: true}\n",
        5,
        "endpoints.clinic.capabilities.max_page",
        "for example `max_page: 100`",
    ),
    "capability": (
        E + "    capabilities: {transactions: true}\n",
        5,
        "endpoints.clinic.capabilities.transactions",
        "did you mean `transaction`?",
    ),
    "date for text": ("exchange: {name: 2025-01-01}\n", 1, "exchange.name", "this is a date: put it in quotes"),
    "number for text": ("exchange: {name: 42}\n", 1, "exchange.name", "this is a number: put it in quotes"),
    "true for text": ("exchange: {name: true}\n", 1, "exchange.name", "this is true or false: put it in quotes"),
    "no such day": ("exchange: {name: 2025-02-30}\n", 1, "exchange.name", "not a day of the calendar"),
    "group for text": ("exchange: {name: {a: b}}\n", 1, "exchange.name", "must be text, not a list"),
    "empty text": ('exchange: {name: ""}\n', 1, "exchange.name", "must not be empty"),
    "empty folder": ('data_dir: ""\n', 1, "data_dir", "must not be empty"),
    "open host": (
        "web: {host: 0.0.0.0}\n",
        1,
        "web.host",
        "without `sign_in: required` whoever reaches them sees it; for example `host: 127.0.0.1`",
    ),
    "open proxy": (
        "web: {public_url: 'https://exchange.example.org'}\n",
        1,
        "web.public_url",
        "needs `sign_in: required`",
    ),
    "clear proxy": (
        "web: {sign_in: required, public_url: 'http://exchange.example.org'}\n",
        1,
        "web.public_url",
        "https://",
    ),
    "proxy path": (
        "web: {sign_in: required, public_url: 'https://example.org/exchange'}\n",
        1,
        "web.public_url",
        "no path",
    ),
    "clear host": ("web: {host: 0.0.0.0, sign_in: required}\n", 1, "web.host", "must not travel in the clear"),
    "clear host behind http": (
        "web: {host: 0.0.0.0, sign_in: required, public_url: 'http://localhost:8080'}\n",
        1,
        "web.host",
        "TLS proxy",
    ),
    "sign-in as flag": ("web: {sign_in: true}\n", 1, "web.sign_in", "must be `off` or `required`"),
    "proxy by name": ("web: {trusted_proxy: proxy.example.org}\n", 1, "web.trusted_proxy", "IP address"),
    "session without end": ("web: {session_hours: 0}\n", 1, "web.session_hours", "at least 1"),
    "hosted by another key": (
        E + "    hosted_practice: clinic\n",
        5,
        "endpoints.clinic.hosted_practice",
        "hosted:<practice>",
    ),
    "named host": ("web: {host: exchange.example.org}\n", 1, "web.host", "loopback"),
    "other scheme": (E.replace("https:", "ftp:"), 3, "endpoints.clinic.base_url", "http:// or https://"),
    "no scheme": (E.replace("https://", ""), 3, "endpoints.clinic.base_url", "http:// or https://"),
    "bad port": (E.replace(".org", ".org:port"), 3, "endpoints.clinic.base_url", "is not an address"),
    "white space": (
        E.replace("https://clinic", '"https://cli nic').replace(".org", '.org"'),
        3,
        "endpoints.clinic.base_url",
        "white space",
    ),
    "query": (E.replace(".org", ".org/fhir?apikey=hunter2"), 3, "endpoints.clinic.base_url", "a query"),
    "user in address": (
        E.replace("https://", "https://me:hunter2@"),
        3,
        "endpoints.clinic.base_url",
        "a user name or a password",
    ),
    "password in database": (
        "database:\n  url: postgresql://me:hunter2@db/x\n",
        2,
        "database.url",
        "SECOND_OPINION_DATABASE_URL",
    ),
    "password as parameter": (
        "database: {url: 'postgresql://db/x?password=hunter2'}\n",
        1,
        "database.url",
        "must not hold a password",
    ),
    "other database": ("database: {url: 'sqlite:///x'}\n", 1, "database.url", "form; for example `url: postgres"),
    "url and file": ("database: {url: 'postgresql://db/x', url_file: y}\n", 1, "database.url_file", "keep one"),
    "exchange system": (
        "exchange: {identifier_system: foo bar}\n",
        1,
        "exchange.identifier_system",
        "must be a URI without white space",
    ),
    "endpoint system": (
        E + "    identifier_system: not-a-uri\n",
        5,
        "endpoints.clinic.identifier_system",
        "must be a URI",
    ),
    "no such host": (CLEAR + "host: 300.1.1.1}\n", 1, "web.host", "must be an IP address or the name of this machine"),
    "unknown store": ("payloads: {url: 'foo://x/y'}\n", 1, "payloads.url", "of a kind that is not known"),
    "store without its library": (
        "payloads: {url: 'sftp://host/x'}\n",
        1,
        "payloads.url",
        "library that is not installed",
    ),
    "object store without its library": ("payloads: {url: 'oci://host/x'}\n", 1, "payloads.url", "pip install ocifs"),
    "key in payloads": ("payloads: {url: 's3://id:hunter2@bucket/x'}\n", 1, "payloads.url", "a key or a password"),
    "password key": (E + "    password: hunter2\n", 5, "endpoints.clinic.password", "secrets are never written"),
    "client secret": (
        SMART + "      private_key_env: PATH\n      client_secret: hunter2\n",
        9,
        "endpoints.clinic.auth.client_secret",
        "secrets are never written",
    ),
    "private key": (
        SMART + "      private_key: hunter2\n",
        8,
        "endpoints.clinic.auth.private_key",
        "secrets are never written",
    ),
    "key as file name": (
        SMART + "      private_key_file: |\n        -----BEGIN hunter2\n",
        8,
        "endpoints.clinic.auth.private_key_file",
        "must be the name of a file",
    ),
    "key file gone": (
        SMART + "      private_key_file: gone.pem\n",
        8,
        "endpoints.clinic.auth.private_key_file",
        "does not exist",
    ),
    "no key": (SMART, 5, "endpoints.clinic.auth", "exactly one of"),
    "auth as word": (E + "    auth: basic\n", 5, "endpoints.clinic.auth", "must be `none`"),
    "auth type": (SMART.replace("smart-backend-services", "smart"), 6, "endpoints.clinic.auth.type", "must be `smart"),
    "token address": (
        SMART + "      token_url: login\n      private_key_env: PATH\n",
        8,
        "endpoints.clinic.auth.token_url",
        "http:// or https://",
    ),
    "unknown fulfiller": (
        TWO.format(role="fulfiller") + "    default_fulfiller: x\n",
        8,
        "endpoints.other.default_fulfiller",
        "has no use",
    ),
    "misspelled fulfiller": (
        TWO.format(role="placer") + "    default_fulfiller: clinc\n",
        8,
        "endpoints.other.default_fulfiller",
        "did you mean `clinic`?",
    ),
    "fulfiller itself": (E + "    default_fulfiller: clinic\n", 5, "endpoints.clinic.default_fulfiller", "itself"),
    "fulfiller in wrong role": (
        TWO.format(role="placer").replace("both", "both\n    default_fulfiller: other"),
        5,
        "endpoints.clinic.default_fulfiller",
        "whose role is placer",
    ),
    "same server": (
        TWO.format(role="placer").replace("other.ex", "CLINIC.ex").replace("G.org", "g.org:443/"),
        6,
        "endpoints.other.base_url",
        "in the same role",
    ),
    "same identifier system": (
        TWO.format(role="placer") + "    identifier_system: https://clinic.example.org\n",
        8,
        "endpoints.other.identifier_system",
        "two servers need two",
    ),
    "unhosted practice": (
        E.replace("https://clinic.example.org", "hosted:hilside") + "hosted:\n"
        "  - {practice: hillside, name: Hillside}\n",
        3,
        "endpoints.clinic.base_url",
        "did you mean `hillside`?",
    ),
    "no practice": (
        E.replace("https://clinic.example.org", "hosted:x"),
        3,
        "endpoints.clinic.base_url",
        "there is none",
    ),
    "practice twice": (
        "hosted:\n  - {practice: a, name: A}\n  - {practice: a, name: B}\n",
        3,
        "hosted[1].practice",
        "two practices",
    ),
    "athena practice": (
        "endpoints: {clinic: {base_url: 'https://a.example/fhir/r4', role: placer,\n  athena: {practice_id: 195900.5, department_id: 1}}}\n",
        2,
        "endpoints.clinic.athena.practice_id",
        "195900",
    ),
    "athena department": (
        "endpoints:\n  clinic:\n    base_url: https://a.example/fhir/r4\n    role: placer\n    athena:\n      practice_id: 195900\n",
        5,
        "endpoints.clinic.athena.department_id",
        "missing",
    ),
    "athena subclass": (
        "endpoints: {clinic: {base_url: 'https://a.example/fhir/r4', role: placer,\n  athena: {practice_id: 1, department_id: 1,\n"
        "  document_subclass: LETTER}}}\n",
        3,
        "endpoints.clinic.athena.document_subclass",
        "CONSULTNOTE",
    ),
    "athena patient path": (
        "endpoints: {clinic: {base_url: 'https://a.example/fhir/r4', role: placer,\n  athena: {practice_id: 1/../2, department_id: 1}}}\n",
        2,
        "endpoints.clinic.athena.practice_id",
        "expected form",
    ),
    "practice as path": ("hosted:\n  - {practice: ../a, name: A}\n", 2, "hosted[0].practice", "expected form"),
    "record type": (
        "records: {types: [Condition, Observations]}\n",
        1,
        "records.types[1]",
        "did you mean `Observation`?",
    ),
    "no record types": ("records: {types: []}\n", 1, "records.types", "must not be empty"),
    "cron word": ("schedules: {prune_cron: daily}\n", 1, "schedules.prune_cron", "five cron fields"),
    "cron hour": ('schedules: {prune_cron: "0 24 * * *"}\n', 1, "schedules.prune_cron", "five cron fields"),
    "cron weekday": ('schedules: {prune_cron: "0 0 * * funday"}\n', 1, "schedules.prune_cron", "five cron fields"),
}


@pytest.mark.parametrize(("text", "line", "path", "said"), CORPUS.values(), ids=CORPUS)
def test_it_refuses_a_wrong_file_with_line_and_path(
    write, text: str | bytes, line: int | None, path: str, said: str
) -> None:
    file = write(text)
    mistakes = mistakes_of(file, {"PATH": "x"})
    assert any((each.line, each.path) == (line, path) and said in each.message for each in mistakes), mistakes
    assert all(each.file == str(file) for each in mistakes)
    assert "hunter2" not in str(mistakes)


def test_it_says_all_mistakes_at_once_in_the_order_of_the_file(write) -> None:
    mistakes = mistakes_of(
        write("""\
web: {port: "80"}
endpoints:
  clinic: {baseurl: https://a.example.org, role: both}
  other: {base_url: https://b.example.org, role: placer, default_fulfiller: clinik}
  other: {base_url: https://b.example.org, role: placer, default_fulfiller: clinik}
record: {}
"""),
        {"SECOND_OPINION_DIR": "x"},
    )
    assert [(each.line, each.path) for each in mistakes] == [
        (1, "web.port"),
        (3, "endpoints.clinic.base_url"),
        (3, "endpoints.clinic.baseurl"),
        (5, "endpoints.other"),
        (5, "endpoints.other.default_fulfiller"),
        (6, "record"),
        (None, "SECOND_OPINION_DIR"),
    ]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_it_says_that_there_is_no_such_file_and_what_to_do(tmp_path: Path, name: str) -> None:
    [mistake] = mistakes_of(tmp_path / name)
    assert "config.yaml that comes with" in mistake.message and mistake.line is None


def test_every_right_value_it_shows_is_right() -> None:
    """A file made of the examples alone loads: advice never leads into the next mistake."""
    from integration.settings.mistakes import fields_of

    endpoint = {
        name: info.examples[0]
        for name, info in fields_of(Endpoint).items()
        if info.examples and name != "default_fulfiller"
    }
    auth = {
        name: info.examples[0]
        for name, info in fields_of(SmartBackendServices).items()
        if info.examples and name not in ("private_key_env", "keys")
    }
    sections = {
        section: {
            name: each.examples[0]
            for name, each in fields_of(type(getattr(Config(), section))).items()
            if each.examples
        }
        for section in fields_of(Config)
        if section not in ("data_dir", "keys_dir", "hosted", "endpoints", "checklists")
    }
    config = Config.model_validate({**sections, "endpoints": {"a": {**endpoint, "auth": auth}}})
    assert config.endpoints["a"].capabilities == endpoint["capabilities"]


def test_it_reads_two_thousand_endpoints(write) -> None:
    text = "endpoints:\n" + "".join(
        f"  e{n}:\n    base_url: https://e{n}.example.org/fhir\n    role: both\n" for n in range(2000)
    )
    assert len(load_config(write(text), {}).endpoints) == 2000


def test_no_message_ends_in_two_sentences_glued_together() -> None:
    assert not [said for *_, said in CORPUS.values() if re.search(r"\.;", said)]


def test_what_is_sent_inside_a_resource_must_be_readable_back(write) -> None:
    limits = "    limits: {max_inline_bytes: 60000000}\n"
    found = mistakes_of(write(GOOD + limits))
    assert len(found) == 1 and "could be read back" in str(found[0]) and "at least 80032768" in str(found[0])
    load_config(write(GOOD + "    limits: {max_inline_bytes: 60000000, max_answer_bytes: 80032768}\n"), {})
    load_config(write(GOOD + "    limits: {max_inline_bytes: 50000000}\n"), {})


def test_another_name_of_a_server_is_not_the_address_of_another(tmp_path):
    text = """\
endpoints:
  a: {base_url: "https://a.example/fhir", role: placer, also_known_as: ["http://inner:8080/fhir"], identifier_system: "urn:a"}
  b: {base_url: "http://INNER:8080/fhir/", role: fulfiller, identifier_system: "urn:b"}
"""
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="also_known_as.*is the address of `b`"):
        load_config(tmp_path / "config.yaml", {})
    (tmp_path / "config.yaml").write_text(text.replace("http://INNER:8080", "http://INNER:8081"))
    endpoint = load_config(tmp_path / "config.yaml", {}).endpoints["a"]
    assert endpoint.bases == ("https://a.example/fhir", "http://inner:8080/fhir")


@pytest.mark.parametrize("name", sorted(DECIDED_NOTHING))
def test_it_says_of_an_override_that_decided_nothing_that_it_is_gone(write, name: str) -> None:
    with pytest.raises(ConfigError, match="decided nothing"):
        load_config(write(E + f"    capabilities: {{{name}: false}}\n"), {})


def test_a_hosted_practice_is_also_known_by_the_address_that_others_use(tmp_path):
    (tmp_path / "config.yaml").write_text("""\
web: {sign_in: required, public_url: "https://exchange.example"}
hosted: [{practice: alice, name: Alice}]
endpoints:
  alice: {base_url: "hosted:alice", role: placer}
""")
    endpoint = load_config(tmp_path / "config.yaml", {}).endpoints["alice"]
    assert endpoint.bases == ("http://127.0.0.1:8080/fhir/alice", "https://exchange.example/fhir/alice")


def _with_allowed(tmp_path: Path, path: str, until: str) -> Path:
    allowed = f'{{path: "{path}", difference: lost, reason: it keeps none, reviewed_by: Dr N., until: {until}}}'
    file = tmp_path / "config.yaml"
    file.write_text(GOOD + f"    verification: {{allow: [{allowed}]}}\n", encoding="utf-8")
    return file


def _in_days(days: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=days))


@pytest.mark.parametrize("until", [_in_days(300), _in_days(-300)])
def test_a_reviewed_difference_has_a_place_a_reason_a_name_and_a_last_day(tmp_path, until):
    [allowance] = (
        load_config(_with_allowed(tmp_path, "*.text", until), {}).endpoints["university"].verification.allowances
    )
    assert (allowance.path, allowance.difference, str(allowance.until)) == ("*.text", "lost", until)
    said = allowance.sentence(datetime.now(UTC).date())
    assert "Dr N.: it keeps none" in said and ("no longer" in said) == (until < _in_days(0))


@pytest.mark.parametrize(
    "path, until, words",
    [
        ("**", _in_days(30), "must name an element"),
        ("Observation.subject", _in_days(30), "whose record it is"),
        ("Observation.note[0]", _in_days(30), "without indexes"),
        ("*.text", _in_days(500), "more than 400 days ahead"),
    ],
)
def test_a_reviewed_difference_that_lets_too_much_pass_is_refused_by_line(tmp_path, path, until, words):
    [mistake] = mistakes_of(_with_allowed(tmp_path, path, until))
    assert words in mistake.message and mistake.line
