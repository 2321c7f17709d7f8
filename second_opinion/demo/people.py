"""Who plays which part: accounts whose passwords are made anew at each start, and tokens for the scripts. Nothing here is for real use."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from integration.settings.config import load_config
from integration.store import accounts, private_links, requests, tokens
from integration.store.roles import Role
from mappings.model.private_link import TypedLink
from second_opinion.house import database_of

ACTOR = "demo"


@dataclass(frozen=True)
class Part:
    """Somebody in the story. ``opens``: the page they begin with; ``{id}`` is the request's."""

    words: str
    account: str
    roles: tuple[Role, ...]
    practices: tuple[str, ...]
    opens: str
    does: str


PARTS = (
    Part("The coordinator at Hillside", "carla", (Role.COORDINATOR,), ("hillside",), "/cases/{id}",
         "sees what is there and what is missing; later reads the opinion and writes down what was decided"),
    Part("The consultant at Lakeview", "hakan", (Role.CONSULTANT,), ("lakeview",), "/desk/{id}",
         "accepts, reads the records, writes and signs the report"),
    Part("The operator of the Exchange", "olga", (Role.OPERATOR, Role.CLINICAL_DATA), (), "/requests/{id}",
         "sees each step, and what needs a person"),
)  # fmt: skip


@dataclass(frozen=True)
class LetIn:
    """``passwords`` by account; ``token``: for the API; ``practices``: for each practice's FHIR endpoint."""

    passwords: Mapping[str, str]
    token: str
    practices: Mapping[str, str]


def let_in(config_file: Path, practices: tuple[str, ...]) -> LetIn:
    """Make the accounts, or give those of an earlier start new passwords; and tokens that end in a day."""
    config = load_config(config_file, {})
    passwords = {part.account: secrets.token_urlsafe(12) for part in PARTS}
    begun = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with database_of(config, migrate=False) as database, database.engine.begin() as conn:
        for part in PARTS:
            if accounts.find(conn, part.account) is None:
                accounts.add(conn, part.account, passwords[part.account], part.roles, part.practices, actor=ACTOR)
            else:
                accounts.set_password(conn, part.account, passwords[part.account], actor=ACTOR)
        token = tokens.add(conn, f"demo-{begun}", (Role.CLINICAL_DATA,), practice=None, days=1, actor=ACTOR)
        own = {
            practice: tokens.add(conn, f"demo-{practice}-{begun}", (), practice=practice, days=1, actor=ACTOR)
            for practice in practices
        }
    return LetIn(passwords, token, own)


def link_for_the_patient(config_file: Path, request_id: str) -> tuple[str, str]:
    """A private link to the patient's own page, as the coordinator makes one; its token, and the birth date that opens it."""
    with database_of(load_config(config_file, {}), migrate=False) as database, database.engine.begin() as conn:
        born = requests.content(requests.get(conn, request_id)).patient.birth_date
        made = private_links.make(conn, request_id, TypedLink("birth-date", "", "en"), actor=ACTOR)
    return made.token, str(born)


def born_on(config_file: Path, request_id: str) -> str:
    """The patient's birth date, which opens their page."""
    with database_of(load_config(config_file, {}), migrate=False) as database, database.engine.begin() as conn:
        return str(requests.content(requests.get(conn, request_id)).patient.birth_date)


def how_to_play(base: str, request_id: str, let: LetIn, link: tuple[str, str]) -> list[str]:
    """What a visitor reads: each part with its page and sign-in."""
    token, born = link
    lines = [
        "The patient, who has nothing but a link, sees where things stand, and the report once it is released:",
        f"    {base}/p/{token}",
        f"    opens with the birth date {born}",
    ]
    for part in PARTS:
        lines += [
            f"{part.words} {part.does}:",
            f"    {base}{part.opens.format(id=request_id)}",
            f"    sign in as {part.account}, password {let.passwords[part.account]}",
        ]
    return [
        *lines,
        "The same over FHIR:",
        f"    curl -H 'Authorization: Bearer {let.practices['lakeview']}' {base}/fhir/lakeview/Task",
    ]
