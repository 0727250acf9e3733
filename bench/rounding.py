"""Why guessing tokens changes greedy answers: several tokens computed at once against one after the other.

    python -m bench.rounding [--prompts N] [--tokens N]

No draft model is needed for the first table. The 1.5B writes a greedy answer, one token at a time. Then the same tokens are
handed to it again behind the same prompt, 1, 3, 4 or 8 at once, and its log-probabilities at each place are compared with
the first ones; one at a time is the control, which must differ by nothing. That is done as the product runs it, and with
llama.cpp told not to repack weights, so that a row is multiplied alike however many stand beside it.

The second table has the answers with the 0.5B drafting: where the first token differs, how far the two likeliest tokens were
apart without drafting, and whether the draft's token was the second of them. The bar: nothing but near ties differs, and
where rows are multiplied alike nothing does. Otherwise the fault is in how guesses are handled, not in arithmetic.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.bars import Bar, all_of, bar_table, markdown, summary
from bench.llama_child import Child, Token
from bench.speculation import DRAFT, FILES, MODEL, prompts
from tests.models import starter_model

AT_ONCE = (1, 3, 4, 8)
LIKELIEST = 50
KERNELS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as the product runs it", {}),
    ("weights not repacked", {"no_extra_bufts": True}),
)
PRODUCT = {"n_ctx": 1_024, "n_batch": 16, "n_ubatch": 16}
"""What the product gives the 1.5B with one thread, see ``batch_for``."""

SURE = 0.75


@dataclass(frozen=True)
class Compared:
    """The same places with so many tokens at once.

    Attributes:
        places: How many were compared.
        worst: Largest difference of a log-probability of the ``LIKELIEST`` tokens, in nats.
        flips: For each place with another likeliest token: how far the two likeliest were apart, one token at a time.
    """

    places: int
    worst: float
    flips: tuple[float, ...]


@dataclass(frozen=True)
class Drafted:
    """One answer with drafting.

    Attributes:
        same: Tokens before the first that differs.
        of: Tokens of the plain answer.
        gap: Between the two likeliest there, without drafting; ``nan`` where the answers are equal.
        is_second: Whether the other answer has the second likeliest token there.
    """

    same: int
    of: int
    gap: float
    is_second: bool


def compared(child: Child, prompt: str, answer: Sequence[Token], at_once: int) -> Compared:
    """Read an answer again behind its prompt, ``at_once`` tokens at a time."""
    child.ask([prompt, answer[0].id], tokens=1)
    ids = [each.id for each in answer]
    places, worst, flips = 0, 0.0, list[float]()
    for end in range(1 + at_once, len(ids), at_once):
        reply = child.ask([prompt, *ids[:end]], tokens=1, likeliest=LIKELIEST)
        plain, again = answer[end], reply.tokens[0]
        theirs = dict(again.likeliest)
        places += 1
        worst = max([worst, *(abs(value - theirs[name]) for name, value in plain.likeliest if name in theirs)])
        if again.likeliest[0][0] != plain.likeliest[0][0]:
            flips.append(plain.gap)
    return Compared(places, worst, tuple(flips))


def drafted(plain: Sequence[Token], other: Sequence[Token]) -> Drafted:
    same = next(
        (place for place, (one, two) in enumerate(zip(plain, other, strict=False)) if one.id != two.id),
        min(len(plain), len(other)),
    )
    if same == min(len(plain), len(other)):
        return Drafted(same, len(plain), math.nan, is_second=False)
    return Drafted(same, len(plain), plain[same].gap, is_second=plain[same].likeliest[1][0] == other[same].id)


def summed(found: Sequence[Compared]) -> Compared:
    return Compared(
        sum(each.places for each in found),
        max(each.worst for each in found),
        tuple(gap for each in found for gap in each.flips),
    )


def with_draft(kernel: dict[str, Any]) -> dict[str, Any]:
    """Settings with which the product lets the 0.5B guess."""
    return {
        **PRODUCT,
        **kernel,
        "speculative.types": "DRAFT_SIMPLE",
        "speculative.draft.mparams.path": str(starter_model(DRAFT)),
        "speculative.draft.n_max": 3,
        "speculative.draft.p_min": SURE,
        "speculative.draft.cpuparams.n_threads": 1,
        "speculative.draft.cpuparams_batch.n_threads": 1,
    }


def measured(
    kernel: dict[str, Any], texts: Sequence[str], tokens: int
) -> tuple[dict[int, Compared], list[Drafted], list[Token]]:
    """What differs with so many tokens at once, what differs with drafting, and the plain answers' tokens."""
    plain, found = list[tuple[Token, ...]](), {count: list[Compared]() for count in AT_ONCE}
    with Child(starter_model(MODEL), PRODUCT | kernel) as child:
        for text in texts:
            answer = child.ask(text, tokens=tokens, likeliest=LIKELIEST).tokens
            plain.append(answer)
            for count in AT_ONCE:
                found[count].append(compared(child, text, answer, count))
            print(".", end="", file=sys.stderr, flush=True)
    with Child(starter_model(MODEL), with_draft(kernel)) as child:
        others = [child.ask(text, tokens=tokens, likeliest=1) for text in texts]
        if not sum(each.drafted for each in others):
            raise SystemExit("the draft model guessed nothing: this compares nothing")
    pairs = [drafted(one, other.tokens) for one, other in zip(plain, others, strict=True)]
    return {count: summed(each) for count, each in found.items()}, pairs, [each for one in plain for each in one]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=len(FILES))
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--only", default="", help="of the two ways to multiply that with this in its name")
    asked = parser.parse_args(arguments)
    texts = [each.text for each in prompts(asked.prompts)]
    rows, answers, bars = list[list[str]](), list[list[str]](), list[Bar]()
    for name, kernel in (each for each in KERNELS if asked.only in each[0]):
        found, pairs, plain = measured(kernel, texts, asked.tokens)
        for count, each in found.items():
            gaps = ", ".join(f"{gap:.3f}" for gap in each.flips) or "–"
            rows.append([name, str(count), str(each.places), f"{each.worst:.4f}", str(len(each.flips)), gaps])
        for number, each in enumerate(pairs, 1):
            gap = "" if math.isnan(each.gap) else f"{each.gap:.3f}"
            second = "" if not gap else "yes" if each.is_second else "no"
            answers.append([name, str(number), f"{each.same} of {each.of}", gap, second])
        bars += judge(name, found, pairs)
        near = sum(each.gap <= max(other.worst for other in found.values()) for each in plain)
        print(f"{name}: {near} of {len(plain)} plain tokens have a second one nearer than the worst difference")
    print("\n" + markdown(["", "at once", "places", "worst Δ, nats", "flips", "gap there"], rows))
    print("\n" + markdown(["with the draft", "prompt", "tokens the same", "gap there", "was second"], answers) + "\n")
    print(bar_table(bars))
    print(summary(bars))
    return 0 if all(bar.holds for bar in bars) else 1


def judge(name: str, found: dict[int, Compared], pairs: Sequence[Drafted]) -> list[Bar]:
    worst = max(each.worst for each in found.values())
    differ = [each for each in pairs if not math.isnan(each.gap)]
    return [
        Bar(what=f"{name}: one at a time differs by", measured=found[1].worst, needed=0, unit=" nats", digits=6),
        all_of(
            f"{name}: answers that differ with the draft do at a second token nearer than twice {worst:.3f}",
            sum(each.is_second and each.gap <= 2 * worst for each in differ),
            len(differ),
        ),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
