"""A proxy that makes an honest server lie: hooks change what is asked and what is answered."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import requests

from tests.chaos.proxy import FaultProxy

Answer = tuple[int, list[tuple[str, str]], bytes]


class LyingProxy(FaultProxy):
    """``ask(method, path, headers, body)`` may change headers (in place) and returns the body to forward, or an Answer
    to give without asking; ``tell(method, path, answer)`` returns the answer to give, or None: the connection is cut."""

    def __init__(
        self,
        url: str,
        *,
        ask: Callable = lambda method, path, headers, body: body,
        tell: Callable = lambda method, path, answer: answer,
    ):
        super().__init__(url, seed=0, rate=0.0)
        self.ask, self.tell, self.log = ask, tell, []
        handler = self.server.RequestHandlerClass
        forward = handler._forward

        def lying(self_, body: bytes):
            self.log.append((self_.command, self_.path))
            asked = self.ask(self_.command, self_.path, self_.headers, body)
            answer = asked if isinstance(asked, tuple) else forward(self_, asked)
            return None if answer is None else self.tell(self_.command, self_.path, answer)

        handler._forward = lying


def swallow_first_writes(count: int):
    """A ``tell``: the first ``count`` answers to writes never arrive, though the server has done them."""
    left = [count]

    def tell(method: str, path: str, answer: Answer) -> Answer | None:
        if method in ("POST", "PUT") and left[0] > 0:
            left[0] -= 1
            return None
        return answer

    return tell


def ignoring_searches(url: str) -> LyingProxy:
    """A server that looks at no search parameter: whatever it is asked for, it shows everything of the type, and says so of none."""

    def tell(method: str, path: str, answer: Answer) -> Answer:
        kind, _, query = path.rpartition("/")[2].partition("?")
        asked = [name for name, _ in parse_qsl(query) if name not in ("_count", "_page")]
        if method != "GET" or not asked or "_page" in query or not kind[:1].isupper():
            return answer
        everything = requests.get(f"{url}/{kind}", params={"_count": "200"}, timeout=30)
        return everything.status_code, [("Content-Type", "application/fhir+json")], everything.content

    return LyingProxy(url, tell=tell)


def matching_anything(url: str, whatever: Callable[[str], str | None]) -> LyingProxy:
    """A server that ignores the parameter of a conditional create: ``whatever(Type)`` names what it says was there already."""

    def ask(method: str, path: str, headers, body: bytes) -> bytes | Answer:
        if method != "POST":
            return body
        if headers.get("If-None-Exist") and (there := whatever(path.rpartition("/")[2])):
            return 200, [("Location", f"{url}/{there}")], b""
        return body

    return LyingProxy(url, ask=ask)
