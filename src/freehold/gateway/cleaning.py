"""The texts of one answer, each cleaned on its way: what is said, and what was thought before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from freehold.domain.response import Usage
from freehold.policy.answer_json import redact_json, redact_text
from freehold.policy.answer_redactor import AnswerRedactor
from freehold.policy.links import Hosts
from freehold.policy.sanitise import Sanitiser, sanitise_json
from freehold.wire.openai_usage import render_usage

_THOUGHTS = ("reasoning_content", "reasoning")
_SAID = ("content", "text", "refusal")
_ROLE = "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """How texts are cleaned.

    Attributes:
        hosts: Where links may lead; ``None`` where texts stay as they are written.
        is_json: What is said is JSON for a program.
        keeps: Which values stay, of all that are found; ``None`` where none is looked for.
        calls: No program may find a call of a tool in what is said.
    """

    hosts: Hosts | None
    is_json: bool
    keeps: Callable[[str], bool] | None = None
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


class _InTurn:
    """One after the other."""

    __slots__ = ("_first", "_then")

    def __init__(self, first: _Cleaner, then: _Cleaner) -> None:
        self._first = first
        self._then = then

    @property
    def removed(self) -> Counter[str]:
        return self._first.removed + self._then.removed

    def feed(self, piece: str) -> str:
        clean = self._first.feed(piece)
        return self._then.feed(clean) if clean else ""

    def close(self) -> str:
        clean = self._first.close()
        return (self._then.feed(clean) if clean else "") + self._then.close()


class _Json:
    """Waits for the whole of a JSON value, since only then it can be read."""

    __slots__ = ("_cleaning", "_pieces", "removed")

    def __init__(self, cleaning: Cleaning) -> None:
        self._cleaning = cleaning
        self._pieces: list[str] = []
        self.removed: Counter[str] = Counter()

    def feed(self, piece: str) -> str:
        self._pieces.append(piece)
        return ""

    def close(self) -> str:
        cleaning, text = self._cleaning, "".join(self._pieces)
        if cleaning.keeps is not None:
            text = redact_json(text, cleaning.keeps, self.removed)
        if cleaning.hosts is not None:
            found = sanitise_json(text, cleaning.hosts, calls=cleaning.calls)
            self.removed.update(dict(found.removed))
            text = found.text
        return text


class Channels:
    """Every text of one answer.

    Args:
        cleaning: How they are cleaned; ``None`` for not at all.

    Attributes:
        has_text: Something was said.
    """

    __slots__ = ("_beside", "_clean_texts", "_cleaning", "_open", "_over", "_texts", "has_text")

    def __init__(self, cleaning: Cleaning | None) -> None:
        self._cleaning = cleaning
        self._open: dict[str, _Cleaner] = {}
        self._over: list[_Cleaner] = []
        self._beside: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._clean_texts: dict[str, str] = {}
        self.has_text = False

    @property
    def removed(self) -> Counter[str]:
        """What was taken out so far, by kind."""
        total = Counter(self._beside)
        for each in (*self._over, *self._open.values()):
            total += each.removed
        return total

    def feed(self, said: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """The next piece of a turn; gives the pieces that are whole and clean, thoughts before what is said.

        Thoughts end where something is said. What would come later of them is left out: it would be joined to what was
        judged without it.
        """
        if isinstance(said.get("role"), str):
            yield {"role": _ROLE, "content": ""} if "content" in said else {"role": _ROLE}
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

    def arguments(self, text: str) -> str:
        """The arguments of a call, whole, without values that are looked for. They stay JSON."""
        keeps = None if self._cleaning is None else self._cleaning.keeps
        return text if keeps is None else redact_json(text, keeps, self._beside)

    def words(self, text: str) -> str:
        """A short text beside what is said, a name or an id, without values that are looked for."""
        keeps = None if self._cleaning is None else self._cleaning.keeps
        return text if keeps is None else redact_text(text, keeps, self._beside)

    def head(self, given: Mapping[str, object], usage: Usage | None) -> dict[str, Any]:
        """What an event says of the whole answer. Its texts seldom change, and are looked at when they do.

        Args:
            given: Its members.
            usage: The tokens that it counts; how it writes them is not passed on where values are looked for.
        """
        if self._cleaning is None or self._cleaning.keeps is None:
            return dict(given)
        if (texts := {name: each for name, each in given.items() if isinstance(each, str)}) != self._texts:
            self._texts = texts
            self._clean_texts = {name: self.words(each) for name, each in texts.items()}
        numbers = {name: each for name, each in given.items() if isinstance(each, int)}
        return {**numbers, **self._clean_texts, **({} if usage is None else {"usage": render_usage(usage)})}

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
            return _Json(cleaning)
        stages: list[_Cleaner] = []
        if cleaning.keeps is not None:
            stages.append(AnswerRedactor(cleaning.keeps))
        if cleaning.hosts is not None:
            stages.append(Sanitiser(cleaning.hosts, calls=cleaning.calls))
        return _in_turn(stages)


def _in_turn(stages: Sequence[_Cleaner]) -> _Cleaner:
    return _InTurn(*stages) if len(stages) == 2 else stages[0] if stages else _AsItIs()
