"""The door of the patient's own page: one answer to everything that is wrong, counted for ever, sessions of its own."""

import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from integration.backups.restore import look_before_sending
from integration.health_links import making
from integration.health_links.making import Wanted
from integration.store import private_links, requests, revisions, sign_in_tries
from integration.visit_reading import House
from integration.web import create_app
from mappings.model.private_link import TypedLink
from tests.integration.web.access.guarded import Guarded
from tests.integration.web.site import Site
from tests.mappings.test_device import IPHONE

pytestmark = pytest.mark.postgres
BORN = "1960-02-29"


def patient(born: str | None = BORN) -> dict:
    known = {"birth_date": born} if born else {}
    return {"identifiers": [{"system": "urn:test:mrn", "value": "M1"}], "name": {"family": "Zaunkoenig", "given": ["Ada"]}} | known  # fmt: skip


def link(site: Site, opened_by: str = "birth-date", key: str = "k1", **more: str):
    request_id = site.request(key, patient=patient())
    with site.engine.begin() as conn:
        return private_links.make(conn, request_id, TypedLink(opened_by, **more), actor="ann")


def enter(client, token: str, born: str = BORN, code: str = "", address: str = "192.0.2.1", **headers: str):
    return client.post(f"/p/{token}", data={"born": born, "code": code}, environ_overrides={"REMOTE_ADDR": address}, headers=headers)  # fmt: skip


def inside(site: Site, made, **headers: str):
    """A browser that has opened the page."""
    client = site.app.test_client()
    code = made.code or ""
    assert enter(client, made.token, code=code, **headers).status_code == 303
    return client


def spoil(site: Site, made, how: str) -> None:
    with site.engine.begin() as conn:
        if how == "revoked":
            private_links.revoke(conn, made.link.request_id, made.link.id, actor="ann", reason="lost")
        elif how == "expired":
            conn.exec_driver_sql("update private_links set expires_at = now() - interval '1 minute'")
        elif how == "closed":
            conn.exec_driver_sql("update private_links set failures = 10")


def wipe_tries(site: Site) -> None:
    with site.engine.begin() as conn:
        conn.exec_driver_sql("delete from sign_in_tries")


def test_a_link_opens_with_the_birth_date_and_leaves_no_trace_of_whose_it_is(site):
    made = link(site)
    assert len(made.token) >= 43 and made.link.request_id not in made.token
    client = site.app.test_client()
    shown = client.get(f"/p/{made.token}")
    assert shown.status_code == 200 and "Zaunkoenig" not in shown.text and made.token not in shown.text
    answer = enter(client, made.token)
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 303 and answer.headers["Location"] == "/p"
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "second_opinion_session" not in cookie
    page = client.get("/p")
    assert page.status_code == 200 and "Where things stand" in page.text
    for each in (shown, answer, page):
        assert each.headers["Referrer-Policy"] == "no-referrer" and each.headers["Cache-Control"] == "no-store"
        assert (
            "noindex" in each.headers["X-Robots-Tag"]
            and "default-src 'none'" in each.headers["Content-Security-Policy"]
        )
    with site.engine.connect() as conn:
        [kept] = conn.exec_driver_sql("select * from private_links").all()
        assert made.token not in str(kept) and BORN not in str(kept)
    audited = str(site.audited("private-link.made") + site.audited("private-link.opened"))
    assert made.token not in audited and BORN not in audited


def test_a_code_opens_it_as_people_write_it_and_a_birth_date_does_not(site):
    made = link(site, "code")
    assert enter(site.app.test_client(), made.token).status_code == 403
    assert (
        enter(site.app.test_client(), made.token, born="", code=f" {made.code.lower().replace('-', ' ')} ").status_code
        == 303
    )


@pytest.mark.parametrize("how", ["no such link", "revoked", "expired", "closed", "wrong", "nothing", "too soon"])
def test_everything_that_is_wrong_gets_the_same_answer(site, how):
    made, right = link(site), link(site, key="k2")
    spoil(site, made, how)
    wrong = enter(site.app.test_client(), right.token, born="1999-01-01", address="192.0.2.9")
    token = "x" * 43 if how == "no such link" else made.token
    born = {"wrong": "1960-02-28", "nothing": ""}.get(how, BORN)
    if how == "too soon":
        for _ in range(12):
            enter(site.app.test_client(), "y" * 43)
    answer = enter(site.app.test_client(), token, born=born)
    assert answer.status_code == wrong.status_code == 403
    assert answer.text == wrong.text and sorted(answer.headers.keys()) == sorted(wrong.headers.keys())
    assert "Set-Cookie" not in answer.headers
    shapes = {site.app.test_client().get(f"/p/{each}").text for each in (token, right.token, "z" * 43, "a")}
    assert len(shapes) == 1, "before anything is typed all look the same too"


def test_it_takes_the_same_time_whether_there_is_such_a_link_or_not(site):
    made = link(site)
    took: dict[str, list[float]] = {made.token: [], "x" * 43: []}
    for number in range(24):
        for token, times in took.items():
            with site.engine.begin() as conn:
                conn.exec_driver_sql("update private_links set failures = 0")
            began = time.perf_counter()
            enter(site.app.test_client(), token, born="1999-01-01", address=f"198.51.100.{number}")
            times.append(time.perf_counter() - began)
    there, not_there = (statistics.median(each) for each in took.values())
    assert abs(there - not_there) < 0.6 * max(there, not_there), (there, not_there)


def test_a_thousand_passcodes_open_nothing_and_close_the_link_over_processes_and_restarts(site):
    made = link(site, "code")
    for number in range(1000):
        if number % 100 == 0:  # another process each time
            site.app = create_app(site.config, site.engine, site.payloads)
        address = f"198.51.100.{number % 250}"
        assert enter(site.app.test_client(), made.token, code=f"AAAA-{number:04}", address=address).status_code == 403
    wipe_tries(site)
    assert enter(site.app.test_client(), made.token, code=made.code).status_code == 403, (
        "closed for good, also for the right one"
    )
    with site.engine.connect() as conn:
        [row] = private_links.of_request(conn, made.link.request_id)
    assert row.failures >= 10 and row.opened == 0
    assert "Closed after too many wrong answers" in site.get(f"/requests/{made.link.request_id}/private-links")


def test_who_guesses_links_has_to_wait_whatever_they_guess(site):
    made = link(site)
    for number in range(12):
        enter(site.app.test_client(), f"{number}".rjust(43, "g"))
    assert enter(site.app.test_client(), made.token).status_code == 403, "right, and too soon"
    assert enter(site.app.test_client(), made.token, address="203.0.113.7").status_code == 303, "nobody else waits"
    with site.engine.connect() as conn:
        limits = sign_in_tries.for_private_links("00" * 32, "192.0.2.1")
        assert len(limits) == 1 and conn is not None


def test_of_fifty_machines_five_stay_and_all_are_shown(site):
    made = link(site)
    clients = [site.app.test_client() for _ in range(50)]

    def open_it(number: int) -> int:
        return enter(clients[number], made.token, address=f"198.51.100.{number}", **{"User-Agent": IPHONE}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(open_it, range(50))) == {303}
    live = [client for client in clients if client.get("/p").status_code == 200]
    assert len(live) == 5
    staff = site.get(f"/requests/{made.link.request_id}/private-links")
    assert "opened 50 times" in staff and staff.count("A phone, Safari") == 20
    assert live[0].get("/p").text.count("A phone, Safari") == 20
    with site.engine.connect() as conn:
        assert conn.exec_driver_sql("select distinct device from private_sessions").scalars().all() == ["phone/Safari"]


def test_a_revoked_link_ends_what_it_opened_at_once_and_an_idle_one_ends(site):
    made = link(site)
    client = inside(site, made)
    spoil(site, made, "revoked")
    assert client.get("/p").status_code == 303 and client.get("/p/ended").status_code == 403
    other = link(site, key="k2")
    client = inside(site, other)
    with site.engine.begin() as conn:
        conn.exec_driver_sql("update private_sessions set seen_at = now() - interval '21 minutes'")
    assert client.get("/p").headers["Location"] == "/p/ended"


def test_neither_session_opens_what_the_other_does(tmp_path, database):
    site = Guarded(tmp_path, database)
    made = link(site)
    staff = site.as_("clinical-data", "operator")
    assert staff.get("/p").status_code == 303, "staff stand before the door too"
    mine = inside(site, made)
    assert mine.get("/p").status_code == 200
    assert mine.get(f"/cases/{made.link.request_id}").status_code == 303, "the patient has to sign in there, and cannot"
    assert mine.get("/api/requests").status_code == 401


@pytest.mark.parametrize(
    "path", ["/p", "/p/appointment.ics", "/p/questions", "/p/medications", "/p/consent", "/p/leave", "/p/language"]
)
def test_every_route_behind_the_door_sends_who_is_not_in_to_the_door(site, path):
    for made in (site.app.test_client(), site.client):
        for method in ("GET", "POST"):
            answer = made.open(path, method=method)
            is_door = answer.status_code in (200, 403) and 'name="born"' in answer.text
            is_shut = is_door or answer.status_code == 405 or answer.headers.get("Location") == "/p/ended"
            assert is_shut, (method, answer.status_code)


def test_a_form_of_another_session_is_not_done(site):
    first, second = link(site), link(site, key="k2")
    theirs, mine = inside(site, first), inside(site, second)
    token = re.search(r'name="token" value="([^"]+)"', theirs.get("/p").text).group(1)
    data = {"token": token, "said": "withdrawn", "seen": ""}
    assert mine.post("/p/consent", data=data).status_code == 403
    assert mine.post("/p/consent", data=data | {"token": ""}).status_code == 403


def test_staff_make_it_once_and_see_it_once(site):
    request_id = site.request("k1", patient=patient(None))
    page = site.get(f"/requests/{request_id}/private-links")
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    post = lambda **data: site.client.post(f"/requests/{request_id}/private-links", data={"token": token} | data)  # noqa: E731
    assert "no whole birth date" in post(opened_by="birth-date").text
    refused = post(opened_by="code", days="400")
    assert refused.status_code == 400 and 'value="400"' in refused.text
    shown = post(opened_by="code", days="3")
    address = re.search(r'readonly value="([^"]+)"', shown.text).group(1)
    code = re.search(r"<strong><code>([A-Z0-9-]+)", shown.text).group(1)
    later = site.get(f"/requests/{request_id}/private-links")
    assert address not in later and code not in later and request_id not in address
    assert enter(site.app.test_client(), address.rpartition("/")[2], born="", code=code).status_code == 303
    assert post(opened_by="code", token="forged").status_code == 403
    made = site.client.post(
        f"/api/requests/{request_id}/private-links", json={"opened_by": "code", "language": "es"}
    ).json
    listed = site.client.get(f"/api/requests/{request_id}/private-links").json["private_links"]
    assert made["link"].startswith("http") and len(made["code"]) == 9 and len(listed) == 2 and "link" not in listed[0]
    gone = site.client.post(f"/api/requests/{request_id}/private-links/{made['id']}/revoke", json={"reason": "lost"})
    assert gone.json["changed"] and site.client.post(f"/api/requests/{request_id}/private-links/{made['id']}/revoke", json={"reason": "lost"}).status_code == 409  # fmt: skip


def revised(site: Site, request_id: str, born: str) -> None:
    with site.engine.begin() as conn:
        now = requests.content(requests.get(conn, request_id))
        made = now.model_copy(
            update={"patient": now.patient.model_copy(update={"birth_date": date.fromisoformat(born)})}
        )
        revisions.revise(conn, request_id, made, actor="nora", reason="the birth date was mistyped")


def test_a_birth_date_that_was_corrected_opens_the_link_and_the_old_one_does_not(site):
    made, by_code = link(site), None
    with site.engine.begin() as conn:
        by_code = private_links.make(conn, made.link.request_id, TypedLink("code"), actor="ann")
    client = inside(site, made)
    revised(site, made.link.request_id, "1950-02-03")
    assert client.get("/p").status_code == 200, "what is open stays open"
    assert enter(site.app.test_client(), made.token, BORN).status_code == 403
    assert enter(site.app.test_client(), made.token, "1950-02-03").status_code == 303
    assert enter(site.app.test_client(), by_code.token, code=by_code.code).status_code == 303
    [row] = site.audited("private-link.birth-date-corrected")
    assert row.subject == f"link {made.link.id}" and "1950" not in str(row)


def test_after_a_restore_no_link_of_before_opens(site):
    """The backup does not know which were revoked since."""
    made = link(site)
    client = inside(site, made)
    site.packet(made.link.request_id, {"resourceType": "Patient", "id": "p"})
    house = House(site.engine, site.payloads, site.config)
    carried = making.make(house, made.link.request_id, Wanted(is_theirs=True), "https://x.example", actor="ann")
    with site.engine.begin() as conn:
        look_before_sending(conn, actor="operator")
    assert client.get("/p").status_code == 303 and enter(site.app.test_client(), made.token).status_code == 403
    assert "restored from a backup" in site.get(f"/requests/{made.link.request_id}/private-links")
    [now] = making.listed(house, made.link.request_id, actor="ann").links
    assert now.id == carried.row.id and now.state(now.created_at) == "revoked"
    assert site.audited("database.restored")[0].detail["links_ended"] == {"private_links": 1, "health_links": 1}
