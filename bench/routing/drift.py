"""Does the alarm notice that a certificate no longer holds? Recorded shifts, 400 runs each.

A run certifies llama3.1-8b on 500 labels of the first benchmark at δ = 10 %, answers 1,000 requests of the same kind,
and then 1,000 of the other one, which it was never certified for. Of accepted answers a share ρ is shadowed, whatever
they say; their labels are bet on (``routing.betting``, 1/α = 1,000). False is an alarm before the shift. Controls are
shifts that break no promise, at which the alarm must stay silent.

Each side is certified on a draw of 500, and the wealth is never told where the shift is.

    python -m bench.routing.drift [--quick]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from bench.bars import Bar, bar_table, markdown, summary
from bench.routing.recorded import recorded
from freehold.routing.betting import NOTHING_BET, Bets, Wealth, expected_delay, settle
from freehold.routing.certificate import Aim, fixed_sequence, thresholds

MODEL = "llama3.1-8b"
LABELS = 500
BEFORE = AFTER = 1_000
RUNS, QUICK_RUNS = 400, 200
RUN_LENGTH = 1_000
CAUGHT_MIN, FALSE_MAX = 58.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Scores of recorded answers, and whether each is wrong."""

    scores: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """From where to where, and what is certified and watched.

    ``is_control``: no promise is broken, so that an alarm after the shift is false too.
    """

    name: str
    before: Table
    after: Table
    risk: float = 0.2
    shadowed: float = 0.2
    run_length: float = RUN_LENGTH
    is_control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Over all runs. Shares are of runs; the delay is the median of those that alarmed, in requests."""

    shift: Shift
    caught: float
    false: float
    delay: float
    risk_after: float
    accepted_after: float
    wrong_unwatched: float
    wrong_watched: float

    @property
    def expected_delay(self) -> float:
        bets = Bets.against(self.shift.risk, run_length=self.shift.run_length)
        return expected_delay(bets, self.risk_after, shadowed=self.shift.shadowed, accepted=self.accepted_after)


def answer(
    table: Table, threshold: float, shift: Shift, wealth: Wealth, count: int, dice: np.random.Generator
) -> tuple[Wealth, np.ndarray, int]:
    """Requests one after the other: the wealth, which were accepted and wrong, and at which the alarm came (or -1)."""
    drawn = dice.integers(0, len(table.scores), count)
    accepted = table.scores[drawn] >= threshold
    wrong = table.wrong[drawn]
    shadowed = accepted & (dice.random(count) < shift.shadowed)
    bets = Bets.against(shift.risk, run_length=shift.run_length)
    for place in np.flatnonzero(shadowed):
        wealth = settle(wealth, bets, (bool(wrong[place]),))
        if wealth.alarm_at:
            return wealth, accepted & wrong, int(place)
    return wealth, accepted & wrong, -1


def run(shift: Shift, *, runs: int) -> Found:
    dice = np.random.default_rng(0)
    grid = thresholds(shift.before.scores.tolist())
    aim = Aim(risk_max=shift.risk)
    false, delays, unwatched, watched, shares = 0, [], [], [], []
    for _ in range(runs):
        drawn = dice.integers(0, len(shift.before.scores), LABELS)
        passed, _ = fixed_sequence(shift.before.scores[drawn].tolist(), shift.before.wrong[drawn].tolist(), grid, aim)
        if passed is None:
            continue
        wealth, _, place = answer(shift.before, passed.at, shift, NOTHING_BET, BEFORE, dice)
        false += place >= 0
        taken = shift.after.scores >= passed.at
        shares.append((float(taken.mean()), float(shift.after.wrong[taken].mean())))
        if place >= 0:
            continue
        _, faults, place = answer(shift.after, passed.at, shift, wealth, AFTER, dice)
        unwatched.append(int(faults.sum()))
        watched.append(int(faults[: place + 1 if place >= 0 else AFTER].sum()))
        if place >= 0:
            delays.append(place + 1)
    accepted_after, risk_after = np.mean(shares, axis=0)
    return Found(
        shift=shift,
        caught=len(delays) / runs,
        false=false / runs,
        delay=float(np.median(delays)) if delays else float("nan"),
        risk_after=float(risk_after),
        accepted_after=float(accepted_after),
        wrong_unwatched=float(np.mean(unwatched)),
        wrong_watched=float(np.mean(watched)),
    )


def shifts() -> list[Shift]:
    def table(benchmark: str, split: str = "test") -> Table:
        rows = recorded("cascade", benchmark)
        rows = rows.where(rows.split == split)
        return Table(scores=np.exp(np.clip(rows.of(MODEL, "conf"), -50.0, 0.0)), wrong=rows.of(MODEL, "correct") == 0)

    trivia, mmlu = table("triviaqa"), table("mmlu")
    there = "TriviaQA → MMLU"
    return [
        Shift(name=there, before=trivia, after=mmlu),
        Shift(name=there, before=trivia, after=mmlu, shadowed=0.1),
        Shift(name=there, before=trivia, after=mmlu, shadowed=1.0),
        Shift(name=there, before=trivia, after=mmlu, run_length=20),
        Shift(name=there, before=trivia, after=mmlu, risk=0.1, is_control=True),
        Shift(name="MMLU → TriviaQA", before=mmlu, after=trivia, is_control=True),
        Shift(name="MMLU test → train", before=mmlu, after=table("mmlu", "train"), is_control=True),
    ]


def bars(*, quick: bool) -> list[Bar]:
    """The shift of the bar, and the controls."""
    wanted = [each for place, each in enumerate(shifts()) if place == 0 or each.is_control]
    return judged([run(each, runs=QUICK_RUNS if quick else RUNS) for each in wanted])


def judged(found: list[Found]) -> list[Bar]:
    main, *others = found
    kept = [
        Bar(what="drift: alarms after the shift, ρ = 0.2, 1/α = 1,000", measured=main.caught * 100, needed=CAUGHT_MIN, is_floor=True, unit=" %"),
        Bar(what="drift: false alarms before it", measured=main.false * 100, needed=FALSE_MAX, unit=" %"),
    ]  # fmt: skip
    for each in others:
        if each.shift.is_control:
            told = f"drift: false alarms, control {each.shift.name} at ε = {each.shift.risk:g}"
            kept.append(Bar(what=told, measured=(each.false + each.caught) * 100, needed=FALSE_MAX, unit=" %"))
    return kept


def table(found: list[Found]) -> str:
    head = [
        "shift",
        "ε",
        "ρ",
        "1/α",
        "wrong after",
        "alarmed",
        "false before",
        "delay, median",
        "expected",
        "wrong answers given, unwatched / watched",
    ]
    rows = [
        [
            each.shift.name, f"{each.shift.risk:g}", f"{each.shift.shadowed:g}", f"{each.shift.run_length:,g}",
            f"{each.risk_after:.1%}", f"{each.caught:.1%}", f"{each.false:.1%}", f"{each.delay:,.0f}",
            f"{each.expected_delay:,.3g}", f"{each.wrong_unwatched:.0f} / {each.wrong_watched:.0f}",
        ]
        for each in found
    ]  # fmt: skip
    return markdown(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    found = [run(each, runs=runs) for each in shifts()]
    shown = judged(found)
    print(table(found), bar_table(shown), summary(shown), sep="\n\n")


if __name__ == "__main__":
    main()
