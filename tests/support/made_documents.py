"""Documents made by lot from one seed: sentences of common and of made words, and ways to paste them."""

from __future__ import annotations

import random

COMMON = ("the", "of", "and", "to", "a", "in", "is", "for", "that", "on", "with", "as", "was", "by", "we", "it", "are", "not",
          "from", "will", "has", "at", "be", "this", "than", "or", "which", "all", "new", "no")  # fmt: skip
"""Half of all words: what two documents have in common."""

SYLLABLES = ("ka", "ro", "mi", "ten", "sa", "lu", "ber", "no", "vi", "dra", "pel", "os", "an", "gru")
LETTER = ("Dear colleagues, I hope this email finds you well and that you had a good start to the week.",
          "Please do not hesitate to contact me if you have any questions or need any further information.")  # fmt: skip
"""How all of them begin and end."""


def sentence(lot: random.Random) -> str:
    """One of 14 to 28 words."""
    words = [_word(lot) for _ in range(lot.randint(14, 28))]
    return " ".join(words).capitalize() + "."


def document(lot: random.Random, sentences: int = 12) -> list[str]:
    """Its sentences, with what every letter has around them."""
    return [LETTER[0], *(sentence(lot) for _ in range(sentences)), LETTER[1]]


def as_markdown(text: str) -> str:
    """Quoted, emphasised, in other capitals, with other white space and invisible letters."""
    words = text.upper().split()
    lines = ["> " + "  ".join(words[first : first + 7]) for first in range(0, len(words), 7)]
    return "\n".join(lines).replace("A", "A\u200b").replace("  THE  ", "  **THE**  ").replace(",", " \u201c,")


def edited(lot: random.Random, text: str, every: int) -> str:
    """With another word in place of about one in ``every``."""
    return " ".join("other" if lot.randrange(every) == 0 else word for word in text.split())


def _word(lot: random.Random) -> str:
    if lot.random() < 0.5:
        return lot.choice(COMMON)
    return "".join(lot.choice(SYLLABLES) for _ in range(lot.randint(1, 3)))
