"""Our own key set as a vendor fetches it: without sign-in, and without following a redirect.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from dataclasses import dataclass

from integration.fhir.token_request import get_json
from integration.fhir.transport import careful_session
from mappings.codes import as_dict, as_dicts
from mappings.model.errors import TemporaryError


@dataclass(frozen=True)
class KeySet:
    """What stands at an address. ``status`` None: it cannot be reached from here; ``kids``: of the keys that it holds."""

    status: int | None
    kids: frozenset[str] = frozenset()


def fetch(url: str) -> KeySet:
    """One request."""
    session = careful_session(1)
    try:
        status, _, body = get_json(session, url, "our own keys")
    except TemporaryError:
        return KeySet(None)
    finally:
        session.close()
    kids = (each.get("kid") for each in as_dicts(as_dict(body).get("keys")))
    return KeySet(status, frozenset(each for each in kids if isinstance(each, str)))
