"""A health library with MedlinePlus Connect's interface: one code a request, its ceiling and its silence, and what such services do wrong."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SUMMARY = (
    '<p>A <b>tear</b> of the ligament.<script>alert("Canary")</script> <img src="https://track.example/x.gif">'
    '<a href="https://medlineplus.gov/kneeinjuries.html" onclick="evil()" target="_blank">Knee injuries</a> '
    '<a href="javascript:evil()">no</a> <a href="http://plain.example/">plain</a></p><iframe src="https://x.example"></iframe>'
)


class Infobutton:
    """``asked``: the parameters of each request. ``answer`` gives (status, headers, body) instead of what it has."""

    def __init__(self, a_minute: int = 100):
        self.asked: list[dict[str, list[str]]] = []
        self.headers: list[dict[str, str]] = []
        self.a_minute, self.delay = a_minute, 0.0
        self.answer: Callable[[], tuple[int, dict, bytes]] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/service"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def found(self, asked: dict[str, list[str]]) -> dict:
        """As https://medlineplus.gov/medlineplus-connect/web-service/ shows its JSON."""
        language = asked["informationRecipient.languageCode.c"][0]
        words = {"en": "Knee Injuries and Disorders", "es": "Lesiones y enfermedades de la rodilla"}[language]
        entry = {
            "title": {"_value": words, "type": "text"},
            "link": [{"title": words, "rel": "alternate", "type": "html", "href": "https://medlineplus.gov/kneeinjuries.html"}],
            "summary": {"type": "html", "_value": SUMMARY},
        }  # fmt: skip
        known = asked["mainSearchCriteria.v.c"][0] == "S83.511A"
        return {
            "feed": {"title": {"_value": "MedlinePlus Connect"}, "lang": language, "entry": [entry] if known else []}
        }

    def _handler(self):
        library = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = parse_qs(urlsplit(self.path).query)
                library.asked.append(asked)
                library.headers.append(dict(self.headers))
                time.sleep(library.delay)
                if len(library.asked) > library.a_minute:
                    return  # as MedlinePlus does: nothing at all, for five minutes
                if library.answer is not None:
                    status, headers, body = library.answer()
                else:
                    status, headers, body = 200, {}, json.dumps(library.found(asked)).encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": "application/json",
                    "Content-Length": str(len(body)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Nothing."""

        return Handler
