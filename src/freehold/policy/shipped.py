"""The texts of the rules and the schema that come with this package. Read once, as code is."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def rules_text() -> str:
    """The shipped rules, in Cedar."""
    return _text("rules.cedar")


@cache
def schema_text() -> str:
    """What rules may look at, as a Cedar schema."""
    return _text("schema.cedarschema")


def _text(name: str) -> str:
    return files("freehold.policy").joinpath(name).read_text(encoding="utf-8")
