"""``/v1/classify`` with the packaged embedder: how often it is right, how honest it is, and how fast on one core.

    python -m bench.classify [--peer PYTHON] [--models FOLDER] [--splits N] [--write]

Trains a classifier over HTTP from 50 examples a class of each set in ``bench/data``, then classifies every test text in
a request of its own, with the gateway and its embedder on one core and this client on the other. The same vectors go to
scikit-learn's logistic regression, by a Python that has it. Further splits of the same texts are fitted in this process.

Bars: at least as often right as the peer; calibration error at most 0.05; 95 % of messages within 50 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary, with_section
from bench.house import CORE_IO, PAGE, ROOT, Setup, build_folder, busy_s, end_in_order, free_port, running, tree
from freehold.gateway.classifier_training import find_numpy
from freehold.routing.classifier_fit import Example, fit_vectors
from freehold.routing.quality import auroc, measure_quality

SETS = ("banking77", "clinc_banking")
MODEL = "bge-small-en"
TRAIN_EACH = 50
TEXTS_AT_ONCE = 32
RISK = 0.05
ECE_MAX = 0.05
MESSAGE_MS_MAX = 50.0
SPLITS = 10
CONFIG = """[server]
port = {port}
log_level = "warning"

[deployments.bge]
engine = "onnx"
model = "{model}"
threads = 1
"""

Row = tuple[str, str]


@dataclass(frozen=True)
class Measured:
    """What came out for one set.

    Attributes:
        told: What the trained classifier says of itself.
        ours, peer: Probabilities of the test texts, labels sorted.
        unknown: Likeliest label's probability and similarity of texts that are out of scope.
        known: The same of the test texts.
        kept: Share of the known and of the unknown that it does not abstain from at the risk.
        wrong: Share of wrong answers among the known that it does not abstain from.
        ms, embed_ms: Of each test text, classified and only embedded.
        cpu_ms: Processor time of gateway and embedder for one text, classified and only embedded.
    """

    name: str
    told: dict[str, Any]
    truth: list[int]
    ours: list[list[float]]
    peer: list[list[float]] | None
    known: list[tuple[float, float]]
    unknown: list[tuple[float, float]]
    kept: tuple[float, float]
    wrong: float
    ms: list[float]
    embed_ms: list[float]
    cpu_ms: tuple[float, float]
    splits: list[tuple[float, float, float | None, float | None]]


class Client:
    """One kept connection."""

    def __init__(self, setup: Setup) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", setup.port, timeout=600)
        self._headers = {"authorization": f"Bearer {setup.key}", "content-type": "application/json"}

    def post(self, path: str, body: object) -> tuple[dict[str, Any], float]:
        """The answer, and the milliseconds from the first byte sent to the last one read."""
        data = json.dumps(body).encode()
        begun_s = time.perf_counter()
        self._connection.request("POST", path, data, self._headers)
        reply = self._connection.getresponse()
        raw = reply.read()
        took_ms = (time.perf_counter() - begun_s) * 1000
        if reply.status != 200:
            raise SystemExit(f"{path} answered {reply.status}: {raw[:500].decode()}")
        return json.loads(raw), took_ms

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = []
        for low in range(0, len(texts), TEXTS_AT_ONCE):
            body = {"model": "bge", "input": list(texts[low : low + TEXTS_AT_ONCE])}
            found += [row["embedding"] for row in self.post("/v1/embeddings", body)[0]["data"]]
        return found


def rows_of(file: str) -> list[Row]:
    """Text and label of each line."""
    rows: list[Row] = []
    label = ""
    for line in (ROOT / "bench" / "data" / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            label = line[2:]
        elif line:
            rows.append((line, label))
    return rows


def out_of_scope() -> list[str]:
    folder = Path(os.environ.get("FREEHOLD_TEST_DATA") or ROOT.parent / "shared" / "data")
    file = folder / "workloads" / "05_classification_clinc_oos.jsonl"
    if not file.exists():
        return []
    items = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [item["input"] for item in items if item["reference"] == "oos"]


def set_up(models: str) -> Setup:
    """A data folder with the embedder in it; it is pulled once."""
    folder = build_folder() / "classify"
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {"PYTHONPATH": str(ROOT / "src"), "FREEHOLD_HOME": str(home)}
    if models and not (home / "models").exists():
        shutil.copytree(models, home / "models")
    elif not models:
        pull = [sys.executable, "-m", "freehold", "pull", MODEL]
        subprocess.run(pull, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    port = free_port()
    config = folder / "freehold.toml"
    config.write_text(CONFIG.format(port=port, model=MODEL))
    command = (sys.executable, "-m", "freehold", "up", "--yes", "--config", str(config))
    return Setup(folder, port, command, environment)


def peer_probabilities(python: str, cases: list[dict[str, Any]]) -> list[list[list[float]]] | None:
    if not python:
        return None
    command = ["taskset", "-c", CORE_IO, python, str(ROOT / "bench" / "peer_logistic.py")]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise SystemExit(f"The peer could not be run: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def splits_of(rows: Sequence[Row], count: int) -> list[tuple[list[int], list[int]]]:
    """Places of the training and of the test texts, the same number of each label in each."""
    found: list[tuple[list[int], list[int]]] = []
    for seed in range(count):
        dice = random.Random(seed)
        train: list[int] = []
        test: list[int] = []
        for label in sorted({label for _, label in rows}):
            places = [place for place, (_, each) in enumerate(rows) if each == label]
            dice.shuffle(places)
            train += places[:TRAIN_EACH]
            test += places[TRAIN_EACH:]
        found.append((train, test))
    return found


def accuracy_and_ece(rows: Sequence[Sequence[float]], truth: Sequence[int]) -> tuple[float, float]:
    likeliest = [max(range(len(row)), key=row.__getitem__) for row in rows]
    right = [found == place for found, place in zip(likeliest, truth, strict=True)]
    quality = measure_quality([max(row) for row in rows], right)
    return quality.accuracy, quality.ece


def separation(known: Sequence[float], unknown: Sequence[float]) -> float:
    """Chance that a known text is above an unknown one."""
    return auroc(sorted([(each, True) for each in known] + [(each, False) for each in unknown]))


def processor_ms(client: Client, pid: int, path: str, bodies: Sequence[dict[str, Any]]) -> float:
    """Processor time of the gateway and its children for one call, which a busy machine does not change much."""
    before_s = busy_s(tree(pid))
    for body in bodies:
        client.post(path, body)
    return (busy_s(tree(pid)) - before_s) / len(bodies) * 1000


def measure(client: Client, name: str, *, pid: int, peer: str, splits: int) -> Measured:
    train, test = rows_of(f"{name}_train.txt"), rows_of(f"{name}_test.txt")
    labels = sorted({label for _, label in train})
    examples = [{"text": text, "label": label} for text, label in train]
    body = {"name": name, "model": "bge", "examples": examples, "risk": RISK, "replace": True}
    told, _ = client.post("/v1/classifiers", body)
    for text, _ in test[:20]:
        client.post("/v1/classify", {"model": name, "input": text})
    answers: list[dict[str, Any]] = []
    ms: list[float] = []
    embed_ms: list[float] = []
    for text, _ in test:
        embed_ms.append(client.post("/v1/embeddings", {"model": "bge", "input": text})[1])
        answer, took_ms = client.post("/v1/classify", {"model": name, "input": text})
        answers.append(answer["data"][0])
        ms.append(took_ms)
    cpu_ms = (
        processor_ms(client, pid, "/v1/classify", [{"model": name, "input": text} for text, _ in test]),
        processor_ms(client, pid, "/v1/embeddings", [{"model": "bge", "input": text} for text, _ in test]),
    )
    strange = [client.post("/v1/classify", {"model": name, "input": text})[0]["data"][0] for text in out_of_scope()]
    truth = [labels.index(label) for _, label in test]
    ours = [[row["probabilities"][label] for label in labels] for row in answers]
    rows = [*train, *test]
    vectors = client.vectors([text for text, _ in rows])
    given = (list(range(len(train))), list(range(len(train), len(rows))))
    parts = [given, *splits_of(rows, splits)]
    places = [labels.index(label) for _, label in rows]
    cases = [
        {"train": [vectors[i] for i in a], "classes": [places[i] for i in a], "test": [vectors[i] for i in b]}
        for a, b in parts
    ]
    theirs = peer_probabilities(peer, cases)
    decided = [not row["abstain"] for row in answers]
    right = [row["label"] == label for row, (_, label) in zip(answers, test, strict=True)]
    wrong = [not is_right for is_right, is_decided in zip(right, decided, strict=True) if is_decided]
    return Measured(
        name=name,
        told=told,
        truth=truth,
        ours=ours,
        peer=None if theirs is None else theirs[0],
        known=[(row["probability"], row["similarity"]) for row in answers],
        unknown=[(row["probability"], row["similarity"]) for row in strange],
        kept=(
            statistics.fmean(decided),
            statistics.fmean(not row["abstain"] for row in strange) if strange else 0.0,
        ),
        wrong=statistics.fmean(wrong) if wrong else 0.0,
        ms=ms,
        embed_ms=embed_ms,
        cpu_ms=cpu_ms,
        splits=[
            _split(rows, vectors, places, part, None if theirs is None else theirs[1 + number])
            for number, part in enumerate(parts[1:])
        ],
    )


def _split(
    rows: Sequence[Row],
    vectors: Sequence[Sequence[float]],
    places: Sequence[int],
    part: tuple[list[int], list[int]],
    theirs: list[list[float]] | None,
) -> tuple[float, float, float | None, float | None]:
    train, test = part
    examples = [Example(text=rows[i][0], values=vectors[i], place=places[i]) for i in train]
    fitted = fit_vectors(examples, count=max(places) + 1, numpy=find_numpy())
    truth = [places[i] for i in test]
    ours = accuracy_and_ece([fitted.head.of_vector(vectors[i]) for i in test], truth)
    peer = (None, None) if theirs is None else accuracy_and_ece(theirs, truth)
    return *ours, *peer


def splits_told(splits: Sequence[tuple[float, float, float | None, float | None]]) -> str:
    theirs = [split[2] for split in splits if split[2] is not None]
    if not theirs:
        return "–"
    return f"{statistics.fmean(split[0] for split in splits):.2%}, {statistics.fmean(theirs):.2%}"


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def bars_of(found: Sequence[Measured]) -> list[Bar]:
    bars: list[Bar] = []
    for each in found:
        accuracy, ece = accuracy_and_ece(each.ours, each.truth)
        peer = None if each.peer is None else accuracy_and_ece(each.peer, each.truth)[0]
        bars.append(
            Bar(
                what=f"{each.name}: right beyond the peer",
                measured=None if peer is None else (accuracy - peer) * 100,
                needed=0,
                is_floor=True,
                unit=" points",
            )
        )
        bars.append(Bar(what=f"{each.name}: calibration error", measured=ece, needed=ECE_MAX, digits=3))
        if each.splits:
            mean = statistics.fmean(split[1] for split in each.splits)
            worst = max(split[1] for split in each.splits)
            bars.append(
                Bar(
                    what=f"{each.name}: the same, mean of {len(each.splits)} splits",
                    measured=mean,
                    needed=ECE_MAX,
                    digits=3,
                )
            )
            bars.append(Bar(what=f"{each.name}: the same, the worst of them", measured=worst, needed=ECE_MAX, digits=3))
        bars.append(
            Bar(
                what=f"{each.name}: a message over HTTP, p95",
                measured=quantile(each.ms, 0.95),
                needed=MESSAGE_MS_MAX,
                unit=" ms",
                digits=1,
            )
        )
    gains = [split[0] - split[2] for each in found for split in each.splits if split[2] is not None]
    bars.append(
        Bar(
            what=f"right beyond the peer, mean of {len(gains)} splits",
            measured=statistics.fmean(gains) * 100 if gains else None,
            needed=0,
            is_floor=True,
            unit=" points",
        )
    )
    return bars


def tables(found: Sequence[Measured]) -> str:
    rows: list[list[str]] = []
    for each in found:
        accuracy, ece = accuracy_and_ece(each.ours, each.truth)
        crossed = each.told["cross_validated"]
        peer = None if each.peer is None else accuracy_and_ece(each.peer, each.truth)
        rows.append(
            [
                each.name,
                f"{len(each.told['labels'])} × {TRAIN_EACH}, {len(each.truth)}",
                f"{accuracy:.1%}",
                "–" if peer is None else f"{peer[0]:.1%}",
                f"{ece:.3f}",
                "–" if peer is None else f"{peer[1]:.3f}",
                f"{crossed['accuracy']['value']:.1%}, {crossed['ece']['value']:.3f}",
                splits_told(each.splits),
            ]
        )
    quality = markdown(
        [
            "set",
            "trained on, tested on",
            "right",
            "peer",
            "calibration error",
            "peer",
            "told by itself",
            "mean of the splits: right, peer",
        ],
        rows,
    )
    rows = []
    for each in found:
        known, unknown = list(zip(*each.known, strict=True)), list(zip(*each.unknown, strict=True))
        by_probability, by_similarity = (
            (f"{separation(known[i], unknown[i]):.3f}" if unknown else "–") for i in (0, 1)
        )
        rows.append(
            [
                each.name,
                by_probability,
                by_similarity,
                f"{each.kept[0]:.1%} ({each.wrong:.1%} of it wrong)",
                f"{each.kept[1]:.1%}" if each.unknown else "–",
                f"{quantile(each.ms, 0.5):.1f}",
                f"{quantile(each.ms, 0.95):.1f}",
                f"{statistics.median(a - b for a, b in zip(each.ms, each.embed_ms, strict=True)):.2f}",
                f"{each.cpu_ms[0]:.1f}, {each.cpu_ms[1]:.1f}",
            ]
        )
    rest = markdown(
        [
            "set",
            "out of scope, AUROC by probability",
            "by similarity",
            f"decided at risk {RISK:.0%}",
            "of what is out of scope",
            "ms, p50",
            "p95",
            "over `/v1/embeddings`, p50",
            "processor ms, and of `/v1/embeddings`",
        ],
        rows,
    )
    return f"{quality}\n\n{rest}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=os.environ.get("FREEHOLD_BENCH_PEER", ""), help="a Python with scikit-learn")
    parser.add_argument("--models", default="", help="a models folder to copy, instead of pulling")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--write", action="store_true", help="put the result into docs/benchmarks.md")
    options = parser.parse_args()
    end_in_order()
    os.sched_setaffinity(0, {int(CORE_IO)})
    setup = set_up(options.models)
    with running(setup) as process:
        # A connection each: the peer takes longer than an idle one is kept.
        found = [
            measure(Client(setup), name, pid=process.pid, peer=options.peer, splits=options.splits) for name in SETS
        ]
    bars = bars_of(found)
    text = (
        f"{time.strftime('%Y-%m-%d')}, {MODEL} (int8), CPython {platform.python_version()}, gateway and embedder on one "
        f"core: {summary(bars)}.\n\n{bar_table(bars)}\n\n{tables(found)}"
    )
    print(text)
    if options.write:
        PAGE.write_text(
            with_section(PAGE.read_text(), "Classifying", f"`just bench-classify` measured this.\n\n{text}")
        )
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
