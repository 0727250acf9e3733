"""Where an address leads, as a browser would read it, and whether an answer may lead there. Pure.

Addresses are read as the URL standard says (https://url.spec.whatwg.org/): tabs and line ends do not count, a backslash is a
slash, what stands before the last ``@`` is no host, and a host is percent-decoded, normalised and shown in punycode.
What cannot be read is never allowed.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPECIAL = frozenset({"http", "https", "ws", "wss", "ftp", "file"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_CLICKABLE = re.compile(
    r"(?:javascript|vbscript|data|blob|file|mailto|tel|sms|smsto|callto|skype|slack|xmpp|magnet|ftp|ftps|sftp|ssh|git|ws|wss|"
    r"intent|market|itms-apps|vscode|ms-[a-z\-]+|zoommtg|facetime|facetime-audio|geo|bitcoin|news|nntp|irc|view-source|about|"
    r"https?):",
    re.IGNORECASE,
)
_IN_CODE = re.compile(r"://|(?:javascript|vbscript|mailto):|www\.", re.IGNORECASE)
_WWW = re.compile(r"www\.[^/?#:]+[/?#:].", re.IGNORECASE)
"""With room for something behind the host; programs make links of it wherever it stands in a word."""

_HOST = re.compile(r"(?:[^\W_](?:[\w\-]*[^\W_])?\.)+(?:[^\W\d_]{2,63}|xn--[a-z0-9\-]{1,59})", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
_NESTED_SCHEME = re.compile(r"(?:https?|javascript|data|vbscript|file|ftp|blob|mailto):", re.IGNORECASE)
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9.\-]+(?::\d{1,5})?(?:[/?#][\w\-.~:/?#@!$&*+,;=%]*)?", re.IGNORECASE | re.ASCII
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-]{8,}={0,2}")
_PERCENT = re.compile(r"%([0-9a-f]{2})", re.IGNORECASE)
_DECODED_MAX = 6
_URL_MAX = 2048
_WORD_MAX = 1024
"""Longer words are not looked into: what is read of each of their places would come to too much."""
_SHOWN_LABELS = 2
_SHOWN_CHARACTERS = 60
_SHORT_LABEL = 3
_FILES = _words(
    "html htm php asp aspx jsp md txt pdf csv json xml yaml yml png jpg jpeg gif svg webp css js ts py rs go java c h cpp "
    "zip gz tar tgz bz2 xz exe dmg deb rpm whl doc docx xls xlsx ppt pptx odt log ini toml cfg sh rst ipynb sql mp3 mp4"
)
"""Last labels of names that are files more often than hosts, in a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The hosts to which an answer may lead.

    Attributes:
        names: In punycode and lower case; one that begins with ``*.`` stands for every host below it.
    """

    names: frozenset[str] = frozenset()

    def has(self, host: str) -> bool:
        """Whether a host, in punycode and lower case, is one of them."""
        if host in self.names:
            return True
        return any(name.startswith("*.") and host.endswith(name[1:]) for name in self.names)

    def allows(self, url: str) -> bool:
        """Whether a link may be kept as it is: a plain web address on one of the hosts that leads nowhere else."""
        if len(url) > _URL_MAX or not _PLAIN_URL.fullmatch(url):
            return False
        host = host_of(url)
        if not host or not self.has(host):
            return False
        return not _leads_on(_behind_host(url))


def hosts_of(texts: Iterable[str], listed: Iterable[str] = ()) -> Hosts:
    """The hosts that texts name, besides those of a list.

    Args:
        texts: Of people who are trusted.
        listed: ``corp.example``, or ``*.corp.example`` for all below it.
    """
    names = {_listed(name) for name in listed}
    for text in texts:
        for word in text.split():
            if "." not in word or len(word) > _WORD_MAX:
                continue
            found = _HOST.search(word)
            # Who writes to somebody names no site.
            if found is not None and ("@" not in word[: found.start()] or "//" in word[: found.start()]):
                names.add(in_punycode(found.group()))
    return Hosts(names=frozenset(names - {""}))


def host_of(url: str) -> str:
    """The host that a browser would ask, in punycode; empty where there is none, or where it cannot be read."""
    text = "".join(each for each in url.strip() if each > " ").replace("\\", "/")
    found = _SCHEME.match(text)
    if found is not None:
        if found.group(1).lower() == "mailto":
            return in_punycode(text.partition("?")[0].rpartition("@")[2])
        if found.group(1).lower() not in _SPECIAL and not text[found.end() :].startswith("//"):
            return ""
        rest = text[found.end() :].lstrip("/")
    elif text.startswith("//"):
        rest = text.lstrip("/")
    else:
        return ""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return in_punycode(host.partition(":")[0])


def in_punycode(host: str) -> str:
    """A host as it goes over the wire: normalised, lower case, labels beyond ASCII as ``xn--…``; empty if unreadable."""
    decoded = unicodedata.normalize("NFKC", _percent_decoded(host)).lower().replace("\u3002", ".").strip(".")
    labels: list[str] = []
    for label in decoded.split("."):
        if label.isascii():
            labels.append(label)
            continue
        try:
            labels.append("xn--" + label.encode("punycode").decode("ascii"))
        except UnicodeError:
            return ""
    joined = ".".join(labels)
    return joined if re.fullmatch(r"[a-z0-9.\-_]+", joined) else ""


def shown(host: str) -> str:
    """A host as people may read it and nothing makes a link of it; never more of it than tells whose it is."""
    labels = host.split(".")
    if _ADDRESS.fullmatch(host) or host.startswith("["):
        return host.replace(".", "[.]")
    count = _SHOWN_LABELS + (len(labels) > _SHOWN_LABELS and len(labels[-2]) <= _SHORT_LABEL)
    name = "[.]".join(labels[-count:])[-_SHOWN_CHARACTERS:]
    return ("\u2026" if len(labels) > count else "") + name


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A stretch of text that somebody's program may make a link of.

    Attributes:
        start: Place of its first character.
        end: Place behind its last.
        host: Where it leads; empty where that cannot be read, or where it is no host.
        bare: It is a name without a scheme or a path: a host, or an address of mail.
    """

    start: int
    end: int
    host: str
    bare: bool


_WORD = re.compile(r"[^\s<>\"'`\u00ab\u00bb\u201c\u201d\u2018\u2019]+")
_OUTER = "()[]{}*_~|.,;:!?\u2026"


def spots(text: str, hosts: Hosts) -> tuple[Spot, ...]:
    """What of a text is taken for a link that may not be one. The text is what a parser made of an answer."""
    if "." not in text and ":" not in text and "/" not in text and text.isascii():
        return ()
    found: list[Spot] = []
    for word in _WORD.finditer(text):
        spot = _spot(word.group(), word.start(), hosts)
        if spot is not None:
            found.append(spot)
    return tuple(found)


def spots_in_code(text: str, hosts: Hosts) -> tuple[Spot, ...]:
    """The same of code that nobody draws or runs: whole addresses only, since names and paths are what code is made of."""
    if _IN_CODE.search(text) is None:
        return ()
    return tuple(each for each in spots(text, hosts) if not each.bare and _IN_CODE.search(text, each.start, each.end))


def inert(address: str) -> str:
    """An address as people may still read it, and no program follows it."""
    return address.replace(":", "[:]").replace(".", "[.]")


def _spot(word: str, place: int, hosts: Hosts) -> Spot | None:
    plain = unicodedata.normalize("NFKC", word) if not word.isascii() else word
    if "." not in plain and ":" not in plain and "//" not in plain:
        return None
    if len(plain) > _WORD_MAX:
        return Spot(start=place, end=place + len(word), host="", bare="://" not in plain)
    if hosts.allows(plain.lstrip(_OUTER).rstrip(_OUTER)):
        return None
    clickable = _CLICKABLE.search(plain)
    if "://" in plain or (clickable is not None and clickable.end() < len(plain)):
        start = clickable.start() if clickable is not None else 0
        return Spot(start=place, end=place + len(word), host=host_of(plain[start:].rstrip(_OUTER)), bare=False)
    if (led := _WWW.search(plain)) is not None and not hosts.allows(f"https://{plain[led.start() :].rstrip(_OUTER)}"):
        return Spot(start=place, end=place + len(word), host=host_of(f"//{plain[led.start() :]}"), bare=False)
    for named in (*_HOST.finditer(plain), *_ADDRESS.finditer(plain)):
        found = _named(plain, named, hosts)
        if found is not None:
            is_bare, host = found
            lead = len(word) - len(word.lstrip(_OUTER)) if is_bare else 0
            tail = len(word) - len(word.rstrip(_OUTER)) if is_bare else 0
            return Spot(start=place + lead, end=place + len(word) - tail, host=host, bare=is_bare)
    return None


def _named(plain: str, named: re.Match[str], hosts: Hosts) -> tuple[bool, str] | None:
    """Whether a name of a host in a word is bare, and the host; ``None`` where nobody would make a link of it."""
    host, before, after = in_punycode(named.group()), plain[: named.start()], plain[named.end() :]
    if "//" in before:
        return False, host
    has_more = after[:1] in {"/", "?", "#", ":"} and len(after.rstrip(_OUTER)) > 1
    if "@" in before or after[:1] == "@":
        return not has_more, host
    if hosts.has(host) and not _leads_on(after):
        return None
    if host.count(".") == 1 and host.rpartition(".")[2] in _FILES and not has_more:
        return None  # a file's name; as a host it would have no room for anything
    return not has_more, host


def _listed(name: str) -> str:
    return "*." + in_punycode(name[2:]) if name.startswith("*.") else in_punycode(name)


def _behind_host(url: str) -> str:
    found = re.match(r"https?://[^/?#]*", url, re.IGNORECASE)
    return url[found.end() :] if found is not None else url


def _leads_on(rest: str) -> bool:
    """Whether what stands behind a host names another one: that is how open redirectors are told where to lead."""
    for _ in range(_DECODED_MAX):
        if _names_another(rest):
            return True
        decoded = _percent_decoded(rest)
        if decoded == rest:
            break
        rest = decoded
    else:
        return True  # encoded so often that somebody hides something
    return any(_names_another(_of_base64(each.group())) for each in _BASE64.finditer(rest))


def _names_another(rest: str) -> bool:
    rest = "".join(each for each in rest if each > " ")
    if "//" in rest or "\\" in rest or _NESTED_SCHEME.search(rest):
        return True
    for found in _HOST.finditer(rest):
        before, leads = rest[: found.start()], rest[found.end() :][:1] in {"/", ":"}
        is_file = found.group().count(".") == 1 and found.group().rpartition(".")[2].lower() in _FILES
        if leads or (not is_file and ("?" in before or "#" in before or "@" in before)):
            return True
    return False


def _of_base64(text: str) -> str:
    for part in (text, text.rpartition("/")[2]):
        padded = part.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            raw = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        decoded = raw.decode("latin-1")
        if decoded.isascii() and decoded.isprintable():
            return decoded
    return ""


def _percent_decoded(text: str) -> str:
    if "%" not in text:
        return text
    raw = _PERCENT.sub(lambda found: chr(int(found.group(1), 16)), text)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw
