"""What a reader would see of a piece of HTML, as plain text: no tag of it is ever passed on. Pure.

Since nothing but text comes out, and that text is escaped afterwards, it does not matter where a browser would read the
same piece differently.
"""

from __future__ import annotations

from html.parser import HTMLParser

from freehold.policy.links import Hosts, host_of, shown


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UNSEEN = _words(
    "script style title template noscript svg math iframe frame frameset object embed applet audio video canvas head map "
    "textarea select datalist dialog portal"
)
_VOID = _words("area base br col embed hr img input link meta param source track wbr frame")
_BREAKS = _words(
    "p div br li ul ol tr table section article header footer main aside nav h1 h2 h3 h4 h5 h6 hr pre blockquote details "
    "summary dl dt dd form fieldset figure figcaption address center"
)
_ZERO = ("0", "0px", "0em", "0rem", "0%", "0pt", "1px", "0.1px")


class HtmlText(HTMLParser):
    """Collects the text of HTML, tag by tag.

    Args:
        hosts: Where links may lead.

    Attributes:
        pieces: The text so far; what is no longer a link says where it led.
        removed: What was taken out, by kind.
    """

    def __init__(self, hosts: Hosts) -> None:
        super().__init__(convert_charrefs=True)
        self._hosts = hosts
        self._unseen: list[str] = []
        self._links: list[str] = []
        self.pieces: list[str] = []
        self.removed: list[str] = []

    @property
    def is_unseen(self) -> bool:
        """Whether what comes now would not be seen."""
        return bool(self._unseen)

    def take(self) -> str:
        """The text since the last time."""
        text = "".join(self.pieces)
        self.pieces.clear()
        return text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that opens."""
        given = {name: value or "" for name, value in reversed(attrs)}
        if self._unseen:
            if tag == self._unseen[-1] and tag not in _VOID:
                self._unseen.append(tag)
            return
        if tag in _UNSEEN or _is_hidden(given):
            self.removed.append("hidden" if tag not in _UNSEEN else "html")
            if tag not in _VOID:
                self._unseen.append(tag)
            return
        self.removed.append("image" if tag in {"img", "picture", "source"} else "html")
        if tag == "img":
            self.pieces.append(f"{given.get('alt', '')} (image removed)".strip())
        elif tag == "a":
            self._links.append(given.get("href", ""))
        elif tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """A tag that closes."""
        if self._unseen:
            if tag == self._unseen[-1]:
                self._unseen.pop()
            return
        if tag == "a" and self._links:
            url = self._links.pop()
            if self._hosts.allows(url):
                self.pieces.append(f" ({url})")
            elif url:
                self.removed.append("link")
                host = host_of(url)
                self.pieces.append(f" (link to {shown(host)} removed)" if host else " (link removed)")
        elif tag in _BREAKS:
            self.pieces.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that is empty."""
        self.handle_starttag(tag, attrs)
        if self._unseen and tag not in _VOID and self._unseen[-1] == tag:
            self._unseen.pop()

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._unseen:
            self.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        """A comment: nobody sees it."""
        if data:
            self.removed.append("hidden")


def _is_hidden(given: dict[str, str]) -> bool:
    """Whether an element says that it is not to be seen."""
    if "hidden" in given or given.get("aria-hidden", "").lower() == "true":
        return True
    if given.get("width") == "0" or given.get("height") == "0":
        return True
    style = "".join(given.get("style", "").lower().split())
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        value = value.removesuffix("!important")
        if (name, value) in {
            ("display", "none"),
            ("visibility", "hidden"),
            ("visibility", "collapse"),
            ("color", "transparent"),
        }:
            return True
        if name in {"font-size", "opacity", "width", "height", "max-height", "max-width", "font"} and value.startswith(
            ("0", ".0", "1px")
        ):
            return value.startswith(_ZERO) and not value.startswith(("0.5", "0.6", "0.7", "0.8", "0.9"))
        if name in {"text-indent", "left", "top", "margin-left"} and value.startswith("-"):
            return True
        if name in {"clip", "clip-path"}:
            return True
    return False
