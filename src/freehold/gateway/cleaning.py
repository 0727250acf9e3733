"""The texts of one answer, each cleaned on its way: what is said, and what was thought before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from freehold.policy.links import Hosts
from freehold.policy.sanitise import Sanitiser, sanitise_json

_THOUGHTS = ("reasoning_content", "reasoning")
_SAID = ("content", "text", "refusal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """How texts are cleaned.

    Attributes:
        hosts: Where links may lead.
        is_json: What is said is JSON for a program.
        calls: No program may find a call of a tool in what is said.
    """

    hosts: Hosts
    is_json: bool
    calls: bool = False


class _Cleaner(Protocol):
    @property
    def removed(self) -> Counter[str]: ...
    def feed(self, piece: str) -> str: ...
    def close(self) -> str: ...


class _AsItIs:
    """For texts that are not cleaned."""

    __slots__ = ("removed",)

    def __init__(self) -> None:
        self.removed: Counter[str] = Counter()

    def feed(self, piece: str) -> str:
        return piece

    def close(self) -> str:
        return ""


class _Json:
    """Waits for the whole of a JSON value, since only then it can be read."""

    __slots__ = ("_calls", "_hosts", "_pieces", "removed")

    def __init__(self, hosts: Hosts, *, calls: bool) -> None:
        self._hosts = hosts
        self._calls = calls
        self._pieces: list[str] = []
        self.removed: Counter[str] = Counter()

    def feed(self, piece: str) -> str:
        self._pieces.append(piece)
        return ""

    def close(self) -> str:
        found = sanitise_json("".join(self._pieces), self._hosts, calls=self._calls)
        self.removed.update(dict(found.removed))
        return found.text


class Channels:
    """Every text of one answer.

    Args:
        cleaning: How they are cleaned; ``None`` for not at all.

    Attributes:
        has_text: Something was said.
    """

    __slots__ = ("_cleaning", "_open", "_over", "has_text")

    def __init__(self, cleaning: Cleaning | None) -> None:
        self._cleaning = cleaning
        self._open: dict[str, _Cleaner] = {}
        self._over: list[_Cleaner] = []
        self.has_text = False

    @property
    def removed(self) -> Counter[str]:
        """What was taken out so far, by kind."""
        total: Counter[str] = Counter()
        for each in (*self._over, *self._open.values()):
            total += each.removed
        return total

    def feed(self, said: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """The next piece of a turn; gives the pieces that are whole and clean, thoughts before what is said.

        Thoughts end where something is said. What would come later of them is left out: it would be joined to what was
        judged without it.
        """
        if isinstance(role := said.get("role"), str):
            yield {"role": role, "content": ""} if "content" in said else {"role": role}
        for name in (*_THOUGHTS, *_SAID):
            piece = said.get(name)
            if not isinstance(piece, str) or not piece:
                continue
            if name in _THOUGHTS:
                if self._over:
                    continue
            else:
                yield from self._end_thoughts()
            cleaner = self._open.get(name)
            if cleaner is None:
                cleaner = self._open[name] = self._cleaner(name)
            if clean := cleaner.feed(piece):
                yield self._told(name, clean)

    def close(self) -> Iterator[dict[str, Any]]:
        """The rest of every text."""
        yield from self._end_thoughts()
        for name, cleaner in self._open.items():
            if clean := cleaner.close():
                yield self._told(name, clean)

    def _end_thoughts(self) -> Iterator[dict[str, Any]]:
        for name in _THOUGHTS:
            cleaner = self._open.pop(name, None)
            if cleaner is not None:
                self._over.append(cleaner)
                if clean := cleaner.close():
                    yield {name: clean}

    def _told(self, name: str, clean: str) -> dict[str, Any]:
        self.has_text = self.has_text or name in _SAID
        return {name: clean}

    def _cleaner(self, name: str) -> _Cleaner:
        cleaning = self._cleaning
        if cleaning is None:
            return _AsItIs()
        if cleaning.is_json and name in ("content", "text"):
            return _Json(cleaning.hosts, calls=cleaning.calls)
        return Sanitiser(cleaning.hosts, calls=cleaning.calls)
