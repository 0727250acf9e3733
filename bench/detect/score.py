"""Scores of detectors on labelled texts, exactly as the data's README defines them. Pure.

A prediction is a finding, or anything with ``start``, ``end`` and ``type``. Types matter for what is left out only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

LEFT_OUT = frozenset({"DATE_TIME", "DATE", "NRP", "ORGANIZATION", "ORG", "URL", "MEDICAL_LICENSE"})
"""Types of predictions that the score of personal data does not look at."""

COVERED_MIN, INSIDE_MIN, COVERED_SECRET_MIN = 0.9, 0.5, 0.8
SOFT = frozenset({"UUID", "Salt", "Nonce", "AWS S3 Bucket", "AWS Client ID", "Firebase Domain", "Dropbox App secret"})
SOFT_WHOLE = frozenset({"API:Nonce", "Auth:Nonce"})

Record = Mapping[str, Any]


class Prediction(Protocol):
    """What a detector says."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def type(self) -> str: ...


@dataclass(slots=True)
class Tally:
    """Counts of one slice of the personal data.

    Attributes:
        required: Spans that must be found.
        hits: Those found.
        good: Predictions that lie on labelled spans.
        counted: Predictions that are judged at all.
        characters: Letters and digits: found and labelled, found and not, labelled and not found.
    """

    required: int = 0
    hits: int = 0
    good: int = 0
    counted: int = 0
    characters: list[int] = field(default_factory=lambda: [0, 0, 0])

    @property
    def recall(self) -> float:
        return self.hits / self.required if self.required else 0.0

    @property
    def precision(self) -> float:
        return self.good / self.counted if self.counted else 0.0

    @property
    def f2(self) -> float:
        return f2(self.precision, self.recall)

    @property
    def character_f2(self) -> float:
        right, wrong, missed = self.characters
        return f2(right / (right + wrong) if right else 0.0, right / (right + missed) if right else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiScore:
    """How a detector did on personal data.

    Attributes:
        whole: On all records.
        by: The same by ``source:…`` and ``lang:…``.
        types: By type of span: how many are required, and how many of them were found.
        missed: Required spans not found: record id, start, end, type.
        wrong: Predictions that are neither good nor left out: record id, start, end.
    """

    whole: Tally
    by: dict[str, Tally]
    types: dict[str, tuple[int, int]]
    missed: list[tuple[str, int, int, str]]
    wrong: list[tuple[str, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretScore:
    """How a scanner did on secrets.

    Attributes:
        hard: Secrets that count.
        touched: Those that a finding touches.
        covered: Those of which findings cover 80 %.
        right: Findings that touch a labelled secret.
        negative: Findings that touch only lines labelled as holding none.
        noise: Findings on lines without a label.
        characters: Of all texts.
        categories: By category: how many hard secrets there are, and how many were touched.
        missed: Hard secrets that nothing touched: record id, secret id, category.
        wrong: Findings that are not right: record id, start, end, whether on a negative line.
    """

    hard: int
    touched: int
    covered: int
    right: int
    negative: int
    noise: int
    characters: int
    categories: dict[str, tuple[int, int]]
    missed: list[tuple[str, str, str]]
    wrong: list[tuple[str, int, int, bool]]

    @property
    def recall(self) -> float:
        return self.touched / self.hard if self.hard else 0.0

    @property
    def recall_covered(self) -> float:
        return self.covered / self.hard if self.hard else 0.0

    @property
    def precision(self) -> float:
        judged = self.right + self.negative
        return self.right / judged if judged else 0.0

    @property
    def f2(self) -> float:
        return f2(self.precision, self.recall)

    @property
    def noise_per_mb(self) -> float:
        return self.noise * 1e6 / self.characters if self.characters else 0.0


def f2(precision: float, recall: float) -> float:
    """``5PR / (4P + R)``; 0 where both are."""
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def score_pii(records: Iterable[Record], predict: Callable[[Record], Iterable[Prediction]]) -> PiiScore:
    """Score a detector on records of personal data.

    Args:
        records: As in ``pii.jsonl``.
        predict: What the detector says of one record.
    """
    whole, by = Tally(), defaultdict[str, Tally](Tally)
    types, missed, wrong = defaultdict[str, list[int]](lambda: [0, 0]), [], []
    for record in records:
        tallies = (whole, by["source:" + record["source"]], by["lang:" + record["lang"]])
        _score_record(record, merged(predict(record)), tallies, types, missed, wrong)
    return PiiScore(
        whole=whole,
        by=dict(by),
        types={name: (of, hits) for name, (of, hits) in types.items()},
        missed=missed,
        wrong=wrong,
    )


def merged(predictions: Iterable[Prediction]) -> list[tuple[int, int]]:
    """Places of predictions that count, overlapping and touching ones as one."""
    places: list[tuple[int, int]] = []
    for start, end in sorted((each.start, each.end) for each in predictions if each.type not in LEFT_OUT):
        if places and start <= places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places


def _score_record(
    record: Record,
    places: list[tuple[int, int]],
    tallies: Sequence[Tally],
    types: dict[str, list[int]],
    missed: list[tuple[str, int, int, str]],
    wrong: list[tuple[str, int, int]],
) -> None:
    text: str = record["text"]
    required = [span for span in record["spans"] if span["req"]]
    optional = _letters(text, ((span["start"], span["end"]) for span in record["spans"] if not span["req"]))
    wanted = _letters(text, ((span["start"], span["end"]) for span in required))
    said = _letters(text, places)
    for span in required:
        own = _letters(text, [(span["start"], span["end"])])
        hit = len(own & said) >= COVERED_MIN * len(own)
        types[span["type"]][0] += 1
        types[span["type"]][1] += hit
        if not hit:
            missed.append((record["id"], span["start"], span["end"], span["type"]))
        for tally in tallies:
            tally.required += 1
            tally.hits += hit
    for start, end in places:
        own = _letters(text, [(start, end)])
        if not own & wanted and len(own & optional) >= INSIDE_MIN * len(own):
            continue
        good = bool(own) and len(own & (wanted | optional)) >= INSIDE_MIN * len(own)
        if not good:
            wrong.append((record["id"], start, end))
        for tally in tallies:
            tally.counted += 1
            tally.good += good
    ignored = optional - wanted
    counts = (len(said & wanted), len(said - wanted - ignored), len(wanted - said))
    for tally in tallies:
        for place, count in enumerate(counts):
            tally.characters[place] += count


def _letters(text: str, places: Iterable[tuple[int, int]]) -> set[int]:
    return {at for start, end in places for at in range(start, end) if text[at].isalnum()}


def is_soft(category: str) -> bool:
    """Whether secrets of a category are not counted."""
    return category in SOFT_WHOLE or all(part in SOFT for part in category.split(":"))


def score_secrets(records: Iterable[Record], predict: Callable[[str], Iterable[Prediction]]) -> SecretScore:
    """Score a scanner on records of secrets.

    Args:
        records: As in ``secrets.jsonl``.
        predict: What the scanner says of one text.
    """
    counts = {"hard": 0, "touched": 0, "covered": 0, "right": 0, "negative": 0, "noise": 0, "characters": 0}
    categories, missed, wrong = defaultdict[str, list[int]](lambda: [0, 0]), [], []
    for record in records:
        text = record["text"]
        counts["characters"] += len(text)
        places = sorted({(each.start, each.end) for each in predict(text)})
        secrets: dict[str, list[tuple[int, int]]] = defaultdict(list)
        category_of = {}
        for span in record["secrets"]:
            secrets[span["id"]].append((span["start"], span["end"]))
            category_of[span["id"]] = span["category"]
        for name, spans in secrets.items():
            if is_soft(category_of[name]):
                continue
            touched = any(_touches(place, spans) for place in places)
            size = sum(end - start for start, end in spans)
            covered = sum(len(range(max(a, c), min(b, d))) for a, b in spans for c, d in merged_places(places))
            counts["hard"] += 1
            counts["touched"] += touched
            counts["covered"] += covered >= COVERED_SECRET_MIN * size
            categories[category_of[name]][0] += 1
            categories[category_of[name]][1] += touched
            if not touched:
                missed.append((record["id"], name, category_of[name]))
        _judge(record, places, [span for spans in secrets.values() for span in spans], counts, wrong)
    return SecretScore(
        **counts, categories={name: (of, hits) for name, (of, hits) in categories.items()}, missed=missed, wrong=wrong
    )


def merged_places(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted places without overlaps."""
    out: list[tuple[int, int]] = []
    for start, end in places:
        if out and start < out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _judge(
    record: Record,
    places: Sequence[tuple[int, int]],
    spans: Sequence[tuple[int, int]],
    counts: dict[str, int],
    wrong: list[tuple[str, int, int, bool]],
) -> None:
    negative = [(span["start"], span["end"]) for span in record["negative_lines"]]
    lines = _line_starts(record["text"])
    labelled_lines = {at for a, b in (*spans, *negative) for at in _lines_of((a, b), lines)}
    for place in places:
        if _touches(place, spans):
            counts["right"] += 1
            continue
        on_negative = _touches(place, negative)
        if on_negative:
            counts["negative"] += 1
        elif labelled_lines.isdisjoint(_lines_of(place, lines)):
            counts["noise"] += 1
        wrong.append((record["id"], *place, on_negative))


def _touches(place: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(place[0] < end and start < place[1] for start, end in spans)


def _line_starts(text: str) -> list[int]:
    return [0, *(at + 1 for at, each in enumerate(text) if each == "\n")]


def _lines_of(place: tuple[int, int], starts: Sequence[int]) -> range:
    return range(bisect_right(starts, place[0]) - 1, bisect_left(starts, max(place[1], place[0] + 1)))
