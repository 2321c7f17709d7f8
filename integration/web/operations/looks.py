"""A look at what is about a patient: first the form is ours and gives a reason, then it is recorded, only then it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import simplejson
from flask import Response

from integration.store import audit
from integration.views.texts import t
from integration.web import forms, pages, world

LARGEST_SHOWN = 200_000  # characters of one thing on a page


@dataclass(frozen=True)
class Part:
    """One thing to show, as text; ``cut``: only its beginning."""

    heading: str
    content: str
    cut: bool = False


def recorded(
    action: str,
    request_id: str | None,
    *,
    subject: str | None,
    show: Callable[[], Response],
    refuse: Callable[[int, str], Response],
) -> Response:
    """Record the look in a transaction of its own, then ``show()``; else ``refuse(status, why)`` and nothing is read."""
    reason = forms.typed("reason")
    if not forms.is_ours():
        return refuse(403, forms.refusal())
    if not reason:
        return refuse(400, t("action.no_reason"))
    with world.engine().begin() as conn:
        audit.record(conn, forms.actor(), action, request_id, subject=subject, reason=reason)
    return show()


def page(title: str, parts: list[Part], *, back: str, back_words: str, cut_words: str) -> Response:
    """What was asked for; nothing of it runs."""
    return pages.render("content.html", title=title, parts=parts, back=back, back_words=back_words, cut_words=cut_words)


def pretty(heading: str, value: Any, *, cut: bool = False) -> Part:
    """A resource, or bytes that may be one, as people read JSON; bounded. What is no JSON stands as it came."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        try:
            value = simplejson.loads(text, use_decimal=True)
        except (ValueError, RecursionError):
            return Part(heading, text[:LARGEST_SHOWN], cut or len(text) > LARGEST_SHOWN)
    text = simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False)  # 1.10 stays 1.10
    return Part(heading, text[:LARGEST_SHOWN], cut or len(text) > LARGEST_SHOWN)
