"""One value of a table: what it has to be, and as what it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import cast

from freehold.evals.replay.schema import LOG_FLOOR, Column, Kind


class CellError(ValueError):
    """The value is not one of its column; the text says what is."""


def checked(column: Column, value: object) -> object:
    """``value`` as its column keeps it; ``None`` where it is not known.

    Raises:
        CellError: It is none of that column.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if column.needed:
            raise CellError("stands where one is needed")
        return None
    return _CHECKS[column.kind](column, value)


def _text(column: Column, value: object) -> str:
    if not isinstance(value, str):
        raise CellError(f"is not {column.kind.value}")
    if column.needed and not value.strip():
        raise CellError("is empty")
    return value


def _number(column: Column, value: object) -> float:
    if not isinstance(value, int | float) or (isinstance(value, bool) and column.high != 1.0):
        raise CellError(f"is not {column.kind.value}")
    number = float(value)
    if column.clipped and number < LOG_FLOOR:
        return LOG_FLOOR
    if not column.low <= number <= column.high or math.isinf(number):
        raise CellError(f"is not {column.range}")
    return number


def _whole(column: Column, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise CellError(f"is not {column.kind.value}")
    if value < column.low:
        raise CellError(f"is not {column.range}")
    return int(value)


def _flag(column: Column, value: object) -> bool:
    if not isinstance(value, bool):
        raise CellError(f"is not {column.kind.value}")
    return value


def _numbers(column: Column, value: object) -> Mapping[str, float]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else {}
        except ValueError as error:
            raise CellError(f"is not {column.kind.value}") from error
    if not isinstance(value, Mapping):
        raise CellError(f"is not {column.kind.value}")
    found = cast("Mapping[str, object]", value)
    numbers: dict[str, float] = {}
    for name, each in found.items():
        if isinstance(each, bool) or not isinstance(each, int | float) or not math.isfinite(each):
            raise CellError(f"is not {column.kind.value}: {name} is not one")
        numbers[name] = float(each)
    return numbers


_CHECKS: Mapping[Kind, Callable[[Column, object], object]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.WHOLE: _whole,
    Kind.FLAG: _flag,
    Kind.NUMBERS: _numbers,
}
