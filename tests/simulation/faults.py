"""What can go wrong, and how often: the table that every choice of a fault is drawn from."""

from __future__ import annotations

import random
from collections.abc import Mapping

CONNECT: Mapping[str, float] = {"accept": 0.90, "slow": 0.04, "refuse": 0.04, "stall": 0.02}
"""What a new connection to an upstream meets."""

ANSWER: Mapping[str, float] = {
    "good": 0.52,
    "good_by_close": 0.03,
    "good_json": 0.03,
    "good_then_close": 0.05,
    "interim": 0.03,
    "flood": 0.02,
    "second_message": 0.02,
    "silent_first": 0.02,
    "reset_before": 0.02,
    "fin_before": 0.02,
    "status_500": 0.03,
    "status_429": 0.03,
    "html_200": 0.02,
    "short_length": 0.02,
    "long_length": 0.02,
    "error_event": 0.02,
    "fin_mid": 0.03,
    "reset_mid": 0.03,
    "garbage_mid": 0.02,
    "silent_mid": 0.02,
}
"""What an upstream answers to a request."""

WHOLE = frozenset({"good", "good_by_close", "good_json", "good_then_close", "interim", "flood", "second_message"})
"""Answers that a client may get as whole ones."""

WORLD: Mapping[str, float] = {
    "disk_full": 0.05,
    "receipts_locked": 0.06,
    "receipts_full": 0.03,
    "clock_jump": 0.10,
    "reload": 0.12,
    "sigterm": 0.12,
    "revoke": 0.08,
    "memory": 0.06,
}
"""What may happen to the gateway itself, each with its share of the runs."""

ASK: Mapping[str, float] = {
    "good": 0.80,
    "wrong_key": 0.03,
    "no_key": 0.02,
    "bad_json": 0.04,
    "unknown_model": 0.02,
    "too_large": 0.02,
    "half_head": 0.025,
    "half_body": 0.025,
    "wrong_host": 0.01,
    "wrong_method": 0.01,
}
"""What a client sends."""

REFUSALS = {
    "wrong_key": {401},
    "no_key": {401},
    "bad_json": {400},
    "unknown_model": {404},
    "too_large": {413},
    "half_head": {408},
    "half_body": {408},
    "wrong_host": {400, 403, 421},
    "wrong_method": {405},
}
"""The only answers to what is not a good request."""


def draw(chance: random.Random, table: Mapping[str, float]) -> str:
    """One entry of a table by its weight."""
    return chance.choices(list(table), weights=list(table.values()))[0]
