"""llama.cpp in a process of its own with settings that the product does not have, asked by lines of JSON.

``Child(MODEL, {"n_ubatch": 64, "speculative.draft.n_max": 2})`` starts one; ``ask`` hands a body to its completions and says
what processor time the process took. For measuring only: nothing here is supervised, jailed or authenticated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
_ENUMS = {
    "speculative.types": ("common_speculative_type", "COMMON_SPECULATIVE_TYPE_"),
    "flash_attn_type": ("llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_"),
}


@dataclass(frozen=True)
class Token:
    """A token of an answer: its id, and the likeliest ones at its place with their log-probabilities, best first."""

    id: int
    likeliest: tuple[tuple[int, float], ...]

    @property
    def gap(self) -> float:
        """Between the two likeliest, in nats: the difference of their logits."""
        return self.likeliest[0][1] - self.likeliest[1][1]


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        text: It.
        tokens: With alternatives, where they were asked for.
        written: How many tokens.
        known: Tokens of the prompt that were not read anew.
        drafted, accepted: Guessed tokens, and those of them that stood.
        cpu_s: Processor time of the whole process meanwhile.
    """

    text: str
    tokens: tuple[Token, ...]
    written: int
    known: int
    drafted: int
    accepted: int
    cpu_s: float


class Child:
    """A process with one model, for ``with``."""

    def __init__(self, model: Path, settings: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.llama_child"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._call({"model": str(model), "settings": dict(settings)})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, prompt: str | list[str | int], *, tokens: int, likeliest: int = 0, slot: int = 0) -> Reply:
        """Go on with a prompt, greedily; what the slot read before is not read again."""
        body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "cache_prompt": True, "id_slot": slot}
        told = self._call(body | ({"logprobs": likeliest, "n_probs": likeliest} if likeliest else {}))
        answer, timings = told["reply"]["choices"][0], told["reply"].get("timings", {})
        entries = (answer.get("logprobs") or {}).get("content", [])
        return Reply(
            text=answer["text"],
            tokens=tuple(
                Token(each["id"], tuple((other["id"], other["logprob"]) for other in each["top_logprobs"]))
                for each in entries
            ),
            written=told["reply"]["usage"]["completion_tokens"],
            known=timings.get("cache_n", 0),
            drafted=timings.get("draft_n", 0),
            accepted=timings.get("draft_n_accepted", 0),
            cpu_s=told["cpu_s"],
        )

    def _call(self, body: Mapping[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(body) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise SystemExit(f"llama.cpp ended with {self._process.wait()} at {str(body)[:200]}")
        return json.loads(line)


def _meant(xllamacpp: Any, name: str, value: Any) -> Any:
    """A setting's value, as llama.cpp has it."""
    if name not in _ENUMS:
        return value
    group, prefix = _ENUMS[name]
    found = getattr(getattr(xllamacpp, group), prefix + value)
    return [found] if name == "speculative.types" else found


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp writes to standard output too
    import xllamacpp

    order = json.loads(sys.stdin.readline())
    params: Any = xllamacpp.CommonParams()
    params.model.path, params.model_alias = order["model"], ["bench"]
    params.n_parallel, params.cache_ram_mib, params.fit_params, params.offline = 1, 0, False, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    for name, value in order["settings"].items():
        *path, last = name.split(".")
        target = params
        for part in path:
            target = getattr(target, part)
        setattr(target, last, _meant(xllamacpp, name, value))
    server = xllamacpp.Server(params)

    def tell(body: Mapping[str, Any]) -> None:
        answers.write(json.dumps(body) + "\n")
        answers.flush()

    tell({})
    for line in sys.stdin:
        begun_s = time.process_time()
        reply = server.handle_completions(json.loads(line))
        tell({"reply": reply, "cpu_s": time.process_time() - begun_s})


if __name__ == "__main__":
    _serve()
