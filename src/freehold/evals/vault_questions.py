"""Questions of a vault's owner, with the documents that answer them."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from freehold.domain.errors.vault import VaultQuestionsInvalid, VaultQuestionsMissing
from freehold.domain.vault import Document


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str = ""
    document: str = ""
    quote: str = ""


class _Line(msgspec.Struct, frozen=True):
    question: str
    relevant: list[_Wanted]
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A document that answers a question.

    Attributes:
        source: End of its path, or its title; empty where its id is given.
        document: Its id; empty where its source is given.
        quote: What of it answers, word for word; empty where that is not said.
    """

    source: str = ""
    document: str = ""
    quote: str = ""

    def is_it(self, found: Document) -> bool:
        """Whether ``found`` is the document that is meant."""
        if self.document:
            return found.id == self.document
        return self.source in (found.source, found.title) or found.source.endswith(f"/{self.source}")

    def places(self, text: str) -> tuple[tuple[int, int], ...]:
        """Where the quote stands in the document's text, whatever blanks and line ends are in it."""
        words = self.quote.split()
        if not words:
            return ()
        pattern = r"\s+".join(re.escape(word) for word in words)
        return tuple(found.span() for found in re.finditer(pattern, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultQuestion:
    """A question.

    Attributes:
        text: What is asked.
        relevant: What answers it; empty: no document does.
        answer: What the answer is, for people.
    """

    text: str
    relevant: tuple[Wanted, ...] = ()
    answer: str = ""


def not_there(questions: Sequence[VaultQuestion], documents: Iterable[Document]) -> tuple[Wanted, ...]:
    """What questions take for an answer and is none of ``documents``, each once: whoever searches can never find it."""
    ids, names = set[str](), defaultdict[str, list[Document]](list)
    for each in documents:
        ids.add(each.id)
        for name in {each.title, each.source, each.source.rpartition("/")[2]}:
            names[name].append(each)

    def is_there(wanted: Wanted) -> bool:
        if wanted.document:
            return wanted.document in ids
        near = (*names[wanted.source], *names[wanted.source.rpartition("/")[2]])
        return any(wanted.is_it(each) for each in near)

    asked = dict.fromkeys((each.source, each.document) for question in questions for each in question.relevant)
    found = (Wanted(source=source, document=document) for source, document in asked)
    return tuple(each for each in found if not is_there(each))


def read_questions(path: Path) -> tuple[VaultQuestion, ...]:
    """The questions of a file.

    Raises:
        VaultQuestionsInvalid: A line is none, or there is none.
        VaultQuestionsMissing: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise VaultQuestionsMissing(path=str(path), reason=reason or "it cannot be read") from error
    found = [_question(path, at, line) for at, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise VaultQuestionsInvalid(path=str(path), line=1, reason="there is nothing in the file")
    return tuple(found)


def _question(path: Path, at: int, line: str) -> VaultQuestion:
    try:
        read = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError as error:
        raise VaultQuestionsInvalid(path=str(path), line=at, reason=str(error)) from error
    if not read.question.strip():
        raise VaultQuestionsInvalid(path=str(path), line=at, reason="the question is empty")
    if any(bool(each.source) == bool(each.document) for each in read.relevant):
        reason = 'each of "relevant" names either a "source" or a "document"'
        raise VaultQuestionsInvalid(path=str(path), line=at, reason=reason)
    wanted = tuple(Wanted(source=each.source, document=each.document, quote=each.quote) for each in read.relevant)
    return VaultQuestion(text=read.question, relevant=wanted, answer=read.answer)


def digest_of(questions: Sequence[VaultQuestion]) -> str:
    """The same for the same questions with the same answers in the same order, 16 hex digits."""
    parts = [(each.text, [(w.source, w.document, w.quote) for w in each.relevant]) for each in questions]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]
