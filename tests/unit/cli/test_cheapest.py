"""The cheapest cloud model that passes, by made-up recorded answers."""

from __future__ import annotations

from freehold.cli.cheapest import NOT_JUDGED, cheapest_judged
from freehold.domain.certificates import LabelKind
from freehold.domain.economics import TokenPrices
from freehold.routing.paired import PairedOutcomes, RecordedModel

PRICES = {"openai/large": 10.0, "openai/small": 1.0, "openai/tiny": 0.1, "other/middle": 5.0}


def recorded(model: str, right: list[int], digest: str = "") -> RecordedModel:
    return RecordedModel(
        model=model, model_digest=digest, input_tokens=1, output_tokens=1, latency_ms=1, right=tuple(map(float, right))
    )


def table(*models: RecordedModel, workload: str = "general") -> PairedOutcomes:
    return PairedOutcomes(
        workload=workload, label_kind=LabelKind.GOLD, question_digest="sha256:q", created="2026-11-30", models=models
    )


def price_of(model: str) -> TokenPrices | None:
    price = PRICES.get(model)
    return None if price is None else TokenPrices(input_per_mtok=price, output_per_mtok=price)


def found(*tables: PairedOutcomes, now: str = "openai/large") -> tuple[str, str]:
    judged = cheapest_judged(list(tables), now, price_of=price_of, cost=lambda price: price.input_per_mtok)
    return judged.model, judged.told


GOOD = [1] * 180 + [0] * 20
WORSE = [1] * 120 + [0] * 80
LARGE = recorded("large", GOOD)


def test_the_cheapest_that_is_not_worse() -> None:
    model, told = found(table(LARGE, recorded("small", GOOD), recorded("tiny", WORSE), recorded("other/middle", GOOD)))
    assert model == "openai/small"
    assert "200 questions of general" in told


def test_few_questions_prove_nothing() -> None:
    model, told = found(table(recorded("large", GOOD[:20]), recorded("small", GOOD[:20])))
    assert model == ""
    assert "no cheaper cloud model passes (small on 20 questions of general)" in told


def test_it_must_pass_in_every_workload() -> None:
    sums = table(LARGE, recorded("small", WORSE), workload="sums")
    assert found(table(LARGE, recorded("small", GOOD)), sums)[0] == ""
    assert found(table(LARGE, recorded("small", GOOD)), table(recorded("small", WORSE)))[0] == "openai/small"


def test_what_is_ours_to_run_is_no_cloud_model() -> None:
    home = recorded("tiny", GOOD, digest="sha256:w")
    assert found(table(LARGE, home)) == ("", NOT_JUDGED)


def test_what_is_not_known_is_said() -> None:
    assert found() == ("", NOT_JUDGED)
    assert found(table(recorded("small", GOOD), recorded("tiny", GOOD))) == ("", NOT_JUDGED)
    assert found(table(LARGE, recorded("nobody-prices-it", GOOD))) == ("", NOT_JUDGED)
    model, told = found(table(recorded("small", GOOD), LARGE), now="openai/small")
    assert model == ""
    assert "none of those asked is cheaper" in told
