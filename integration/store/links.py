"""Links: what a thing is called at an endpoint, so that nothing is created there twice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.arrays import any_of, blocks, unnested
from integration.store.tables import endpoints, links
from mappings.model.errors import ExchangeError
from mappings.model.link import Link


class SystemChanged(ExchangeError):
    """The identifier_system of an endpoint changed after first use."""

    cause = "identifier-system-changed"


def remember(
    conn: Connection,
    endpoint: str,
    system: str,
    value: str,
    reference: str,
    *,
    origin: str,
    version: str | None = None,
    sha256: str | None = None,
) -> None:
    """Store one link, or renew it."""
    remember_all(
        conn,
        endpoint,
        [dict(system=system, value=value, reference=reference, origin=origin, version=version, sha256=sha256)],
    )


def remember_all(conn: Connection, endpoint: str, rows: Iterable[dict]) -> None:
    """Store many links; keys as in ``remember``."""
    unique = {
        (row["system"], row["value"]): {"version": None, "sha256": None, **row, "endpoint": endpoint} for row in rows
    }
    for names, block in blocks(links, [unique[key] for key in sorted(unique)]):  # one order: no deadlocks
        insertion = insert(links).from_select(names, block)
        new = insertion.excluded
        conn.execute(
            insertion.on_conflict_do_update(
                index_elements=["endpoint", "system", "value"],
                # what points elsewhere now is no longer what made it first: nothing of ours is updated over what a person linked
                set_=dict(
                    reference=new.reference,
                    origin=case((links.c.reference == new.reference, links.c.origin), else_=new.origin),
                    version=func.coalesce(new.version, links.c.version),
                    sha256=func.coalesce(new.sha256, links.c.sha256),
                    updated_at=func.now(),
                ),
            )
        )


def wrote(conn: Connection, endpoint: str, rows: Iterable[Link]) -> None:
    """Store what was just written, or found to stand there: everything of the link is as given, and not read back yet.

    How a thing came to be there stays, unless it is another thing now.
    """
    unique = {(row.system, row.value): asdict(row) | {"endpoint": endpoint, "verified_at": None} for row in rows}
    for names, block in blocks(links, [unique[key] for key in sorted(unique)]):
        insertion = insert(links).from_select(names, block)
        new = insertion.excluded
        kept = {name: getattr(new, name) for name in names if name not in ("endpoint", "system", "value", "origin")}
        origin = case((links.c.reference == new.reference, links.c.origin), else_=new.origin)
        conn.execute(
            insertion.on_conflict_do_update(
                index_elements=["endpoint", "system", "value"],
                set_={**kept, "origin": origin, "updated_at": func.now()},
            )
        )


def read_back(conn: Connection, endpoint: str, system: str, found: Mapping[str, tuple[str | None, str | None]]) -> None:
    """What we last wrote was read back as written: ``{value: (hash of what was compared, version there)}``.

    Nothing is said of what was written anew meanwhile.
    """
    read = unnested(links, ("value", "sha256", "version"), [(value, *each) for value, each in found.items()])
    conn.execute(
        update(links)
        .where(*_of(endpoint, system, read), links.c.sha256 == read.c.sha256)
        .values(verified_at=func.now(), version=func.coalesce(read.c.version, links.c.version))
    )


def verified_as(
    conn: Connection, endpoint: str, system: str, versions: Mapping[str, str | None], sha256s: Mapping[str, str]
) -> None:
    """What stands there at these versions was read back and is exactly what we wrote (``sha256s`` names its bytes).

    Only where a write had no whole answer, so that we did not know.
    """
    read = unnested(
        links, ("value", "version", "sha256"), [(value, version, sha256s[value]) for value, version in versions.items()]
    )
    conn.execute(
        update(links)
        .where(*_of(endpoint, system, read), or_(links.c.version.is_(None), links.c.sha256.is_(None)))
        .values(version=read.c.version, sha256=read.c.sha256, updated_at=func.now())
    )


def find(conn: Connection, endpoint: str, system: str, values: Iterable[str]) -> dict[str, str]:
    """``{value: Type/id at the endpoint}`` for those known."""
    wanted = list(values)
    if not wanted:
        return {}
    rows = conn.execute(
        select(links.c.value, links.c.reference).where(
            links.c.endpoint == endpoint, links.c.system == system, any_of(links.c.value, wanted)
        )
    )
    return {row.value: row.reference for row in rows}


def forget_all(conn: Connection, endpoint: str, pairs: Sequence[tuple[str, str]]) -> None:
    """These ({system, value}) do not hold any more: what they name is looked for before anything is written."""
    wanted = unnested(links, ("system", "value"), pairs)
    is_one = and_(links.c.system == wanted.c.system, links.c.value == wanted.c.value)
    conn.execute(delete(links).where(links.c.endpoint == endpoint, is_one))


def find_rows(conn: Connection, endpoint: str, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """The whole links of (system, value) pairs."""
    wanted = unnested(links, ("system", "value"), list(dict.fromkeys(pairs)))
    rows = conn.execute(
        select(links)
        .join(wanted, and_(links.c.system == wanted.c.system, links.c.value == wanted.c.value))
        .where(links.c.endpoint == endpoint)
    )
    return {(row.system, row.value): _link(row) for row in rows}


def forget(conn: Connection, endpoint: str, system: str, value: str) -> None:
    """What was linked is not there: nothing is known of it anymore."""
    conn.execute(delete(links).where(*_one(endpoint, system, value)))


def doubt_content(conn: Connection, endpoint: str, system: str, value: str) -> None:
    """It is there, and what it says is in doubt: it is brought up to date, as if it was not known what was written."""
    doubt = dict(sha256=None, source_sha256=None, source_version=None, source_updated_at=None, gathered_at=None)
    conn.execute(update(links).where(*_one(endpoint, system, value)).values(**doubt, verified_at=None))


def _one(endpoint: str, system: str, value: str) -> tuple:
    return links.c.endpoint == endpoint, links.c.system == system, links.c.value == value


def of_reference(conn: Connection, endpoint: str, reference: str) -> list[Link]:
    """What is known of one thing at an endpoint."""
    rows = conn.execute(select(links).where(links.c.endpoint == endpoint, links.c.reference == reference))
    return [_link(row) for row in rows]


def frozen_system(conn: Connection, endpoint: str) -> str:
    """The identifier system of an endpoint as it was at first use."""
    return conn.execute(select(endpoints.c.identifier_system).where(endpoints.c.key == endpoint)).scalar_one()


def _of(endpoint: str, system: str, read: Any) -> tuple[ColumnElement[bool], ...]:
    """The links of the values in ``read``, rows that stand beside them in a statement."""
    return links.c.endpoint == endpoint, links.c.system == system, links.c.value == read.c.value


def _link(row: Row) -> Link:
    return Link(**{each.name: getattr(row, each.name) for each in fields(Link)})
