"""What the Exchange is told about its surroundings: config.yaml and the environment as one frozen `Config`.

1. read the file (integration/settings/yaml_lines.py), 2. lay the environment over it, 3. check each value (config_model.py),
4. check what values say about each other. Every mistake of all four is reported at once, with file and line.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from integration.secret_text import read_secret
from integration.settings import alerts as alert_config
from integration.settings import hints
from integration.settings.auth import FILES, TLS_FILES, VARIABLES, SmartBackendServices
from integration.settings.checklist_files import load_catalog
from integration.settings.endpoints import Endpoint, Limits, LocalCode
from integration.settings.mistakes import listed, nearest, to_mistakes, validation_problems, value_at
from integration.settings.model import Config, Database, Exchange, HostedPractice
from integration.settings.parts import split_address
from integration.settings.record_types import GATHERABLE_TYPES, RECORD_TYPES
from integration.settings.running import Engine, Payloads, RecordsKept, Retry, Schedules
from integration.settings.web import Web
from integration.settings.yaml_lines import At, Document, Problem, read_file
from mappings.addresses import comparable
from mappings.allowances import MAX_DAYS
from mappings.model.capabilities import DECIDED_NOTHING, QUIRKS
from mappings.model.errors import ConfigError, Mistake
from mappings.model.roads import RoadName

__all__ = [
    "GATHERABLE_TYPES",
    "RECORD_TYPES",
    "Config",
    "Database",
    "Endpoint",
    "Engine",
    "Exchange",
    "HostedPractice",
    "Limits",
    "LocalCode",
    "Payloads",
    "RecordsKept",
    "Retry",
    "Schedules",
    "SmartBackendServices",
    "Web",
    "load_config",
]

DEFAULT_PATH = "config.yaml"
ENVIRONMENT = {
    "SECOND_OPINION_CONFIG": "path of config.yaml",
    "SECOND_OPINION_DATABASE_URL": "address of the PostgreSQL, password included; overrides `database.url`",
    "SECOND_OPINION_DATA_DIR": "overrides `data_dir`",
    "SECOND_OPINION_DATA": "tests only: folder with synthetic charts and published FHIR examples",
}
_SECRET = re.compile(r"passw|passphrase|secret|credential|api_?key|private_?key$|access_?key|(^|_)token$|^pem$|^jwk")
_ADVICE = "; name one with SECOND_OPINION_CONFIG or --config, or begin with the config.yaml that comes with the project"


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration; every mistake at once as `ConfigError`.

    Without ``path``: `SECOND_OPINION_CONFIG`, else config.yaml in the current folder. Relative paths inside the file
    are relative to the file.
    """
    environ = os.environ if environ is None else environ
    file = Path(path or environ.get("SECOND_OPINION_CONFIG") or DEFAULT_PATH)
    document = read_file(file, advice=_ADVICE)
    reading = _Reading(document, environ, file.absolute().parent)
    config = reading.config()
    mistakes = to_mistakes(reading.problems, model=Config, file=str(file))
    mistakes += _environment_mistakes(environ, document.value) + reading.environment_mistakes
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return config


@dataclass
class _Reading:
    """One loading: the file, the environment, and what is wrong so far."""

    document: Document
    environ: Mapping[str, str]
    folder: Path
    problems: list[Problem] = field(default_factory=list)
    environment_mistakes: list[Mistake] = field(default_factory=list)

    def config(self) -> Config | None:
        self.problems += self.document.problems
        values = self.document.value
        if not isinstance(values, dict):
            if not self.problems:
                self._problem(
                    (), "is empty" + _ADVICE if values is None else "must be a group of keys, such as `endpoints:`"
                )
            return None
        self._check_secrets(values)
        values = self._with_database_url(_anchored(values, self.folder, self.environ.get("SECOND_OPINION_DATA_DIR")))
        config = self._validated(values)
        self._check_references(values, config)
        return config

    def _problem(self, at: At, message: str) -> None:
        self.problems.append(Problem(at, self.document.line_of(at), message))

    def _validated(self, values: dict[str, Any]) -> Config | None:
        try:
            return Config.model_validate(values)
        except ValidationError as error:
            checked = Document(values, self.document.lines, self.document.problems)
            found = validation_problems(error, checked, model=Config, refuse_key=_refuse_secret)
            from_environment = self.environ.get("SECOND_OPINION_DATABASE_URL")
            for problem in found:
                if problem.at == ("database", "url") and from_environment:
                    self._environment_mistake("SECOND_OPINION_DATABASE_URL", problem.message)
                else:
                    self.problems.append(problem)
            return None

    def _environment_mistake(self, name: str, message: str) -> None:
        self.environment_mistakes.append(Mistake("environment", None, name, message))

    def _check_secrets(self, values: dict[str, Any]) -> None:
        url = value_at(values, ("database", "url"))
        if isinstance(url, str) and _has_password(url):
            self._problem(
                ("database", "url"),
                "must not hold a password; give the whole address in "
                "SECOND_OPINION_DATABASE_URL or in a file named by `url_file`",
            )
        url = value_at(values, ("payloads", "url"))
        if isinstance(url, str) and _has_password(url):
            self._problem(
                ("payloads", "url"),
                "must not hold a key or a password; the object store's library "
                "reads them from its own environment variables",
            )
        elif isinstance(url, str) and "://" in url:
            self._check_payloads(url)

    def _check_payloads(self, url: str) -> None:
        from integration.packets.payloads import url_problem  # only here: fsspec takes long to import

        if problem := url_problem(url):
            self._problem(("payloads", "url"), problem)

    def _with_database_url(self, values: dict[str, Any]) -> dict[str, Any]:
        """``values`` with the database's address from the environment, else from the file that holds it."""
        database = values.get("database") if "database" in values else {}
        from_environment = self.environ.get("SECOND_OPINION_DATABASE_URL")
        if not isinstance(database, dict):
            return values
        if from_environment:
            return {**values, "database": {**database, "url": from_environment}}
        if isinstance(database.get("url_file"), str):
            return {**values, "database": self._from_url_file(database)}
        return values

    def _from_url_file(self, database: dict[str, Any]) -> dict[str, Any]:
        at = ("database", "url_file")
        if "url" in database:
            self._problem(at, "stands beside `url`; keep one of the two")
            return database
        try:
            url = Path(database["url_file"]).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            self._problem(at, "names a file that cannot be read")
            return database
        if not re.match(r"postgres(ql)?(\+psycopg)?://", url):
            self._problem(at, "names a file that does not hold an address such as postgresql://user@host/name")
            return database
        return {**database, "url": url}

    def _check_references(self, values: dict[str, Any], config: Config | None) -> None:
        """What endpoints say about each other; also those of a file with other mistakes."""
        raw = values.get("endpoints")
        raw = raw if isinstance(raw, dict) else {}
        endpoints = dict(config.endpoints if config else _readable_endpoints(values, raw))
        for at, message in (
            *_name_problems(raw),
            *_hosted_problems(values, raw),
            *_fulfiller_problems(endpoints, raw),
            *_address_problems(endpoints),
            *_type_problems(values),
            *_capability_problems(endpoints),
            *_key_problems(endpoints, self.environ),
            *_road_problems(endpoints),
            *_web_problems(config),
            *_listening_problems(endpoints),
            *_lag_problems(endpoints, config),
            *_review_problems(endpoints),
            *_checklist_problems(endpoints, config),
            *_directory_problems(endpoints, config),
            *alert_config.problems(values, self.environ),
        ):
            self._problem(at, message)


Found = Iterator[tuple[At, str]]


def _readable_endpoints(values: dict[str, Any], raw: dict[str, Any]) -> Iterator[tuple[str, Endpoint]]:
    web = {"web": values["web"]} if "web" in values else {}
    for key, value in raw.items():
        for settings in (web, {}):
            try:
                yield key, Config.model_validate({**settings, "endpoints": {key: value}}).endpoints[key]
                break
            except ValidationError:
                continue


def _checklist_problems(endpoints: dict[str, Endpoint], config: Config | None) -> Found:
    """Files with mistakes, each said with its own line, and checklists that nobody has."""
    paths = config.checklists if config else ()
    theirs = {key: endpoint for key, endpoint in endpoints.items() if endpoint.checklist or endpoint.checklists}
    if not paths and not theirs:
        return
    try:
        load_catalog(paths)
    except ConfigError as error:
        yield ("checklists",), "; ".join(str(mistake) for mistake in error.mistakes)
        return
    for key, endpoint in theirs.items():
        yield from _checklist_problems_of(key, endpoint, paths)


def _checklist_problems_of(key: str, endpoint: Endpoint, paths: tuple[Path, ...]) -> Found:
    try:
        known = load_catalog((*paths, *endpoint.checklists)).checklists
    except ConfigError as error:
        yield ("endpoints", key, "checklists"), "; ".join(str(mistake) for mistake in error.mistakes)
        return
    if endpoint.checklist is not None and endpoint.checklist not in known:
        yield ("endpoints", key, "checklist"), f"is no checklist{nearest(endpoint.checklist, known)}"


def _directory_problems(endpoints: dict[str, Endpoint], config: Config | None) -> Found:
    for key in config.directory.sources if config else ():
        if key not in endpoints:
            yield ("directory", "sources", key), f"is no endpoint{nearest(key, endpoints)}"


def _lag_problems(endpoints: dict[str, Endpoint], config: Config | None) -> Found:
    lease = (config or Config()).engine.lease_seconds
    for key, endpoint in endpoints.items():
        if endpoint.limits.search_lag_seconds > lease:
            yield (
                ("endpoints", key, "limits", "search_lag_seconds"),
                (
                    f"is longer than engine.lease_seconds ({lease:g}): what a worker wrote before it died would be looked for too early, "
                    "and be written twice; raise engine.lease_seconds too"
                ),
            )


def _review_problems(endpoints: dict[str, Endpoint]) -> Found:
    last = datetime.now(UTC).date() + timedelta(days=MAX_DAYS)
    for key, endpoint in endpoints.items():
        for index, allowed in enumerate(endpoint.verification.allow):
            if allowed.until > last:
                yield (
                    ("endpoints", key, "verification", "allow", index, "until"),
                    f"is more than {MAX_DAYS} days ahead: what nobody looks at again is not reviewed; at the latest {last}",
                )


def _hosted_problems(values: dict[str, Any], raw: dict[str, Any]) -> Found:
    hosted = values.get("hosted")
    practices = [value_at(practice, ("practice",)) for practice in hosted] if isinstance(hosted, list) else []
    for index, practice in enumerate(practices):
        if practice is not None and practice in practices[:index]:
            yield ("hosted", index, "practice"), "is the name of two practices; each needs its own"
    for key, value in raw.items():
        base_url = value_at(value, ("base_url",))
        if isinstance(base_url, str) and base_url.startswith("hosted:"):
            practice = base_url.removeprefix("hosted:").rstrip("/")
            if practice not in practices:
                known = [name for name in practices if isinstance(name, str)]
                yield (
                    ("endpoints", key, "base_url"),
                    ("names a practice that is not under `hosted`" + (nearest(practice, known) or listed(known))),
                )


def _name_problems(raw: dict[str, Any]) -> Found:
    for key, value in raw.items():
        if isinstance(value, dict) and "key" in value:
            yield ("endpoints", key, "key"), f"is not a key here; the endpoint's name is the word above, `{key}`"
        if isinstance(value, dict) and "hosted_practice" in value:
            yield ("endpoints", key, "hosted_practice"), "is not a key here; write `base_url: hosted:<practice>`"


def _fulfiller_problems(endpoints: dict[str, Endpoint], raw: dict[str, Any]) -> Found:
    for key, endpoint in endpoints.items():
        name, at = endpoint.default_fulfiller, ("endpoints", key, "default_fulfiller")
        if name is None:
            continue
        if not endpoint.is_placer:
            yield at, "has no use at an endpoint that is not a placer"
        if name == key:
            yield at, "names the endpoint itself"
        elif name not in raw:
            yield at, "names no endpoint" + (nearest(name, raw) or listed(raw))
        elif name in endpoints and not endpoints[name].is_fulfiller:
            yield at, "names an endpoint whose role is placer; it must be fulfiller or both"


def _address_problems(endpoints: dict[str, Endpoint]) -> Found:
    servers: dict[Any, list[Endpoint]] = {}
    systems: dict[str, Endpoint] = {}
    for key, endpoint in endpoints.items():
        same_server = servers.setdefault(_comparable(endpoint.base_url), [])
        rival = next(
            (other for other in same_server if other.role == endpoint.role or "both" in (other.role, endpoint.role)),
            None,
        )
        if rival:
            yield (
                ("endpoints", key, "base_url"),
                (f"is also the address of `{rival.key}` in the same role; keep one of the two"),
            )
        same_server.append(endpoint)
        for number, other_name in enumerate(endpoint.also_known_as):
            owner = next((each for each in endpoints.values() if _is_another(each, endpoint, other_name)), None)
            if owner:
                at = ("endpoints", key, "also_known_as", number)
                yield at, f"is the address of `{owner.key}`; what is there would be taken for records of `{key}`"
        first = systems.setdefault(endpoint.identifier_system, endpoint)
        if _comparable(first.base_url) != _comparable(endpoint.base_url):
            yield (
                ("endpoints", key, "identifier_system"),
                (f"is also that of `{first.key}`; two servers need two, or their resources are confused"),
            )


def _is_another(other: Endpoint, endpoint: Endpoint, address: str) -> bool:
    """Whether an address is that of another server than the endpoint's own."""
    own = _comparable(other.base_url) == _comparable(endpoint.base_url)
    return not own and comparable(other.base_url) == comparable(address)


def _comparable(base_url: str) -> tuple[str, str | None, int | None, str]:
    parts = split_address(base_url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme], parts.path.rstrip("/")


def _type_problems(values: dict[str, Any]) -> Found:
    types = value_at(values, ("records", "types"))
    for index, name in enumerate(types if isinstance(types, list) else []):
        if isinstance(name, str) and name not in GATHERABLE_TYPES:
            yield (
                ("records", "types", index),
                ("is not a resource type that belongs to a patient's record" + nearest(name, GATHERABLE_TYPES)),
            )


def _capability_problems(endpoints: dict[str, Endpoint]) -> Found:
    for key, endpoint in endpoints.items():
        for name, value in endpoint.capabilities.items():
            at = ("endpoints", key, "capabilities", name)
            if name in DECIDED_NOTHING:
                yield at, "decided nothing and is gone: remove it"
            elif name not in QUIRKS:
                yield at, "is not a capability" + (nearest(name, QUIRKS) or listed(QUIRKS))
            elif QUIRKS[name].kind is bool and not isinstance(value, bool):
                yield at, f"must be true or false; for example `{name}: false`"
            elif QUIRKS[name].kind is int and (isinstance(value, bool) or value < 1):
                yield at, f"must be a whole number, at least 1; for example `{name}: 100`"


def _key_problems(endpoints: dict[str, Endpoint], environ: Mapping[str, str]) -> Found:
    """Secrets and certificates that are not where the file says they are."""
    for key, endpoint in endpoints.items():
        for section, names in _FILES_OF.items():
            for name in names:
                file = getattr(_section(endpoint, section), name, None)
                if file is not None and not Path(file).is_file():
                    yield ("endpoints", key, *section, name), "names a file that does not exist"
        for section, names in _VARIABLES_OF.items():
            for name in names:
                variable = getattr(_section(endpoint, section), name, None)
                if variable is not None and not environ.get(variable):
                    yield ("endpoints", key, *section, name), "names an environment variable that is not set"
        yield from _hint_problems(key, endpoint.hints, environ)


_FILES_OF: dict[tuple[str, ...], tuple[str, ...]] = {
    ("auth",): FILES,
    ("tls",): TLS_FILES,
    ("hints",): hints.FILES,
    ("hl7v2", "tls"): TLS_FILES,
    ("hl7v2", "listen", "tls"): TLS_FILES,
}
_VARIABLES_OF: dict[tuple[str, ...], tuple[str, ...]] = {("auth",): VARIABLES, ("hints",): hints.VARIABLES}


def _section(endpoint: Endpoint, path: tuple[str, ...]) -> object:
    return reduce(lambda found, name: getattr(found, name, None), path, cast("object", endpoint))


def _road_problems(endpoints: dict[str, Endpoint]) -> Found:
    """A road without what it needs, and what no road uses."""
    for key, endpoint in endpoints.items():
        engine = endpoint.hl7v2
        if endpoint.roads and RoadName.HL7V2 in endpoint.roads and engine is None:
            at = ("endpoints", key, "roads", endpoint.roads.index(RoadName.HL7V2))
            yield at, "needs the section `hl7v2` of this endpoint: where its interface engine is"
        if engine is not None and RoadName.HL7V2 not in endpoint.road_names and engine.listen is None:
            yield ("endpoints", key, "hl7v2"), "has no use: `hl7v2` is not among the `roads` of this endpoint"


def _web_problems(config: Config | None) -> Found:
    file = config.web.client_keys.ca_file if config else None
    if file is not None and not Path(file).is_file():
        yield ("web", "client_keys", "ca_file"), "names a file that does not exist"


def _listening_problems(endpoints: dict[str, Endpoint]) -> Found:
    """Orders come one way, and a port is one endpoint's: whose orders they are is not asked of the message."""
    taken: dict[int, str] = {}
    for key, endpoint in endpoints.items():
        listen = endpoint.hl7v2.listen if endpoint.hl7v2 else None
        if listen is None:
            continue
        at = ("endpoints", key, "hl7v2", "listen")
        if not endpoint.is_placer:
            yield at, "has no use at an endpoint that is not a placer"
        elif endpoint.is_polled:
            words = "brings its orders here, and they are polled too"
            yield at, f"{words}: set `finds_orders: false`, or each is taken in twice"
        if listen.port and listen.port in taken:
            yield (*at, "port"), f"is also the port of `{taken[listen.port]}`; each needs its own"
        taken.setdefault(listen.port, key)


def _hint_problems(key: str, given: hints.Hints | None, environ: Mapping[str, str]) -> Found:
    """A secret that anybody could guess."""
    secret = read_secret(given.secret_file, given.secret_env, environ) if given else ""
    if given and 0 < len(secret) < hints.SHORTEST_SECRET:
        at = ("endpoints", key, "hints", "secret_file" if given.secret_file else "secret_env")
        yield at, f"names a secret of fewer than {hints.SHORTEST_SECRET} characters; for example: openssl rand -hex 24"


def _anchored(values: dict[str, Any], folder: Path, data_dir: str | None) -> dict[str, Any]:
    """``values`` with relative file names made absolute from the folder of config.yaml."""
    anchored = {**values, "data_dir": values.get("data_dir", "data")}
    for at in (
        ("data_dir",),
        ("keys_dir",),
        ("database", "url_file"),
        ("payloads", "url"),
        ("web", "client_keys", "ca_file"),
        *alert_config.file_names(values),
    ):
        anchored = _changed(anchored, at, folder)
    anchored = _checklists_changed(anchored, (), folder)
    endpoints = values.get("endpoints")
    for key in endpoints if isinstance(endpoints, dict) else ():
        anchored = _checklists_changed(anchored, ("endpoints", key), folder)
        for section, names in _FILES_OF.items():
            for name in names:
                anchored = _changed(anchored, ("endpoints", key, *section, name), folder)
    return {**anchored, "data_dir": str(Path(data_dir).expanduser().absolute())} if data_dir else anchored


def _checklists_changed(values: dict[str, Any], at: At, folder: Path) -> dict[str, Any]:
    listed = value_at(values, (*at, "checklists"))
    for number, _ in enumerate(listed if isinstance(listed, list) else ()):
        values = _changed(values, (*at, "checklists", number), folder)
    return values


def _changed(values: dict[str, Any], at: At, folder: Path) -> dict[str, Any]:
    old = value_at(values, at)
    if not isinstance(old, str) or not old or "://" in old or "\n" in old:
        return values
    return _with(values, at, str(folder / Path(old).expanduser()))


def _with(values: Any, at: At, new: str) -> Any:
    if not at:
        return new
    if isinstance(values, list):
        return [_with(each, at[1:], new) if index == at[0] else each for index, each in enumerate(values)]
    return {**values, at[0]: _with(values[at[0]], at[1:], new)}


def _has_password(url: str) -> bool:
    try:
        parts = split_address(url)
    except ValueError:
        return False
    return parts.password is not None or bool(re.search(r"[?&](password|secret|key|token)=", url, re.IGNORECASE))


def _refuse_secret(key: str) -> str | None:
    if not _SECRET.search(key.lower().replace("-", "_")):
        return None
    return (
        "is a secret, and secrets are never written in this file: name a file (`private_key_file`, `url_file`, "
        "`password_file`) or an environment variable (`private_key_env`, `password_env`) that holds it"
    )


def _environment_mistakes(environ: Mapping[str, str], values: Any) -> list[Mistake]:
    """Variables that look like ours and are not: a typing mistake would otherwise go unseen."""
    ours = {*ENVIRONMENT, *_named_variables(values)}
    return [
        Mistake("environment", None, name, "is not a setting" + (nearest(name, ours) or listed(ENVIRONMENT)))
        for name in sorted(environ)
        if name.startswith("SECOND_OPINION_") and name not in ours
    ]


def _named_variables(values: Any) -> Iterator[str]:
    endpoints = value_at(values, ("endpoints",))
    for endpoint in endpoints.values() if isinstance(endpoints, dict) else ():
        named = (value_at(endpoint, (*section, each)) for section, names in _VARIABLES_OF.items() for each in names)
        yield from (name for name in named if isinstance(name, str))
    yield from (name for _, name in alert_config.variables(values))
