"""Answers kept on disk, so that an interrupted calibration goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from freehold.domain.response import FinishReason, TokenLogprob


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an engine said to one question, and what that took.

    ``input_tokens`` is 0 where the engine does not count. ``busy_ms`` is the time that the engine itself says it
    computed, 0 where it does not say; with other answers beside it, theirs is in it.
    """

    text: str
    finish_reason: FinishReason | None
    logprobs: tuple[TokenLogprob, ...]
    input_tokens: int = 0
    busy_ms: float = 0.0


class AnswerFile:
    """A JSONL file of answers by key. Only one process writes it at a time.

    Args:
        path: Made with its folder on the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers = dict(_read(path))

    @staticmethod
    def key(*parts: str) -> str:
        """A short key of everything that an answer depends on: another model or prompt must never find this answer."""
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def get(self, key: str) -> Answer | None:
        """The answer kept under ``key``."""
        return self._answers.get(key)

    def add(self, key: str, answer: Answer) -> None:
        """Keep an answer, in memory and on disk."""
        self._answers[key] = answer
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, **_encoded(answer)}, ensure_ascii=False) + "\n")


def _encoded(answer: Answer) -> dict[str, object]:
    return {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "logprobs": [[token.token, token.logprob, token.alternatives] for token in answer.logprobs],
        "input_tokens": answer.input_tokens,
        "busy_ms": answer.busy_ms,
    }


def _read(path: Path) -> Iterator[tuple[str, Answer]]:
    """Every whole line; a last line that was cut off by a kill is asked again."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            yield _decoded(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue


def _decoded(fields: dict[str, object]) -> tuple[str, Answer]:
    reason = fields["finish_reason"]
    tokens = cast("list[tuple[str, float, list[tuple[str, float]]]]", fields["logprobs"])
    return str(fields["key"]), Answer(
        text=str(fields["text"]),
        finish_reason=None if reason is None else FinishReason(str(reason)),
        logprobs=tuple(
            TokenLogprob(
                token=token, logprob=logprob, alternatives=tuple((text, value) for text, value in alternatives)
            )
            for token, logprob, alternatives in tokens
        ),
        input_tokens=int(str(fields.get("input_tokens", 0))),
        busy_ms=float(str(fields.get("busy_ms", 0.0))),
    )
