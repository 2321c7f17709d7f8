"""A person in front of the web server, over HTTP: opens pages, finds fields by their labels, presses buttons by their words.

The demo's people walk with it, and tests that go over twenty pages: a browser needs a second for each. It reads forms as a browser
does and invents nothing: a field without a label, or a button that is not there, is an error (``PageDiffers``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import requests as http
from lxml import html
from lxml.html import HtmlElement

Typed = Mapping[str, str]


class PageDiffers(Exception):
    """The page is not as a person needs it; says what was looked for, and what is there instead."""


def _must(is_so: object, words: str) -> None:
    if not is_so:
        raise PageDiffers(words)


@dataclass
class Visitor:
    """``base``: the address of the server. ``at`` is where they are, ``page`` what they see there."""

    base: str
    session: http.Session = field(default_factory=http.Session)
    at: str = ""
    page: HtmlElement = field(default_factory=lambda: html.fromstring("<html><body></body></html>"))

    def open(self, address: str) -> "Visitor":
        """Go to a page; it must be there."""
        self._took(self.session.get(urljoin(self.at or self.base, address), timeout=60))
        return self

    def follow(self, words: str) -> "Visitor":
        """The link with these words: exactly these, else the one that begins with them, else one that holds them."""
        links = [each for each in self.page.iter("a") if words in said(each)]
        _must(links, f"{self.at} has no link {words!r}, only {[said(each) for each in self.page.iter('a')]}")
        best = min(links, key=lambda each: (said(each) != words, not said(each).startswith(words)))
        return self.open(best.get("href"))

    def press(self, button: str, typed: Typed | None = None, *, status: int = 200, **how: Any) -> "Visitor":
        """Fill fields by their labels and press a button by its words; see ``submit``. ``status``: of the page that comes."""
        self._took(self.submit(button, typed, **how), status)
        return self

    def submit(
        self,
        button: str,
        typed: Typed | None = None,
        *,
        within: str = "",
        only: Sequence[str] | None = None,
        files: Mapping[str, tuple] | None = None,
    ) -> http.Response:
        """The answer to a button, wherever it leads.

        ``within``: words of the part of the page it stands in; ``only``: the boxes that are ticked, by their labels, and no other;
        ``files``: by the label of its field (name, bytes, type).
        """
        there = self._button(button, within)
        form = next(each for each in there.iterancestors("form"))
        sent = [(name, value) for name, value in form.form_values() if value is not None]
        if only is not None:
            boxes = {each.get("name") for each in form.iter("input") if each.get("type") == "checkbox"}
            sent = [each for each in sent if each[0] not in boxes]
        for label, value in [*(typed or {}).items(), *((each, "") for each in only or ())]:
            self._fill(form, label, value, sent)
        uploads = [(self._labeled(form, label).get("name"), file) for label, file in (files or {}).items()]
        if there.get("name"):
            sent.append((there.get("name"), there.get("value") or ""))
        address = urljoin(self.at, form.get("action") or self.at)
        if (form.get("method") or "get") == "get":
            return self.session.get(address, params=sent, timeout=60)
        return self.session.post(address, data=sent, files=uploads or None, timeout=120)

    def reads(self, words: str) -> bool:
        """Whether these words stand on the page."""
        return words in said(self.page)

    @property
    def words(self) -> str:
        """The page as it is read."""
        return said(self.page)

    def has_button(self, words: str) -> bool:
        """Whether there is one whose words are exactly these."""
        return any(said(each) == words for each in self.page.iter("button"))

    def must_read(self, *words: str) -> "Visitor":
        """All of these stand on the page."""
        missing = [each for each in words if not self.reads(each)]
        _must(not missing, f"{self.at} does not say {missing}: {said(self.page)[:3000]}")
        return self

    @property
    def messages(self) -> list[str]:
        """What the page says at its top of what was done."""
        return [said(each) for each in self.page.xpath("//*[@id='message' or @role='alert' or @role='status']")]

    def _took(self, answer: http.Response, status: int = 200) -> None:
        _must(
            answer.status_code == status,
            f"{answer.request.method} {answer.url}: {answer.status_code} {_plain(answer)}",
        )
        self.at, self.page = answer.url, html.fromstring(answer.content)

    def _button(self, words: str, within: str) -> HtmlElement:
        found = [each for each in self.page.iter("button") if words in said(each)]
        if within:
            found = [each for each in found if any(within in said(part) for part in _parts(each))]
        _must(
            found, f"{self.at} has no button {words!r} {within!r}, only {[said(b) for b in self.page.iter('button')]}"
        )
        return min(found, key=lambda each: (len(said(each)), _depth(each, within)))

    def _labeled(self, form: HtmlElement, label: str) -> HtmlElement:
        """The field of a label, whose words begin with these (a hint may follow)."""
        found = [each for each in form.iter("label") if re.match(re.escape(label) + r"(\W|$)", said(each))]
        fields = [
            each
            for one in found
            for each in form.xpath(f".//*[@id='{one.get('for')}']") or one.xpath(".//input")
            if each is not None
        ]
        _must(fields, f"{self.at} has no field {label!r}, only {[said(each) for each in form.iter('label')]}")
        return fields[0]

    def _fill(self, form: HtmlElement, label: str, value: str, sent: list[tuple[str, str]]) -> None:
        there = self._labeled(form, label)
        name = there.get("name")
        if there.tag == "select":
            [value] = [
                each.get("value") for each in there.iter("option") if value in (said(each), each.get("value"))
            ] or [f"no choice {value}: {[said(each) for each in there.iter('option')]}"]
            _must(not value.startswith("no choice"), value)
        if there.get("type") in ("checkbox", "radio"):
            value = there.get("value") or "on"
        else:
            sent[:] = [each for each in sent if each[0] != name]
        sent.append((name, value))


def said(element: HtmlElement) -> str:
    """Its words as they are read."""
    return " ".join(element.text_content().split())


def _parts(element: HtmlElement) -> list[HtmlElement]:
    return [each for each in element.iterancestors() if each.tag in ("li", "section", "details", "article", "form")]


def _depth(element: HtmlElement, within: str) -> int:
    return next((at for at, part in enumerate(_parts(element)) if within in said(part)), 99) if within else 0


def _plain(answer: http.Response) -> str:
    return said(html.fromstring(answer.content))[:1500] if answer.content else ""
