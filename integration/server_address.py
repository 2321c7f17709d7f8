"""Which server an endpoint is: its address in one spelling, and whether it looks like one for tests."""

import re
from urllib.parse import urlsplit

from integration.settings.config import Endpoint

_PORTS = {"http": 80, "https": 443}
# Words that hospitals put into the host name or path of what is not production.
_TEST = frozenset(
    "test tst testing sandbox sbx dev development uat sit stage staging stg qa demo training trn preprod nonprod poc".split()
)


def address_of(endpoint: Endpoint) -> str:
    """``base_url`` in one spelling; a practice of ours is named by itself, because our port may change."""
    if endpoint.hosted_practice:
        return f"hosted:{endpoint.hosted_practice}"
    parts = urlsplit(endpoint.base_url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    port = f":{parts.port}" if parts.port not in (None, _PORTS.get(scheme)) else ""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"


def is_for_tests(address: str) -> bool:
    """True when its name says so: a word of host or path, as in ``fhir-test.example.org`` or ``/sandbox/r4``."""
    return bool(_TEST & set(re.split(r"[^a-z]+", address.lower())))
