"""What the vault's benchmarks of answers share: the data, and a starter model that is asked with passages."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from freehold.domain.vault import Passage
from freehold.gateway.grounding import prompt_of
from freehold.vault.words import kept_terms
from tests.models import starter_model

TOKENS_MAX = 60


def vault_data() -> Path:
    """The labelled data, which is not in the repository."""
    folder = os.environ.get("FREEHOLD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data"
    return Path(folder) / "vault"


def load_lines(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def best_tokens(gold: str, said: str) -> float:
    """Share of the gold answer's terms that are in what was said."""
    wanted, found = Counter(kept_terms(gold).split()), Counter(kept_terms(said).split())
    return (wanted & found).total() / max(1, wanted.total())


class Asker:
    """Asks a starter model with passages as the gateway does; answers are kept in a file and not asked for again.

    Args:
        model: Its name.
        folder: Where answers are kept.
    """

    def __init__(self, model: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{model}.jsonl"
        self._model = model
        self._server: Any = None
        self._known: dict[str, tuple[str, list[float]]] = {}
        if self._file.is_file():
            for each in load_lines(self._file):
                self._known[each["key"]] = each["text"], each["logprobs"]

    def knows(self, question: str, passages: Sequence[Passage]) -> bool:
        """Whether its answer is kept."""
        return _prompt(question, passages)[1] in self._known

    def ask(self, question: str, passages: Sequence[Passage]) -> tuple[str, list[float]]:
        """The answer, and the log-probabilities of its tokens."""
        prompt, key = _prompt(question, passages)
        if key not in self._known:
            self._known[key] = self._answer(prompt)
            text, logprobs = self._known[key]
            with self._file.open("a", encoding="utf-8") as file:
                told = {
                    "key": key,
                    "question": question,
                    "text": text,
                    "logprobs": [round(each, 4) for each in logprobs],
                }
                file.write(json.dumps(told, ensure_ascii=False) + "\n")
        return self._known[key]

    def _answer(self, prompt: str) -> tuple[str, list[float]]:
        if self._server is None:
            self._server = _started(starter_model(self._model))
        asked = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": TOKENS_MAX,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 1,
        }
        reply: Any = self._server.handle_chat_completions(asked)
        answer = json.loads(reply) if isinstance(reply, str | bytes) else reply
        choice: dict[str, Any] = answer["choices"][0]
        told = cast("dict[str, Any]", choice.get("logprobs") or {})
        tokens = cast("list[dict[str, Any]]", told.get("content") or [])
        return str(choice["message"]["content"] or ""), [float(str(each["logprob"])) for each in tokens]

    def close(self) -> None:
        """Let the model go."""
        self._server = None


def _prompt(question: str, passages: Sequence[Passage]) -> tuple[str, str]:
    """The gateway's, and the name under which its answer is kept."""
    prompt = f"{prompt_of(passages)}\n\n{question}"
    return prompt, hashlib.sha256(prompt.encode()).hexdigest()


def _started(path: Path) -> Any:
    xllamacpp: Any = importlib.import_module("xllamacpp")  # only where a model is asked
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel = 4096, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    settings.cache_ram_mib, settings.fit_params, settings.offline = 0, False, True
    settings.hostnames = [str(Path(tempfile.mkdtemp()) / "engine.sock")]
    return xllamacpp.Server(settings)
