"""How far may local answers be trusted? A threshold with a proof, or the numbers that say why there is none.

Learn-then-Test with a fixed sequence (Angelopoulos, Bates, Candès, Jordan, Lei 2021, arXiv 2110.01052, section 2.3):
thresholds are tested from strict to lax, each with the exact binomial tail at the full δ, and the first that fails ends
the sequence. With a chance of at least 1 - δ over the draw of the labelled answers, the share of wrong ones among those
accepted from then on is at most ε, if they come from where the labelled ones came from. That *if* is watched by
``routing.betting`` and ``routing.novelty``.

Labels must not touch the score, the thresholds, nor where the sequence starts: the calibration is fitted on other
answers, and thresholds are quantiles of earlier traffic without labels.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from typing import cast

from freehold.domain.certificates import Certificate, Fault, LabelKind, ScoredOn
from freehold.routing.binomial import binomial_tail, clopper_pearson, share_at_most, smallest_sample
from freehold.routing.classifier import Interval

FORMAT = 1
COVERAGE_MIN = 0.25
"""Where sequences start. Below, a start costs more tests that may fail than it gains: 0.480 accepted from 25 %, 0.457
from 5 % (63 cells of ``bench/routing/certificates.py``)."""
THRESHOLDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is to be certified. All of it is chosen before a label is seen.

    Attributes:
        risk_max: ε: at most this share of accepted answers may be wrong; above 0, below 1.
        delta: δ: the chance that the promise is broken; above 0, below 1.
        coverage_min: Least share of traffic that a threshold must accept to be tested, above 0 to 1. Lower it where
            less can be expected to be good enough.
        parts: Classes or tenants that are certified side by side: each gets δ / parts, so that all promises hold at
            once with a chance of 1 - δ.
        fault: What counts as an error.
    """

    risk_max: float
    delta: float = 0.1
    coverage_min: float = COVERAGE_MIN
    parts: int = 1
    fault: Fault = Fault.WRONG

    def __post_init__(self) -> None:
        for name in ("risk_max", "delta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie between 0 and 1, without either; it is {getattr(self, name)}")
        if not 0.0 < self.coverage_min <= 1.0:
            raise ValueError(f"coverage_min must be above 0 and at most 1; it is {self.coverage_min}")
        if self.parts < 1:
            raise ValueError(f"parts must be at least 1; it is {self.parts}")

    @property
    def delta_each(self) -> float:
        """What one of the parts may use up."""
        return self.delta / self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a certificate is about; goes into it as it is (see ``Certificate``)."""

    scored_on: ScoredOn
    label_kind: LabelKind
    created_unix_ms: int
    expires_unix_ms: int
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One that may be tested.

    Attributes:
        at: Accepted is a score of at least this.
        coverage: The share of earlier traffic that this accepts.
    """

    at: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """A threshold held against labels.

    Attributes:
        at: The threshold.
        accepted: Labelled answers that it accepts.
        errors: How many of those are wrong.
        p_value: The chance of so few errors if more than ε of accepted answers were wrong.
    """

    at: float
    accepted: int
    errors: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCertifiable:
    """Why there is no certificate, in numbers.

    Attributes:
        reason: ``few_labels``, ``many_errors``, ``no_traffic`` or ``unidentified``.
        message: The same for people, with what to do about it.
        n: Labelled answers.
        errors: How many of these were wrong.
        tested: The threshold that failed; ``None`` where none could be tested.
        accepted_needed: Accepted answers that this many errors would have needed; without a test: with no error at all.
        least_escalated: The share that any rule must escalate; ``None`` without labels.
    """

    reason: str
    message: str
    n: int
    errors: int
    tested: Tested | None = None
    accepted_needed: int
    least_escalated: Interval | None = None


def thresholds(traffic: Sequence[float], *, count: int = THRESHOLDS) -> tuple[Threshold, ...]:
    """Quantiles of the scores of earlier traffic, strict to lax, equal ones once. Empty for no traffic."""
    ordered = sorted(traffic)
    n = len(ordered)
    found: list[Threshold] = []
    for step in range(1, count + 1) if n else ():
        at = ordered[n - math.ceil(n * step / count)]
        if not found or at < found[-1].at:
            found.append(Threshold(at=at, coverage=(n - bisect_left(ordered, at)) / n))
    return tuple(found)


def fixed_sequence(
    scores: Sequence[float], wrong: Sequence[bool], grid: Sequence[Threshold], aim: Aim
) -> tuple[Tested | None, Tested | None]:
    """The laxest threshold that passed, and the one that failed and ended the sequence; ``None`` for none.

    Args:
        scores: Of labelled answers, in any order.
        wrong: Whether each was, in the same order.
        grid: Strict to lax (``thresholds``).
        aim: What is to be certified.
    """
    pairs = sorted(zip(scores, wrong, strict=True))
    ordered = [score for score, _ in pairs]
    errors_below = [0, *accumulate(int(is_wrong) for _, is_wrong in pairs)]
    passed: Tested | None = None
    for threshold in grid:
        if threshold.coverage < aim.coverage_min:
            continue
        place = bisect_left(ordered, threshold.at)
        accepted, errors = len(pairs) - place, errors_below[-1] - errors_below[place]
        # So few could not pass with no error at all: that is no test, and it may not end the sequence.
        if passed is None and (1.0 - aim.risk_max) ** accepted > aim.delta_each:
            continue
        p_value = binomial_tail(errors, accepted, aim.risk_max)
        tested = Tested(at=threshold.at, accepted=accepted, errors=errors, p_value=p_value)
        if p_value > aim.delta_each:
            return passed, tested
        passed = tested
    return passed, None


def certify(
    scores: Sequence[float], wrong: Sequence[bool], *, traffic: Sequence[float], aim: Aim, about: About
) -> Certificate | NotCertifiable:
    """The laxest threshold that can be proven to keep the risk, or why there is none.

    Args:
        scores: Probabilities of labelled answers, drawn as answers will come, none of which the calibration was fitted
            on, nor any other of these arguments chosen by.
        wrong: Whether each was wrong, in the same order; for ``Fault.REGRET``, wrong where the stronger model's was right.
        traffic: Probabilities of earlier answers whose labels are not used: that they have none is best.
        aim: What is to be certified.
        about: What it holds for. With agreement as labels the certificate is on disagreement.

    Raises:
        ValueError: There are not as many scores as labels, or a score is no number.
    """
    if len(scores) != len(wrong) or not all(map(math.isfinite, (*scores, *traffic))):
        raise ValueError(f"{len(scores)} scores and {len(wrong)} labels: each needs the other, and scores are finite")
    if unknown := _unknown(about.scored_on):
        told = f"the {unknown} is not known, so that nobody could tell when it changes"
        return _refused("unidentified", told, wrong, aim)
    grid = thresholds(traffic)
    if not grid:
        told = "there is no earlier traffic to take thresholds from; answer some requests first"
        return _refused("no_traffic", told, wrong, aim)
    passed, failed = fixed_sequence(scores, wrong, grid, aim)
    if passed is not None:
        return _named(passed, len(scores), aim, about)
    if failed is None:
        needed = smallest_sample(0, aim.risk_max, aim.delta_each)
        told = f"{len(scores)} labelled answers are too few: {needed} accepted ones are needed even without an error"
        return _refused("few_labels", told, wrong, aim)
    needed = smallest_sample(failed.errors, aim.risk_max, aim.delta_each)
    told = (
        f"of the {failed.accepted} surest answers {failed.errors} were wrong, which proves {aim.risk_max:.1%} only of "
        f"{needed}; escalate, ask for a larger risk, or label more if the share wrong is well below it"
    )
    return _refused("many_errors", told, wrong, aim, tested=failed)


def least_escalated(errors: int, n: int, risk_max: float) -> Interval:
    """The share that any rule must escalate, even one that knew every error: (μ - ε) / (1 - ε), at least 0.

    Accepted answers are at least all right ones plus as many wrong ones as ε allows. Known before any calibration.

    Args:
        errors: Wrong answers among ``n``.
        n: Labelled answers, at least 1.
        risk_max: ε.

    Returns:
        The interval is Clopper and Pearson's of μ at 95 %.
    """
    base = clopper_pearson(errors, n)
    value, low, high = (max(0.0, (mu - risk_max) / (1.0 - risk_max)) for mu in (base.value, base.low, base.high))
    return Interval(value=value, low=low, high=high)


def void(certificate: Certificate, scored_on: ScoredOn, unix_ms: int) -> str:
    """Why ``certificate`` does not hold for what is ``scored_on`` now, in words; empty where it holds.

    Unknown (empty) values match nothing, not even unknown ones.
    """
    if unix_ms >= certificate.expires_unix_ms:
        return "it has expired"
    if unknown := _unknown(scored_on):
        return f"the {unknown} is not known"
    changed = [name for name in _names() if getattr(certificate.scored_on, name) != getattr(scored_on, name)]
    if not changed:
        return ""
    return (
        f"the {' and the '.join(map(_spoken, changed))} {'is' if len(changed) == 1 else 'are'} not what was certified"
    )


def applies(certificate: Certificate, scored_on: ScoredOn, unix_ms: int) -> bool:
    """Whether ``certificate`` holds at this moment for what is ``scored_on``; ``void`` says why not."""
    return certificate.scored_on == scored_on and not void(certificate, scored_on, unix_ms)


def wrong_at_most(certificate: Certificate) -> float | None:
    """The largest share of accepted answers that may be wrong; ``None`` where the certificate cannot say.

    With agreement as labels and an audit: P(wrong) ≤ P(disagreed) + P(wrong | agreed), the second by Clopper and
    Pearson's bound at the certificate's δ. Both hold at once with a chance of at least 1 - 2δ.
    """
    if certificate.fault is Fault.REGRET:
        return None
    if certificate.label_kind is not LabelKind.AGREEMENT:
        return certificate.risk_max
    if not certificate.audited:
        return None
    missed = share_at_most(certificate.audited_wrong, certificate.audited, certificate.delta)
    return min(1.0, certificate.risk_max + missed)


def statement(certificate: Certificate) -> str:
    """What it promises, in one or two sentences that say no more than was proven."""
    if certificate.fault is Fault.REGRET:
        error = "are wrong where a stronger model would have been right"
    elif certificate.label_kind is LabelKind.AGREEMENT:
        error = "differ from a stronger model's, which is not the same as being wrong"
    elif certificate.label_kind is LabelKind.FEEDBACK:
        error = "are called wrong by those who judge them"
    else:
        error = "are wrong"
    told = (
        f"At most {certificate.risk_max:.1%} of accepted answers {error}, with {1 - certificate.delta:.0%} confidence, "
        f"as long as questions stay of the kind seen ({certificate.errors} errors in {certificate.accepted} accepted of "
        f"{certificate.n} answers)."
    )
    bound = wrong_at_most(certificate)
    if certificate.label_kind is not LabelKind.AGREEMENT or bound is None:
        return told
    return (
        f"{told} Of those that agreed {certificate.audited_wrong} of {certificate.audited} audited ones were wrong: at "
        f"most {bound:.1%} of accepted answers are wrong, with {max(0.0, 1 - 2 * certificate.delta):.0%} confidence."
    )


def to_json(certificate: Certificate) -> str:
    """The certificate as an indented JSON text with a newline at its end."""
    return json.dumps({"format": FORMAT} | asdict(certificate), indent=1) + "\n"


def from_json(text: str) -> Certificate:
    """A certificate that ``to_json`` wrote. Its own numbers must prove it, and its id be theirs.

    Raises:
        ValueError: It is none, or of another format, or it was altered. The message says what.
    """
    try:
        members = cast("dict[str, object]", json.loads(text))
        if members.pop("format", None) != FORMAT:
            raise ValueError(f"not a certificate of format {FORMAT}")
        scored_on = ScoredOn(**cast("dict[str, str]", members.pop("scored_on")))
        kind, fault = LabelKind(cast("str", members.pop("label_kind"))), Fault(cast("str", members.pop("fault")))
        found = Certificate(scored_on=scored_on, label_kind=kind, fault=fault, **members)  # pyright: ignore[reportArgumentType]  # checked next
        if not 0.0 < found.delta < 1.0 or binomial_tail(found.errors, found.accepted, found.risk_max) > found.delta:
            raise ValueError("not a certificate: its numbers do not prove what it says")
        if not found.accepted <= found.n or not 0 <= found.audited_wrong <= found.audited:
            raise ValueError("not a certificate: its numbers contradict each other")
        if found != _with_id(found):
            raise ValueError("not a certificate: it was altered, its id is not that of its content")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a certificate: {error}") from error
    return found


def _named(passed: Tested, n: int, aim: Aim, about: About) -> Certificate:
    return _with_id(
        Certificate(
            id="",
            risk_max=aim.risk_max,
            delta=aim.delta_each,
            threshold=passed.at,
            n=n,
            accepted=passed.accepted,
            errors=passed.errors,
            fault=aim.fault,
            **{each.name: getattr(about, each.name) for each in fields(About)},
        )
    )


def _with_id(certificate: Certificate) -> Certificate:
    """Its id is a digest of all the rest, so that an altered certificate is told from the one that was issued."""
    content = json.dumps(asdict(replace(certificate, id="")), sort_keys=True)
    return replace(certificate, id=f"cert-{hashlib.sha256(content.encode()).hexdigest()[:16]}")


def _refused(
    reason: str, message: str, wrong: Sequence[bool], aim: Aim, *, tested: Tested | None = None
) -> NotCertifiable:
    n, errors = len(wrong), sum(map(int, wrong))
    return NotCertifiable(
        reason=reason,
        message=message,
        n=n,
        errors=errors,
        tested=tested,
        accepted_needed=smallest_sample(tested.errors if tested else 0, aim.risk_max, aim.delta_each),
        least_escalated=least_escalated(errors, n, aim.risk_max) if n else None,
    )


def _names() -> tuple[str, ...]:
    return tuple(each.name for each in fields(ScoredOn))


def _unknown(scored_on: ScoredOn) -> str:
    """The first of the values that is not known; empty where all are."""
    return next((_spoken(name) for name in _names() if not getattr(scored_on, name)), "")


def _spoken(name: str) -> str:
    return {"scope": "part of the answer that is judged"}.get(name, name.replace("_", " "))
