"""With a starter model: is it said that the documents do not say where they do not, and answered where they do?

As the gateway does it: the product's search, its frame around the passages, its check of the answer and its rule. XQuAD
questions of articles that taught support nothing; of half of them the answering paragraph is left out by a filter. The
rule's constants are chosen on one half of the questions, figures are told of the other.

Run: ``python -m bench.vault.answering --model smollm2-135m --asked 200 --limit 8 --answers FOLDER --minutes 20``. Answers
are kept in the folder and not asked for again, so that a run can be gone on with and repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.vault.abstain import ABSTAINED_MIN, ANSWERED_MIN, drawn, filled
from bench.vault.asked import Asker, best_tokens, load_lines, vault_data
from freehold.domain.vault import ANYTHING, Filters, Passage, Reader, VaultQuery
from freehold.vault.abstaining import RULE, AbstentionRule, AnswerSigns, should_abstain
from freehold.vault.cite import Cited, CiteOptions, cite
from freehold.vault.search import VaultSearch
from freehold.vault.support_shipped import support_at

ROOM_CHARACTERS = 21_000
"""What the gateway leaves for passages in a context of 8,192 tokens."""
_UNSUPPORTED_AT = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01)
_DOUBT_LOGPROB = (-9.0, -2.0, -1.5, -1.25, -1.0, -0.8, -0.6, -0.5, -0.4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as the gateway would put it to a model."""

    question: str
    answer: str
    answerable: bool
    support: float
    passages: tuple[Passage, ...]

    @property
    def teaches(self) -> bool:
        """Whether the rule's constants may be chosen by it."""
        return drawn("rule", self.question) % 2 == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of one; ``signs`` is ``None`` where no model was asked."""

    asked: Asked
    signs: AnswerSigns | None
    is_right: bool = False

    def abstains(self, rule: AbstentionRule) -> bool:
        """Whether it is said that the documents do not say."""
        return self.signs is None or should_abstain(self.signs, rule)


async def gateway_cases(language: str, count: int, limit: int) -> list[Asked]:
    """As many questions with their paragraph as without, in turn, of articles that taught support nothing."""
    data = vault_data() / "xquad"
    corpus = load_lines(data / f"corpus.{language}.jsonl")
    titles = {each["_id"]: each["title"] for each in corpus}
    asked = sorted(load_lines(data / f"queries.{language}.jsonl"), key=lambda each: drawn("order", each["_id"]))
    told = [each for each in asked if drawn("article", titles[each["doc"]]) % 2 == 1]
    halves = ([each for each in told if drawn("left out", each["_id"]) % 2 == half] for half in (0, 1))
    found: list[Asked] = []
    with tempfile.TemporaryDirectory() as place:
        store = await filled(place, {each["_id"]: ("", each["text"]) for each in corpus}, {})
        search = VaultSearch(store)
        for at, each in enumerate(itertools.chain.from_iterable(zip(*halves, strict=False))):
            if at >= count:
                break
            others = tuple(name for name in titles if name != each["doc"])
            query = VaultQuery(
                vault="bench",
                text=each["text"],
                reader=Reader(tenant="bench"),
                limit=limit,
                characters_max=ROOM_CHARACTERS,
                filters=Filters(documents=others) if at % 2 else ANYTHING,
            )
            got = await search.search(query)
            gold = each["answers"][0]["text"]
            found.append(
                Asked(
                    question=each["text"],
                    answer=gold,
                    answerable=not at % 2,
                    support=got.support or 0.0,
                    passages=tuple(got.passages),
                )
            )
        await store.close()
    return found


def judged(cases: Sequence[Asked], asker: Asker, *, minutes: float) -> list[Judged]:
    """What became of each, in their order, up to the first that would have to be asked after so many minutes.

    Going on with those that need no asking would favour what is abstained.
    """
    found: list[Judged] = []
    until_s = time.monotonic() + minutes * 60
    for each in cases:
        if each.support < support_at() or not each.passages:
            found.append(Judged(asked=each, signs=None))
            continue
        if time.monotonic() > until_s and not asker.knows(each.question, each.passages):
            break
        text, logprobs = asker.ask(each.question, each.passages)
        cited = cite(text, each.passages, CiteOptions(question=each.question))
        mean = sum(logprobs) / len(logprobs) if logprobs else None
        is_right = best_tokens(each.answer, text) >= 0.5 or each.answer.casefold() in text.casefold()
        signs = AnswerSigns(support=each.support, cited=cited, logprob=mean, threshold=support_at())
        found.append(Judged(asked=each, signs=signs, is_right=is_right))
    return found


def shares(found: Sequence[Judged], rule: AbstentionRule) -> tuple[float, float, float]:
    """Abstained of unanswerable, answered of answerable, and right of these."""
    no = [each for each in found if not each.asked.answerable]
    yes = [each for each in found if each.asked.answerable]
    answered = [each for each in yes if not each.abstains(rule)]
    return (
        sum(each.abstains(rule) for each in no) / max(1, len(no)),
        len(answered) / max(1, len(yes)),
        sum(each.is_right for each in answered) / max(1, len(answered)),
    )


def chosen_rule(found: Sequence[Judged], *, with_logprobs: bool = True) -> AbstentionRule:
    """The one with the best mean of both shares; of equal ones that which asks for least."""
    doubts = _DOUBT_LOGPROB if with_logprobs else _DOUBT_LOGPROB[:1]
    rules = [AbstentionRule(unsupported_at=at, doubt_logprob=doubt) for at in _UNSUPPORTED_AT for doubt in doubts]
    return max(rules, key=lambda each: round(sum(shares(found, each)[:2]), 6))


def line(name: str, found: Sequence[Judged], rule: AbstentionRule) -> str:
    """One of the table."""
    abstained, answered, right = shares(found, rule)
    no = sum(not each.asked.answerable for each in found)
    holds = abstained >= ABSTAINED_MIN and answered >= ANSWERED_MIN
    return (
        f"{name:34} {no:4} {len(found) - no:4} {abstained:9.3f} {answered:8.3f} {right:6.3f}"
        f"  {'holds' if holds else 'does not hold'}"
    )


def checked(found: Sequence[Judged]) -> tuple[list[Cited], list[Judged]]:
    """Checked answers, and where they are from."""
    with_answer = [each for each in found if each.signs is not None]
    return [each.signs.cited for each in with_answer if each.signs is not None], with_answer


async def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="smollm2-135m")
    options.add_argument("--language", default="en")
    options.add_argument("--asked", type=int, default=200)
    options.add_argument("--limit", type=int, default=8)
    options.add_argument("--minutes", type=float, default=20.0)
    options.add_argument("--answers", type=Path, default=Path("/tmp/freehold-answers"))
    told = options.parse_args()
    cases = await gateway_cases(told.language, told.asked, told.limit)
    asker = Asker(told.model, told.answers)
    found = judged(cases, asker, minutes=told.minutes)
    asker.close()
    teaching = [each for each in found if each.asked.teaches]
    held_out = [each for each in found if not each.asked.teaches]
    nobody = AbstentionRule(unsupported_at=0.0, doubt_logprob=-9.0)
    plain, best = chosen_rule(teaching, with_logprobs=False), chosen_rule(teaching)
    print(f"{told.model}, {told.limit} passages: {len(checked(found)[0])} of {len(found)} questions reached it")
    print(f"{'rule':34} {'no':>4} {'yes':>4} {'abstained':>9} {'answered':>8} {'right':>6}")
    print(line("support and refusals only, all", found, nobody))
    for rule, name in ((RULE, "shipped"), (plain, "chosen without log-probabilities"), (best, "chosen")):
        print(f"{name}: unsupported_at {rule.unsupported_at}, doubt_logprob {rule.doubt_logprob}")
        print(line("  teaching half", teaching, rule))
        print(line("  held-out half", held_out, rule))
        print(line("  all", found, rule))


if __name__ == "__main__":
    asyncio.run(main())
