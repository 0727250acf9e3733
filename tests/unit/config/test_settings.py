"""The schema as a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from freehold.config.lines import KeyPath
from freehold.config.settings import general_path, names_beside, setting_at, tables, toml_value


@pytest.mark.parametrize(
    ("path", "kind", "default", "required"),
    [
        (("server", "port"), "whole number, 0 to 65,535", "8484", False),
        (("server", "hosts"), "list of texts", "[]", False),
        (("server", "log_format"), '"text" or "json"', '"text"', False),
        (("deployments", "x", "engine"), '"embedded" or "llama-server" or "onnx" or "openai" or "anthropic"', "", True),
        (("deployments", "x", "api_key"), "env:NAME or file:PATH", "", False),
        (("deployments", "x", "vision"), "true or false", "false", False),
        (("deployments", "x", "price", "input_per_mtok"), "amount", "", True),
        (("deployments", "x", "evidence", "expires"), "date without quotes, like 2026-12-31", "", False),
        (("routes", "x", "deployments", 0), "list of names", "", True),
        (("routes", "x", "accept_at"), "number, 0 to 1", "0.7", False),
        (("aliases", "x"), "name", "", False),
        (("ledger", "power_price_per_kwh"), "amount", "0.25", False),
    ],
)
def test_setting(path: KeyPath, kind: str, default: str, required: bool) -> None:
    setting = setting_at(path)
    assert setting is not None
    assert (setting.kind, setting.default, setting.required) == (kind, default, required)


@pytest.mark.parametrize("path", [("server",), ("server", "prot"), ("deployments", "x"), ("x", "y"), ()])
def test_no_setting(path: KeyPath) -> None:
    assert setting_at(path) is None


def test_names_of_the_user_are_generalised() -> None:
    assert general_path(("deployments", "small", "price", "input_per_mtok"))[1:3] == ("NAME", "price")
    assert general_path(("routes", "auto", "deployments", 2)) == ("routes", "NAME", "deployments")


def test_names_beside() -> None:
    assert "server" in names_beside(("servr",))
    assert set(names_beside(("deployments", "x", "price", "y"))) == {
        "input_per_mtok",
        "output_per_mtok",
        "cached_input_per_mtok",
        "since",
    }
    assert names_beside(("aliases", "x")) == ()
    assert names_beside(("server", "port", "x")) == ()


def test_every_table_says_what_it_is_for() -> None:
    assert [table.path[0] for table in tables()][:3] == ["server", "site", "deployments"]
    assert all(table.description.endswith(".") and table.settings for table in tables())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (8484, "8484"),
        (16_777_216, "16_777_216"),
        (0.7, "0.7"),
        (Decimal("0.25"), "0.25"),
        ('a"\\', '"a\\"\\\\"'),
        (["a", 1], '["a", 1]'),
        (None, ""),
    ],
)
def test_toml_value(value: object, text: str) -> None:
    assert toml_value(value) == text
