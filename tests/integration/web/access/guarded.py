"""The pages with sign-in required, people who signed in, and machines with tokens."""

import re
from html import unescape
from urllib.parse import quote

from sqlalchemy import text

from integration.store import accounts, tokens
from integration.store.roles import Role
from tests.integration.web.site import Site

PASSWORD = "correct horse battery"
ADMIN = "ada.admin"


class Guarded(Site):
    """Nothing without signing in; there is one admin."""

    def __init__(self, folder, database, more: str = "web: {sign_in: required}\n"):
        super().__init__(folder, database, more)
        self.account(ADMIN, Role.ADMIN)

    def account(self, name: str, *roles: str, practices: tuple[str, ...] = ()) -> str:
        with self.engine.begin() as conn:
            accounts.add(conn, name, PASSWORD, roles or (Role.VIEWER,), practices, actor="test")
        return name

    def token(
        self, name: str, *roles: str, practice: str | None = None, practices: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """The header a machine sends."""
        with self.engine.begin() as conn:
            token = tokens.add(conn, name, roles, practice=practice, practices=practices, days=1, actor="test")
        return {"Authorization": f"Bearer {token}"}

    def as_(self, *roles: str, name: str = "olga", practices: tuple[str, ...] = ()):
        """A browser in which a new account with these roles has signed in; it is ``self.client`` from now on."""
        self.account(name, *roles, practices=practices)
        self.client = self.app.test_client()
        assert self.enter(self.client, name).status_code == 303
        return self.client

    def enter(self, client, name: str, password: str = PASSWORD, *, next: str = "", **environ):
        """Open the sign-in page and send it; the answer before any redirect."""
        page = client.get(f"/sign-in?next={quote(next)}", environ_overrides=environ)
        fields = {**hidden(page.text), "sign-in-name": name, "sign-in-password": password}
        return client.post("/sign-in", data=fields, environ_overrides=environ)

    def sql(self, statement: str, **values):
        with self.engine.begin() as conn:
            return conn.execute(text(statement), values)

    def age_sessions(self, **columns: str) -> None:
        """Make every session older: ``seen_at="31 minutes"``."""
        for column, interval in columns.items():
            self.sql(f"UPDATE sessions SET {column} = {column} - interval '{interval}'")


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the last form of a page (the first is the button to sign out)."""
    last = page.rpartition("<form")[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', last)
    return {unescape(name): unescape(value) for name, value in found}
