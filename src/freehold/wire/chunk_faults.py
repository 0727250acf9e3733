"""What can be wrong with one event of an upstream; engines turn these into errors that name the deployment."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]


class InvalidChunkError(ValueError):
    """An event of an upstream is not what its dialect promises."""


class ErrorEventError(ValueError):
    """An event of an upstream is an error; ``error`` is its object."""

    def __init__(self, error: JsonObject) -> None:
        super().__init__("error event")
        self.error = error
