"""The base of all errors: one object for HTTP, SSE, CLI and console."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from freehold.domain.limits import Standing

_VALUE_CHARACTERS = 120
"""Of a value that a client may have sent."""

_TEXT_CHARACTERS = 600
"""Of a text of ours."""

_LEFT_OUT = "(its words are not kept)"
"""Stands in records where others' words would."""

_FIELD = re.compile(r"\{(\w+)(?:!s)?\}")


class FreeholdError(Exception):
    """Something went wrong inside Freehold.

    A subclass states in the first paragraph of its docstring the message template (what happened, which
    value, what to do next); the rest of the docstring is the page that ``freehold explain CODE`` prints.
    Values are given by name and shown with ``repr``, cut at 120 characters; a text of ours, a
    number or a command is shown bare with ``{name!s}``, cut at 600.

    Attributes:
        code: Stable and never reused, for example ``FH-POLICY-001``.
        status: HTTP status of the answer.
        type: The ``type`` of OpenAI's error envelope.
        openai_code: The ``code`` that OpenAI's clients look for; ``None`` where OpenAI has none.
        retryable: Whether the same request may succeed later.
        source: Who failed: ``"freehold"`` or the name of a deployment.
        param: The request member at fault, if one is.
        retry_after_s: When a retry makes sense, in seconds; ``None`` where unknown.
        standings: How the caller stands with its limits, for headers; empty where none were looked at.
        quotes: Names of the values in which others' words stand, an upstream's for one. They may repeat what was asked:
            who asked is told them, and no record keeps them.
    """

    code: ClassVar[str] = "FH-SERVER-000"
    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    openai_code: ClassVar[str | None] = None
    retryable: ClassVar[bool] = False
    standings: tuple[Standing, ...] = ()
    quotes: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        source: str = "freehold",
        param: str | None = None,
        retry_after_s: float | None = None,
        **values: object,
    ) -> None:
        self.source = source
        self.param = param
        self.retry_after_s = retry_after_s
        self.values = values
        self.message = self._message(frozenset())
        super().__init__(self.message)

    @property
    def recorded(self) -> str:
        """The message as receipts keep it, without the words of others."""
        return self._message(self.quotes) if self.quotes else self.message

    def _message(self, without: frozenset[str]) -> str:
        shown = {name: Shown(_LEFT_OUT if name in without else value) for name, value in self.values.items()}
        return message_template(type(self)).format(**shown)

    def again(self) -> Self:
        """The same error, to be raised by who keeps this one.

        One that was raised holds the frames it came through, and so whoever keeps it there: a cycle with whole requests.
        """
        same = type(self).__new__(type(self), *self.args)
        same.__dict__.update(self.__dict__)
        return same

    @property
    def http_status(self) -> int:
        """HTTP status of this instance; a relayed upstream status may differ from the class's."""
        return self.status

    @property
    def wire_code(self) -> str:
        """The envelope's ``code``: OpenAI's own word where it has one, else ours."""
        return self.openai_code or self.code


class Shown:
    """A value inside a message: bounded in length, and never able to break the line."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        quoted = isinstance(self._value, (str, bytes)) and spec != "s"
        text = repr(self._value) if quoted else str(self._value)
        lead = " " if text[:1].isspace() else ""  # a suggestion brings the space before it
        text = lead + " ".join(text.split())
        limit = _VALUE_CHARACTERS if quoted else _TEXT_CHARACTERS
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def __str__(self) -> str:
        return format(self, "s")


def message_template(error: type[FreeholdError]) -> str:
    """First paragraph of the docstring as one line."""
    paragraph = (error.__doc__ or error.code).strip().split("\n\n", 1)[0]
    return " ".join(line.strip() for line in paragraph.splitlines())


def message_shape(error: type[FreeholdError]) -> str:
    """The message with its values as words in capitals, for pages about the error."""
    return _FIELD.sub(lambda found: found[1].upper(), message_template(error))


def page(error: type[FreeholdError]) -> str:
    """What ``freehold explain CODE`` prints below the message: the docstring after its first paragraph."""
    _, _, rest = (error.__doc__ or "").strip().partition("\n\n")
    return "\n".join(line.strip() for line in rest.splitlines()).strip()


def catalogue() -> dict[str, type[FreeholdError]]:
    """All concrete errors that are imported, by code."""
    found: dict[str, type[FreeholdError]] = {}
    pending = [FreeholdError]
    while pending:
        for error in pending.pop().__subclasses__():
            pending.append(error)
            if "code" in vars(error):
                found[error.code] = error
    return dict(sorted(found.items()))
