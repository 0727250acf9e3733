"""From outcomes to a certificate: which of them may be counted, and what they prove. Pure.

Labels are sought with different chances: an escalated answer's comes for nothing, an accepted one's with the chance of a
shadow. Each labelled answer therefore counts with the least chance over its own, decided by its id: what remains was
drawn with one chance for all. Where accepted answers have no chance at all to be labelled, what is known of the others
says nothing of them, and nothing is certified. A known question counts once, however often it was asked: the same answer
twice is no second proof.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from freehold.domain.certificates import Certificate, LabelKind, ScoredOn, Tries
from freehold.domain.outcomes import AnswerOutcome
from freehold.routing.certificate import About, Aim, NotCertifiable, certify, least_escalated
from freehold.routing.classifier import Interval

FRESH_LABELS = 120
"""Labels after an alarm that certifying anew takes (``routing.certificate``)."""

_DAY_MS = 86_400_000
_EARLIER_SHARE = 4
"""One part in so many of what is there, the oldest, gives the thresholds; its labels are not used."""

_TRAFFIC_MIN = 20
_UNCOVERED_MAX = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Answers that may be counted.

    Attributes:
        scored_on: What their scores mean.
        kind: How it is known whether they were right.
        earlier: Probabilities of answers before them, whose labels are not used.
        scores: Their probabilities.
        wrong: Whether each was wrong, in the same order.
        refused: Why they may not be counted, for people; empty where they may.
    """

    scored_on: ScoredOn
    kind: LabelKind
    earlier: tuple[float, ...]
    scores: tuple[float, ...]
    wrong: tuple[bool, ...]
    refused: str = ""

    def least_of(self, risk_max: float) -> Interval | None:
        """The share that any rule must escalate to keep a risk; ``None`` without labels."""
        return least_escalated(sum(self.wrong), len(self.wrong), risk_max) if self.wrong else None


def newest_scoring(outcomes: Sequence[AnswerOutcome]) -> ScoredOn | None:
    """What the newest calibrated score means; ``None`` where there is none."""
    for outcome in reversed(outcomes):
        if outcome.probability is not None:
            return outcome.scored_on
    return None


def sample_of(
    outcomes: Sequence[AnswerOutcome],
    *,
    scored_on: ScoredOn,
    kind: LabelKind | None = None,
    fresh_unix_ms: int | None = None,
) -> Sample:
    """The answers of one deployment that may be counted.

    Args:
        outcomes: All of it, oldest first.
        scored_on: What is to be certified.
        kind: Which labels to use; the worthiest that are numerous if not given, and
            never feedback.
        fresh_unix_ms: Use only answers from then on, and thresholds of those before; ``None`` for all.
    """
    known = _once([each for each in outcomes if each.probability is not None and each.scored_on == scored_on])
    kind = kind or _kind_of(known)
    traffic = [each for each in known if each.label_kind is not LabelKind.GOLD] if kind is not LabelKind.GOLD else known
    if fresh_unix_ms is None:
        cut = max(_TRAFFIC_MIN, len(traffic) // _EARLIER_SHARE)
        earlier, later = traffic[:cut], traffic[cut:]
    else:
        earlier = [each for each in traffic if each.unix_ms < fresh_unix_ms]
        later = [each for each in traffic if each.unix_ms >= fresh_unix_ms]
    if kind is LabelKind.AGREEMENT:
        later = _since_shadows(later)
    counted = [each for each in later if each.label_kind is kind]
    refused = ""
    if fresh_unix_ms is not None and len(counted) < FRESH_LABELS:
        refused = (
            f"only {len(counted)} labels have come since the alarm, and {FRESH_LABELS} are needed; while the alarm lasts"
            " everything that may be is escalated, and every escalation is a label"
        )
    elif kind is LabelKind.AGREEMENT:
        refused = _uncovered(later)
    if kind is LabelKind.AGREEMENT:
        counted = _evenly([*counted, *_complaints(later)], _never(later))
    return Sample(
        scored_on=scored_on,
        kind=kind,
        earlier=tuple(each.probability for each in earlier if each.probability is not None),
        scores=tuple(each.probability for each in counted if each.probability is not None),
        wrong=tuple(not each.right for each in counted),
        refused=refused,
    )


def next_try(sample: Sample, aim: Aim, before: Tries) -> tuple[Aim, Tries]:
    """The aim with what of δ one more try may use up, and what is to be kept where anything was tested.

    Who certifies again and again until it passes is right once by luck. The ``k``-th sample that is held against a risk
    therefore has δ / (k (k + 1)), which add up to δ: with a chance of 1 - δ none of all the certificates of a score is
    false, however often it was tried. The same sample and aim once more is the same try.
    """
    content = repr((sample.kind, sample.earlier, sample.scores, sample.wrong, aim))
    last = int.from_bytes(hashlib.sha256(content.encode()).digest()[:7]) + 1
    count = before.count if last == before.last else before.count + 1
    return replace(aim, parts=aim.parts * count * (count + 1)), Tries(count=count, last=last)


def is_tested(found: Certificate | NotCertifiable) -> bool:
    """Whether labels were looked at, so that a part of δ is used up."""
    return isinstance(found, Certificate) or found.tested is not None


def certify_sample(sample: Sample, aim: Aim, *, tenant: str, unix_ms: int, days: int) -> Certificate | NotCertifiable:
    """A certificate on a sample, or why there is none."""
    if sample.refused:
        n, errors = len(sample.wrong), sum(sample.wrong)
        return NotCertifiable(
            reason="unfit_labels",
            message=sample.refused,
            n=n,
            errors=errors,
            accepted_needed=0,
            least_escalated=sample.least_of(aim.risk_max),
        )
    about = About(
        scored_on=sample.scored_on,
        label_kind=sample.kind,
        created_unix_ms=unix_ms,
        expires_unix_ms=unix_ms + days * _DAY_MS,
        tenant=tenant,
    )
    return certify(sample.scores, sample.wrong, traffic=sample.earlier, aim=aim, about=about)


def _once(outcomes: Sequence[AnswerOutcome]) -> list[AnswerOutcome]:
    """All outcomes, but of each question with a known answer only the newest."""
    newest = {each.judged_by: each.request_id for each in outcomes if _is_known(each)}
    return [each for each in outcomes if not _is_known(each) or newest[each.judged_by] == each.request_id]


def _is_known(outcome: AnswerOutcome) -> bool:
    return outcome.label_kind is LabelKind.GOLD and outcome.judged_by != ""


def _kind_of(outcomes: Sequence[AnswerOutcome]) -> LabelKind:
    """Known answers where there are as many as certifying takes, else whichever of them and agreement there is more of.

    Never feedback by itself: people choose what they judge, so who wants to certify on it has to say so.
    """
    counted = Counter(each.label_kind for each in outcomes)
    if counted[LabelKind.GOLD] >= FRESH_LABELS:
        return LabelKind.GOLD
    return LabelKind.GOLD if counted[LabelKind.GOLD] > counted[LabelKind.AGREEMENT] else LabelKind.AGREEMENT


def _since_shadows(outcomes: Sequence[AnswerOutcome]) -> Sequence[AnswerOutcome]:
    """From the first accepted answer on that could be labelled: before it, its route asked no shadows."""
    for place, outcome in enumerate(outcomes):
        if outcome.accepted and outcome.sought > 0.0:
            return outcomes[place:] if any(each.accepted for each in outcomes[:place]) else outcomes
    return outcomes


def _complaints(outcomes: Sequence[AnswerOutcome]) -> list[AnswerOutcome]:
    """Accepted answers that somebody called wrong, as often as a shadow would have been asked about them.

    What somebody says takes the place of a shadow's word. Left out, the worst answers would be missing among those drawn
    by lot; so they count as disagreed with. What somebody called right stays out, which leaves the others looking worse.
    """
    return [
        each
        for each in outcomes
        if each.accepted
        and each.label_kind is LabelKind.FEEDBACK
        and not each.right
        and _lot(f"complaint {each.request_id}") < each.sought
    ]


def _never(outcomes: Sequence[AnswerOutcome]) -> list[AnswerOutcome]:
    """Accepted answers that had no chance to be labelled."""
    return [each for each in outcomes if each.accepted and each.sought <= 0.0 and each.right is None]


def _evenly(outcomes: Sequence[AnswerOutcome], never: Sequence[AnswerOutcome]) -> list[AnswerOutcome]:
    """Labelled answers as if all had been sought with the least of their chances.

    Of those that ``never`` could be labelled as many are drawn, and counted as wrong: nobody knows better.
    """
    least = min((each.sought for each in outcomes if each.sought > 0.0), default=0.0)
    drawn = [each for each in outcomes if each.sought > 0.0 and _lot(each.request_id) * each.sought < least]
    return drawn + [each for each in never if _lot(f"never {each.request_id}") < least]


def _lot(request_id: str) -> float:
    """A number from 0 to 1 that depends on nothing but the id, which is random."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8]) / (1 << 64)


def _uncovered(outcomes: Sequence[AnswerOutcome]) -> str:
    """Why agreement says nothing of what is accepted: too much of it could never be labelled."""
    accepted = [each for each in outcomes if each.accepted]
    never = len(_never(outcomes))
    if never <= _UNCOVERED_MAX * len(accepted):
        return ""
    return (
        f"{never} of {len(accepted)} accepted answers had no chance to be labelled, so that the labels of the others say"
        ' nothing of them: set shadow_share for their route, or certify on known answers ("freehold gold run")'
    )
