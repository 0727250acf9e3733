"""The whole detector on labelled texts: recognisers, secrets and the model that marks names, on the text and its views.

    python -m bench.detect.names [--models FOLDER] [--halves]

Reads ``privacy`` in FREEHOLD_TEST_DATA and the model ``rampart`` from a models folder (``freehold pull rampart``; the
demo's by default). Prints tables beside the figures that were measured of others on the same files, and bars. Cost is
processor time of one thread and stands whatever else the machine does; it is longer where two threads share a core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.bars import Bar, bar_table, markdown, summary
from bench.detect.score import PiiScore, Record, score_pii
from bench.detect.structured import cost_ms, is_first_half, pieces, pii_table, records, types_table
from freehold.app.scanning import name_model
from freehold.domain.detect_ports import Marker, Teller
from freehold.domain.findings import Finding
from freehold.engines.onnx.tagger import Tagger
from freehold.engines.onnx.teller import LanguageTeller
from freehold.policy.look import look
from freehold.serving.registry import ModelRegistry

MODELS = Path(".demo") / "models"
F2_MIN, PROMPTS_RECALL_MIN, PROMPTS_PRECISION_MIN, MS_MAX, MS_AIM, SHAPES_MS_MAX = 0.85, 0.96, 0.73, 58.0, 25.0, 6.0
PROMPTS = "source:company prompts"
PEERS = (
    ("datafog 4.9.0", ".743", ".183", ".215", ".698 / .238", ".00", ".11", ".01", "–"),
    ("presidio patterns", ".651", ".318", ".354", ".638 / .419", ".00", ".24", ".01", "3.8 / 6.4"),
    ("presidio + en_core_web_sm", ".343", ".635", ".543", ".658 / .718", ".59", ".49", ".48", "44 / 56"),
    ("Rampart @0.5 and presidio patterns", ".759", ".791", ".784", ".770 / .890", ".44", ".71", ".21", "50 / 58"),
    ("Rampart @0.25 and presidio patterns", ".695", ".864", ".824", ".745 / .944", ".65", ".81", ".29", "50 / 58"),
)
"""As measured on the same records on two idle cores (2026-11-21), quoted; the last column is ms per 1,000 characters."""


def marker(folder: Path) -> Marker:
    """The model, in this process."""
    model, why = name_model(ModelRegistry(folder))
    if model is None:
        raise SystemExit(f"no model: {why}")
    return Tagger(model=model.model_path, tokenizer=model.tokenizer_path, labels=model.labels)


def predicting(mark: Marker, tell: Teller) -> Callable[[Record], tuple[Finding, ...]]:
    """What the detector says of a record, each asked once."""
    known: dict[str, tuple[Finding, ...]] = {}

    def predict(record: Record) -> tuple[Finding, ...]:
        if record["id"] not in known:
            known[record["id"]] = look(record["text"], marker=mark, teller=tell).findings
        return known[record["id"]]

    return predict


def peers_table(score: PiiScore, cost: tuple[float, float]) -> str:
    """Ours as the last row."""
    prompts = score.by[PROMPTS]
    ours = [f"{n:.3f}"[1:] for n in (score.whole.precision, score.whole.recall, score.whole.f2)]
    sources = [f"{score.by['source:' + name].recall:.2f}"[1:] for name in ("WNUT17", "MEDDOCAN", "German LER")]
    both = f"{prompts.precision:.3f}"[1:] + " / " + f"{prompts.recall:.3f}"[1:]
    row = ["**Freehold**", *ours, both, *sources, f"{cost[0]:.0f} / {cost[1]:.0f}"]
    head = ["", "P", "R", "F2", "company prompts P / R", "WNUT17 R", "MEDDOCAN R", "LER R", "ms p50 / p95"]
    return markdown(head, [*PEERS, row])


def bars(score: PiiScore, whole_ms: float, shapes_ms: float) -> list[Bar]:
    """What must hold."""
    prompts = score.by[PROMPTS]
    return [
        Bar(what="span F2", measured=score.whole.f2, needed=F2_MIN, is_floor=True, digits=3),
        Bar(
            what="company prompts, recall", measured=prompts.recall, needed=PROMPTS_RECALL_MIN, is_floor=True, digits=3
        ),
        Bar(
            what="company prompts, precision",
            measured=prompts.precision,
            needed=PROMPTS_PRECISION_MIN,
            is_floor=True,
            digits=3,
        ),
        Bar(what="with names, p95 per 1,000 characters", measured=whole_ms, needed=MS_MAX, unit=" ms", digits=1),
        Bar(what="without names, p95 per 1,000 characters", measured=shapes_ms, needed=SHAPES_MS_MAX, unit=" ms"),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--halves", action="store_true")
    options = parser.parse_args(arguments)
    mark = marker(options.models)
    tell = LanguageTeller()
    texts, predict = records("pii.jsonl"), predicting(mark, tell)
    cut = pieces(texts)
    whole_ms = cost_ms(lambda text: look(text, marker=mark, teller=tell), cut)
    shapes_ms = cost_ms(look, cut)
    score = score_pii(texts, predict)
    print(peers_table(score, whole_ms), "\n")
    print(pii_table(score), "\n")
    if options.halves:
        for name, first in (("first half", True), ("second half", False)):
            print(f"{name}:\n\n{pii_table(score_pii(_half(texts, first=first), predict))}\n")
    print(types_table(score), "\n")
    costs = (("with names", whole_ms), ("without", shapes_ms))
    print(markdown(["", "p50 ms", "p95 ms"], ([name, f"{a:.1f}", f"{b:.1f}"] for name, (a, b) in costs)), "\n")
    print(f"Aim: {MS_AIM:g} ms p95 with names.\n")
    judged = bars(score, whole_ms[1], shapes_ms[1])
    print(bar_table(judged), "\n")
    print(summary(judged))
    return 0 if all(bar.holds for bar in judged) else 1


def _half(texts: Iterable[Record], *, first: bool) -> list[Record]:
    return [record for record in texts if is_first_half(record) is first]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
