"""Does a certificate still hold? A bet against it that grows when too many accepted answers turn out wrong.

Each label of a shadowed accepted answer multiplies the wealth by ``1 + b · (wrong - ε)``. While the risk is at most ε
that is no gain in the mean, so that wealth is a supermartingale: it ever reaches 1/α with a chance of at most α (Ville's
inequality), however often it is looked at. For detecting a *change* the wealth starts again from 1 whenever it is below:
otherwise years of good answers would have to be lost first. What the restarting one promises is a run length: with a
risk of at most ε at least 1/α labels pass, in the mean, until it alarms.

Sources: Waudby-Smith and Ramdas 2024 (testing by betting); Shin, Ramdas, Rinaldo 2022 (arXiv 2203.03532, e-detectors:
run length of restarts); arXiv 2506.16416 (monitoring risk with bets).

States are values: kept as JSON, resumed anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import cast

RUN_LENGTH = 1_000
"""1/α, in labels. At 20 there is a false alarm about every 20 labels of a risk that is just kept."""
_CELLS = 200
"""Levels of wealth that expected delays are computed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """How it is bet. Chosen before a label is seen.

    Attributes:
        risk_max: ε of the certificate, above 0, below 1.
        bet: b, above 0 and below 1/ε. 1/(4ε) was best or as good as others on recorded shifts; for one breach R that
            is known beforehand, (R - ε) / (ε (1 - ε)) grows fastest (Kelly).
        run_length: 1/α: labels that pass without a false alarm, at least, in the mean. Above 1.
    """

    risk_max: float
    bet: float
    run_length: float = RUN_LENGTH

    def __post_init__(self) -> None:
        if not 0.0 < self.risk_max < 1.0:
            raise ValueError(f"risk_max must lie between 0 and 1, without either; it is {self.risk_max}")
        if not 0.0 < self.bet * self.risk_max < 1.0:
            raise ValueError(f"bet must be above 0 and below 1/risk_max = {1 / self.risk_max:g}; it is {self.bet}")
        if not (self.run_length > 1.0 and math.isfinite(self.run_length)):
            raise ValueError(f"run_length must be above 1; it is {self.run_length}")

    @classmethod
    def against(cls, risk_max: float, *, run_length: float = RUN_LENGTH) -> Bets:
        """The usual bet against a certificate's ε."""
        return cls(risk_max=risk_max, bet=1.0 / (4.0 * risk_max), run_length=run_length)

    @property
    def lost(self) -> float:
        """What a right answer adds to the logarithm of the wealth; negative."""
        return math.log1p(-self.bet * self.risk_max)

    @property
    def won(self) -> float:
        """What a wrong answer adds to the logarithm of the wealth; positive."""
        return math.log1p(self.bet * (1.0 - self.risk_max))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wealth:
    """How the bets stand.

    Attributes:
        labels: Settled so far.
        wrong: How many of those were wrong.
        log_restarted: Logarithm of the wealth that starts again from 1 whenever it is below.
        log_whole: Logarithm of the wealth that never does.
        log_whole_most: The largest that ``log_whole`` ever was; 0 at least.
        alarm_at: The label at which the restarting wealth reached 1/α first; 0 while it has not. It stays.
    """

    labels: int = 0
    wrong: int = 0
    log_restarted: float = 0.0
    log_whole: float = 0.0
    log_whole_most: float = 0.0
    alarm_at: int = 0


NOTHING_BET = Wealth()
"""Where a certificate starts."""


def settle(state: Wealth, bets: Bets, outcomes: Iterable[bool]) -> Wealth:
    """The wealth after further outcomes, oldest first: whether each shadowed accepted answer was wrong.

    Answers must have been chosen for shadowing whatever their content, and every answer chosen must come in.
    """
    won, lost, enough = bets.won, bets.lost, math.log(bets.run_length)
    labels, wrong, alarm_at = state.labels, state.wrong, state.alarm_at
    restarted, whole, most = state.log_restarted, state.log_whole, state.log_whole_most
    for is_wrong in outcomes:
        labels += 1
        wrong += bool(is_wrong)
        step = won if is_wrong else lost
        restarted, whole = max(restarted, 0.0) + step, whole + step
        most = max(most, whole)
        if not alarm_at and restarted >= enough:
            alarm_at = labels
    return Wealth(
        labels=labels,
        wrong=wrong,
        log_restarted=restarted,
        log_whole=whole,
        log_whole_most=most,
        alarm_at=alarm_at,
    )


def alarm(state: Wealth, bets: Bets) -> str:
    """What the alarm says, for people; empty while there is none."""
    if not state.alarm_at:
        return ""
    return (
        f"more than {bets.risk_max:.1%} of accepted answers seem to be wrong: {state.wrong} of {state.labels} shadowed "
        f"ones were, and the bet against it passed {bets.run_length:g} to 1 at label {state.alarm_at}"
    )


def expected_labels(bets: Bets, risk: float) -> float:
    """Labels until the alarm, in the mean, when ``risk`` (0 to 1) of shadowed accepted answers are wrong.

    Of a breach that is the delay, of a risk that is kept the run length. ``inf`` where more than about 10**12.

    The equations of Brook and Evans 1972 (Biometrika 59, section 2) on 200 levels of log wealth; steps between two
    levels go to either in proportion, which keeps their mean.
    """
    moves = [_moves(place, bets, risk) for place in range(_CELLS)]
    rows = [[0.0] * _CELLS for _ in moves]
    for place, row in enumerate(rows):
        row[place] = 1.0
        for to, chance in moves[place]:
            row[to] -= chance
    return _first_of_solution(rows)


def expected_delay(bets: Bets, risk: float, *, shadowed: float, accepted: float = 1.0) -> float:
    """Requests until the alarm, in the mean. An expectation for printing, not a promise.

    Args:
        bets: How it is bet.
        risk: Share of accepted answers that are wrong.
        shadowed: ρ, the share of accepted answers whose label is sought, above 0 to 1.
        accepted: Share of requests whose local answer is accepted, above 0 to 1.
    """
    return expected_labels(bets, risk) / (shadowed * accepted)


def to_json(state: Wealth) -> str:
    """The state as one line of JSON."""
    return json.dumps(asdict(state))


def from_json(text: str) -> Wealth:
    """A state that ``to_json`` wrote.

    Raises:
        ValueError: It is none.
    """
    try:
        members = cast("dict[str, float]", json.loads(text))
        state = replace(NOTHING_BET, **members)
        numbers = (state.log_restarted, state.log_whole, state.log_whole_most)
        if not all(map(math.isfinite, numbers)) or not 0 <= state.wrong <= state.labels:
            raise ValueError("not a state of bets: its numbers are impossible")
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a state of bets: {error}") from error
    return state


def _moves(place: int, bets: Bets, risk: float) -> list[tuple[int, float]]:
    """Where one label takes the restarting wealth from a level, with chances; the rest of the chance is an alarm."""
    width = math.log(bets.run_length) / _CELLS
    found: list[tuple[int, float]] = []
    for step, chance in ((bets.won, risk), (bets.lost, 1.0 - risk)):
        to = max(0.0, place + step / width)
        below = math.floor(to)
        found += [(below, chance * (below + 1 - to)), (below + 1, chance * (to - below))]
    return [(to, chance) for to, chance in found if to < _CELLS and chance > 0.0]


def _first_of_solution(rows: list[list[float]]) -> float:
    """The first unknown of ``rows · x = 1``, eliminated from the last one up.

    The matrix is one minus chances, so that no pivot is needed while it can be left at all.
    """
    right = [1.0] * len(rows)
    for place in range(len(rows) - 1, 0, -1):
        row = rows[place]
        if row[place] <= 1e-12:
            return math.inf
        for other in range(place):
            if (factor := rows[other][place] / row[place]) != 0.0:
                rows[other] = [mine - factor * theirs for mine, theirs in zip(rows[other][:place], row, strict=False)]
                right[other] -= factor * right[place]
    return right[0] / rows[0][0] if rows[0][0] > 1e-12 else math.inf
