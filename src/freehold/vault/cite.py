"""An answer with its sources: quotes checked, sentences supported or marked, in one pass as it comes. Pure.

What is shown in quote marks is in the passages, character for character, or the marks go. A sentence whose words are in
a part of a passage gets that part as its citation; one that no passage supports is told, and gets none, whatever number
its writer put behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from freehold.domain.vault import Citation, Passage
from freehold.vault.align import Alignment, Words, covered, is_claim, names_all, words_of
from freehold.vault.marks import Quoted, Unclosed, code_end, is_stray, quote_at, without_marks
from freehold.vault.quotes import Checked, Place, Sources, Verdict, is_short
from freehold.vault.refusals import is_refusal
from freehold.vault.sentences import sentence_end

_MARKER = re.compile(
    r"[ \t]*[\[【]\s*(?:(?:passage|source|document|doc|quelle|fuente|ref)s?\s*)?#?(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)"
    r"(?:†[^\]】\n]{0,80})?\s*[\]】](?!\()",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(\d+)\s*[–-]\s*(\d+)")
_FENCE = "```"
_BLOCK_QUOTE = re.compile(r"(?:>[ \t]?)+")
_HALF, _ALL = 0.5, 0.9
_MARKS = (("\u201c", "\u201d"), ("\u00ab", "\u00bb"), ("\u300c", "\u300d"), ("\u2039", "\u203a"))
_MARKUP = "[]()<>`!:/\\"
_ENDINGS = frozenset(".,;:!?。，、；：！？")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiteOptions:
    """How an answer is checked and shown.

    Attributes:
        question: What was asked; it tells which of several places a short answer is from.
        markers: Write ``[1]`` behind what passage 1 supports. Without, an answer's own are taken out all the same.
        mark_unsupported: What is written behind a sentence that nothing supports; empty for nothing.
    """

    question: str = ""
    markers: bool = True
    mark_unsupported: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A checked answer.

    Attributes:
        text: As it is shown.
        citations: In the order of the answer.
        unsupported: From where to where in ``text`` sentences stand that nothing supports, in code points.
        claims: How many sentences say something that documents could support.
        quotes: What became of its quotes, by verdict.
        refused: It says that there is no answer, and nothing that the passages support.
    """

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[tuple[int, int], ...]
    claims: int
    quotes: Mapping[str, int]
    refused: bool

    @property
    def supported_share(self) -> float:
        """Share of its claims that are supported; 1.0 where it has none."""
        return 1.0 - len(self.unsupported) / self.claims if self.claims else 1.0


def cite(answer: str, passages: Sequence[Passage], options: CiteOptions | None = None) -> Cited:
    """Check a whole answer against the passages that were in its prompt, numbered from 1 in their order."""
    citer = Citer(passages, options)
    citer.feed(answer)
    citer.close()
    return citer.cited


class Citer:
    """Checks an answer as it comes; the result does not depend on how it is cut into pieces.

    Args:
        passages: What was in the prompt, numbered from 1 in this order.
        options: How.
    """

    __slots__ = (
        "_aligned", "_citations", "_claims", "_held", "_in_fence", "_is_line_start", "_length", "_options", "_passages",
        "_quotes", "_refused", "_sources", "_told", "_unsupported",
    )  # fmt: skip

    def __init__(self, passages: Sequence[Passage], options: CiteOptions | None = None) -> None:
        self._options = options or CiteOptions()
        self._passages = passages
        texts = [each.text for each in passages]
        self._sources = Sources(texts)
        self._aligned = Alignment(texts, question=self._options.question)
        self._held = ""
        self._told: list[str] = []
        self._length = 0
        self._citations: list[Citation] = []
        self._unsupported: list[tuple[int, int]] = []
        self._claims = 0
        self._quotes: Counter[str] = Counter()
        self._refused = False
        self._in_fence = False
        self._is_line_start = True

    def feed(self, piece: str) -> str:
        """The next piece; returns what may be shown now: sentences that are over, checked."""
        self._held += piece
        return self._walk(is_whole=False)

    def close(self) -> str:
        """The rest."""
        return self._walk(is_whole=True)

    @property
    def cited(self) -> Cited:
        """What was checked so far."""
        return Cited(
            text="".join(self._told),
            citations=tuple(self._citations),
            unsupported=tuple(self._unsupported),
            claims=self._claims,
            quotes=dict(self._quotes),
            refused=self._refused and not self._citations,
        )

    def _walk(self, *, is_whole: bool) -> str:
        start, told = 0, len(self._told)
        while (end := self._end(start, is_whole=is_whole)) is not None:
            self._sentence(self._held[start:end])
            start = end
        self._held = self._held[start:]
        return "".join(self._told[told:])

    def _end(self, start: int, *, is_whole: bool) -> int | None:
        """Behind what is looked at next: a sentence, or a line of code."""
        held = self._held
        begins = held[start:].lstrip(" ")
        if self._in_fence or (self._is_line_start and begins[: len(_FENCE)] == _FENCE):
            line = held.find("\n", start)
            return line + 1 if line >= 0 else len(held) if is_whole and len(held) > start else None
        if self._is_line_start and not is_whole and _FENCE.startswith(begins):
            return None
        return sentence_end(held, start, is_whole=is_whole)

    def _sentence(self, raw: str) -> None:
        is_fence = self._is_line_start and raw.lstrip(" ").startswith(_FENCE)
        is_code = self._in_fence or is_fence
        self._in_fence ^= is_fence
        body = raw.strip()
        if is_code or not body:
            self._tell(raw)
        else:
            lead = raw[: len(raw) - len(raw.lstrip())]
            self._tell(lead)
            if (self._is_line_start or "\n" in lead) and (mark := _BLOCK_QUOTE.match(body)) is not None:
                body = body[mark.end() :]  # a block that is set apart is a quote as well, and nobody checked it as one
            self._checked(body)
            self._tell(raw[len(raw.rstrip()) :])
        self._is_line_start = raw.endswith("\n") or (self._is_line_start and not body)

    def _tell(self, text: str) -> None:
        if text:
            self._told.append(text)
            self._length += len(text)

    def _checked(self, body: str) -> None:
        """One sentence: its quotes looked up, then what it says as a whole, then the numbers of its sources."""
        start, known, told = self._length, len(self._citations), len(self._told)
        self._quoting(body, _numbers(body))
        if not self._shows_what_is_there("".join(self._told[told:]), start, known):
            self._length = start
            del self._told[told:], self._citations[known:]
            self._quoting(without_marks(body), _numbers(body))
        end = self._length
        said = "".join(self._told[told:])
        if not self._supported(said, start, end, _numbers(body), known):
            self._unsupported.append((start, end))
            self._tell(self._options.mark_unsupported)
        if self._options.markers and not body.startswith("|"):
            numbers = sorted({each.number for each in self._citations[known:]})
            self._tell("".join(f" [{each}]" for each in numbers))

    def _shows_what_is_there(self, said: str, start: int, known: int) -> bool:
        """Whether all that a sentence now shows in quote marks was found: marks that were left may pair anew."""
        spans = {(each.answer_start - start, each.answer_end - start) for each in self._citations[known:]}
        place, seen = 0, said + " "
        while place < len(said):
            if (code := code_end(said, place, is_whole=True)) is not None:
                place = code
                continue
            found = quote_at(seen, place, is_whole=False)
            if found is None:
                place += 1
                continue
            if isinstance(found, Unclosed):
                return False
            if (found.start + 1, found.end - 1) not in spans and not is_short(said[found.start + 1 : found.end - 1]):
                return False
            place = found.end
        return True

    def _supported(self, said: str, start: int, end: int, cited: Sequence[int], known: int) -> bool:
        """Whether a sentence has support, or needs none."""
        words = words_of(said)
        if is_refusal(said):
            self._refused = True
            return True
        if not is_claim(words) or said.endswith(("?", "？", "؟", ":")) or said.startswith("#"):
            return True
        self._claims += 1
        quoted = " ".join(each.quote for each in self._citations[known:])
        of_quotes = covered(words, words_of(quoted)) if quoted else 0.0
        if of_quotes >= _ALL:
            return True
        found = self._aligned.best(said, cited=cited)
        if found is not None and found.is_enough:
            place = Place(found.text, found.start, found.end)
            self._citations.append(self._citation(place, start, end))
            return True
        return of_quotes >= _HALF and self._frames(words, known)

    def _frames(self, words: Words, known: int) -> bool:
        """Whether what a sentence adds to its quotes has no number and no name that their documents don't have."""
        numbers = sorted({each.number for each in self._citations[known:]})
        passages = [self._passages[number - 1] for number in numbers]
        return names_all(words, words_of("\n".join(f"{each.document.title}\n{each.text}" for each in passages)))

    def _quoting(self, text: str, cited: Sequence[int]) -> None:
        """Show a text with its quotes checked, and without numbers of sources."""
        place = plain = 0
        begun = self._length
        while place < len(text):
            behind = place
            if (code := code_end(text, place, is_whole=True)) is not None:
                place = code
                continue
            if (marker := _MARKER.match(text, place)) is not None:
                behind = marker.end()
                if (
                    self._length == begun and plain == place
                ):  # nothing is before it: the blank behind it separates nothing
                    behind += len(text[behind:]) - len(text[behind:].lstrip(" "))
            elif isinstance(quote := quote_at(text, place, is_whole=True), Quoted):
                self._tell(text[plain:place])
                self._quote(text[quote.start : quote.end], cited)
                place = plain = quote.end
                continue
            elif is_stray(text, place):
                behind = place + 1
            if behind > place:
                self._tell(text[plain:place])
                plain = behind
            place = max(behind, place + 1)
        self._tell(text[plain:])

    def _quote(self, quote: str, cited: Sequence[int]) -> None:
        """One quote, with its marks."""
        inner = quote[1:-1]
        checked = self._sources.check(inner, cited=cited)
        if not checked.places and (plain := _MARKER.sub("", inner)) != inner:
            inner, cited = plain, _numbers(inner)
            checked = self._sources.check(inner, cited=cited)
        if any(self._adds_markup(inner, place) for place in checked.places):
            checked = Checked(Verdict.FABRICATED)
        self._quotes[checked.verdict.value] += 1
        if checked.verdict is Verdict.SHORT:
            self._tell(quote)
            return
        if not checked.places:
            self._quoting(inner, cited)
            return
        for number, place in enumerate(checked.places):
            original = self._passages[place.text].text[place.start : place.end]
            before, behind = _marks_for(original, (quote[0], quote[-1]))
            self._tell((" … " if number else "") + before)
            if not is_short(original):
                self._citations.append(self._citation(place, self._length, self._length + len(original)))
            self._tell(original)
            self._tell(behind)
        last = inner.rstrip()[-1:]
        if last in _ENDINGS and not self._told[-2].endswith(last):
            self._tell(last)

    def _adds_markup(self, quote: str, place: Place) -> bool:
        """Whether the document's own characters would make a link or code of what was none: that was cleaned before."""
        original = self._passages[place.text].text[place.start : place.end]
        return any(original.count(each) > quote.count(each) for each in _MARKUP)

    def _citation(self, place: Place, start: int, end: int) -> Citation:
        passage = self._passages[place.text]
        document = passage.document
        return Citation(
            number=place.text + 1,
            document_id=document.id,
            sha256=document.sha256,
            title=document.title,
            source=document.source,
            page=passage.page,
            start=passage.start + place.start,
            end=passage.start + place.end,
            quote=passage.text[place.start : place.end],
            answer_start=start,
            answer_end=end,
        )


def _numbers(text: str) -> list[int]:
    """Passages that a text names, from 0."""
    found: list[int] = []
    for marker in _MARKER.finditer(text):
        said = _RANGE.sub(
            lambda each: ",".join(map(str, range(int(each[1]), min(int(each[2]), int(each[1]) + 20) + 1))), marker[1]
        )
        found += [int(each) - 1 for each in re.findall(r"\d+", said)]
    return list(dict.fromkeys(found))


def _marks_for(text: str, marks: tuple[str, str]) -> tuple[str, str]:
    """Marks that are not in what they enclose: those that stood there, else others."""
    return next((each for each in (marks, *_MARKS) if not any(mark in text for mark in each)), marks)
