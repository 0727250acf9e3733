"""Limits, tenants and usage without a server."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.limits import Limit, Measure, Subject, SubjectKind, Window, span_of
from freehold.hostinfo.clock import SystemClock
from freehold.identity.limit_book import LIMITS_OF_ONE_MAX
from freehold.storage.database import Database
from freehold.storage.folder import DataFolder
from freehold.storage.keys import SqliteKeys
from freehold.storage.limits import SqliteLimits
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_attempt, make_receipt, receipt_id
from tests.unit.cli.conftest import Cli


@pytest.fixture
def used(cli: Cli, home: Path) -> str:
    """Two tenants, a key with a dangerous name, and what it used in this month; the key's id."""
    home.mkdir()
    (home / "freehold.toml").write_text('[tenants.legal]\nlabel = "confidential"\n[tenants.other]\n')
    key = json.loads(cli("keys", "new", "=1+1", "--json").out)["id"]
    start = span_of(Window.MONTH, SystemClock().unix_ms()).from_unix_ms
    kept = [
        make_receipt(id=receipt_id(1), created_unix_ms=start, tenant="legal", key_id=key),
        make_receipt(
            id=receipt_id(2), created_unix_ms=start, tenant="legal", key_id=key, attempts=(make_attempt(cost=None),)
        ),
        make_receipt(
            id=receipt_id(3), created_unix_ms=start, tenant="legal", key_id=key, outcome=Outcome.REFUSED, attempts=(),
            answered_index=None,
        ),
        make_receipt(id=receipt_id(4), created_unix_ms=start - 1, tenant="legal", key_id=key),
    ]  # fmt: skip
    database = Database.open(home / "freehold.db")
    store = SqliteReceipts(database, journal=home / "receipts")
    store.keep(*kept)
    store.close()
    database.close()
    return key


def test_a_limit_is_set_listed_with_its_use_and_removed(cli: Cli, home: Path, used: str) -> None:
    with DataFolder.open(home):  # while a server holds it
        assert cli("limits", "set", f"key:{used}", "tokens", "month", "1_000").out == (
            f"key:{used}: at most 1,000 tokens a month.\n"
        )
    shown = json.loads(cli("limits", "set", "tenant:legal", "money", "month", "12.5", "--json").out)
    assert (shown["amount"], shown["currency"], shown["used"]) == ("12.500000", "USD", "0.000012")
    cli("limits", "set", "tenant:legal", "requests", "minute", "0")
    cli("limits", "set", "tenant:legal", "money", "day", "1", "--currency", "EUR")
    found = {
        (each["subject"], each["what"], each["window"]): each
        for each in json.loads(cli("limits", "list", "--json").out)
    }
    assert found[f"key:{used}", "tokens", "month"]["used"] == 50
    assert found["tenant:legal", "requests", "minute"]["used"] is None
    assert found["tenant:legal", "money", "day"]["currency"] == "EUR"
    text = cli("limits", "list").out
    assert "12.5 USD" in text
    assert "0 requests" in text
    assert cli("limits", "remove", "tenant:legal", "money", "day", "--currency", "EUR").code == 0
    assert cli("limits", "remove", "tenant:legal", "money", "month").out == (
        "tenant:legal is no longer held to money a month.\n"
    )
    assert cli("limits", "remove", "tenant:legal", "money", "month").err.startswith("FH-LIMIT-007: the limit is ")
    assert len(json.loads(cli("limits", "list", "--json").out)) == 2


def test_a_limit_of_a_key_shows_what_all_keys_of_its_line_used(cli: Cli, used: str) -> None:
    later = json.loads(cli("keys", "rotate", used, "--json").out)["id"]
    for key in (used, later):
        assert json.loads(cli("limits", "set", f"key:{key}", "tokens", "month", "1_000", "--json").out)["used"] == 50
    assert [each["used"] for each in json.loads(cli("limits", "list", "--json").out)] == [50, 50]


def test_who_changes_a_limit_waits_for_the_audit_log(cli: Cli, home: Path, used: str) -> None:
    cli("limits", "set", f"key:{used}", "tokens", "month", "1")
    cli("limits", "set", "tenant:legal", "money", "month", "2")
    cli("limits", "remove", "tenant:legal", "money", "month")
    cli("limits", "remove", "tenant:legal", "money", "month")
    database = Database.open(home / "freehold.db")
    found = [each for each in SqliteKeys(database).events() if each.event.startswith("limit.")]
    database.close()
    assert [(each.event, each.tenant, each.key_id, each.detail["before"]) for each in found] == [
        ("limit.set", "legal", used, None),
        ("limit.set", "legal", "", None),
        ("limit.removed", "legal", "", 2_000_000),
    ]
    assert {each.by for each in found} == {f"freehold limits, user {os.getuid()}"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ("tenant:nobody", "tokens", "day", "5"),
            1,
            "FH-LIMIT-007: the subject is 'tenant:nobody': the configuration has: ",
        ),
        (("key:nobody", "tokens", "day", "5"), 1, "FH-LIMIT-007: the subject is 'key:nobody': there is no such key"),
        (("legal", "tokens", "day", "5"), 1, "FH-LIMIT-007: the subject is 'legal': write tenant:NAME or key:ID"),
        (("tenant:legal", "tokens", "day", "1e3"), 1, "FH-LIMIT-007: the amount is '1e3': give a whole number"),
        (("tenant:legal", "tokens", "day", "-1"), 1, "FH-LIMIT-007: the amount is '-1'"),
        (("tenant:legal", "money", "day", "many"), 1, "FH-LIMIT-007: the amount is 'many': give a number from 0"),
        (("tenant:legal", "money", "day", "1" * 20), 1, "FH-LIMIT-007: the amount is "),
        (("tenant:legal", "tokens", "week", "5"), 2, "usage: "),
        (("tenant:legal", "tokens", "day"), 2, "usage: "),
    ],
)
@pytest.mark.usefixtures("used")
def test_what_cannot_be_limits_nobody(cli: Cli, words: tuple[str, ...], code: int, told: str) -> None:
    shown = cli("limits", "set", *words)
    assert (shown.code, shown.out) == (code, "")
    assert shown.err.startswith(told)
    assert "There are no limits" in cli("limits", "list").out


def test_one_limit_too_many_is_told(cli: Cli, home: Path, used: str) -> None:
    database = Database.open(home / "freehold.db")
    for number in range(LIMITS_OF_ONE_MAX):
        currency = f"A{chr(65 + number // 26)}{chr(65 + number % 26)}"
        who = Subject(SubjectKind.KEY, used)
        money = Limit(subject=who, measure=Measure.MONEY, window=Window.DAY, amount=1, currency=currency)
        SqliteLimits(database).put(money, most=100)
    database.close()
    shown = cli("limits", "set", f"key:{used}", "tokens", "day", "5")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith(f"FH-LIMIT-007: the number of limits of key:{used} is 65: at most 64 are kept")
    assert cli("limits", "set", f"key:{used}", "money", "day", "5", "--currency", "AAA").code == 0


def test_tenants(cli: Cli, used: str) -> None:
    cli("limits", "set", "tenant:legal", "tokens", "day", "5")
    legal, other = json.loads(cli("tenants", "list", "--json").out)
    assert (legal["name"], legal["keys"], legal["weight"], len(legal["limits"])) == ("legal", 1, 1, 1)
    assert (legal["this_month"]["requests"], legal["this_month"]["refused"]) == (2, 1)
    assert (other["keys"], other["this_month"]) == (0, None)
    assert "legal" in cli("tenants", "list").out
    shown = cli("tenants", "show", "legal").out
    assert f"key         {used} (=1+1)" in shown
    assert "5 tokens" in shown
    assert json.loads(cli("tenants", "show", "legal", "--json").out)["key_ids"] == [used]
    assert cli("tenants", "show", "nobody").err.startswith("FH-LIMIT-007")


def test_usage_by_all_there_is(cli: Cli, used: str) -> None:
    (line,) = json.loads(cli("usage", "--json").out)["data"]
    assert (line["key"], line["name"], line["tenant"]) == (used, "=1+1", "legal")
    assert (line["requests"], line["refused"], line["attempts"], line["unpriced_attempts"]) == (2, 1, 2, 1)
    assert (line["input_tokens"], line["output_tokens"]) == (40, 10)
    assert line["cost"] == [{"micros": 12, "currency": "USD", "amount": "0.000012"}]
    for by in ("tenant", "deployment", "day"):
        (line,) = json.loads(cli("usage", "--by", by, "--json").out)["data"]
        assert line["attempts"] == 2
        assert ("requests" in line) is (by != "deployment")
        assert "2" in cli("usage", "--by", by).out
    assert json.loads(cli("usage", "--tenant", "other", "--json").out)["data"] == []
    assert "Nothing was used from 2020-01-01 up to but without 2020-02-01." in cli("usage", "--month", "2020-01").out


def test_a_table_for_other_programs_starts_none(cli: Cli, used: str) -> None:
    (line,) = csv.DictReader(io.StringIO(cli("usage", "--csv").out))
    assert (line["key"], line["name"], line["cost_usd"]) == (used, "'=1+1", "0.000012")
    assert line["requests"] == "2"


@pytest.mark.parametrize(
    "words",
    [
        ("--month", "2026-13"),
        ("--month", "june"),
        ("--month", "2026-11", "--to", "2026-11-03"),
        ("--from", "2026-11-05", "--to", "2026-11-05"),
        ("--from", "05.11.2026"),
        ("--by", "planet"),
        ("--tenant", "nobody"),
        ("--csv", "--json"),
    ],
)
def test_a_time_that_is_none_is_told(cli: Cli, words: tuple[str, ...]) -> None:
    shown = cli("usage", *words)
    assert shown.code == 2
    assert "usage" in shown.err + shown.out
