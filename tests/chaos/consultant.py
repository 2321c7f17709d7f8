"""A consultant over plain FHIR for chaos runs: answers every Task, patient with a server that comes and goes."""

import base64
import contextlib
import http.client
import json
import threading
import time
import urllib.request
from collections.abc import Callable


class Consultant:
    """A thread that accepts, works and completes Tasks until the ``with`` block ends; ``may_complete`` says which already."""

    def __init__(self, base: str, may_complete: Callable[[dict], bool] = lambda _task: True):
        self.base, self._stop, self.may_complete = base, threading.Event(), may_complete
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Consultant":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._stop.is_set():
            for status in ("requested", "accepted", "in-progress"):
                with contextlib.suppress(
                    OSError, ValueError, http.client.HTTPException
                ):  # killed in the middle of an answer
                    for entry in self._ask(f"Task?status={status}&_count=50").get("entry", ()):
                        self._move(entry["resource"])
            time.sleep(0.3)

    def _move(self, task: dict) -> None:
        following = {"requested": "accepted", "accepted": "in-progress", "in-progress": "completed"}[task["status"]]
        if following == "completed" and not self.may_complete(task):
            return
        if following == "completed":
            task["output"] = [{"type": {"text": "report"}, "valueReference": {"reference": self._report(task)}}]
        task["status"] = following
        self._ask(f"Task/{task['id']}", task, "PUT", {"If-Match": f'W/"{task["meta"]["versionId"]}"'})

    def _report(self, task: dict) -> str:
        identifier = f"urn:chaos:consultant|{task['id']}"
        report = {
            "resourceType": "DocumentReference",
            "status": "current",
            "docStatus": "final",
            "identifier": [{"system": "urn:chaos:consultant", "value": task["id"]}],
            "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
            "subject": task["for"],
            "context": {"related": [task["focus"]]},
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "data": base64.b64encode(f"opinion on {task['id']}".encode()).decode(),
                    }
                }
            ],
        }
        made = self._ask("DocumentReference", report, "POST", {"If-None-Exist": f"identifier={identifier}"})
        return f"DocumentReference/{made['id']}"

    def _ask(self, path: str, body: dict | None = None, method: str = "GET", headers: dict | None = None) -> dict:
        request = urllib.request.Request(
            f"{self.base}/{path}",
            json.dumps(body).encode() if body else None,
            method=method,
            headers={"Content-Type": "application/fhir+json", "Prefer": "return=representation", **(headers or {})},
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)
