"""The practices that accounts and tokens belong to: those of config.yaml, and those that it no longer names."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import accounts, request_list, tokens
from integration.store.operations import NotPossible
from mappings.model.errors import ExchangeError


class UnknownPractice(NotPossible):
    """config.yaml names no such practice."""


@dataclass(frozen=True)
class Gone:
    """A practice that has people or tokens here and stands in config.yaml no more; ``open`` requests are still its own."""

    practice: str
    open: int
    people: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.practice} is not under endpoints in config.yaml any more: {self.open} open request(s) of it; "
            f"{', '.join(self.people)} still see what it asked and was asked, and ask nothing new"
        )


def check(config: Config, names: Collection[str]) -> None:
    """Raises UnknownPractice for what is no key under endpoints, with a sentence that names those that are."""
    for name in sorted(set(names) - config.endpoints.keys()):
        known = ", ".join(f"{key} ({endpoint.name})" for key, endpoint in config.endpoints.items())
        raise UnknownPractice(f"there is no practice {name[:80]} under endpoints in config.yaml; there are: {known}")


def gone_where_it_runs(config: Config) -> list[str]:
    """The same as sentences, when the database answers; none is started for it, and one that is away is said."""
    from integration.postgres.database import is_there, open_database

    if not is_there(config):
        return []
    try:
        database = open_database(config)
    except ExchangeError as error:
        return [f"whether people belong to practices that are gone was not looked for: {error}"]
    try:
        database.check_current()
        with database.engine.connect() as conn:
            return [str(each) for each in gone(conn, config)]
    except ExchangeError as error:
        return [f"whether people belong to practices that are gone was not looked for: {error}"]
    finally:
        database.close()


def gone(conn: Connection, config: Config) -> list[Gone]:
    """Every practice that somebody belongs to and config.yaml no longer names."""
    whose: dict[str, list[str]] = {}
    for view in accounts.views(conn):
        for practice in view["practices"]:
            whose.setdefault(practice, []).append(view["name"])
    for view in tokens.views(conn):
        for practice in view["practices"] if view["valid"] else ():
            whose.setdefault(practice, []).append(f"token {view['name']}")
    missing = sorted(whose.keys() - config.endpoints.keys())
    return [Gone(name, request_list.open_of(conn, name), tuple(whose[name])) for name in missing]
