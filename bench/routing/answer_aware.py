"""Routers that look at the weak model's answer: ``python -m bench.routing.answer_aware``.

Everything is learnt on the ``train`` part and scored on ``test``: the product's own calibrator on the answer's signals
(its log-probability, margin and length), the router that looks at the question alone, and both of them, blended where
that is surely better out of sample than the answer alone. Agreement is of MMLU-Pro's recorded answers: how many of two
other small models say the same; there what is learnt from is drawn.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.bars import Bar, bar_table, markdown
from bench.routing.recorded import Recorded, recorded
from bench.routing.vectors import vectors
from freehold.evals.curves import Curve
from freehold.routing.blend import guarded
from freehold.routing.calibration import from_score, score
from freehold.routing.fit import Origin, Sample, fit
from freehold.routing.question_router import Question, learn

SEED = 5
FOLDS = 5
BENCHMARKS = ("mmlu", "triviaqa")
PAIRS = (
    ("llama3.2-3b", "llama3.1-405b"),
    ("llama3.1-8b", "llama3.1-405b"),
    ("llama3.1-8b", "gpt-4o"),
    ("gpt-4o-mini", "gpt-4o"),
)
MAIN = ("llama3.1-8b", "gpt-4o")
ANSWER_NEEDED = {"mmlu": 0.68, "triviaqa": 0.80}
WORSE_MAX = 0.01

WEAK, HELPERS = "Meta-Llama-3_1-8B-Instruct", ("Phi-3-mini-4k-instruct", "mathstral-7B")
AGREEMENT_NEEDED = {"Meta-Llama-3_1-70B-Instruct": 0.66, "gemini-1.5-pro-002": 0.65}
AGREEMENT_LABELS = 1_500

_LOGPROB_MIN, _LEAST = -50.0, 1e-12
_ORIGIN = Origin(
    workload="bench",
    model_digest="",
    engine="recorded",
    engine_version="",
    template_digest="",
    question_digest="",
    created="",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """APGR on the test part, by what was looked at."""

    name: str
    question: float
    answer: float
    both: float
    weights: tuple[float, ...]

    @property
    def behind(self) -> float:
        """How far both are behind the better one of the two."""
        return max(self.question, self.answer) - self.both

    def row(self) -> list[str]:
        numbers = (self.question, self.answer, self.both)
        return [self.name, *(f"{each:.3f}" for each in numbers), " / ".join(f"{each:.2f}" for each in self.weights)]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One pair of models on one benchmark: what is known of each question, and what came of it."""

    name: str
    questions: Sequence[Question]
    signals: Sequence[dict[str, float]]
    weak: Sequence[float]
    strong: Sequence[float]
    train: Sequence[int]
    test: Sequence[int]


def doubts(world: World, learnt: Sequence[int], asked: Sequence[int]) -> list[float]:
    """1 − P(right) of the weak model's answers, by a calibration fitted on those of ``learnt``."""
    samples = [Sample(id=str(at), signals=world.signals[at], right=world.weak[at] > 0) for at in learnt]
    fitted = fit(samples, seed=SEED, origin=_ORIGIN, numpy=np)
    return [1.0 - from_score(fitted, score(fitted, world.signals[at])) for at in asked]


def measured(world: World) -> Cell:
    """Learn on the train part, score the test part."""
    train, test = list(world.train), list(world.test)
    gains = [world.strong[at] - world.weak[at] for at in train]
    router = learn([world.questions[at] for at in train], gains, seed=SEED, numpy=np)
    by_question = router.scores([world.questions[at] for at in test])
    by_answer = doubts(world, train, test)
    weights = guarded([crossed_doubts(world, train), router.crossed], gains)
    both = [weights[0] * one + weights[1] * other for one, other in zip(by_answer, by_question, strict=True)]
    weak, strong = [world.weak[at] for at in test], [world.strong[at] for at in test]
    question, answer, mixed = (Curve(each, weak, strong).apgr() for each in (by_question, by_answer, both))
    return Cell(name=world.name, question=question, answer=answer, both=mixed, weights=tuple(weights))


def crossed_doubts(world: World, train: Sequence[int]) -> list[float]:
    """The same for the train part itself, each without its own fifth."""
    folds = np.random.default_rng(SEED).permutation(len(train)) % FOLDS
    found = [0.0] * len(train)
    for fold in range(FOLDS):
        places = np.flatnonzero(folds == fold).tolist()
        learnt = [train[at] for at in np.flatnonzero(folds != fold).tolist()]
        for at, doubt in zip(places, doubts(world, learnt, [train[at] for at in places]), strict=True):
            found[at] = doubt
    return found


def answer_signals(logprob: float, tokens: float) -> dict[str, float]:
    """Signals as the product measures them of one deciding token: its log-probability, its margin, and the length.

    Only the log-probability was recorded; the best other token is given all that is left, which is exact for yes or no.
    The margin tells 0.999 from 0.9999, where log-probabilities are all but 0 and a line through them sees no difference.
    """
    chosen = min(-_LEAST, max(logprob, _LOGPROB_MIN))
    return {
        "logprob_mean": chosen,
        "margin_first": chosen - math.log(-math.expm1(chosen)),
        "tokens_log": math.log(max(1.0, tokens)),
    }


def cascade(benchmark: str, pairs: Sequence[tuple[str, str]]) -> list[World]:
    """The worlds of one benchmark of the cascade set."""
    found = recorded("cascade", benchmark)
    questions = [
        Question(text=text, vector=row.tolist()) for text, row in zip(found.prompt, vectors(found.prompt), strict=True)
    ]
    return [
        World(
            name=f"{benchmark}: {weak} → {strong}",
            questions=questions,
            signals=[
                answer_signals(conf, tokens)
                for conf, tokens in zip(found.of(weak, "conf"), found.of(weak, "out_tok"), strict=True)
            ],
            weak=found.of(weak, "correct").tolist(),
            strong=found.of(strong, "correct").tolist(),
            train=np.flatnonzero(found.split == "train").tolist(),
            test=np.flatnonzero(found.split == "test").tolist(),
        )
        for weak, strong in pairs
    ]


def agreements(found: Recorded) -> list[dict[str, float]]:
    """How many of the helpers say what the weak model says: signals ``agree_1`` (one at least) and ``agree_2`` (both)."""
    ours = found.of(WEAK, "answer_id")
    said = sum(((found.of(each, "answer_id") == ours) & (ours >= 0)).astype(float) for each in HELPERS)
    return [{"agree_1": float(count >= 1), "agree_2": float(count >= 2)} for count in np.asarray(said)]


def mmlu_pro(strong: str) -> World:
    """The weak model with two helpers against a strong one; what is learnt from is drawn."""
    found = recorded("mmlu_pro", "mmlu_pro")
    found = found.where(~np.isnan(found.of(strong, "correct")) & ~np.isnan(found.of(WEAK, "correct")))
    order: list[int] = np.random.default_rng(0).permutation(len(found)).tolist()
    return World(
        name=f"mmlu_pro: {WEAK} with 2 helpers → {strong}",
        questions=[Question(text=text) for text in found.prompt],
        signals=agreements(found),
        weak=found.of(WEAK, "correct").tolist(),
        strong=found.of(strong, "correct").tolist(),
        train=order[:AGREEMENT_LABELS],
        test=order[AGREEMENT_LABELS:],
    )


def agreement_alone(world: World) -> float:
    """APGR where whatever fewer helpers agree with goes to the strong model first; nothing is learnt."""
    scores = [-each["agree_1"] - each["agree_2"] for each in world.signals]
    return Curve(scores, world.weak, world.strong).apgr()


def bars(*, quick: bool, told: bool = False) -> list[Bar]:
    """All cells; only those of the main pair, without MMLU-Pro's router, where it is to be quick."""
    cells: list[Cell] = []
    found: list[Bar] = []
    for benchmark in BENCHMARKS:
        for world, pair in zip(
            cascade(benchmark, (MAIN,) if quick else PAIRS), (MAIN,) if quick else PAIRS, strict=True
        ):
            cells.append(measured(world))
            if pair == MAIN:
                what = f"answer-aware, 8B → gpt-4o, {benchmark}: APGR"
                needed = ANSWER_NEEDED[benchmark]
                found.append(Bar(what=what, measured=cells[-1].answer, needed=needed, is_floor=True, digits=3))
    for strong, needed in AGREEMENT_NEEDED.items():
        world = mmlu_pro(strong)
        what = f"agreement of 2 helpers, mmlu_pro, 8B → {strong}: APGR"
        found.append(Bar(what=what, measured=agreement_alone(world), needed=needed, is_floor=True, digits=3))
        if not quick:
            cells.append(measured(world))
    worst = max(cells, key=lambda each: each.behind)
    what = f"both signals behind the better one, worst of {len(cells)} cells ({worst.name}): APGR"
    found.append(Bar(what=what, measured=worst.behind, needed=WORSE_MAX, digits=3))
    if told:
        head = ["", "question", "answer", "both", "weights of answer / question"]
        print(markdown(head, [each.row() for each in cells]) + "\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    print(bar_table(bars(quick=parser.parse_args().quick, told=True)))


if __name__ == "__main__":
    main()
