"""Request files: YAML and JSON are understood, and no mistake ever repeats what a file says about a patient."""

import copy
import json
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from integration.settings.config import Config, load_config
from integration.settings.request_file import endpoint_mistakes, load_request
from mappings.model.errors import Mistake, RequestError
from mappings.model.request import SecondOpinionRequest
from mappings.practitioner import npi_is_valid

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*-request.yaml"))
GOOD: dict[str, Any] = {
    "key": "k-1",
    "placer": "hillside",
    "fulfiller": "university-hospital",
    "question": "Is surgery needed?",
    "patient": {
        "identifiers": [{"system": "https://hillside.example.org/mrn", "value": "00123456"}],
        "name": {"family": "Example", "given": ["Carla"]},
        "birth_date": "1961-04-12",
        "sex": "female",
    },
    "requester": {"name": {"family": "Ashford"}},
    "first_opinion": {"doctor": {"name": {"family": "Mercer"}}, "diagnosis": {"text": "Stenosis"}},
    "specialty": {"system": "http://snomed.info/sct", "code": "394593009"},
}
SECRET = "Zebedee-19610412"


def changed(at: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The good request with one place changed."""
    request = copy.deepcopy(GOOD)
    inner: Any = request
    for part in at[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    inner[at[-1]] = value
    return request


def mistakes_of(source: Any, **settings: Any) -> list[Mistake]:
    data = source if isinstance(source, bytes) else json.dumps(source, indent=1).encode()
    with pytest.raises(RequestError) as caught:
        load_request(data, "request.json", **settings)
    assert SECRET not in "".join(traceback.format_exception(caught.value)), "a message repeats a value of the request"
    return caught.value.mistakes


@pytest.mark.parametrize("name", FILES)
def test_it_loads_the_examples_with_the_example_configuration(name: str) -> None:
    endpoints = load_config(EXAMPLES.parent / "config.yaml", {}).endpoints
    request = load_request(EXAMPLES / name, endpoints=endpoints)
    assert load_request(request.model_dump_json().encode()) == request


@pytest.mark.parametrize("name", FILES)
def test_the_examples_use_numbers_with_right_check_digits(name: str) -> None:
    request = load_request(EXAMPLES / name)
    people = [request.requester, request.first_opinion.doctor, *filter(None, [request.consultant])]
    npis = [one.value for person in people for one in person.identifiers if one.system.endswith("/us-npi")]
    assert all(npi_is_valid(npi) for npi in npis)


def test_the_examples_use_every_key_between_them() -> None:
    used = set().union(*(load_request(EXAMPLES / name).model_fields_set for name in FILES))
    assert used == set(SecondOpinionRequest.model_fields) - {"order_coverage"}  # read from an order, entered by nobody


def test_it_reads_json_as_it_reads_yaml() -> None:
    request = load_request(json.dumps(GOOD).encode())
    assert request.patient.birth_date == date(1961, 4, 12)
    assert request.patient.identifiers[0].value == "00123456"


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_it_reads_json_of_any_layout(indent: int | str | None) -> None:
    assert load_request(json.dumps(GOOD, indent=indent, separators=(",", ":")).encode()).key == "k-1"


def test_it_reads_json_escapes_beyond_the_first_plane() -> None:
    text = json.dumps(changed(("question",), 'Is 𝒙 > 1 \\ / "so"?\n\tnext')).replace("/", "\\/")
    assert load_request(text.encode()).question == 'Is 𝒙 > 1 \\ / "so"?\n\tnext'


def test_it_reads_a_file_with_byte_order_mark_and_windows_lines() -> None:
    text = (EXAMPLES / FILES[0]).read_text(encoding="utf-8").replace("\n", "\r\n")
    assert load_request(b"\xef\xbb\xbf" + text.encode()) == load_request(EXAMPLES / FILES[0])


def test_it_takes_an_unquoted_time_as_it_stands() -> None:
    text = json.dumps(GOOD)[:-1] + ', "authored_at": 2025-03-03T09:30:00+01:00}'
    assert load_request(text.encode()).authored_at == "2025-03-03T09:30:00+01:00"


CORPUS = {
    "misspelled key": (("patient", "birthdate"), "1961-04-12", "patient.?", "did you mean `birth_date`?"),
    "key of another shape": (("patient", SECRET), 1, "patient.?", "the keys are `identifiers`, `name`"),
    "empty question": (("question",), "  ", "question", "must not be empty; for example `question: Is"),
    "no question": (("question",), None, "question", "must not be empty"),
    "number of a patient": (
        ("patient", "identifiers", 0, "value"),
        123456,
        "patient.identifiers[0].value",
        'put it in quotes; for example `value: "00123456"`',
    ),
    "no identifier": (("patient", "identifiers"), [], "patient.identifiers", "give at least one"),
    "system with white space": (
        ("patient", "identifiers", 0, "system"),
        f"not a uri {SECRET}",
        "patient.identifiers[0].system",
        "must be a URI",
    ),
    "identifier as group": (
        ("patient", "identifiers"),
        {"system": SECRET, "value": SECRET},
        "patient.identifiers",
        "must be a list",
    ),
    "identifier without system": (
        ("patient", "identifiers"),
        [{"value": SECRET}],
        "patient.identifiers[0].system",
        "is missing; for example",
    ),
    "birth date in words": (
        ("patient", "birth_date"),
        SECRET,
        "patient.birth_date",
        "must be a date, year-month-day; for example `birth_date: 1961-04-12`",
    ),
    "birth date of seconds": (("patient", "birth_date"), 0, "patient.birth_date", "must be a date"),
    "birth date of quoted seconds": (("patient", "birth_date"), "86400", "patient.birth_date", "must be a date"),
    "birth date as year": (("patient", "birth_date"), 1961, "patient.birth_date", "must be a date"),
    "birth date with time": (("patient", "birth_date"), "1961-04-12T00:00:00", "patient.birth_date", "must be a date"),
    "no such day": (("patient", "birth_date"), "1961-02-30", "patient.birth_date", "must be a date"),
    "sex": (("patient", "sex"), "femal", "patient.sex", "must be `male`, `female`, `other` or `unknown`; for example"),
    "given name as word": (("patient", "name", "given"), SECRET, "patient.name.given", "must be a list"),
    "name as word": (("patient", "name"), SECRET, "patient.name", "must be a group of keys"),
    "patient as word": (("patient",), SECRET, "patient", "must be a group of keys"),
    "nobody asks": (("requester",), {}, "requester", "give an identifier (NPI) or a name"),
    "nowhere": (("requester", "organization"), {}, "requester.organization", "give an identifier or a name"),
    "stat": (("priority",), "stat", "priority", "not for emergencies"),
    "priority": (("priority",), SECRET, "priority", "must be `routine`, `urgent` or `asap`"),
    "first opinion again": (("opinion_number",), 1, "opinion_number", "must be at least 2"),
    "number in words": (("opinion_number",), SECRET, "opinion_number", "must be a whole number"),
    "record type": (("records",), {"types": ["Observations"]}, "records.types[0]", "did you mean `Observation`?"),
    "record type of another shape": (("records",), {"types": [SECRET]}, "records.types[0]", "not a resource type"),
    "consent": (("consent",), SECRET, "consent", "for example `Consent/123`"),
    "coverage": (("coverage",), ["Coverage/1", SECRET], "coverage[1]", "for example `Coverage/45`"),
    "service request": (("service_request",), "Task/1", "service_request", "for example `ServiceRequest/9`"),
    "time without zone": (("authored_at",), "2025-03-03T09:30:00", "authored_at", "with its zone"),
    "time in words": (("authored_at",), SECRET, "authored_at", "with its zone"),
    "nobody to ask": (("specialty",), None, "", "name a `specialty` or a `consultant`"),
    "same endpoint": (("fulfiller",), "hillside", "", "are the same endpoint"),
}


@pytest.mark.parametrize(("at", "value", "path", "said"), CORPUS.values(), ids=CORPUS)
def test_it_says_what_is_wrong_where(at: tuple[str | int, ...], value: Any, path: str, said: str) -> None:
    source = changed(at, value)
    [mistake] = mistakes_of(source)
    assert (mistake.file, mistake.path) == ("request.json", path) and said in mistake.message, mistake
    assert mistake.line is not None


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b"", None, "is empty"),
        (b"# nothing\n", None, "is empty"),
        (f"- {SECRET}\n".encode(), 1, "must be a group of keys"),
        (SECRET.encode(), 1, "must be a group of keys"),
        (f"key: {SECRET}: x\n".encode(), 1, "needs quotes"),
        (f'key: "{SECRET}\n'.encode(), 1, "a quote is opened here"),
        (f'{{"key": "{SECRET}"'.encode(), 1, "a bracket is opened here"),
        (f'key: "\\q{SECRET}"\n'.encode(), 1, "a backslash inside double quotes"),
        (f"question: x\n{SECRET}\nkey: y\n".encode(), 2, "a key without its colon"),
        (f"key: *{SECRET}\n".encode(), 1, "aliases"),
        (f"key: !{SECRET} x\n".encode(), 1, "tags"),
        (f"%TAG ! {SECRET}\nkey: x\n".encode(), 2, "is not valid YAML"),
        (f"{SECRET}: 1\n{SECRET}: 2\n".encode(), 2, "is written twice (first on line 1)"),
        (b'{"key": "a",\n"key": "b"}', 2, "is written twice (first on line 1)"),
        (SECRET.encode() + b"\n\xff\n", 2, "is not UTF-8"),
        (SECRET.encode() + b"\n\n\x00", 3, "NUL byte"),
        (b"patient:\n\tsex: male\n", 2, "a tab is used"),
        (b'{"key": "a", "patient": {"name": {"family": "\\u0000"}}}', 1, "control character"),
        (b"birth: 1961-02-30\n", 1, "not a day of the calendar"),
        (b"[" * 5000, 1, "nested deeper"),
        (b"key: x\n" + b"!" * 100_001, 2, "more than 100,000 characters"),
        (b"- 1\n" * 50_001, 50_000, "more than 50,000 values"),
    ],
)
def test_it_says_why_it_cannot_be_read(text: bytes, line: int | None, said: str) -> None:
    mistakes = mistakes_of(text)
    assert any(each.line == line and said in each.message for each in mistakes), mistakes


def test_it_says_all_mistakes_at_once_with_the_lines_of_a_json_file() -> None:
    source = changed(("patient", "sex"), SECRET) | {
        "priority": "stat",
        "wanted_by": SECRET,
        SECRET: SECRET,
        "specialty": None,
    }
    del source["question"]
    lines = json.dumps(source, indent=1).splitlines()
    told = {each.path: each.line for each in mistakes_of(source)}
    assert set(told) == {"patient.sex", "priority", "wanted_by", "?", "question", ""}
    assert all(f'"{path}"' in lines[told[path] - 1] for path in ("priority", "wanted_by"))
    assert '"sex"' in lines[told["patient.sex"] - 1] and f'"{SECRET}"' in lines[told["?"] - 1]


def _places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in items:
        yield from _places(inner, (*at, part))


def test_no_mistake_anywhere_repeats_a_value() -> None:
    """Every place of a request in turn holds something wrong; what it held before must not be told either."""
    full = changed(("records",), {"types": ["Condition"], "since": "2020-01-01"})
    full |= {"priority": "asap", "coverage": ["Coverage/1"], "reasons": [{"system": "s", "code": "c"}]}
    wrong: list[Any] = [SECRET, [SECRET], {SECRET: SECRET}, {"value": {SECRET: 1}}, 19610412, None, True, 1.5]
    refused = 0
    for at in _places(full):
        for value in wrong if at else []:
            try:
                load_request(json.dumps(_put(full, at, value)).encode())
            except RequestError as error:
                refused += 1
                text = "".join(traceback.format_exception(error))
                assert SECRET not in text and "19610412" not in text, (at, value)
    assert refused > 150


def _put(source: dict[str, Any], at: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    source = copy.deepcopy(source)
    inner: Any = source
    for part in at[:-1]:
        inner = inner[part]
    inner[at[-1]] = value
    return source


@example(b"{*!")
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
        st.lists(
            st.sampled_from([*"{}[]:,-?!&*|>'\"#%@`~ \n\t\\", "key", ": ", "\n  ", "- ", "2020-02-30"]), max_size=40
        ).map(lambda parts: "".join(parts).encode()),
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_file_holds_it_says_what_is_wrong(data: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        load_request(data)
    assert caught.value.mistakes and caught.value.__cause__ is None


@pytest.fixture
def config() -> Config:
    return Config.model_validate(
        {
            "endpoints": {
                "hillside": {"base_url": "https://a.example.org", "role": "placer"},
                "university-hospital": {"base_url": "https://b.example.org", "role": "fulfiller"},
            }
        }
    )


@pytest.mark.parametrize(
    ("party", "name", "said"),
    [
        ("placer", "hilside", "did you mean `hillside`?"),
        ("placer", SECRET, "known: `hillside`, `university-hospital`"),
        ("fulfiller", "university_hospital", "did you mean `university-hospital`?"),
    ],
)
def test_it_knows_the_endpoints(config: Config, party: str, name: str, said: str) -> None:
    source = changed((party,), name)
    [mistake] = mistakes_of(source, endpoints=config.endpoints)
    assert mistake.path == party and said in mistake.message and mistake.line
    assert [each.message for each in endpoint_mistakes(config, load_request(json.dumps(source).encode()), "x")] == [
        mistake.message
    ]


def test_it_knows_the_roles_of_endpoints(config: Config) -> None:
    swapped = {**GOOD, "placer": GOOD["fulfiller"], "fulfiller": GOOD["placer"]}
    assert [each.message for each in mistakes_of(swapped, endpoints=config.endpoints)] == [
        "names an endpoint that is no placer in the configuration",
        "names an endpoint that is no fulfiller in the configuration",
    ]
    assert endpoint_mistakes(config, load_request(json.dumps(GOOD).encode()), "x") == []


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_it_says_that_there_is_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="examples/oncology-request.yaml"):
        load_request(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("requester", "identifiers"), [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "123"}], "is not an NPI"),
        (
            ("requester", "identifiers"),
            [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567890"}],
            "is not an NPI",
        ),
        (
            ("first_opinion", "diagnosis"),
            {"text": "x", "codes": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "colon cancer"}]},
            "is not an ICD-10-CM code",
        ),
        (("patient", "birth_date"), "2999-01-01", "is a day that has not come yet"),
        (("first_opinion", "given_on"), "2999-01-01", "is a day that has not come yet"),
    ],
)
def test_what_cannot_be_is_said_where_it_stands(path: tuple[str, str], value: Any, says: str) -> None:
    request = json.loads(load_request(EXAMPLES / "oncology-request.yaml").model_dump_json(exclude_defaults=True))
    request[path[0]][path[1]] = value
    assert any(says in mistake.message for mistake in mistakes_of(request))
