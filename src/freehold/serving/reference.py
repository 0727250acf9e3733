"""Model references: a name of the catalogue, a file of the hub, or a file on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from freehold.domain.errors.model import ModelUnknown

HUB_PREFIX: Final = "hf:"
DEFAULT_REVISION: Final = "main"
_WORD: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,95})"
_HUB: Final = re.compile(rf"hf:({_WORD}/{_WORD})/((?:{_WORD}/){{0,4}}{_WORD}\.gguf)(?:@({_WORD}))?", re.ASCII)
_REMOTE: Final = re.compile(
    rf"hf:({_WORD}/{_WORD})(?:/((?:{_WORD}/){{0,4}}{_WORD}\.(?:gguf|safetensors)))?(?:@({_WORD}))?", re.ASCII
)
_NAME: Final = re.compile(_WORD, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubReference:
    """``hf:OWNER/REPO/FILE.gguf`` with an optional ``@REVISION``.

    Attributes:
        text: As written; the name it is installed under.
        repo: ``OWNER/REPO``.
        filename: Path inside the repository.
        revision: Branch, tag or commit.
    """

    text: str
    repo: str
    filename: str
    revision: str


@dataclass(frozen=True, slots=True)
class FilePath:
    """A GGUF file that the user keeps; never copied, moved or removed by Freehold."""

    path: str


def parse_remote(text: str) -> HubReference:
    """A model that is only looked at: ``hf:OWNER/REPO`` (safetensors), or one of its files, GGUF or safetensors.

    Returns:
        The reference; ``filename`` is empty where the repository is meant.

    Raises:
        ModelUnknown: It is none of these.
    """
    match = _REMOTE.fullmatch(text)
    if match is None or ".." in text:
        form = " (written hf:OWNER/REPO, hf:OWNER/REPO/FILE.gguf or hf:OWNER/REPO/FILE.safetensors)"
        raise ModelUnknown(name=text, suggestion=form)
    return HubReference(text=text, repo=match[1], filename=match[2] or "", revision=match[3] or DEFAULT_REVISION)


def parse_reference(text: str) -> str | HubReference | FilePath:
    """What ``text`` names; a plain ``str`` is a name to look up.

    Only plain ASCII words make names and hub references, so that no look-alike, traversal or control character
    reaches a file name or an address.

    Raises:
        ModelUnknown: It is none of the three.
    """
    if text.startswith(HUB_PREFIX):
        match = _HUB.fullmatch(text)
        if match is None or ".." in text:
            raise ModelUnknown(name=text, suggestion=" (a file of the hub is written hf:OWNER/REPO/FILE.gguf)")
        return HubReference(text=text, repo=match[1], filename=match[2], revision=match[3] or DEFAULT_REVISION)
    if "\0" not in text and (text.startswith(("/", "./", "../", "~/")) or text.endswith(".gguf")):
        return FilePath(text)
    if not _NAME.fullmatch(text):
        raise ModelUnknown(name=text, suggestion="")
    return text
