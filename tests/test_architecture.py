"""Keeps the house in order: reads every import and says, as a sentence, which one stands in the wrong place."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from sqlalchemy import Table

from integration.store import tables
from tests.reference_pages import ROOT, sources

LAYERS = ("mappings", "integration", "jobs", "second_opinion")  # each may import what stands before it
OUTSIDE = {"tests", "benchmarks", "examples"}
# Which third-party package may be imported where; what is not named here may be imported anywhere but in mappings.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "flask": ("integration/web/", "integration/hosted/"),
    # The demo plays outsiders: it loads a chart, reads our API and counts at the target as any HTTP client would,
    # so that a fault of integration/fhir cannot hide itself.
    "requests": ("integration/fhir/", "second_opinion/demo/"),
    "urllib3": ("integration/fhir/",),
    "fhirclient": ("integration/fhir/",),
    "procrastinate": ("integration/queue.py", "jobs/engine.py", "integration/migrations/"),
    "apscheduler": ("jobs/schedule.py",),
    "pydantic": ("mappings/", "integration/"),
    "hl7": ("mappings/hl7v2/",),
    "fhir": ("mappings/",),
    "opentelemetry": ("integration/tracing.py",),
    "rich": ("second_opinion/",),
    "waitress": ("integration/web/server.py",),
    "fsspec": ("integration/packets/payloads.py",),
    "prometheus_client": ("integration/web/",),
    "argon2": ("integration/store/accounts.py",),
    "langcodes": ("integration/views/languages.py",),
    "zipcodes": ("integration/directory/zip_codes.py",),
    "pypdf": ("integration/packets/",),
    "pydicom": ("integration/arriving/",),
    "lxml": ("integration/arriving/", "second_opinion/demo/"),
    # A calendar of days is counted in one place, and a calendar entry made in one.
    "holidays": ("integration/settings/calendar.py",),
    "icalendar": ("integration/invitations.py",),
    "reportlab": ("integration/packets/", "integration/web/", "second_opinion/demo/"),
}
PARTS_OF = {"werkzeug": "flask", "jinja2": "flask", "markupsafe": "flask", "itsdangerous": "flask"}  # Flask brings them
# mappings is pure: what these cannot do, it cannot do.
PURE = frozenset(
    {
        "base64",
        "binascii",
        "calendar",
        "codecs",
        "collections",
        "dataclasses",
        "datetime",
        "copy",
        "decimal",
        "email",
        "enum",
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "html",
        "itertools",
        "math",
        "re",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "urllib",
        "uuid",
        "zoneinfo",
    }
)
PURE_THIRD_PARTIES = frozenset({"pydantic", "fhir", "hl7"})
IMPURE_CALLS = frozenset(
    {
        "now",
        "utcnow",
        "today",
        "uuid1",
        "uuid4",
        "urlopen",
        "urlretrieve",
        "open",
        "print",
        "input",
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "random",
        "shuffle",
    }
)
# Words the glossary replaced (docs/explanation/architecture.md says by what); whole names of ours only.
WORDS: dict[str, str] = {
    "patient_id": "identifier or reference",
    "sender": "placer",
    "receiver": "fulfiller",
    "fhir_id": "reference",
    "consultant_id": "performer or owner",
    "order_id": "placer order number",
    "upsert": "conditional create",
    "optimistic_lock": "If-Match",
    "filler": "fulfiller",
    "test_patient": "synthetic",
    "mock": "hosted endpoint",
}


@cache
def imports() -> tuple[tuple[str, int, str], ...]:
    """``(file, line, imported module)`` of the product, imports inside functions too."""
    return tuple(_imports())


def _imports() -> Iterator[tuple[str, int, str]]:
    for file, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((file, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = _absolute(file, node)
                yield file, node.lineno, module
                yield from ((file, node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _absolute(file: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = file.split("/")[: -node.level]
    return ".".join([*package, *((node.module or "").split(".") if node.module else [])])


def _top(module: str) -> str:
    return module.split(".")[0]


def _layer(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


def _third_parties() -> Iterator[tuple[str, int, str]]:
    seen = set()
    for file, line, module in imports():
        top = _top(module)
        if top not in sys.stdlib_module_names and top not in LAYERS and (file, top) not in seen:
            seen.add((file, top))
            yield file, line, top


def _say(mistakes: list[str]) -> None:
    assert not mistakes, "\n" + "\n".join(dict.fromkeys(mistakes))


def test_imports_go_one_way():
    _say(
        [
            f"{file}:{line} imports {module}: {_layer(file)} may import only "
            f"{' and '.join(LAYERS[: LAYERS.index(_layer(file)) + 1])}. Move what it needs down, or hand it in as an argument."
            for file, line, module in imports()
            if _top(module) in LAYERS and LAYERS.index(_top(module)) > LAYERS.index(_layer(file))
        ]
    )


def test_the_product_imports_no_tests_and_no_examples():
    _say(
        [
            f"{file}:{line} imports {module}: what is not installed cannot be imported. Move it into a package of the product."
            for file, line, module in imports()
            if _top(module) in OUTSIDE
        ]
    )


@pytest.mark.parametrize("package", ONLY_IN)
def test_it_imports_a_package_only_where_it_belongs(package):
    places = ONLY_IN[package]
    _say(
        [
            f"{file}:{line} imports {package}, which belongs in {' or '.join(places)}: call what is there instead, or move "
            "this there."
            for file, line, top in _third_parties()
            if PARTS_OF.get(top, top) == package and not file.startswith(places)
        ]
    )


def test_mail_is_sent_from_one_place():
    _say(
        [
            f"{file}:{line} imports {module}: mail is sent by integration/notices/mail.py, which knows how to say what went wrong without a secret."
            for file, line, module in imports()
            if _top(module) == "smtplib" and file != "integration/notices/mail.py"
        ]
    )


# Who may make something that writes to another system: `observed` takes the hook that every write asks.
GATED = {"jobs/world.py", "jobs/gate.py"}
HOOK = {*GATED, "integration/fhir/server.py"}  # the server hands it on to its transport
WIRE = {
    "integration/fhir/transport.py",
    "integration/fhir/token_request.py",
    "integration/fhir/shared_links.py",  # a patient's link gets our name and its passcode, a library a code: no content
}  # a token address gets an assertion, no content


OWN_WIRE = {
    "integration/roads/mllp.py",
    "integration/checks/connection.py",  # looks at a certificate and sends nothing
    "integration/listening/listener.py",  # answers with acknowledgments: codes and places, no content
}


def test_everything_that_leaves_passes_the_gate():
    """`Servers` gives servers that only read (`refuse_writes`); those that write ask `jobs.gate` before each byte."""
    _say(
        [
            f"{file}:{node.lineno} {words}"
            for file, tree in sources()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for words in [_round_the_gate(file, node)]
            if words
        ]
    )


def _round_the_gate(file: str, call: ast.Call) -> str:
    called, name = ast.unparse(call.func), _called(call)
    if name == "observed" and file not in HOOK:
        return "makes a server that writes: take ctx.server(), whose writes pass jobs/gate.py."
    if name in ("Transport", "FhirServer") and file != "integration/fhir/servers.py":
        return "makes a connection of its own: ask Servers, whose connections only read."
    if name in ("create_connection", "sendall") and file not in OWN_WIRE:
        return "opens a wire of its own: integration/roads/mllp.py asks the gate before its first byte."
    if name == "Transport" and not any(each.arg == "before_write" for each in call.keywords):
        return "a transport of Servers never writes: give before_write=never."
    sends = name in ("send", "post", "put", "patch", "delete", "request") and "session" in called
    if sends and file.startswith("integration/fhir/") and file not in WIRE:
        return "sends round the transport."
    if any(each.arg == "write" for each in call.keywords) and not file.startswith("integration/fhir/"):
        return "writes HTTP itself: FhirServer does."
    return ""


def test_a_step_that_sends_has_a_reason():
    from mappings.model.leaving import REASON_OF_STEP
    from mappings.model.steps import KINDS

    writes = re.compile(r"jobs/(target|patients)")
    for kind in KINDS:
        module = f"jobs/steps/{kind}.py"
        used = {name.replace(".", "/") for file, _, name in imports() if file == module}
        if kind in REASON_OF_STEP or kind.startswith(("verify", "watch", "gather")):
            continue  # those three read; the gate stops what they would send, see tests/jobs/test_gate.py
        assert not any(writes.match(each) for each in used), f"{module} can write and has no reason in REASON_OF_STEP"


def test_mappings_import_only_what_is_pure():
    _say(
        [
            f"{file}:{line} imports {module}: mappings are pure (no clock, random, network, files, logging). Hand the "
            "value in as an argument and do this in integration or jobs."
            for file, line, module in imports()
            if _layer(file) == "mappings" and _top(module) not in {*PURE, *PURE_THIRD_PARTIES, "mappings"}
        ]
    )


def test_mappings_ask_no_clock_no_chance_and_no_file():
    _say(
        [
            f"{file}:{node.lineno} calls {_called(node)}(): mappings are pure. Hand the value in as an argument."
            for file, tree in sources()
            if _layer(file) == "mappings"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS
        ]
    )


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


@pytest.mark.parametrize(("one", "other"), [("hosted", "fhir"), ("fhir", "hosted")])
def test_both_ends_share_no_code(one, other):
    """One would hide the other's mistake: our server and our client must meet on the wire only."""
    _say(
        [
            f"{file}:{line} imports {module}: integration/{one} and integration/{other} import nothing of each other. "
            "Write it anew, or put what is truly common (JSON) beside them."
            for file, line, module in imports()
            if file.startswith(f"integration/{one}/") and f"{module}.".startswith(f"integration.{other}.")
        ]
    )


def test_the_web_runs_no_step():
    forbidden = ("integration.fhir.", "integration.queue.")
    _say(
        [
            f"{file}:{line} imports {module}: the web sends nothing and runs no step. Make a row due (integration/store) "
            "and let a worker do it."
            for file, line, module in imports()
            if file.startswith("integration/web/") and f"{module}.".startswith(forbidden)
        ]
    )


def test_the_command_line_knows_no_pages():
    """It reads through integration/views; only what starts the web, and what writes its OpenAPI down, imports it."""
    starts_or_describes = {"second_opinion/running.py", "second_opinion/api.py"}
    _say(
        [
            f"{file}:{line} imports {module}: read through integration/views, as the pages do."
            for file, line, module in imports()
            if _layer(file) == "second_opinion"
            and f"{module}.".startswith("integration.web.")
            and file not in starts_or_describes
        ]
    )


def test_what_steps_share_knows_no_step():
    """jobs/target is what pushing and verifying have in common: a step is a thin call of it, never the other way round."""
    _say(
        [
            f"{file}:{line} imports {module}: jobs/source and jobs/target are shared by the steps and import none. Move what it needs there."
            for file, line, module in imports()
            if file.startswith(("jobs/source/", "jobs/target/")) and f"{module}.".startswith("jobs.steps.")
        ]
    )


# Where a row of these is made and its status set; what else writes a status says which in SQL of its own.
WRITER_OF = {
    "requests": "integration/store/requests.py",  # advance, close
    "drafts": "integration/store/drafts.py",  # begin, save, send
    "steps": "integration/store/steps.py",  # park, stop, make_due, finish
    "deliveries": "integration/store/deliveries.py",  # move
    "delivery_items": "integration/store/deliveries.py",  # mark_items, mark_again
    "links": "integration/store/links.py",  # remember, wrote
    "patient_links": "integration/store/patient_links.py",  # set_link, end
    "insurances": "integration/store/insurances.py",  # keep
    "key_facts": "integration/store/key_facts.py",  # keep
    "suitability_words": "integration/store/suitability_words.py",  # say
    "consents": "integration/store/consents.py",  # record
    "private_links": "integration/store/private_links.py",  # make, revoke, enter
    "releases": "integration/store/releases.py",  # release, take_back
    "directory_entries": "integration/store/directory.py",  # Staged.merge, add, correct
    "received_records": "integration/store/received_records.py",  # arrive, accept, end
    "appointments": "integration/store/appointments.py",  # keep
    "desk_answers": "integration/store/desk.py",  # add
    "report_drafts": "integration/store/report_drafts.py",  # save, set_file
    "written_reports": "integration/store/written_reports.py",  # add, retract
    "found_appointments": "integration/store/appointments.py",  # show, dismiss
    "eligibility_asks": "integration/store/eligibility_asks.py",  # ask, tell
    "bookings": "integration/store/bookings.py",  # ask, tell
}
IN_SQL = {  # leases are given and taken back, and a restore frees them, in one statement for all
    "steps": {"integration/queue.py", "integration/backups/restore.py"},
}
DECIDED_BY_STATUS = {"status", "closed_at", "undone_at"}


@pytest.mark.parametrize("table", WRITER_OF)
def test_one_module_makes_a_row_and_changes_its_status(table):
    """Park, retry, close and link exist once: pages, API, commands and steps call the verb that does it."""
    _say(
        [
            f"{file}:{line} writes {table} itself: call a verb of {WRITER_OF[table]}."
            for file, _ in sources()
            if file != WRITER_OF[table] and not file.startswith(("integration/hosted/", "integration/migrations/"))
            for line in _writes(table, file)
        ]
    )


def _writes(table: str, file: str) -> Iterator[int]:
    strings, calls, imported = _spoken()[file]
    names = {name for name, original in imported if original == table}
    if file not in IN_SQL.get(table, ()):
        sets = rf"UPDATE {table}( \w+)? SET ((?!\b(WHERE|FROM)\b).)*\b(status|closed_at|undone_at)\s*="
        for node in strings:
            if table in node.value and (
                re.search(sets, node.value, re.S) or re.search(rf"INSERT INTO {table}\b", node.value)
            ):
                yield node.lineno
    for node, called in calls:
        if called in ("insert", *(f"{name}.insert" for name in names)):
            if not node.args or ast.unparse(node.args[0]) in names:
                yield node.lineno
        elif called.endswith("values") and _called(node) == "values":
            unnamed = bool(node.args) or any(each.arg in {None, *DECIDED_BY_STATUS} for each in node.keywords)
            if unnamed and any(f"update({name})" in called for name in names):
                yield node.lineno


@cache
def _spoken() -> dict[str, tuple[list[ast.Constant], list[tuple[ast.Call, str]], list[tuple[str, str]]]]:
    """Of each file its strings, what it calls in its words, and which tables it imports: to read this anew for each table took a minute."""
    found = {}
    for file, tree in sources():
        nodes = list(ast.walk(tree))
        found[file] = (
            [node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)],
            [(node, ast.unparse(node.func)) for node in nodes if isinstance(node, ast.Call)],
            [
                (alias.asname or alias.name, alias.name)
                for node in nodes
                if isinstance(node, ast.ImportFrom) and node.module == "integration.store.tables"
                for alias in node.names
            ],
        )
    return found


def test_parking_has_one_way():
    """What follows from it (the finding, the delivery, the records track) follows always: only store/parking.py parks."""
    _say(
        [
            f"{file}:{node.lineno} parks a step without what follows: call integration/store/parking.py."
            for file, tree in sources()
            if file != "integration/store/parking.py"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("steps.park", "steps.stop")
        ]
    )


def test_every_third_party_import_is_a_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        _plain(re.match(r"[\w.-]+", each)[0])
        for each in [*project["dependencies"], *project["optional-dependencies"]["tracing"]]
    }
    installed = packages_distributions()
    _say(
        [
            f"{file}:{line} imports {top}, and pyproject.toml does not ask for it: add it to dependencies and say why in "
            "docs/explanation/dependencies.md."
            for file, line, top in _third_parties()
            if not wanted & {_plain(name) for name in installed.get(PARTS_OF.get(top, top), [top])}
        ]
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_folder_is_added_at_the_top_without_a_reason():
    known = {"benchmarks", "deploy", "second_opinion", "docs", "examples", "integration", "jobs", "mappings", "tests"}
    ignored = {line.strip("/ \n") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    reasons = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.name for path in Path(ROOT).iterdir() if path.is_dir() and not path.name.startswith(".")}
    folders = {name for name in folders if name not in ignored and not name.endswith((".egg-info", "__pycache__"))}
    _say(
        [
            f"{name}/ is a new top-level folder: put it inside one of {', '.join(sorted(known))}, or give its reason in "
            "docs/explanation/architecture.md and its name here."
            for name in sorted(folders - known)
        ]
    )
    _say(
        [
            f"docs/explanation/architecture.md does not say what {name}/ is for."
            for name in sorted(folders & known)
            if f"`{name}/`" not in reasons
        ]
    )


def test_it_uses_the_glossary_words():
    _say(
        [
            f"{file}:{line} says {name}: the word here is {WORDS[name]} (docs/explanation/architecture.md, one word per "
            "thing)."
            for file, tree in sources()
            for line, name in _names(tree)
            if name in WORDS
        ]
    )


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names this code gives: of variables, arguments, functions and classes. Keywords and strings may be others' words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name.lower()
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def test_there_is_one_type_of_finding():
    """Whoever notes something makes one of these, and what is noted ends in the table of findings; the API shows its rows."""
    found = [
        f"{file}:{node.lineno}"
        for file, tree in sources()
        if not file.startswith("integration/web/api/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == "Finding"
    ]
    assert [each.partition(":")[0] for each in found] == ["mappings/model/findings.py"], found


# SQL stands in the store, and where the store would be in the way: our own FHIR server, the engine's queue, backups.
SQL_BELONGS_IN = (
    "integration/store/",
    "integration/hosted/",
    "integration/migrations/",
    "integration/backups/",
    "integration/postgres/",
    "integration/queue.py",
)
MAKES_SQL = {"select", "insert", "update", "delete", "text"}


def test_sql_is_written_in_the_store():
    """Its functions are verbs that pages, API, commands and steps call; who needs a row asks one of them."""
    found = {
        file
        for file, _, module in imports()
        if module.rpartition(".")[0] in ("sqlalchemy", "sqlalchemy.dialects.postgresql")
        and module.rpartition(".")[2] in MAKES_SQL
        and not file.startswith(SQL_BELONGS_IN)
    }
    found |= {
        file
        for file, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not file.startswith(SQL_BELONGS_IN)
        and re.search(r"\b(SELECT\b.*\bFROM|UPDATE\b.*\bSET|INSERT INTO|DELETE FROM)\b", node.value, re.S)
    }  # fmt: skip
    found |= {
        file
        for file, tree in sources()
        if not file.startswith(SQL_BELONGS_IN) and any(_is_table(node) for node in _imported_from_tables(tree))
    }
    _say([f"{file} writes SQL: move it into a verb of integration/store." for file in sorted(found)])


def _imported_from_tables(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "integration.store.tables":
            yield from (alias.name for alias in node.names)


def _is_table(name: str) -> bool:
    return isinstance(getattr(tables, name), Table)
