"""Prices of the bundled data: right, dated, never from the network, never zero for the unknown."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from freehold.domain.deployment import DatedPrice, TokenPrice
from freehold.domain.money import Money
from freehold.domain.ports import PriceBook
from freehold.domain.response import Usage
from freehold.ledger.book import GenaiPriceBook, OwnPriceBook
from freehold.ledger.pricing import cost_of_tokens

USAGE = Usage(input_tokens=1000, cached_tokens=400, output_tokens=100)


def ms(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return GenaiPriceBook()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a price must not need the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_known_model(book):
    price = book.price("openai/gpt-4o", usage=USAGE, unix_ms=ms(2026, 6, 1))
    assert price is not None
    assert (price.input_micros_per_mtok, price.cached_input_micros_per_mtok, price.output_micros_per_mtok) == (
        2_500_000,
        1_250_000,
        10_000_000,
    )
    assert (price.currency, price.source) == ("USD", "genai-prices")
    assert price.price_version.startswith("genai-prices 0.")
    # The trap: input_tokens holds the cached ones; counted twice this would be 3500 or more.
    assert cost_of_tokens(USAGE, price).amount == Money(micros=3000)


@pytest.mark.parametrize(
    "model", ["openai/no-such-model", "nobody/gpt-4o", "gpt-4o", "openai/", "/gpt-4o", "", "a/b/c", "\x00/\x00"]
)
def test_an_unknown_model_has_no_price(book, model):
    assert book.price(model, usage=USAGE, unix_ms=ms(2026, 6, 1)) is None


def test_a_price_holds_from_its_date(book):
    before = book.price("openai/o3", usage=USAGE, unix_ms=ms(2025, 6, 9, 23, 59))
    after = book.price("openai/o3", usage=USAGE, unix_ms=ms(2025, 6, 10))
    assert before and after
    assert (before.input_micros_per_mtok, before.effective) == (10_000_000, "")
    assert (after.input_micros_per_mtok, after.effective) == (2_000_000, "2025-06-10")


def test_long_prompts_reach_the_next_tier_for_all_tokens(book):
    def input_price(tokens):
        price = book.price("openai/gpt-6-sol", usage=Usage(input_tokens=tokens), unix_ms=ms(2026, 11, 1))
        assert price is not None
        return price.input_micros_per_mtok

    assert (input_price(272_000), input_price(272_001)) == (2_000_000, 4_000_000)


def test_an_embedding_model_has_no_output_price(book):
    moment = ms(2026, 6, 1)
    price = book.price("openai/text-embedding-3-small", usage=Usage(input_tokens=10), unix_ms=moment)
    assert price is not None
    assert (price.input_micros_per_mtok, price.output_micros_per_mtok) == (20_000, 0)
    assert book.price("openai/text-embedding-3-small", usage=USAGE, unix_ms=moment) is None


def test_a_model_with_a_fee_a_request_has_no_token_price(book):
    assert book.price("perplexity/sonar", usage=USAGE, unix_ms=ms(2026, 6, 1)) is None


def test_off_peak_prices_are_not_remembered_for_the_day(book):
    moments = {
        hour: book.price("deepseek/deepseek-chat", usage=USAGE, unix_ms=ms(2025, 3, 1, hour)) for hour in (12, 18)
    }
    assert moments[12] and moments[18]
    assert moments[18].input_micros_per_mtok < moments[12].input_micros_per_mtok


def test_a_days_price_is_looked_up_once(monkeypatch):
    import genai_prices

    calls = []
    real = genai_prices.calc_price
    monkeypatch.setattr(genai_prices, "calc_price", lambda *a, **k: calls.append(a) or real(*a, **k))
    book = GenaiPriceBook()
    for hour in range(3):
        book.price("openai/gpt-4o", usage=USAGE, unix_ms=ms(2026, 6, 1, hour))
        book.price("openai/none", usage=USAGE, unix_ms=ms(2026, 6, 1, hour))
    assert len(calls) == 2
    book.price("openai/gpt-4o", usage=USAGE, unix_ms=ms(2026, 6, 2))
    assert len(calls) == 3


def test_every_model_of_the_data_prices_as_the_data_says_or_not_at_all(book):
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price
    from genai_prices.data_snapshot import get_snapshot

    moment = datetime(2026, 6, 1, 12, tzinfo=UTC)
    agreed = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            price = book.price(f"{provider.id}/{model.id}", usage=USAGE, unix_ms=ms(2026, 6, 1, 12))
            if price is None:
                continue
            ours = cost_of_tokens(USAGE, price).amount
            theirs = calc_price(
                PricedUsage(input_tokens=1000, cache_read_tokens=400, output_tokens=100),
                model.id,
                provider_id=provider.id,
                genai_request_timestamp=moment,
            )
            assert ours is not None
            assert abs(ours.micros - Money.of(theirs.total_price).micros) <= 1, (provider.id, model.id)
            agreed += 1
    assert agreed > 1_000


def test_nothing_is_imported_and_nothing_started_before_first_use():
    script = (
        "import sys, threading\n"
        "import freehold.ledger.book as book\n"
        "b = book.GenaiPriceBook()\n"
        "assert 'genai_prices' not in sys.modules\n"
        "book.OwnPriceBook(b).warm()\n"
        "assert 'genai_prices' in sys.modules\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "print('ok')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "ok\n", done.stderr


def typed(model: str, *when: int, micros: int) -> DatedPrice:
    price = TokenPrice(input_micros_per_mtok=micros, output_micros_per_mtok=micros)
    return DatedPrice(model=model, from_unix_ms=ms(*when), price=price)


def test_what_was_typed_in_holds_from_its_day_on_and_the_book_before(book):
    own = OwnPriceBook(
        book,
        [typed("openai/gpt-4o", 2027, 1, 1, micros=7), typed("openai/gpt-4o", 2026, 7, 1, micros=5),
         typed("here/unlisted", 2026, 7, 1, micros=3)],
    )  # fmt: skip

    def micros(model: str, *when: int) -> int | None:
        price = own.price(model, usage=USAGE, unix_ms=ms(*when))
        return None if price is None else price.input_micros_per_mtok

    assert micros("openai/gpt-4o", 2026, 6, 30, 23, 59) == 2_500_000
    assert micros("openai/gpt-4o", 2026, 7, 1) == 5
    assert micros("openai/gpt-4o", 2026, 12, 31, 23, 59) == 5
    assert micros("openai/gpt-4o", 2027, 1, 1) == 7
    assert micros("openai/gpt-4o-mini", 2027, 1, 1) == 150_000
    assert micros("here/unlisted", 2026, 8, 1) == 3
    assert micros("here/unlisted", 2026, 6, 1) is None, "unknown, not free"
    own.typed = ()
    assert micros("here/unlisted", 2026, 8, 1) is None
