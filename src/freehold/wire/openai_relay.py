"""Answers in OpenAI's dialect that pass through as they came: what a receipt needs to know of them, and no more.

Nothing here changes a byte that a client gets. Of a stream one event may be left out: the usage that Freehold asked
for and the client did not, since clients that did not ask expect a choice in every event.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec

from freehold.domain.response import Usage
from freehold.wire.chunk_faults import ErrorEventError, InvalidChunkError
from freehold.wire.openai_response import finish_reason
from freehold.wire.openai_usage import timings_of, usage_of
from freehold.wire.relay import EventCutter, Noted
from freehold.wire.sse import SseParser

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
        _note(self, answer)


class StreamRelay(EventCutter):
    """Cuts a stream of OpenAI's dialect.

    Args:
        keep_usage: Whether the client asked for the event with the usage.
    """

    __slots__ = ("_keep_usage",)

    def __init__(self, *, keep_usage: bool) -> None:
        super().__init__()
        self._keep_usage = keep_usage

    @property
    def is_whole(self) -> bool:
        """Whether it may be over: some servers leave the end out, but say why they ended."""
        return self.ended or self.finish_reason is not None

    @staticmethod
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
            _note(self, answer)
            if answer.usage is not None and not answer.choices and not self._keep_usage:
                return False
            self.begun = self.begun or any(map(_says_something, answer.choices or ()))
        return True

    def _inspect(self, data: bytes) -> None:
        for parsed in (parser := SseParser()).feed(data) + parser.close():
            _note(self, _decode_event(parsed.data))


def _note(noted: Noted, answer: _Answer | _OddAnswer) -> None:
    if answer.usage is not None:
        noted.usage = _usage(answer.usage) or noted.usage
    if answer.timings is not None:
        noted.timings = timings_of(answer.timings) or noted.timings
    if answer.choices and (word := answer.choices[0].finish_reason):
        noted.finish_reason = finish_reason(word)


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
