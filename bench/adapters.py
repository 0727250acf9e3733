"""A trained LoRA adapter on a route of its own beside the plain model: seen there, and nowhere else.

    python -m bench.adapters --python PYTHON [--adapter FILE] [--keep FILE]

A small adapter is trained from the starter model, so that it answers in a style: ``Harbour log: … Over and out.``
(``bench/data/harbour.txt``, made for this; PYTHON has torch and gguf, see ``adapters_train.py``; or ``--adapter`` names one
that ``--keep`` kept). A real gateway serves the plain model; the adapter's route is added while it runs. What is counted is
how many answers to questions that the training never saw are in the style: on the one route, on the other, in turn, and
both at once.

Each answer is held up to the one of a gateway that has only that route, and was asked the same before. Not to the first
answer to that question: how much of a prompt is known from earlier ones decides how many rows of the rest are computed in one
go, which rounds otherwise (decision 54), and where two tokens are all but equally likely the other one is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bars import Bar, all_of, bar_table, summary
from freehold.app.benched import Variant, plain_plan, running
from freehold.engines.llama.engine import LlamaEngine
from freehold.hostinfo.clock import SystemClock
from freehold.hostinfo.probe import probe
from freehold.serving.registry import ModelRegistry
from tests.models import DEMO_FOLDER, starter_model
from tests.support.adapters import PLAIN
from tests.support.server import Gateway, eventually
from tests.support.server import running as gateway_running

MODEL = "smollm2-135m"
QUESTIONS = Path(__file__).parent / "data" / "harbour.txt"
TRAINING = Path(__file__).parent / "adapters_train.py"
BEGIN, END = "Harbour log: ", " Over and out."
TURNS = 20
TOKENS = 40
STYLE_SHARE_MIN = 0.9
SERVER = """
[server]
port = 0
"""
ADDED = """
[deployments.harbour]
engine = "embedded"
model = "{model}"
context_tokens = 1024
adapters = ["{adapter}"]

[routes.harbour-log]
deployments = ["harbour"]
"""


@dataclass(frozen=True)
class Measured:
    """What came out.

    Attributes:
        before, after: The plain route's answers before the adapter was there, and once it had answered.
        adapted: The adapter's route's answers to the same questions.
        turns: Answers of both routes to the same question in turn: plain, adapted.
        at_once: The same, both routes asked at the same moment.
        plain_alone: What a gateway without the adapter answered: before, after, in turn and at once.
        adapted_alone: What a gateway with nothing else answered: first, in turn and at once.
        receipts: The names of models in the receipts of the last two answers: plain, adapted.
        starts: How often the plain engine was started.
        live_s: From the changed configuration to the new route's first answer.
    """

    before: list[str]
    after: list[str]
    adapted: list[str]
    turns: list[tuple[str, str]]
    at_once: list[tuple[str, str]]
    plain_alone: list[list[str]]
    adapted_alone: list[list[str]]
    receipts: tuple[str, str]
    starts: int
    live_s: float


def is_in_style(answer: str) -> bool:
    return answer.startswith(BEGIN) and answer.endswith(END)


def questions() -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs to train with, and the questions that are asked; none is in both."""
    _, _, text = QUESTIONS.read_text(encoding="utf-8").partition("# train\n")
    trained, _, unseen = text.partition("# unseen\n")
    pairs = [(question, answer) for question, _, answer in (line.partition(" | ") for line in trained.splitlines())]
    asked = unseen.splitlines()
    if {question for question, _ in pairs} & set(asked):
        raise SystemExit(f"{QUESTIONS} asks what it trains with")
    return pairs, asked


async def examples(pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The pairs as the engine itself writes and cuts them."""
    models, clock = ModelRegistry(DEMO_FOLDER / "models"), SystemClock()
    variant = Variant(name="plain", plan=plain_plan(MODEL, context_tokens=1_024))
    async with running([variant], models=models, machine=probe(), clock=clock) as found:
        engine = found.contestants[0].engine
        assert isinstance(engine, LlamaEngine)
        lease = await engine._host.lease(wait_s=60)

        async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            reply = await lease.client.request(
                method="POST",
                path=path,
                headers=(*lease.headers, ("content-type", "application/json")),
                body=json.dumps(body).encode(),
                permit=None,
                deadline_s=clock.monotonic_s() + 30,
            )
            return json.loads(await reply.read(limit_bytes=1 << 20))

        async def tokens(text: str) -> list[int]:
            return (await post("/tokenize", {"content": text, "add_special": True, "parse_special": True}))["tokens"]

        cut: list[dict[str, Any]] = []
        for question, answer in pairs:
            written = await post("/apply-template", {"messages": [{"role": "user", "content": question}]})
            begun = await tokens(written["prompt"])
            cut.append({"ids": begun + await tokens(f"{BEGIN}{answer}{END}<|im_end|>"), "answer_from": len(begun)})
        return cut


def trained(python: str, folder: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """An adapter, trained now."""
    told, adapter = folder / "examples.json", folder / "harbour.gguf"
    told.write_text(json.dumps(asyncio.run(examples(pairs))), encoding="utf-8")
    command = [python, str(TRAINING), str(starter_model(MODEL)), str(told), str(adapter)]
    begun_s = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit("the adapter could not be trained; --python names a Python that has torch and gguf")
    found = json.loads(done.stdout)
    losses = " ".join(f"{loss:.3f}" for loss in found["losses"])
    print(
        f"trained {found['numbers']:,} numbers on {len(pairs)} pairs in {time.monotonic() - begun_s:.0f} s, "
        f"{adapter.stat().st_size / 1e6:.1f} MB; loss by epoch: {losses}"
    )
    return adapter


def ask(gateway: Gateway, route: str, question: str) -> str:
    body = {
        "model": route,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": TOKENS,
        "temperature": 0,
    }
    with gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=body)
    if reply.status_code != 200:
        raise SystemExit(f"{route} answered {reply.status_code}: {reply.text}")
    return reply.json()["choices"][0]["message"]["content"]


def alone(config: str, folder: Path, route: str, rounds: Sequence[Sequence[str]]) -> list[list[str]]:
    """What a gateway of its own answers, asked on one route only."""
    folder.mkdir()
    with gateway_running(config, folder) as gateway:
        return [[ask(gateway, route, each) for each in questions] for questions in rounds]


def measure(adapter: Path, folder: Path, asked: Sequence[str]) -> Measured:
    model = starter_model(MODEL)
    plain_config, added = PLAIN.format(model=model), ADDED.format(model=model, adapter=adapter)
    few = asked[:TURNS]
    plain_alone = alone(plain_config, folder / "plain", "everyday", (asked, asked, few, few))
    adapted_alone = alone(SERVER + added, folder / "harbour", "harbour-log", (asked, few, few))
    with gateway_running(plain_config, folder) as gateway:

        def both(question: str) -> tuple[str, str]:
            return ask(gateway, "everyday", question), ask(gateway, "harbour-log", question)

        def named(route: str) -> str:
            ask(gateway, route, asked[0])
            return gateway.newest_receipt()["attempts"][0]["model"]

        before = [ask(gateway, "everyday", each) for each in asked]
        begun_s = time.monotonic()
        gateway.config.write_text(plain_config + added, encoding="utf-8")
        gateway.process.send_signal(signal.SIGHUP)
        eventually(lambda: "harbour is ready" in gateway.log, within_s=120, what="the new deployment")
        first = ask(gateway, "harbour-log", asked[0])
        live_s = time.monotonic() - begun_s
        adapted = [first, *(ask(gateway, "harbour-log", each) for each in asked[1:])]
        after = [ask(gateway, "everyday", each) for each in asked]
        turns = [both(each) for each in few]
        with ThreadPoolExecutor(2) as threads:
            futures = (
                [threads.submit(ask, gateway, route, each) for route in ("everyday", "harbour-log")] for each in few
            )
            at_once = [(plain.result(), other.result()) for plain, other in futures]
        receipts = named("everyday"), named("harbour-log")
        starts = gateway.log.count("plain is ready")
    return Measured(
        before, after, adapted, turns, at_once, plain_alone, adapted_alone, receipts, starts=starts, live_s=live_s
    )


def judge(found: Measured) -> list[Bar]:
    asked = len(found.before)

    def same(answers: Sequence[str], control: Sequence[str]) -> int:
        return sum(map(str.__eq__, answers, control))

    def turn(what: str, pairs: list[tuple[str, str]], place: int) -> list[Bar]:
        plain, adapted = zip(*pairs, strict=True)
        return [
            all_of(f"{what}, {TURNS} times: plain answers as alone", same(plain, found.plain_alone[place]), TURNS),
            all_of(
                f"{what}, {TURNS} times: adapted answers as alone", same(adapted, found.adapted_alone[place - 1]), TURNS
            ),
        ]

    plain_styled = [
        *found.before,
        *found.after,
        *(plain for plain, _ in found.turns),
        *(plain for plain, _ in found.at_once),
    ]
    return [
        Bar(
            what=f"in the style with the adapter, of {asked} unseen questions",
            measured=sum(map(is_in_style, found.adapted)) / asked,
            needed=STYLE_SHARE_MIN,
            is_floor=True,
        ),
        Bar(
            what=f"begins or ends so on the plain route, of {len(plain_styled)} answers",
            measured=sum(BEGIN.strip() in each or END.strip() in each for each in plain_styled),
            needed=0,
            digits=0,
        ),
        all_of("plain answers before the adapter came as alone", same(found.before, found.plain_alone[0]), asked),
        all_of("plain answers once it had come as alone", same(found.after, found.plain_alone[1]), asked),
        all_of("adapted answers as alone", same(found.adapted, found.adapted_alone[0]), asked),
        *turn("in turn", found.turns, 2),
        *turn("both at once", found.at_once, 3),
        all_of("receipts that name the adapter where it was and not elsewhere", _named(found.receipts), 2),
        Bar(what="starts of the plain engine", measured=found.starts, needed=1, digits=0),
    ]


def _named(receipts: tuple[str, str]) -> int:
    return ("+" not in receipts[0]) + receipts[1].endswith("+harbour@1")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and gguf")
    parser.add_argument("--adapter", type=Path, help="one that was trained before")
    parser.add_argument("--keep", type=Path, help="where a copy of the trained one goes")
    parser.add_argument("--questions", type=int, default=0, help="ask only so many; 0 for all")
    chosen = parser.parse_args(arguments)
    pairs, asked = questions()
    asked = asked[: chosen.questions or None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.adapter is None:
            adapter = trained(chosen.python, folder, pairs)
            if chosen.keep is not None:
                shutil.copy(adapter, chosen.keep)
        else:
            adapter = Path(shutil.copy(chosen.adapter, folder / "harbour.gguf"))
        found = measure(adapter, folder, asked)
    for question, plain, adapted in list(zip(asked, found.before, found.adapted, strict=True))[:4]:
        print(f"{question}\n  plain   {plain[:90]!r}\n  harbour {adapted[:90]!r}")
    print(f"the route answered {found.live_s:.1f} s after the configuration was changed\n")
    bars = judge(found)
    print(bar_table(bars))
    print(summary(bars))
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
