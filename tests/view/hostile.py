"""What a packet may bring with it that is meant for whoever looks at it, and a reader of what came out."""

from __future__ import annotations

from html.parser import HTMLParser

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
TERMINAL = "\x1b[2J\x1b]0;owned\x07\r"
BIDI = "\u202egnp.exe\u2066\u200f"
NUL = "\x00\x9b31m"
ALL = (SCRIPT, IMAGE, TERMINAL, BIDI, NUL)
HOSTILE = " ".join(ALL)

VOID = {"img", "br", "hr", "meta"}
ALLOWED = {
    "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "b", "br", "pre", "details", "summary",
    "img", "style", "i",
}  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


def read(html: str) -> _Reader:
    """Read HTML strictly: every element closed in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def check_harmless(html: str) -> None:
    """Only elements that we write, no handler, no script, no address but data of our own, nothing unprintable."""
    reader = read(html)
    assert set(reader.tags) <= ALLOWED
    for tag, name, value in reader.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "src" or value.startswith("data:image/svg+xml;base64,"), value
        assert name != "href"
    check_printable(html)


def check_printable(text: str) -> None:
    """Nothing that acts on a terminal or turns the direction of writing."""
    assert [hex(ord(c)) for c in text if not c.isprintable() and c != "\n"] == []
