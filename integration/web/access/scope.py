"""The one rule for people of practices: a route finds the request of every id it is given, and they see only their own.

What is not theirs is answered as what is not there, and that somebody tried is in the audit trail.
"""

from collections.abc import Iterator

from flask import Flask, g, request, url_for
from werkzeug.routing import Rule

from integration.store import audit, owners
from integration.store.roles import OF_PRACTICES, Role
from integration.store.scope import EVERYTHING, NOTHING, Scope
from integration.web import UPLOAD_PATHS, world
from integration.web.access import who
from integration.web.access.roles import ACTIONS_NEED, ANYONE_IN, HOW_SCOPED, INSTEAD, NEEDS, WITHIN, How, Need
from integration.web.access.who import Who

BUTTONS = ("actions.ask", "actions.do")
REFUSED = "access.refused"


def needed(endpoint: str, values: dict | None = None) -> frozenset[Role] | None:
    """The roles of which a route needs one; for a button, those of that button. None: it is open to anyone."""
    need: Need = NEEDS[endpoint]
    if endpoint in BUTTONS:
        need = ACTIONS_NEED.get((values or {}).get("name", ""), need)
    return frozenset({need}) if isinstance(need, Role) else need


def may_use(endpoint: str, **values: object) -> bool:
    """True when who asks may use a route: templates show only what can be pressed."""
    need, asking = needed(endpoint, values), who.who()
    return need is None or asking is not None and lets_in(need, asking)


def lets_in(need: frozenset[Role], asking: Who) -> bool:
    """True when who asks has one of the roles; an account without any still has its own page."""
    return not need.isdisjoint(asking.roles) or need is ANYONE_IN and bool(asking.account)


def mine() -> Scope:
    """Which requests this route is about for who asks; the store takes it for lists and numbers."""
    return g.get("scope", NOTHING)


def of(asking: Who, need: frozenset[Role]) -> Scope:
    """What the roles that let somebody in open; with sign-in off everything."""
    if not world.config().web.needs_sign_in:
        return EVERYTHING
    return Scope.of(asking.roles & need, asking.practices)


def is_outside(asking: Who) -> bool:
    """True when this request names something that is not in the scope of who asks; it is audited."""
    scope = mine()
    if scope.whole:
        return False
    named = list(_named())
    if not named and HOW_SCOPED.get(request.endpoint or "") is How.FORM:
        return True
    with world.engine().connect() as conn:
        found = [owners.of(conn, *each) for each in named]
    theirs = [each for each in found if each is not None and not scope.holds(each.placer, each.fulfiller)]
    if theirs:
        with world.engine().begin() as conn:
            audit.record(conn, asking.name, REFUSED, theirs[0].request_id or None, subject=request.endpoint)
    return bool(theirs) or None in found


def _named() -> Iterator[tuple[str, str]]:
    """Everything of a request that the path, the query, the form and the body name."""
    path = {name: [str(value)] for name, value in (request.view_args or {}).items()}
    yield from owners.all_named(path)
    yield from owners.all_named(request.args.to_dict(flat=False))
    if request.is_json:
        body = request.get_json(silent=True)
        said = body if isinstance(body, dict) else {}
        yield from owners.all_named({name: [str(value)] for name, value in said.items() if value is not None})
    elif not request.path.endswith(UPLOAD_PATHS):  # a large upload is read by its own view, and named by its path alone
        yield from owners.all_named(request.form.to_dict(flat=False))


def instead() -> str | None:
    """The address of a practice's own page, for who may not see the installation's."""
    endpoint = INSTEAD.get(request.endpoint or "", "")
    if request.method != "GET" or not endpoint or not may_use(endpoint):
        return None
    return url_for(endpoint, **(request.view_args or {}))


def unanswered(app: Flask) -> list[str]:
    """Routes open to people of practices that do not say how they keep to their own; as sentences."""
    return [said for rule in app.url_map.iter_rules() if (said := _unanswered(rule))]


def _unanswered(rule: Rule) -> str:
    if rule.endpoint not in NEEDS or not _is_open(rule.endpoint):
        return ""
    strange = sorted(rule.arguments - owners.NAMES.keys() - WITHIN)
    if strange:
        return f"{rule.endpoint} has {', '.join(strange)} in its path: say in integration/store/owners.py whose request it is"
    if not rule.arguments & owners.NAMES.keys() and rule.endpoint not in HOW_SCOPED:
        return f"{rule.endpoint} has no id of a request in its path: say in HOW_SCOPED what keeps it to their practices"
    return ""


def _is_open(endpoint: str) -> bool:
    needs = [NEEDS[endpoint], *(ACTIONS_NEED.values() if endpoint in BUTTONS else ())]
    return any(not OF_PRACTICES.isdisjoint({need} if isinstance(need, Role) else need or ()) for need in needs)
