"""The dry run of the rules, and what requests came to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freehold.cli.sums import sums_text
from freehold.domain.money import Money
from freehold.domain.response import Usage
from freehold.domain.zones import DEVICE
from freehold.ledger.report import Summary
from freehold.storage.database import Database
from freehold.storage.ledger import SpendRow
from tests.unit.cli.conftest import Cli

CONFIG = """\
[tenants.legal]
label = "internal"

[deployments.small]
engine = "embedded"
model = "m"

[deployments.cloud]
engine = "openai"
base_url = "https://cloud.example/v1"
model = "x"
zone = "world"
clearance = "internal"
trains = false
retention_days = 0

[routes.auto]
deployments = ["small", "cloud"]

[routes.home]
deployments = ["small"]
label = "restricted"
"""


@pytest.fixture
def configured(home: Path) -> Path:
    home.mkdir(mode=0o700)
    (home / "freehold.toml").write_text(CONFIG)
    return home


def _ways(cli: Cli, *words: str) -> dict[str, bool]:
    found = json.loads(cli("policy", *words, "--json").out)["deployments"]
    return {each["deployment"]: each["allowed"] for each in found}


@pytest.mark.usefixtures("configured")
def test_a_label_decides_where_a_text_may_go(cli: Cli) -> None:
    assert _ways(cli) == {"small": True, "cloud": True}
    assert _ways(cli, "confidential") == {"small": True, "cloud": False}
    assert _ways(cli, "--route", "home") == {"small": True}
    shown = cli("policy", "confidential", "--tenant", "legal")
    assert shown.code == 0
    assert "cloud (zone world): denied" in shown.out
    assert "client:freehold-label" in shown.out


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("words", "code"), [(("secretish",), 1), (("--route", "none"), 2), (("--tenant", "none"), 2)])
def test_what_there_is_not(cli: Cli, words: tuple[str, ...], code: int) -> None:
    shown = cli("policy", *words)
    assert (shown.code, shown.out) == (code, "")
    assert shown.err


def test_no_receipts_no_sums(cli: Cli, home: Path) -> None:
    assert cli("receipts", "--sum").out == "No receipts yet.\n"
    assert cli("receipts", "--sum", "--days", "0").code == 2
    assert cli("receipts", "--sum", "--days", "9" * 20).code == 2
    assert not home.exists()
    home.mkdir(mode=0o700)
    Database.open(home / "freehold.db").close()
    shown = cli("receipts", "--sum")
    assert shown.code == 0
    assert "requests        0, 0 answered" in shown.out
    assert "no share yet" in shown.out
    assert json.loads(cli("receipts", "--sum", "--json").out)["requests"] == 0


def test_sums_as_text() -> None:
    usage = Usage(input_tokens=1200, output_tokens=340)
    row = SpendRow(
        deployment="small", zone=DEVICE, currency=None, attempts=9, amount_micros=0, energy_mwh=0, usage=usage
    )
    found = Summary(
        requests=10,
        answered=8,
        answered_at_home=6,
        refused=2,
        escalated=1,
        bytes_left=1234,
        spent=(Money(micros=1500), Money(micros=20_000, currency="EUR")),
        counterfactual=(Money(micros=8_000_000),),
        comparable=7,
        saved=(),
        compared=0,
        unpriced_attempts=9,
        energy_mwh=2_000_000,
        deployments=(row,),
    )
    text = sums_text(found, days=7)
    assert "answered here   6 (75.0 %)" in text
    assert "spent           $0.0015 + €0.02, 9 attempts unpriced" in text
    assert "in the cloud    $8.00, the 7 answers that have such a price" in text
    assert "saved           nothing that is priced, over the 0 of them whose cost is known, too" in text
    assert "2.0000 kWh" in text
    assert "small       device  9         1,200 + 340      unpriced" in text
