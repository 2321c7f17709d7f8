"""Values as HTML: times that machines can read too, text from elsewhere escaped and kept apart in its direction."""

from datetime import UTC, datetime

from markupsafe import Markup, escape

from integration.views.texts import t
from integration.views.words import FAR, clean, moment, number, size, span


def foreign(value: object, length: int = 300) -> Markup:
    """Text from elsewhere, cleaned, escaped and isolated in its direction."""
    return Markup(f"<bdi>{escape(clean(value, length))}</bdi>")  # a third of the time that Markup.format takes


def when(value: datetime | None) -> Markup:
    """A time in UTC that machines can read too; a dash for none."""
    if value is None or value > FAR:
        return Markup('<span class="none" title="{}">–</span>').format(t("time.none"))
    value = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(timespec="seconds"), moment(value))


def ago(value: datetime | None, now: datetime) -> Markup:
    """How long ago, or in how long, with the time itself in the element."""
    if value is None or value > FAR:
        return when(None)
    distance = span(now - value)
    words = t("time.now") if distance == "0 s" else t("time.ago" if value <= now else "time.in", span=distance)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.astimezone(UTC).isoformat(timespec="seconds"), moment(value, seconds=True), words
    )


def short(value: str | None, length: int = 12) -> Markup:
    """A hash by its beginning, whole in the title."""
    return Markup('<code title="{}">{}</code>').format(value or "", (value or "")[:length]) if value else Markup("–")


FILTERS = {"foreign": foreign, "when": when, "size": size, "number": number, "short": short, "clean": clean}
