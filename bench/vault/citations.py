"""Is every shown quote in its document? Over made answers, each wrong in one way, and over answers of starter models.

Run: ``python -m bench.vault.citations``; with answers that ``bench.vault.answering`` has kept:
``--model smollm2-135m --answers FOLDER``, and its ``--asked`` and ``--limit``. What is shown is looked at by other means than the product's
own: patterns for pairs of marks, and the document's text.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.vault.answering import gateway_cases
from bench.vault.asked import Asker, load_lines, vault_data
from freehold.domain.vault import Passage
from freehold.vault.cite import Cited, CiteOptions, cite
from freehold.vault.sentences import sentences
from tests.support.passages import passage

_PAIRS = re.compile(r"\"([^\"]*)\"|“([^”]*)”|„([^“]*)“|«([^»]*)»|「([^」]*)」")
_NUMBER = re.compile(r"(?<![\w.,])\d{2,4}(?![\w.,]\d)")
_DENIALS = {"en": "not", "de": "nicht", "es": "no", "ru": "не"}
_CHARACTERS_MIN = 12
_KINDS = ("true", "number", "denial added", "denial left out", "paraphrase", "stitched", "elsewhere", "made up", "name")


@dataclass(frozen=True, slots=True)
class Made:
    """An answer, and in which way it is wrong."""

    kind: str
    answer: str
    passages: Sequence[Passage]


def made_answers(language: str, count: int, seed: int = 7) -> Iterator[Made]:
    """Answers from sentences of XQuAD paragraphs: true ones, and each with one thing wrong."""
    texts = [each["text"] for each in load_lines(vault_data() / "xquad" / f"corpus.{language}.jsonl")]
    chance = random.Random(seed)
    pairs = [("“", "”"), ('"', '"'), ("„", "“"), ("«", "»"), ("「", "」")]
    for text in chance.sample(texts, min(count, len(texts))):
        others = chance.sample([each for each in texts if each != text], 2)
        passages = [passage(each, number=place) for place, each in enumerate((text, *others))]
        parts = [text[start:end] for start, end in sentences(text) if 30 <= end - start <= 300]
        if len(parts) < 2:
            continue
        marks = chance.choice(pairs)
        said = chance.choice(parts)
        for kind, quote in _wrong(said, parts, others, language, chance):
            yield Made(kind, f"It says {marks[0]}{quote}{marks[1]} [1].", passages)
        yield Made("true", f"It says {marks[0]}{said}{marks[1]} [1].", passages)


def _wrong(
    said: str, parts: Sequence[str], others: Sequence[str], language: str, chance: random.Random
) -> Iterator[tuple[str, str]]:
    denial = _DENIALS.get(language)
    words = said.split(" ")
    if found := _NUMBER.search(said):
        yield "number", f"{said[: found.start()]}{int(found[0]) + 1}{said[found.end() :]}"
    if denial is not None and len(words) > 4:
        place = len(words) // 2
        if denial in words:
            yield "denial left out", " ".join(each for each in words if each != denial)
        else:
            yield "denial added", " ".join([*words[:place], denial, *words[place:]])
    if len(words) > 6:
        place = chance.randrange(1, len(words) - 2)
        yield "paraphrase", " ".join([*words[:place], words[place + 1], words[place], *words[place + 2 :]])
        names = [at for at, each in enumerate(words) if at and each[:1].isupper() and each.isalpha()]
        if names:
            at = chance.choice(names)
            yield "name", " ".join([*words[:at], "Zanzibor", *words[at + 1 :]])
    first, second = chance.sample(list(parts), 2)
    yield "stitched", f"{first[: len(first) // 2].rsplit(' ', 1)[0]} {second[len(second) // 2 :].lstrip()}"
    yield "elsewhere", chance.choice(list(others))[:80].rsplit(" ", 1)[0]
    yield "made up", f"{said[: len(said) // 3].rsplit(' ', 1)[0]} and so the committee agreed with all of it"


def wrongly_shown(found: Cited, passages: Sequence[Passage]) -> list[str]:
    """Quotes in what is shown that are in no document, and citations that are not where they say."""
    wrong = [
        quote
        for pair in _PAIRS.findall(found.text)
        for quote in pair
        if len(_plain(quote)) >= _CHARACTERS_MIN and not any(quote in each.text for each in passages)
    ]
    for each in found.citations:
        source = passages[each.number - 1]
        if each.quote != source.text[each.start - source.start : each.end - source.start]:
            wrong.append(each.quote)
    return wrong


def _plain(quote: str) -> str:
    return unicodedata.normalize("NFKC", quote).strip(" .,;:!?。，、；：！？\n")


def adversarial(languages: Sequence[str], count: int) -> tuple[Counter[str], Counter[str], int, Counter[str]]:
    """Answers of each kind, quotes shown of each, how many of all were wrong, and wrong sentences given support."""
    asked, shown, supported = Counter[str](), Counter[str](), Counter[str]()
    wrong = 0
    for made in itertools.chain.from_iterable(made_answers(each, count) for each in languages):
        found = cite(made.answer, made.passages)
        asked[made.kind] += 1
        shown[made.kind] += any(state in found.quotes for state in ("verified", "misattributed"))
        supported[made.kind] += bool(found.citations)
        wrong += len(wrongly_shown(found, made.passages))
    return asked, shown, wrong, supported


def real(cases: Sequence[tuple[str, Sequence[Passage], str]]) -> tuple[Counter[str], int, int, int, int]:
    """Of answers of a model: verdicts, quotes and citations shown, wrong ones among them, claims, supported claims."""
    verdicts = Counter[str]()
    told = wrong = claims = supported = 0
    for question, passages, answer in cases:
        found = cite(answer, passages, CiteOptions(question=question))
        verdicts.update(found.quotes)
        told += len(found.citations)
        wrong += len(wrongly_shown(found, passages))
        claims += found.claims
        supported += found.claims - len(found.unsupported)
    return verdicts, told, wrong, claims, supported


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--languages", default="en de es el ro ru tr ar vi hi th zh")
    options.add_argument("--paragraphs", type=int, default=60)
    options.add_argument("--model", default="")
    options.add_argument("--asked", type=int, default=200)
    options.add_argument("--limit", type=int, default=8)
    options.add_argument("--answers", type=Path, default=Path("/tmp/freehold-answers"))
    chosen = options.parse_args()
    asked, shown, wrong, supported = adversarial(chosen.languages.split(), chosen.paragraphs)
    print(f"{'made answers':18} {'n':>5} {'quote shown':>11} {'cited':>6}")
    for kind in _KINDS:
        if asked[kind]:
            print(f"{kind:18} {asked[kind]:5} {shown[kind]:11} {supported[kind]:6}")
    print(
        f"shown quotes and citations not in their document: {wrong} (bar 0: {'holds' if wrong == 0 else 'does not hold'})"
    )
    if chosen.model:
        asker = Asker(chosen.model, chosen.answers)
        answers = [
            (each.question, each.passages, asker.ask(each.question, each.passages)[0])
            for each in asyncio.run(gateway_cases("en", chosen.asked, chosen.limit))
            if asker.knows(each.question, each.passages)
        ]
        verdicts, told, wrong, claims, good = real(answers)
        print(
            f"{chosen.model}: {len(answers)} answers, {claims} claims, {good} supported, quotes {dict(verdicts)},"
            f" {told} citations, {wrong} wrong (bar 0: {'holds' if wrong == 0 else 'does not hold'})"
        )


if __name__ == "__main__":
    main()
