"""Local against cloud by month, and whether to bring a workload home."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.money import _last
from freehold.domain.decisions import Outcome
from freehold.domain.limits import Window, span_of
from freehold.domain.money import Money
from freehold.domain.zones import WORLD
from freehold.hostinfo.clock import SystemClock
from freehold.storage.database import Database
from freehold.storage.journal import Journal
from freehold.storage.pages import encode_receipt
from freehold.storage.receipts import SqliteReceipts
from tests.support.receipts import make_attempt, make_receipt, receipt_id
from tests.unit.cli.conftest import Cli

DAY_MS = 86_400_000


@pytest.fixture
def kept(home: Path) -> int:
    """Four answers of this month, three of them at home, one of them without a price to compare with; and one before."""
    now_ms = SystemClock().unix_ms()
    start = span_of(Window.MONTH, now_ms).from_unix_ms
    dollars = Money(micros=50_000_000)
    away = make_attempt(deployment="cloud", zone=WORLD)
    home.mkdir(mode=0o700)
    database = Database.open(home / "freehold.db")
    store = SqliteReceipts(database, journal=home / "receipts")
    store.keep(
        make_receipt(id=receipt_id(1), created_unix_ms=start, counterfactual=dollars),
        make_receipt(id=receipt_id(2), created_unix_ms=start, counterfactual=dollars),
        make_receipt(id=receipt_id(3), created_unix_ms=start, counterfactual=None),
        make_receipt(id=receipt_id(4), created_unix_ms=start, counterfactual=dollars, attempts=(away,)),
        make_receipt(id=receipt_id(5), created_unix_ms=start - 1, tenant="other", counterfactual=dollars),
        make_receipt(
            id=receipt_id(6), created_unix_ms=start, outcome=Outcome.REFUSED, attempts=(), answered_index=None
        ),
    )
    store.close()
    database.close()
    return (now_ms - start) // DAY_MS


@pytest.mark.usefixtures("kept")
def test_months_say_what_was_saved_and_what_is_not_known(cli: Cli) -> None:
    shown = cli("money", "--months", "2")
    assert shown.code == 0
    assert "1 answers of this month have no price to compare with" in shown.out
    assert "1 requests of this month were refused, failed or cancelled" in shown.out
    before, now = json.loads(cli("money", "--months", "2", "--json").out)["months"]
    assert before["saved"] == [{"micros": 49_999_988, "currency": "USD"}]
    assert (now["requests"], now["answered"], now["answered_at_home"], now["compared"]) == (5, 4, 3, 3)
    assert now["counterfactual"] == [{"micros": 150_000_000, "currency": "USD"}]
    assert now["saved"] == [{"micros": 150_000_000 - 36, "currency": "USD"}]
    only = json.loads(cli("money", "--months", "2", "--tenant", "other", "--json").out)["months"]
    assert [each["requests"] for each in only] == [1, 0]


def test_what_the_database_does_not_have_yet_is_in_every_sum(cli: Cli, home: Path) -> None:
    """A server whose database is busy, or that was killed: its receipts are in the journal, and "receipts" shows them."""
    now_ms = SystemClock().unix_ms()
    journal = Journal(home / "receipts")
    dollars = Money(micros=50_000_000)
    filed, *late = (
        make_receipt(id=receipt_id(number), created_unix_ms=now_ms, counterfactual=dollars) for number in range(1, 4)
    )
    database = Database.open(home / "freehold.db")
    store = SqliteReceipts(database, journal=home / "receipts-1")
    store.keep(filed)
    store.close()
    database.close()
    # One of them moves into the database while it is read.
    journal.append(*map(encode_receipt, (filed, *late)))
    journal.close()
    (month,) = json.loads(cli("money", "--months", "1", "--json").out)["months"]
    assert (month["requests"], month["compared"]) == (3, 3)
    assert month["counterfactual"] == [{"micros": 150_000_000, "currency": "USD"}]
    assert [each["attempts"] for each in month["deployments"]] == [3]
    (day,) = json.loads(cli("money", "--by", "day", "--json").out)["data"]
    assert day["requests"] == 3
    assert json.loads(cli("receipts", "--sum", "--json").out)["requests"] == 3
    (key,) = json.loads(cli("usage", "--json").out)["data"]
    assert key["requests"] == 3
    assert "3 receipts of the last 7 days" in cli("repatriate", "--days", "7", "--price", "2/10").out


def test_nothing_was_asked(cli: Cli) -> None:
    assert cli("money").out.startswith("Nothing was asked from ")
    assert cli("money", "--months", "0").code == 2


def test_months_go_back_over_the_year() -> None:
    january = 1_767_225_600_000  # 2026-01-01
    assert _last(3, unix_ms=january) == ("2025-11", "2025-12", "2026-01")


# --- repatriate ------------------------------------------------------------------------------------


def asked(cli: Cli, *more: str) -> dict[str, Any]:
    shown = cli("repatriate", "--draws", "500", "--json", *more)
    assert shown.code == 0, shown.err + shown.out
    return json.loads(shown.out)


def test_fifty_million_tokens_stay_in_the_cloud(cli: Cli) -> None:
    told = asked(cli, "--mtok", "50", "--price", "2/10")
    assert (told["advice"], told["result"]["pays"]) == ("stay", 0)
    assert told["assumptions"]["fte"] == {"low": 0.05, "mode": 0.20, "high": 0.50}
    text = cli("repatriate", "--draws", "500", "--mtok", "50", "--price", "2/10").out
    assert text.startswith("STAY\n")
    assert "You have 50." in text


def test_a_large_bill_comes_home(cli: Cli) -> None:
    told = asked(cli, "--bill", "400000", "--price", "2/10", "--hardware", "cluster", "--set", "price_drift=0")
    assert told["advice"] == "move"
    assert told["assumptions"]["price_drift"] == {"low": 0, "mode": 0, "high": 0}


def test_a_cheaper_model_is_named_first(cli: Cli) -> None:
    told = asked(cli, "--bill", "5000", "--model", "openai/gpt-4o", "--cheapest", "openai/gpt-4o-mini")
    assert told["advice"] == "cheaper-cloud-first"
    assert told["compared_bill_a_month"] == pytest.approx(300)
    assert told["price_source"].startswith("openai/gpt-4o-mini, genai-prices ")


def test_a_providers_export(cli: Cli, tmp_path: Path) -> None:
    lines = [f"2026-01-{day:02},gpt-x,1,800000000,200000000,200000000" for day in range(1, 31)]
    (tmp_path / "usage.csv").write_text(
        "date,model,n_requests,input_tokens,input_cached_tokens,output_tokens\n" + "\n".join(lines)
    )
    told = asked(cli, "--usage", str(tmp_path / "usage.csv"), "--price", "2/10")
    assert told["demand"]["mtok_a_month"] == pytest.approx(30_416.67, rel=1e-6)
    assert told["assumptions"]["in_share"]["mode"] == 0.8
    assert told["assumptions"]["cached"]["mode"] == 0.25
    assert told["from"].endswith("in 30 days, all of it gpt-x")
    assert told["priced_as"] is None


def test_an_export_of_several_models_says_at_whose_price_they_are_taken(cli: Cli, tmp_path: Path) -> None:
    """A bill of which three quarters are of the cheap model is not what it would be at the dear one's price."""
    rows = "2026-01-01,gpt-4o-mini,750,0\n2026-01-01,gpt-4o-2024-08-06,250,0\n"
    export = tmp_path / "usage.csv"
    export.write_text("date,model,input_tokens,output_tokens\n" + rows)
    told = "All tokens are taken as if they were of openai/gpt-4o, 75% are of gpt-4o-mini"
    assert asked(cli, "--usage", str(export), "--model", "openai/gpt-4o")["priced_as"] == told
    shown = cli("repatriate", "--draws", "100", "--usage", str(export), "--model", "openai/gpt-4o").out
    assert f"{told}; --bill with what you paid is exact." in shown
    typed = asked(cli, "--usage", str(export), "--price", "2/10")["priced_as"]
    assert typed == "All tokens of 2 models are taken at the one price that was typed"
    export.write_text("date,model,input_tokens,output_tokens\n" + rows.splitlines()[1])
    assert asked(cli, "--usage", str(export), "--model", "openai/gpt-4o")["priced_as"] is None
    assert "in 1 day, all of it gpt-4o-2024" in cli("repatriate", "--usage", str(export), "--price", "2/10").out


def test_what_the_cloud_would_take_is_said_where_nobody_knows_what_this_machine_costs(home: Path, cli: Cli) -> None:
    """As it is for whoever has just begun: no price of this machine is configured."""
    home.mkdir(mode=0o700)
    database = Database.open(home / "freehold.db")
    store = SqliteReceipts(database, journal=home / "receipts")
    start = span_of(Window.MONTH, SystemClock().unix_ms()).from_unix_ms
    unpriced = make_attempt(cost=None)
    for number in (1, 2):
        dollars = Money(micros=40_000_000)
        store.keep(
            make_receipt(id=receipt_id(number), created_unix_ms=start, counterfactual=dollars, attempts=(unpriced,))
        )
    store.close()
    database.close()
    shown = cli("money", "--months", "1").out
    assert "$80.00" in shown
    assert "2 answers of this month have no cost of their own, and are in no saving; [ledger] purchase_price" in shown
    (now,) = json.loads(cli("money", "--months", "1", "--json").out)["months"]
    assert (now["comparable"], now["compared"], now["saved"]) == (2, 0, [])
    (line,) = json.loads(cli("money", "--by", "tenant", "--json").out)["data"]
    assert (line["comparable"], line["compared"], line["saved"]) == (2, 0, [])
    assert [each["micros"] for each in line["counterfactual"]] == [80_000_000]
    assert "$80.00 in the cloud, 100.0% answered at home" in cli("repatriate", "--days", "31", "--price", "2/10").out


@pytest.mark.usefixtures("kept")
def test_own_receipts_say_how_much_is_answered_at_home(cli: Cli) -> None:
    told = asked(cli, "--days", "31", "--price", "2/10")
    accept = told["assumptions"]["accept"]
    assert accept["mode"] == pytest.approx(2 / 3) or accept["mode"] == pytest.approx(3 / 4)
    assert accept["low"] < accept["mode"] < accept["high"]
    assert told["assumptions"]["escalate"] == {"low": 0, "mode": 0, "high": 0}


def test_a_page_needs_nothing_else(cli: Cli, tmp_path: Path) -> None:
    asked(cli, "--mtok", "50", "--price", "2/10", "--html", str(tmp_path / "a.html"))
    page = (tmp_path / "a.html").read_text()
    assert "<h1>Stay in the cloud</h1>" in page
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert "nan" not in page.lower()


def test_a_sheet_has_all_numbers_and_all_assumptions(cli: Cli, tmp_path: Path) -> None:
    told = asked(cli, "--mtok", "50", "--price", "2/10", "--csv", str(tmp_path / "a.csv"))
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = {(each["part"], each["name"]): each for each in csv.DictReader(file)}
    assert rows["answer", "advice"]["middle"] == "stay"
    npv = rows["result", "net_present_value"]
    assert [float(npv[each]) for each in ("low", "middle", "high")] == list(told["result"]["npv"].values())
    assumed = {name: row for (part, name), row in rows.items() if part == "assumption"}
    assert {name: float(row["middle"]) for name, row in assumed.items()} == {
        name: each["mode"] for name, each in told["assumptions"].items()
    }
    assert {name for part, name in rows if part == "way"} == {"cloud", "hybrid", "local"}
    for option in ("--csv", "--html"):
        shown = cli(
            "repatriate", "--mtok", "50", "--price", "2/10", "--draws", "100", option, str(tmp_path / "no" / "a")
        )
        assert (shown.code, f"{option} " in shown.err, "cannot be written" in shown.err) == (2, True, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give one of"),
        (("--mtok", "1", "--bill", "2"), "Give one of"),
        (("--mtok", "-1", "--price", "1/2"), "below 0"),
        (("--mtok", "1"), "--model PROVIDER/MODEL"),
        (("--mtok", "1", "--price", "2"), "IN/OUT"),
        (("--mtok", "1", "--price", "2/x"), "IN/OUT"),
        (("--mtok", "1", "--price", "2/0"), "above 0"),
        (("--mtok", "1", "--price", "2/10", "--set", "fte"), "NAME=VALUE"),
        (("--mtok", "1", "--price", "2/10", "--set", "fte=3:2:1"), "in that order"),
        (("--mtok", "1", "--price", "2/10", "--set", "people=3"), "no assumption 'people'"),
        (("--mtok", "1", "--price", "2/10", "--draws", "5"), "100 to"),
    ],
)
def test_what_cannot_be_computed(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    shown = cli("repatriate", *arguments)
    assert shown.code == 2
    assert message in shown.err


def test_errors_say_what_to_do(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    (tmp_path / "no.bin").write_bytes(b"\xff\xfe\x00")
    for name, why in (("no.csv", "no column has tokens"), ("no.bin", "it is no text"), ("gone", "No such file")):
        shown = cli("repatriate", "--usage", str(tmp_path / name), "--price", "2/10")
        assert (shown.code, shown.err.split(":")[0]) == (1, "FH-PLANNER-001")
        assert why in shown.err
    assert cli("repatriate", "--mtok", "1", "--model", "openai/nothing-of-the-kind").err.startswith("FH-PLANNER-002")
    assert cli("repatriate", "--days", "7", "--price", "2/10").err.startswith("FH-PLANNER-003")


# --- one month -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kept")
def test_a_month_by_what_is_asked(cli: Cli) -> None:
    shown = cli("money", "--by", "tenant")
    assert shown.code == 0
    assert "acme" in shown.out
    assert "estimated from the watts in [ledger]" in shown.out
    for by in ("model", "workload", "day"):
        (line,) = json.loads(cli("money", "--by", by, "--json").out)["data"][:1] or [{}]
        assert by in line
    head, row = cli("money", "--by", "tenant", "--csv").out.splitlines()[:2]
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert (cells["tenant"], cells["requests"], cells["compared"]) == ("acme", "5", "3")
    assert cells["saved_usd"] == "149.999964"


@pytest.mark.usefixtures("kept")
def test_receipts_from_before_are_counted_as_such(cli: Cli) -> None:
    shown = cli("money", "--check")
    assert shown.code == 0
    assert "do not say what they were computed from" in shown.out
    found = json.loads(cli("money", "--check", "--json").out)
    assert found["holds"] is True
    assert sum(each["without_basis"] for each in found["lines"]) == sum(each["attempts"] for each in found["lines"])


def test_a_ledger_that_says_something_else_is_found(cli: Cli, home: Path, kept: int) -> None:
    del kept
    database = sqlite3.connect(home / "freehold.db")
    database.execute("UPDATE ledger_spend SET amount_micros = amount_micros + 1 WHERE deployment = 'cloud'")
    database.commit()
    database.close()
    shown = cli("money", "--check")
    assert shown.code == 1
    assert "NOT THE SAME: the ledger of acme at owned-1 ff" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--by", "day", "--check"), "--by goes without --check"),
        (("--csv",), "for one month"),
        (("--by", "day", "--month", "then"), "is no month"),
        (("--by", "day", "--csv", "--json"), "without --json"),
    ],
)
def test_what_is_no_month(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    shown = cli("money", *arguments)
    assert shown.code == 2
    assert message in shown.err + shown.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--mtok", "nan"), "--mtok is nan"),
        (("--mtok", "inf"), "--mtok is inf"),
        (("--bill", "1e300"), "--bill is 1e+300"),
        (("--days", "100000000000"), "--days is 100000000000"),
        *(
            (("--mtok", "50", "--set", each), each.partition("=")[0])
            for each in (
                "capex=-5", "life_months=0", "life_months=1e9", "wacc=-12", "price_drift=-2", "kwh=inf", "kwh=1e308",
                "in_share=1.5", "accept=2", "busy=-0.1:0:1",
            )
        ),
        (("--mtok", "50", "--set", "cached=1", "--set", "cache_price=0", "--set", "in_share=1"), "costs nothing"),
    ],
)  # fmt: skip
def test_numbers_that_mean_nothing_are_refused(cli: Cli, arguments: tuple[str, ...], why: str) -> None:
    shown = cli("repatriate", "--price", "2/10", "--draws", "100", *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert why in shown.err


def test_where_owning_never_costs_less_every_form_says_so(cli: Cli, tmp_path: Path) -> None:
    """Nothing is good enough at home: there is no such volume, and JSON has no number for that."""
    page, table = tmp_path / "a.html", tmp_path / "a.csv"
    asks = ("repatriate", "--mtok", "50", "--price", "2/10", "--draws", "100", "--set", "accept=0")
    shown = cli(*asks, "--html", str(page), "--csv", str(table))
    assert "it costs less at no volume" in shown.out
    assert re.search(r"break even +never +never +never", shown.out)
    document = cli(*asks, "--json").out
    assert json.loads(document, parse_constant=pytest.fail)["result"]["volume_mtok"] == dict.fromkeys(
        ("p10", "p50", "p90")
    )
    assert "inf" not in page.read_text(encoding="utf-8").partition("</style>")[2].replace("information", "")
    assert "result,break_even_mtok_a_month,,,\n" in table.read_text(encoding="utf-8")


def test_a_volume_is_said_as_tokens_a_second_which_nobody_judged(cli: Cli) -> None:
    """One server is cheaper than ten trillion tokens a month, and does not write them."""
    shown = cli("repatriate", "--mtok", "10000000", "--price", "2/10", "--draws", "100").out
    assert "You have 10,000,000. If they came evenly, these were 3,805,175 tokens a second" in shown
    assert "not judged here" in shown
