"""The words of a FHIR narrative (XHTML), without its markup. https://hl7.org/fhir/R4/narrative.html"""

from html.parser import HTMLParser

_BLOCKS = frozenset(
    "address article blockquote br caption dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre table tr ul".split()
)
_CELLS = frozenset(("td", "th"))


class _Text(HTMLParser):
    """Collects text; a block starts a line, a cell is set apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.in_pre = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.in_pre += tag == "pre"
        self.parts.append("\n" if tag in _BLOCKS else " | " if tag in _CELLS else "")
        if tag == "img":
            self.parts.append(f"[picture: {dict(attrs).get('alt') or 'no description'}]")

    def handle_endtag(self, tag: str) -> None:
        self.in_pre -= tag == "pre"
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data if self.in_pre else " ".join(f"|{data}|".split())[1:-1])


def plain_text(div: str) -> str:
    """Text of an XHTML fragment, one line a block, never a tag."""
    parser = _Text()
    parser.feed(div)
    parser.close()
    lines = (" ".join(line.split()).removeprefix("| ") for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)
