"""Structured recognisers and the secret scanner on labelled texts, and what they cost.

    python -m bench.detect.structured [--halves]

Reads ``privacy`` in FREEHOLD_TEST_DATA and prints tables and bars. ``--halves`` adds the half of the records that the
rules were written on and the half that they were not: records go by the first byte of the SHA-256 of their id, even ones
are the first half. Cost is processor time of one thread and stands whatever else the machine does.
"""

from __future__ import annotations

import argparse
import functools
import gc
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary
from bench.detect.score import PiiScore, Record, SecretScore, score_pii, score_secrets
from freehold.domain.findings import Finding
from freehold.policy.recognise import recognise, secrets

DATA = Path(os.environ.get("FREEHOLD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "privacy"
PIECES, PIECE_CHARACTERS = 200, 1000
RECALLS = {
    "e-mail": ("EMAIL", "EMAIL_ADDRESS", "CORREO_ELECTRONICO"),
    "card": ("CARD", "CREDIT_CARD"),
    "IBAN": ("IBAN", "IBAN_CODE"),
    "SSN": ("SSN", "US_SSN"),
    "IP": ("IP",),
}
NAMES = frozenset(
    {
        "AN", "FIRST", "LAST", "NAME", "NOMBRE_PERSONAL_SANITARIO", "NOMBRE_SUJETO_ASISTENCIA", "PER", "PERSON", "RR",
        "FAMILIARES_SUJETO_ASISTENCIA",
    }
)  # fmt: skip
"""Types that have no shape: a model's work, left out of the table by type."""
RECALL_MIN, F2_MIN, NOISE_MAX, PII_MS_MAX, SECRETS_MS_MAX = 0.99, 0.60, 72, 6.0, 1.0


def records(name: str) -> list[dict[str, Any]]:
    """The records of one file of the labelled data."""
    path = DATA / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: set FREEHOLD_TEST_DATA to the folder of shared test data")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def is_first_half(record: Record) -> bool:
    """Whether a record belongs to the half on which rules are written."""
    return hashlib.sha256(record["id"].encode()).digest()[0] % 2 == 0


def predicted(record: Record) -> tuple[Finding, ...]:
    """What the recognisers say of a record; its language is not told to them."""
    return recognise(record["text"])


def pieces(texts: Iterable[Record]) -> list[str]:
    """English text in pieces of 1,000 characters."""
    whole = "\n".join(record["text"] for record in texts if record["lang"] == "en")
    return [whole[at * PIECE_CHARACTERS : (at + 1) * PIECE_CHARACTERS] for at in range(PIECES)]


def cost_ms(do: Callable[[str], object], texts: Sequence[str]) -> tuple[float, float]:
    """Processor time per text, the least of three rounds each, in ms: median and 95th percentile."""
    do(texts[0])
    gc.collect()
    gc.disable()
    best = [float("inf")] * len(texts)
    for _ in range(3):
        for place, text in enumerate(texts):
            begun = time.thread_time()
            do(text)
            best[place] = min(best[place], (time.thread_time() - begun) * 1000)
    gc.enable()
    best.sort()
    return best[len(best) // 2], best[int(len(best) * 0.95)]


def recall_of(score: PiiScore, types: Iterable[str]) -> tuple[int, int]:
    """How many required spans of some types there are, and how many were found."""
    rows = [score.types[name] for name in types if name in score.types]
    return sum(of for of, _ in rows), sum(hits for _, hits in rows)


def private_keys(all_records: Sequence[Record]) -> tuple[int, int]:
    """Secrets whose category is a private key in PEM, and how many of them recognisers touch as such."""
    only = [
        {**record, "secrets": [each for each in record["secrets"] if each["category"] == "PEM Private Key"]}
        for record in all_records
    ]
    score = score_secrets(only, lambda text: [each for each in recognise(text) if each.type == "PRIVATE_KEY"])
    return score.hard, score.touched


def pii_table(score: PiiScore) -> str:
    rows = [("all", score.whole), *sorted(score.by.items())]
    cells = (
        [name, f"{each.required:,}", *(f"{n:.3f}" for n in (each.precision, each.recall, each.f2, each.character_f2))]
        for name, each in rows
    )
    return markdown(["", "required", "P", "R", "F2", "char F2"], cells)


def types_table(score: PiiScore) -> str:
    rows = sorted((name, of, hits) for name, (of, hits) in score.types.items() if name not in NAMES)
    return markdown(["type", "required", "recall"], ([name, str(of), f"{hits / of:.3f}"] for name, of, hits in rows))


def secrets_table(scores: Iterable[tuple[str, SecretScore]]) -> str:
    head = ["", "hard", "P", "R (any)", "R (cov)", "F2", "noise per MB"]
    return markdown(
        head,
        (
            [
                name,
                str(each.hard),
                *(f"{n:.3f}" for n in (each.precision, each.recall, each.recall_covered, each.f2)),
                f"{each.noise_per_mb:.0f}",
            ]
            for name, each in scores
        ),
    )


def categories_table(score: SecretScore) -> str:
    rows = sorted(score.categories.items(), key=lambda row: -row[1][0])
    return markdown(["category", "hard", "recall"], ([name, str(of), f"{hits / of:.2f}"] for name, (of, hits) in rows))


def bars(pii: PiiScore, keys: tuple[int, int], found: SecretScore, costs: tuple[float, float]) -> list[Bar]:
    """What must hold."""
    rows = [(name, *recall_of(pii, types)) for name, types in RECALLS.items()]
    rows.append(("private key", *keys))
    recalls = [
        Bar(
            what=f"recall, {name} ({of})",
            measured=hits / of if of else None,
            needed=RECALL_MIN,
            is_floor=True,
            digits=3,
        )
        for name, of, hits in rows
    ]
    return [
        *recalls,
        Bar(what="secrets, F2 on hard categories", measured=found.f2, needed=F2_MIN, is_floor=True, digits=3),
        Bar(what="secrets, noise per MB", measured=found.noise_per_mb, needed=NOISE_MAX, digits=0),
        Bar(what="recognise, p95 per 1,000 characters", measured=costs[0], needed=PII_MS_MAX, unit=" ms"),
        Bar(what="secrets, p95 per 1,000 characters", measured=costs[1], needed=SECRETS_MS_MAX, unit=" ms"),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halves", action="store_true")
    options = parser.parse_args(arguments)
    texts, code = records("pii.jsonl"), records("secrets.jsonl")
    pii, found = score_pii(texts, predicted), score_secrets(code, secrets)
    scored = [("all", found)]
    print("## Personal data\n")
    print(pii_table(pii), "\n")
    if options.halves:
        for name, first in (("first half", True), ("second half", False)):
            half = functools.partial(_half, first=first)
            print(f"{name}:\n\n{pii_table(score_pii(half(texts), predicted))}\n")
            scored.append((name, score_secrets(half(code), secrets)))
    print(types_table(pii), "\n\n## Secrets\n")
    print(secrets_table(scored), "\n")
    print(categories_table(found), "\n\n## Cost\n")
    cut, snippets = (
        pieces(texts),
        [record["text"][:PIECE_CHARACTERS] for record in code[:: max(1, len(code) // PIECES)]],
    )
    pii_ms, secrets_ms = cost_ms(recognise, cut), cost_ms(secrets, snippets)
    rows = [
        ["recognise, English text", *pii_ms],
        ["secrets, code", *secrets_ms],
        ["secrets, English", *cost_ms(secrets, cut)],
    ]
    print(markdown(["", "p50 ms", "p95 ms"], ([str(name), f"{a:.2f}", f"{b:.2f}"] for name, a, b in rows)), "\n")
    judged = bars(pii, private_keys(code), found, (pii_ms[1], secrets_ms[1]))
    print("## Bars\n")
    print(bar_table(judged), "\n")
    print(summary(judged))
    return 0 if all(bar.holds for bar in judged) else 1


def _half(all_records: Iterable[Record], *, first: bool) -> list[Record]:
    return [record for record in all_records if is_first_half(record) is first]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
