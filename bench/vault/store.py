"""How fast, how exact and how large the vault's store is, beside LanceDB and usearch.

Usage: ``python -m bench.vault.store [--pieces N] [--questions N] [--without-peers]``. Each engine builds in one process
and answers in another, so that its memory is its own. A question is a search by words and one by vectors, 100 of each.
"""

# ruff: noqa: FBT001  a step's arguments come from the command line, in their order

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary
from bench.vault.corpus import Corpus
from bench.vault.engines import Engine, Freehold, Lance, Usearch, exact

_BEST = 10
_WARM_UP = 3
_NAMES = ("freehold", "plain", "lancedb", "usearch")


def _engine(name: str, *, one: bool) -> Engine:
    if name == "lancedb":
        return Lance(one=one)
    return Usearch(one=one) if name == "usearch" else Freehold(one=one, plain=name == "plain")


def _build(name: str, one: bool, folder: Path, corpus: Corpus, _: int) -> dict[str, Any]:
    began_s = time.perf_counter()
    _engine(name, one=one).build(corpus, folder)
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"build_s": time.perf_counter() - began_s, "disk_mib": size_bytes / 2**20}


def _answer(name: str, one: bool, folder: Path, corpus: Corpus, count: int) -> dict[str, Any]:
    """What answering takes; what is asked is made by another process, whose memory isn't counted here."""
    asked = json.loads(_child("questions", name, one, folder, corpus.pieces, count, text=True))
    engine = _engine(name, one=one)
    engine.start(folder, corpus)
    questions = _questions(asked["questions"])
    taken: list[float] = []
    found: list[float] = []
    for number, question in enumerate(questions):
        began_s = time.perf_counter()
        answer = engine.answer(question)
        if number >= _WARM_UP:
            taken.append((time.perf_counter() - began_s) * 1e3)
        wanted = asked["exact"][number]
        found.append(len(set(answer[:_BEST]) & set(wanted)) / len(wanted) if wanted else 1.0)
    taken.sort()
    return {
        "p50_ms": statistics.median(taken),
        "p99_ms": taken[min(len(taken) - 1, int(0.99 * len(taken)))],
        "recall": statistics.fmean(found),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _ask(_: str, one: bool, __: Path, corpus: Corpus, count: int) -> dict[str, Any]:
    vectors = corpus.vectors()
    questions = corpus.questions(count + _WARM_UP, vectors)
    return {
        "questions": [(q.words, q.vector.tolist(), q.tenant, q.level) for q in questions],
        "exact": [exact(corpus, vectors, question, one=one, best=_BEST) for question in questions],
    }


def _questions(asked: list[Any]) -> list[Any]:
    import numpy as np

    from bench.vault.corpus import Question

    return [Question(words, np.array(vector, np.float32), tenant, level) for words, vector, tenant, level in asked]


_STEPS = {"build": _build, "answer": _answer, "questions": _ask}


def _child(step: str, name: str, one: bool, folder: Path, pieces: int, count: int, *, text: bool = False) -> Any:
    command = [sys.executable, "-m", "bench.vault.store", "--step", step, "--engine", name, "--folder", str(folder)]
    command += ["--pieces", str(pieces), "--questions", str(count), *(["--one"] if one else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return done if text else json.loads(done)


def measured(name: str, *, one: bool, pieces: int, questions: int) -> dict[str, Any]:
    """One engine's figures."""
    with tempfile.TemporaryDirectory() as folder:
        built = _child("build", name, one, Path(folder), pieces, questions)
        return built | _child("answer", name, one, Path(folder), pieces, questions)


def bars(figures: dict[tuple[str, bool], dict[str, Any]]) -> list[Bar]:
    """What must hold of ours."""
    limits = (("plain", False, 5.0), ("plain", True, 60.0), ("freehold", False, 8.0), ("freehold", True, 220.0))
    made: list[Bar] = []
    for name, one, limit in limits:
        told = ("unfiltered" if one else "filtered by tenant (2 %) and level") + (
            ", encrypted" if name == "freehold" else ", not encrypted"
        )
        made.append(Bar(what=f"{told}: p50", measured=figures[name, one]["p50_ms"], needed=limit, unit=" ms"))
        made.append(
            Bar(
                what=f"{told}: recall@10",
                measured=figures[name, one]["recall"],
                needed=0.98,
                is_floor=True,
                digits=3,
            )
        )
    return made


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--step", choices=tuple(_STEPS))
    parser.add_argument("--engine", choices=_NAMES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", action="store_true")
    given = parser.parse_args()
    if given.step:
        corpus = Corpus(given.pieces)
        print(json.dumps(_STEPS[given.step](given.engine, given.one, given.folder, corpus, given.questions)))
        return
    figures: dict[tuple[str, bool], dict[str, Any]] = {}
    rows: list[list[str]] = []
    for name in _NAMES[:2] if given.without_peers else _NAMES:
        if name in ("lancedb", "usearch") and importlib.util.find_spec(name) is None:
            print(f"{name} is not installed, so it isn't measured: pip install {name}")
            continue
        for one in (False, True):
            it = figures[name, one] = measured(name, one=one, pieces=given.pieces, questions=given.questions)
            shown = [f"{it[key]:,.{digits}f}" for key, digits in _SHOWN]
            rows.append([name, "all" if one else "tenant, level", *shown])
            print(*rows[-1], file=sys.stderr, flush=True)
    head = ["engine", "filter", "p50 ms", "p99 ms", "recall@10", "memory MiB", "disk MiB", "build s"]
    print(f"{given.pieces:,} pieces\n\n{markdown(head, rows)}\n")
    print(bar_table(bars(figures)))
    print(summary(bars(figures)))


_SHOWN = (("p50_ms", 1), ("p99_ms", 1), ("recall", 3), ("memory_mib", 0), ("disk_mib", 0), ("build_s", 0))

if __name__ == "__main__":
    main()
