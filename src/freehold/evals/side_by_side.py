"""The same prompts for several engines in turn: what each takes, and whether they answer alike.

Machines are noisy. What is compared is processor time, which a busy neighbour changes little; the engines take turns
prompt by prompt, in an order that turns too, so that what is left of the noise hits all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from freehold.domain.errors.engine import BenchPromptsUnreadable
from freehold.domain.ports import Clock, Engine
from freehold.domain.request import InferenceRequest
from freehold.domain.response import FinishReason
from freehold.wire.openai_request import decode_chat, decode_completion
from freehold.wire.openai_response import Aggregator

PROMPTS_MAX: Final = 1_000
_FILE_BYTES_MAX: Final = 16 << 20
_BETWEEN: Final = "\n---\n"
_ANSWER_S: Final = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt of the user's: messages for a chat, or text to go on with."""

    messages: tuple[dict[str, object], ...] = ()
    text: str = ""


class Meter(Protocol):
    """What a contestant's process has used."""

    @property
    def cpu_s(self) -> float:
        """Processor seconds since its start."""
        ...

    @property
    def peak_bytes(self) -> int:
        """Most memory that it had."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """An engine that was started.

    Attributes:
        name: For the table.
        engine: It.
        usage: What its process has used so far; ``None`` where that is not known.
    """

    name: str
    engine: Engine
    usage: Callable[[], Meter | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One answer.

    Attributes:
        text: It.
        input_tokens: Of the prompt.
        output_tokens: Of the answer.
        first_token_ms: From the call to its first token.
        writing_ms: From there to its end.
        reading_cpu_s: Processor seconds until the first token; 0 where not known.
        writing_cpu_s: Processor seconds from there on.
    """

    text: str
    input_tokens: int
    output_tokens: int
    first_token_ms: float
    writing_ms: float
    reading_cpu_s: float
    writing_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one contestant, over all prompts.

    Attributes:
        name: Its name.
        tok_per_s: Written, by the clock.
        prompt_tok_per_s: Read, by the clock.
        tok_per_cpu_s: Written, for each processor second; 0 where not known.
        first_token_ms: The middle one.
        peak_bytes: Most memory of its process.
        tokens: Written in all.
        same: Answers equal to the first contestant's.
        answers: Of so many.
    """

    name: str
    tok_per_s: float
    prompt_tok_per_s: float
    tok_per_cpu_s: float
    first_token_ms: float
    peak_bytes: int
    tokens: int
    same: int
    answers: int


def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a file: JSON lines with ``prompt`` or ``messages``, else a text in parts between lines of ``---``.

    Raises:
        BenchPromptsUnreadable: It is not there, too large, holds none, or a line of it cannot be read.
    """
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise BenchPromptsUnreadable(path=str(path), reason=f"it is larger than {_FILE_BYTES_MAX >> 20} MiB")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
        raise BenchPromptsUnreadable(path=str(path), reason=reason) from error
    if path.suffix in {".jsonl", ".ndjson"}:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        prompts = [_from_line(path, number, line) for number, line in lines]
    else:
        parts = [part.strip("\n") for part in f"\n{text}\n".split(_BETWEEN)]
        prompts = [Prompt(messages=({"role": "user", "content": part},)) for part in parts if part.strip()]
    if not 0 < len(prompts) <= PROMPTS_MAX:
        raise BenchPromptsUnreadable(path=str(path), reason=f"it has {len(prompts)}, 1 to {PROMPTS_MAX:,} are taken")
    return tuple(prompts)


def _from_line(path: Path, number: int, line: str) -> Prompt:
    try:
        read: object = json.loads(line)
    except ValueError as error:
        raise BenchPromptsUnreadable(path=str(path), reason=f"line {number} is not JSON") from error
    members = cast("dict[str, object]", read) if isinstance(read, dict) else {}
    prompt, messages = members.get("prompt"), members.get("messages")
    if isinstance(prompt, str) and prompt:
        return Prompt(text=prompt)
    if isinstance(messages, list) and messages:
        return Prompt(messages=tuple(cast("list[dict[str, object]]", messages)))
    raise BenchPromptsUnreadable(path=str(path), reason=f"line {number} has neither a prompt nor messages")


async def side_by_side(
    contestants: Sequence[Contestant],
    prompts: Sequence[Prompt],
    *,
    tokens: int,
    rounds: int,
    clock: Clock,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Row, ...]:
    """Ask each of them each prompt, ``rounds`` times, and sum up. Answers are greedy.

    Args:
        contestants: At least one; the first is what the others are compared with.
        prompts: At least one.
        tokens: Most tokens of an answer, at least 2.
        rounds: How often each is asked.
        clock: Time.
        progress: Told after each answer: how many there are, of how many.

    Raises:
        FreeholdError: An engine failed.
    """
    runs: dict[str, list[Run]] = {each.name: [] for each in contestants}
    done, of = 0, rounds * len(prompts) * len(contestants)
    for turn in range(rounds):
        for number, prompt in enumerate(prompts):
            first = (turn + number) % len(contestants)
            for each in (*contestants[first:], *contestants[:first]):
                runs[each.name].append(await _run(each, prompt, tokens=tokens, scope=f"{turn} {number}", clock=clock))
                done += 1
                progress(done, of)
    against = [run.text for run in runs[contestants[0].name]]
    return tuple(_row(each, runs[each.name], against) for each in contestants)


async def _run(contestant: Contestant, prompt: Prompt, *, tokens: int, scope: str, clock: Clock) -> Run:
    """One answer. Each round has a scope of its own, so that every prompt is read anew."""
    engine, answer = contestant.engine, Aggregator()
    call = engine.prepare(_request(prompt, tokens), want_logprobs=0, cache_scope=scope)
    begun_ms, begun_cpu_s = clock.monotonic_s() * 1000, _cpu(contestant)
    first_ms = first_cpu_s = None
    stream = engine.stream(call, permit=None, deadline_s=clock.monotonic_s() + _ANSWER_S)
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            answer.add(chunk)
            if first_ms is None and answer.text:
                first_ms, first_cpu_s = clock.monotonic_s() * 1000, _cpu(contestant)
    ended_ms, ended_cpu_s = clock.monotonic_s() * 1000, _cpu(contestant)
    usage = answer.usage
    first_ms, first_cpu_s = first_ms or ended_ms, ended_cpu_s if first_cpu_s is None else first_cpu_s
    return Run(
        text=answer.text + ("" if answer.finish_reason is FinishReason.LENGTH else "\0"),
        input_tokens=0 if usage is None else usage.input_tokens,
        output_tokens=0 if usage is None else usage.output_tokens,
        first_token_ms=first_ms - begun_ms,
        writing_ms=ended_ms - first_ms,
        reading_cpu_s=first_cpu_s - begun_cpu_s,
        writing_cpu_s=ended_cpu_s - first_cpu_s,
    )


def _request(prompt: Prompt, tokens: int) -> InferenceRequest:
    body: dict[str, object] = {"model": "bench", "max_tokens": tokens, "temperature": 0, "seed": 1}
    if prompt.messages:
        return decode_chat(json.dumps(body | {"messages": prompt.messages}).encode(), request_id="bench")
    return decode_completion(json.dumps(body | {"prompt": prompt.text}).encode(), request_id="bench")


def _cpu(contestant: Contestant) -> float:
    usage = contestant.usage()
    return 0.0 if usage is None else usage.cpu_s


def _row(contestant: Contestant, runs: Sequence[Run], against: Sequence[str]) -> Row:
    usage = contestant.usage()
    written = sum(max(0, run.output_tokens - 1) for run in runs)  # the first one belongs to reading
    firsts = sorted(run.first_token_ms for run in runs)
    return Row(
        name=contestant.name,
        tok_per_s=_rate(written, sum(run.writing_ms for run in runs) / 1000),
        prompt_tok_per_s=_rate(sum(run.input_tokens for run in runs), sum(firsts) / 1000),
        tok_per_cpu_s=_rate(written, sum(run.writing_cpu_s for run in runs)),
        first_token_ms=firsts[len(firsts) // 2],
        peak_bytes=0 if usage is None else usage.peak_bytes,
        tokens=sum(run.output_tokens for run in runs),
        same=sum(run.text == other for run, other in zip(runs, against, strict=True)),
        answers=len(runs),
    )


def _rate(tokens: int, seconds: float) -> float:
    return tokens / seconds if seconds > 0 else 0.0
