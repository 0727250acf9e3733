"""Answers in OpenAI's dialect that pass through as they came: what a receipt needs to know of them, and no more.

Nothing here changes a byte that a client gets. Of a stream one event may be left out: the usage that Freehold asked
for and the client did not, since clients that did not ask expect a choice in every event.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

import msgspec

from freehold.domain.response import EngineTimings, FinishReason, Usage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_response import finish_reason
from freehold.wire.openai_usage import timings_of, usage_of
from freehold.wire.sse import EVENT_BYTES_MAX, EventTooLongError, SseParser

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
"""The end of an event (WHATWG HTML, section 9.2.6): two line ends of any kind."""

_END = b"[DONE]"
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    delta: dict[str, Any] | None = None
    text: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """OpenAI's usage as nearly every server reports it; any other shape is read by ``usage_of``."""

    prompt_tokens: _Count
    completion_tokens: _Count = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    """The members of an event, or of a whole answer, that a receipt needs; of any others only that they are JSON."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: dict[str, Any] | None = None
    error: Any = None


class _OddAnswer(msgspec.Struct):
    """The same of a server whose usage has another shape."""

    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Answer)
_ODD_DECODER = msgspec.json.Decoder(_OddAnswer)


class Noted:
    """What was learnt of an answer.

    Attributes:
        usage: As reported last; ``None`` where it was not.
        timings: What the engine says of its speed.
        finish_reason: Why it ended; ``None`` where that was not seen.
    """

    __slots__ = ("finish_reason", "timings", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.timings: EngineTimings | None = None
        self.finish_reason: FinishReason | None = None

    def _note(self, answer: _Answer | _OddAnswer) -> None:
        if answer.usage is not None:
            self.usage = _usage(answer.usage) or self.usage
        if answer.timings is not None:
            self.timings = timings_of(answer.timings) or self.timings
        if answer.choices and (word := answer.choices[0].finish_reason):
            self.finish_reason = finish_reason(word)


class WholeAnswer(Noted):
    """A whole answer as it came.

    Attributes:
        body: Its bytes.
    """

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        """Look at a body.

        Raises:
            ErrorEventError: It reports an error, although its status says that all is well.
            InvalidChunkError: It is not an answer in this dialect.
        """
        super().__init__()
        self.body = body
        answer = _decode(body)
        if not answer.choices:
            raise InvalidChunkError('a body without a list "choices"')
        self._note(answer)


class StreamRelay(Noted):
    """Cuts a stream into whole events and passes them on, however the bytes are split.

    Args:
        keep_usage: Whether the client asked for the event with the usage.

    Attributes:
        begun: A part of the answer, not only its first event with a role, was passed on.
        ended: The dialect's end was seen.
        end: The bytes of that end, as they came.
        events: Pieces of whole events that were passed on: about one a token.
        error: Why the stream is broken: it reported an error, an event that was passed on if ``begun``, or it holds an
            event that is not in this dialect, which was not. Nothing follows it.
    """

    __slots__ = ("_before", "_keep_usage", "_last", "_pending", "begun", "end", "ended", "error", "events")

    def __init__(self, *, keep_usage: bool) -> None:
        super().__init__()
        self._keep_usage = keep_usage
        self._pending: bytes = b""
        self._before: bytes = b""
        self._last: bytes = b""
        self.begun = False
        self.ended = False
        self.end = b""
        self.events = 0
        self.error: ErrorEventError | InvalidChunkError | None = None

    def feed(self, data: bytes) -> bytes:
        """The whole events that ``data`` completes, as they came; empty for none. Nothing follows the end.

        Raises:
            EventTooLongError: An event does not end within the limit.
        """
        if self._pending:
            data = self._pending + data
            self._pending = b""
        if not data.endswith(b"\n\n"):
            cut = _last_end(data)
            self._pending = data[cut:]
            if len(self._pending) > EVENT_BYTES_MAX:
                raise EventTooLongError(f"an event has more than {EVENT_BYTES_MAX} bytes")
            data = data[:cut]
            if not data:
                return b""
        if not (self.begun and _is_plain(data)):
            return self._look(data)
        self.events += 1
        self._before, self._last = self._last, data
        return data

    def close(self) -> bytes:
        """The rest: an event whose blank line the end of the stream has cut off. Also looks why generation ended."""
        data, self._pending = self._pending, b""
        passed = self._look(data) if data else b""
        for unseen in (self._last, self._before):
            if unseen and self.finish_reason is None and self.error is None:
                try:
                    self._inspect(unseen)
                except InvalidChunkError as error:
                    self.error = error
        return passed

    def _look(self, data: bytes) -> bytes:
        """Pass on event by event."""
        passed: list[bytes] = []
        start = 0
        for end in (*(found.end() for found in _BLANK_LINE.finditer(data)), len(data)):
            event, start = data[start:end], end
            if not event or self.ended or self.error is not None:
                continue
            try:
                if self._passes(event):
                    passed.append(event)
            except InvalidChunkError as error:
                self.error = error
        whole = b"".join(passed)
        if whole:
            self.events += 1
        return whole

    def _passes(self, event: bytes) -> bool:
        """Whether the client gets this event, and what is learnt of it."""
        for parsed in (parser := SseParser()).feed(event) + parser.close():
            if parsed.data == _END:
                self.ended, self.end = True, event
                return False
            answer = _decode_event(parsed.data)
            if answer.error:
                self.error = ErrorEventError(_error(answer.error))
                return self.begun
            if answer.choices is None and parsed.event == "error":
                self.error = ErrorEventError({"message": "an error event"})
                return self.begun
            self._note(answer)
            if answer.usage is not None and not answer.choices and not self._keep_usage:
                return False
            self.begun = self.begun or any(map(_says_something, answer.choices or ()))
        return True

    def _inspect(self, data: bytes) -> None:
        for parsed in (parser := SseParser()).feed(data) + parser.close():
            self._note(_decode_event(parsed.data))


def _is_plain(data: bytes) -> bool:
    """Whether each event here is one object on one line, and none says what we must know.

    Whatever else it is gets looked at before a client stumbles over it.
    """
    # The names stand between quotes only as names of members: inside a text their quotes are escaped.
    return (
        data.endswith(b"}\n\n")
        and data.startswith(b"data: {")
        and (data.find(b"\n") == len(data) - 2 or data.count(b"\n") == 2 * data.count(b"}\n\ndata: {") + 2)
        and b'"error"' not in data
        and (b'"usage"' not in data or data.count(b'"usage"') == data.count(b'"usage":null'))
    )


def _usage(usage: _Usage | dict[str, Any]) -> Usage | None:
    if isinstance(usage, dict):
        return usage_of(usage)
    inputs, outputs = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_tokens=(inputs.cached_tokens or 0) if inputs is not None else 0,
        reasoning_tokens=(outputs.reasoning_tokens or 0) if outputs is not None else 0,
    )


def _last_end(data: bytes) -> int:
    """Where the last whole event ends; 0 if none does."""
    if b"\r" not in data:
        return data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
    # A carriage return at the very end may be the first half of a line end: wait for what follows.
    looked_at = data[:-1] if data.endswith(b"\r") else data
    end = 0
    for found in _BLANK_LINE.finditer(looked_at):
        end = found.end()
    return end


def _says_something(choice: _Choice) -> bool:
    if choice.text or choice.finish_reason:
        return True
    return bool(choice.delta) and any(value for name, value in choice.delta.items() if name != "role")


def _decode(body: bytes) -> _Answer | _OddAnswer:
    answer = _decoded(body, "a body that is no answer")
    if answer.error:
        raise ErrorEventError(_error(answer.error))
    return answer


def _decode_event(data: bytes) -> _Answer | _OddAnswer:
    return _decoded(data, "an event is not a JSON object")


def _decoded(data: bytes, what: str) -> _Answer | _OddAnswer:
    try:
        try:
            return _DECODER.decode(data)
        except msgspec.ValidationError:
            return _ODD_DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidChunkError(f"{what}: {error}") from None


def _error(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"message": str(value)}
