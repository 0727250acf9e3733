"""A model that marks names in texts; loaded in a worker only, since it needs the packages of the extra ``embed``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from freehold.domain.detect_ports import Mention
from freehold.engines.onnx.requantise import requantised
from freehold.engines.onnx.session import opened
from freehold.engines.onnx.windows import joined, windows

_TOKENS_MAX = 510
"""Of a window, without the two marks around it."""
_WINDOWS_AT_ONCE = 8
"""In one call of the model: more save no time and take memory."""
_SPLIT_OVERLAP = 32
_NOTHING = 0
"""Index of the label that says that a token is nothing."""
_WORD_CHARACTERS_MAX = 40
_SCRIPTS_WITHOUT_SPACES = "\u2e80"
"""From here on: Chinese, Japanese and what is written like them."""
FLOOR = 0.15
"""A token that is nothing with a probability above 1 - FLOOR is not reported at all; what is enough is policy."""


class Tagger:
    """A model and its tokenizer (``domain.detect_ports.Marker``).

    Args:
        model: Path of the ONNX file.
        tokenizer: Path of its ``tokenizer.json``.
        labels: What its outputs mean, in order: ``O`` first, then ``B-TYPE`` and ``I-TYPE`` of each type.
        threads: Computing threads.

    Raises:
        ValueError: The file is no model of this kind.
    """

    def __init__(self, *, model: str, tokenizer: str, labels: Sequence[str], threads: int = 1) -> None:
        import numpy
        import tokenizers

        self._numpy: Any = numpy
        weights = requantised(Path(model).read_bytes())
        self._session = opened(weights, threads=threads)
        self._tokenizer: Any = cast("Any", tokenizers).Tokenizer.from_file(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._labels = tuple(labels)

    def __call__(self, text: str, /) -> tuple[Mention, ...]:
        """What it marks in a text, however long; see ``Marker``."""
        if not text.strip():
            return ()
        cut = [each for start, end in windows(len(text)) for each in self._fitting(text, start, end)]
        found: list[Mention] = []
        for first in range(0, len(cut), _WINDOWS_AT_ONCE):
            some = cut[first : first + _WINDOWS_AT_ONCE]
            for (start, encoded), chances in zip(some, self._chances([each for _, each in some]), strict=True):
                found += _mentions(text, start, encoded, chances, self._labels)
        return joined(found)

    def _fitting(self, text: str, start: int, end: int) -> Iterator[tuple[int, Any]]:
        """A window as tokens; as halves where a script has more tokens than the model can take."""
        encoded = self._tokenizer.encode(text[start:end])
        if len(encoded.ids) - 2 <= _TOKENS_MAX or end - start <= 2 * _SPLIT_OVERLAP:
            encoded.truncate(_TOKENS_MAX + 2)
            yield start, encoded
            return
        middle = (start + end) // 2
        yield from self._fitting(text, start, middle + _SPLIT_OVERLAP // 2)
        yield from self._fitting(text, middle - _SPLIT_OVERLAP // 2, end)

    def _chances(self, encoded: Sequence[Any]) -> Any:
        """The probability of every label for every token, from one call."""
        np = self._numpy
        longest = max(len(each.ids) for each in encoded)
        ids = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encoded):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        logits = self._session.run(None, given)[0]
        if logits.shape[-1] != len(self._labels):
            raise ValueError(f"the model has {logits.shape[-1]} labels, and {len(self._labels)} were expected")
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)


def _mentions(text: str, start: int, encoded: Any, chances: Any, labels: Sequence[str]) -> Iterator[Mention]:
    """What a window's tokens say, put together: tokens of one word, and words of one type in a row."""
    count = len(encoded.ids) - 2
    something = 1.0 - chances[1 : count + 1, _NOTHING]
    marked = (something > FLOOR).nonzero()[0].tolist()
    if not marked:
        return
    best = chances[1 : count + 1, 1:].argmax(axis=-1) + 1
    offsets, words = encoded.offsets[1 : count + 1], encoded.word_ids[1 : count + 1]
    current: Mention | None = None
    word: int | None = None
    for place in marked:
        first, last = offsets[place]
        if last <= first:
            continue
        mark, _, kind = labels[int(best[place])].partition("-")
        score = float(something[place])
        begin, end = _whole(text, start + first, start + last)
        same_word = current is not None and words[place] == word
        adjoins = current is not None and not text[current.end : begin].strip()
        if current is not None and (same_word or (adjoins and mark == "I" and kind == current.type)):
            kind = kind if score > current.score and same_word else current.type
            current = Mention(
                start=current.start, end=max(current.end, end), type=kind, score=max(score, current.score)
            )
        else:
            if current is not None:
                yield current
            current = Mention(start=begin, end=end, type=kind, score=score)
        word = words[place]
    if current is not None:
        yield current


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """A token widened to the letters and digits around it: a part of a word is no name.

    Not in scripts without spaces, where the letters around it are other words.
    """
    limit = max(0, start - _WORD_CHARACTERS_MAX)
    while start > limit and _joins(text[start]) and _joins(text[start - 1]):
        start -= 1
    limit = min(len(text), end + _WORD_CHARACTERS_MAX)
    while end < limit and _joins(text[end]) and _joins(text[end - 1]):
        end += 1
    return start, end


def _joins(letter: str) -> bool:
    return letter < _SCRIPTS_WITHOUT_SPACES and letter.isalnum()
