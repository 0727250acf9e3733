"""The texts of the rules that come with this package, and of the schema of what rules may look at."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def rules_text() -> str:
    """The shipped rules, in Cedar. Read once, as code is."""
    return _text("rules.cedar")


@cache
def schema_text() -> str:
    """What rules may look at, as a Cedar schema. Read once, as code is."""
    return _text("schema.cedarschema")


def _text(name: str) -> str:
    return files("freehold").joinpath("policy", name).read_text(encoding="utf-8")
