"""A month over a real gateway with a scripted cloud: priced again from its receipts, to the micro-unit."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

from freehold.cli.money_month import price_again, read_view
from freehold.ledger.usage import span_of_month
from freehold.ledger.views import By
from tests.integration.test_limits import MeteredServer
from tests.support.server import eventually, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0

[tenants.default]

[ledger]
compare_with = "openai/gpt-4o"

[deployments.{name}]
engine = "openai"
model = "metered"
zone = "lan"
base_url = "{base_url}"
clearance = "internal"
{price}

[routes.plain]
deployments = ["{name}"]
signals = false
"""
REQUESTS = 12
OWN_PRICE = """
[prices.agreed]
model = "openai/gpt-4o"
since = 2026-01-01
input_per_mtok = 1
output_per_mtok = 4
"""


def ask(folder: Path, server: MeteredServer, *, name: str, price: str) -> Path:
    """Ask some questions; gives the database, which has them all since the gateway has ended."""
    config = CONFIG.format(name=name, base_url=server.base_url, price=price)
    with running(config, folder) as gateway, gateway.http() as client:
        for number in range(REQUESTS):
            body = {
                "model": "plain",
                "messages": [{"role": "user", "content": "x" * (17 * number + 1)}],
                "max_tokens": 7 + 13 * number,
            }
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        eventually(lambda: len(server.used) >= REQUESTS, what="the answers")
    return folder / "data" / "freehold.db"


def test_a_price_of_ones_own_holds_from_the_next_reload_on(tmp_path: Path) -> None:
    body = {"model": "plain", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}
    with in_thread(MeteredServer()) as server:
        config = CONFIG.format(name="cloud", base_url=server.base_url, price="")
        with running(config, tmp_path) as gateway, gateway.http() as client:

            def compared() -> str:
                receipt = client.post("/v1/chat/completions", json=body).headers["freehold-receipt"]
                return client.get(f"/v1/receipts/{receipt}").text

            assert "prices.agreed" not in compared()
            gateway.config.write_text(config + OWN_PRICE, encoding="utf-8")
            gateway.process.send_signal(signal.SIGHUP)
            after = eventually(lambda: found if "prices.agreed" in (found := compared()) else "", what="the new price")
            assert "2026-01-01" in after
    found = price_again(
        tmp_path / "data" / "freehold.db", span_of_month(datetime.now(UTC).strftime("%Y-%m")), tenant=None
    )
    assert found.holds, found.differences
    assert {line.source for line in found.compared} == {"genai-prices", "config"}


def test_a_month_is_priced_again(tmp_path: Path) -> None:
    with in_thread(MeteredServer()) as server:
        priced = "price = { input_per_mtok = 1.234567, output_per_mtok = 9.876543, cached_input_per_mtok = 0.3 }"
        ask(tmp_path, server, name="cloud", price=priced)
        used = list(server.used)
        # The price of that deployment is another one now, and one has none: what was paid stays what it was.
        path = ask(tmp_path, server, name="other", price="")
    month = datetime.now(UTC).strftime("%Y-%m")
    span = span_of_month(month)
    found = price_again(path, span, tenant=None)
    assert found.holds, found.differences
    by_currency = {line.currency: line for line in found.lines}
    assert by_currency["USD"].attempts == by_currency[None].attempts == REQUESTS
    exact = sum((2 * (read * 1_234_567 + written * 9_876_543) + 10**6) // (2 * 10**6) for read, written in used)
    # Each is rounded for itself, half to even: no more than a millionth each from rounding half up.
    assert abs(by_currency["USD"].again_micros - exact) <= REQUESTS
    assert found.ledger_micros == {"USD": by_currency["USD"].again_micros}
    (compared,) = found.compared
    assert (compared.source, compared.without_basis) == ("genai-prices", 0)
    assert compared.attempts == 2 * REQUESTS
    (line,) = read_view(path, span, By.TENANT, tenant=None, workloads={})
    assert (line.requests, line.unpriced, line.compared) == (2 * REQUESTS, REQUESTS, REQUESTS)
    assert [each.group for each in read_view(path, span, By.WORKLOAD, tenant=None, workloads={"plain": "tests"})] == [
        "tests"
    ]
