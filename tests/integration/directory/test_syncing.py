"""FHIR directories are read whole or not at all: pages, includes, servers that ignore what they are asked, and who vanished."""

import json
import os
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text

from integration.directory.syncing import load_bundle, sync
from integration.settings.directory import DirectorySource
from integration.store import directory as store
from integration.store.operations import NotPossible
from mappings.model.errors import FileError, PartialError
from tests import directory_files as files
from tests.mappings.directory.test_fhir import PERSON, PLACE, ROLE
from tests.mappings.directory.test_services import PLACES, SERVICE

pytestmark = pytest.mark.postgres
DATA = Path(os.environ.get("SECOND_OPINION_DATA", "../shared/data")) / "directory"
TODAY = date(2026, 11, 29)


class Page:
    def __init__(self, entries, next_url=None):
        self.entries, self.next_url, self.problems = entries, next_url, []


class Each:
    def __init__(self, resource):
        self.resource, self.full_url = resource, None


def rows(engine):
    with engine.connect() as conn:
        return conn.execute(text("SELECT * FROM directory_entries ORDER BY source_id")).all()


def bundle(tmp_path, *resources, name="directory.json"):
    path = tmp_path / name
    path.write_text(
        json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]})
    )
    return path


def load(engine, path, **how):
    how = {"whole": True, "fewer": False, **how}
    return load_bundle(engine, path, "plan", how.pop("on", TODAY), actor="t", **how)


def test_what_a_service_states_is_kept_and_nothing_in_it_stops_the_load(engine, tmp_path):
    odd = {**SERVICE, "comment": "a\0b\ud800", "eligibility": [{"comment": "x" * 5000}]}
    load(engine, bundle(tmp_path, ROLE, PERSON, PLACE, odd, *PLACES.values()))
    [row] = rows(engine)
    [stored] = row.services
    assert stored["comment"] == "a\ufffdb?" and stored["minimum_age"] == 18 and len(stored["eligibility"][0]) < 1100


def test_a_bundle_in_a_file(engine, tmp_path):
    done = load(engine, bundle(tmp_path, ROLE, PERSON, PLACE))
    [row] = rows(engine)
    assert done.added == 1 and "reference-unresolved" in done.notes[0]
    assert (row.source, row.languages, row.spoken, row.position) == (
        "fhir:plan",
        ["es-MX", "yue"],
        ["es", "yue"],
        "source",
    )


def test_who_vanished_is_marked_and_comes_back(engine, tmp_path):
    other = {**ROLE, "id": "s"}
    load(engine, bundle(tmp_path, ROLE, other, PERSON, PLACE))
    load(engine, bundle(tmp_path, ROLE, PERSON, PLACE), fewer=True)
    assert [each.state_now for each in rows(engine)] == ["active", "gone"]
    load(engine, bundle(tmp_path, ROLE, other, PERSON, PLACE))
    assert [each.state_now for each in rows(engine)] == ["active", "active"]
    load(engine, bundle(tmp_path, ROLE, {**other, "active": False}, PERSON, PLACE))
    assert [each.state_now for each in rows(engine)] == ["active", "deactivated"]


def test_what_is_no_bundle_is_a_sentence(engine, tmp_path):
    (tmp_path / "cut.json").write_text('{"resourceType": "Bundle", "entry": [')
    (tmp_path / "other.json").write_text("[]")
    for name, says in (("cut.json", "is not JSON"), ("other.json", "is no FHIR Bundle")):
        with pytest.raises(FileError, match=says):
            load(engine, tmp_path / name)


@pytest.mark.skipif(not DATA.is_dir(), reason="no synthetic directory here")
def test_the_practitioners_of_a_synthetic_directory(engine):
    [path] = DATA.glob("practitioner*.json")
    done = load(engine, path)
    found = rows(engine)
    assert (done.added, len(found)) == (102, 102)
    assert any("directory-npi" in note for note in done.notes)  # their NPIs are placeholders
    assert {each.gender for each in found} <= {"male", "female"} and all(each.specialties is None for each in found)
    assert all(each.npi is None and each.second_opinions is None for each in found)
    assert sum(each.zip is not None for each in found) >= 60


class Server:
    """What FhirServer shows of a directory, two a page; not a stand-in for the wire, which tests/integration/fhir has."""

    name = "plan"

    def __init__(self, roles, others=(), loops=False):
        self.roles, self.others, self.loops = roles, {f"{r['resourceType']}/{r['id']}": r for r in others}, loops
        self.asked, self.read = [], []
        self.endpoint = type("Endpoint", (), {"bases": ("https://plan.example.org/r4",), "name": "The Plan"})()

    def search(self, kind, params):
        self.asked.append((kind, dict(params)))
        return self

    def page(self, url):
        start = int(url or 0)
        last = start + 2 >= len(self.roles)
        following = "0" if self.loops else None if last else str(start + 2)
        return Page([Each(role) for role in self.roles[start : start + 2]], following)

    def read_if_there(self, reference):
        self.read.append(reference)
        return self.others.get(reference)


def many(number):
    return [{**ROLE, "id": f"r{n}", "endpoint": [], "healthcareService": []} for n in range(number)]


def test_pages_are_followed_and_what_was_not_included_is_read_once(engine):
    server = Server(many(5), [PERSON, PLACE])
    done = sync(engine, server, DirectorySource(), TODAY, actor="t")
    assert done.added == 5 and server.read == ["Practitioner/p", "Location/l"]
    assert rows(engine)[0].source == "fhir:plan"


def test_a_filter_that_a_server_ignores_is_done_here_and_said(engine):
    elsewhere = {**PLACE, "id": "m", "address": {"state": "MA"}}
    roles = [*many(2), {**many(1)[0], "id": "far", "location": [{"reference": "Location/m"}]}]
    server = Server(roles, [PERSON, PLACE, elsewhere])
    done = sync(engine, server, DirectorySource(profile="npd", states=("WA",)), TODAY, actor="t")
    assert server.asked[0][1]["location_state"] == "WA"
    assert done.added == 2 and any("the server does not filter by them" in note for note in done.notes)
    own = Server(many(1), [PERSON, PLACE])
    sync(engine, own, DirectorySource(states=("WA",), parameters={"state": "where"}), TODAY, actor="t", fewer=True)
    assert own.asked[0][1]["where"] == "WA"


def test_pages_in_a_circle_change_nothing(engine):
    with pytest.raises(PartialError, match="an earlier page"):
        sync(engine, Server(many(3), [PERSON, PLACE], loops=True), DirectorySource(), TODAY, actor="t")
    assert rows(engine) == []


def test_a_server_that_shows_far_fewer_is_not_believed_at_once(engine):
    sync(engine, Server(many(16), [PERSON, PLACE]), DirectorySource(), TODAY, actor="t")
    with pytest.raises(NotPossible, match="--fewer"):
        sync(engine, Server(many(1), [PERSON, PLACE]), DirectorySource(), TODAY, actor="t")
    assert [each.state_now for each in rows(engine)] == ["active"] * 16


def test_the_same_npi_of_two_sources_is_two_entries_that_know_of_each_other(engine, tmp_path):
    from integration.directory.profiles import profile

    load(
        engine,
        bundle(tmp_path, ROLE, {**PERSON, "identifier": [{**PERSON["identifier"][0], "value": files.npi(1)}]}, PLACE),
    )
    with store.staging(engine):
        pass  # the lock was given back
    from integration.directory.loading import Wanted
    from integration.directory.loading import load as load_file

    path = files.write(tmp_path / "npidata_pfile_20050523-20261108.csv", [files.row(1)])
    load_file(engine, path, Wanted(), actor="t", progress=lambda done, total: None)
    one, two = rows(engine)
    assert [each.id for each in profile(engine, one.id, TODAY).others] == [two.id]
