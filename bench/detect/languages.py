"""Whether texts in languages that nothing was measured on are told from those in which the detector was.

    python -m bench.detect.languages [--texts FOLDER]

Reads ``vault/xquad``, ``privacy`` and ``workloads`` in FREEHOLD_TEST_DATA; no model but the one that tells languages
apart. Prints the share of texts from ``CHARACTERS_MIN`` characters on that are told to be in an unmeasured language, by
language; how many of the labelled texts and of the workloads are told so, which are all in measured ones; and the cost.
``--texts`` adds a table of your own: ``FOLDER/xx.txt``, one text a line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary
from bench.detect.structured import DATA, cost_ms, pieces, records
from freehold.domain.detect_ports import Teller
from freehold.engines.onnx.teller import LanguageTeller
from freehold.policy.tongues import MEASURED, unmeasured

ROOT = DATA.parent
CHARACTERS_MIN, CHARACTERS_MAX = 200, 8000
FOUND_MIN, FALSE_MAX, MS_MAX = 0.95, 0.005, 1.5


def xquad() -> dict[str, list[str]]:
    """The paragraphs of XQuAD by language."""
    found = sorted((ROOT / "vault" / "xquad").glob("corpus.*.jsonl"))
    if not found:
        raise SystemExit(
            f"{ROOT / 'vault' / 'xquad'} is missing: set FREEHOLD_TEST_DATA to the folder of shared test data"
        )
    return {path.suffixes[-2][1:]: [each["text"] for each in lines(path)] for path in found}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def strings(value: object) -> Iterator[str]:
    """All strings in a record."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def known() -> dict[str, list[str]]:
    """Texts in measured languages, and code, tables and records, by source."""
    by: dict[str, list[str]] = {}
    for record in records("pii.jsonl"):
        by.setdefault(f"{record['source']}, {record['lang']}", []).append(record["text"])
    by["secrets in code"] = [record["text"] for record in records("secrets.jsonl")]
    by["injection"] = ["\n".join(strings(record))[:CHARACTERS_MAX] for record in records("injection.jsonl")]
    for path in sorted((ROOT / "workloads").glob("*.jsonl")):
        by[path.stem] = ["\n".join(strings(each))[:CHARACTERS_MAX] for each in lines(path)]
    return by


def told(texts: Iterable[str], teller: Teller) -> dict[str, int]:
    """How many texts are told to be in what."""
    counts: dict[str, int] = {}
    for text in texts:
        if what := unmeasured(text, teller):
            counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


def shares(texts: dict[str, list[str]], teller: Teller) -> tuple[str, dict[str, float]]:
    """A table by language, and the share of each."""
    rows: list[list[str]] = []
    found: dict[str, float] = {}
    for name, all_of_it in sorted(texts.items()):
        long = [text for text in all_of_it if len(text) >= CHARACTERS_MIN]
        counts = told(long, teller)
        found[name] = sum(counts.values()) / max(1, len(long))
        most = ", ".join(f"{what} {count}" for what, count in list(counts.items())[:3])
        rows.append([name, str(len(long)), f"{found[name]:.3f}", most or "–"])
    return markdown(["language", "texts", "told", "as"], rows), found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path)
    options = parser.parse_args(arguments)
    teller = LanguageTeller()
    table, found = shares(xquad(), teller)
    print(f"XQuAD, paragraphs of at least {CHARACTERS_MIN} characters:\n\n{table}\n")
    if options.texts is not None:
        more = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in options.texts.glob("*.txt")}
        print(f"{options.texts.name}:\n\n{shares(more, teller)[0]}\n")
    quiet = known()
    counts = {name: told(texts, teller) for name, texts in quiet.items()}
    rows = (
        [name, str(len(texts)), str(sum(counts[name].values())), ", ".join(f"{a} {b}" for a, b in counts[name].items())]
        for name, texts in quiet.items()
    )
    print(f"Texts that are not in one:\n\n{markdown(['source', 'texts', 'told', 'as'], rows)}\n")
    labelled = [name for name in quiet if ", " in name]
    false_share = sum(sum(counts[name].values()) for name in labelled) / sum(len(quiet[name]) for name in labelled)
    everywhere = sum(sum(each.values()) for each in counts.values()) / sum(map(len, quiet.values()))
    english, foreign = pieces(records("pii.jsonl")), [text[:1000] for text in xquad()["tr"]]
    costs = {"English": cost_ms(lambda text: unmeasured(text, teller), english)}
    costs["Turkish"] = cost_ms(lambda text: unmeasured(text, teller), foreign)
    print(
        markdown(["1,000 characters", "p50 ms", "p95 ms"], ([n, f"{a:.2f}", f"{b:.2f}"] for n, (a, b) in costs.items()))
    )
    unknown = {name: share for name, share in found.items() if name not in MEASURED}
    least = min(unknown, key=lambda name: unknown[name])
    most = max(found[name] for name in found if name in MEASURED)
    judged = [
        Bar(what=f"told, least of {len(unknown)} languages ({least})", measured=unknown[least], needed=FOUND_MIN,
            is_floor=True, digits=3),
        Bar(what="labelled texts told wrongly", measured=false_share, needed=FALSE_MAX, digits=4),
        Bar(what="these, code and workloads told wrongly", measured=everywhere, needed=FALSE_MAX, digits=4),
        Bar(what="XQuAD in measured languages told wrongly", measured=most, needed=FALSE_MAX, digits=4),
        Bar(what="English, p95 per 1,000 characters", measured=costs["English"][1], needed=MS_MAX, unit=" ms"),
    ]  # fmt: skip
    print(f"\n{bar_table(judged)}\n\n{summary(judged)}")
    return 0 if all(bar.holds for bar in judged) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
