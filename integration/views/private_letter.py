"""The sheet by which a patient without email gets a private link: its words, in the patient's language; nothing of an illness, and not
what opens the link."""

from dataclasses import dataclass, field

from integration.settings.config import Config
from integration.store.private_links import PrivateLink
from integration.views.own_days import day
from integration.views.own_english import ENGLISH
from integration.views.own_spanish import SPANISH
from mappings.model.private_link import Language, OpenedBy


@dataclass(frozen=True)
class PrivateLetter:
    """What stands on the sheet, from above; ``address`` also as a QR code. ``name``: words before a line to write on."""

    language: str
    title: str
    name: str
    intro: str
    scan: str
    type: str
    address: str = field(repr=False)
    paragraphs: tuple[str, ...] = ()


def letter_of(link: PrivateLink, address: str, config: Config, placer: str) -> PrivateLetter:
    """The sheet of a link. ``placer``: key of the practice whom the patient calls."""
    catalog = SPANISH if link.language == Language.SPANISH else ENGLISH

    def words(key: str, **values: str) -> str:
        return (catalog.get(key) or ENGLISH[key]).format(**values)

    practice = config.endpoints.get(placer)
    name, phone = (practice.name, practice.phone) if practice else (placer, None)
    ready = "letter.code" if link.opened_by == OpenedBy.CODE else "letter.born"
    call = words("letter.call", placer=name, phone=phone) if phone else words("letter.ask", placer=name)
    until = words("letter.until", day=day(link.language, link.expires_at))
    return PrivateLetter(
        language=link.language,
        title=words("letter.title"),
        name=words("letter.name"),
        intro=words("letter.intro"),
        scan=words("letter.scan"),
        type=words("letter.type"),
        address=address,
        paragraphs=(words(ready), until, call, words("letter.keep")),
    )
