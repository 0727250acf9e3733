"""Limits on the request path: refused before any deployment is called, counted when the receipt is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freehold.api.errors import render
from freehold.domain.decisions import Outcome
from freehold.domain.deployment import (
    Deployment,
    Doubt,
    EngineKind,
    ModelCard,
    Prerouter,
    Route,
    StreamMode,
    Terms,
    TokenPrice,
)
from freehold.domain.egress import EgressPermit
from freehold.domain.errors.engine import EngineCrashed
from freehold.domain.errors.limits import LimitReached, PriceMissing
from freehold.domain.identity import Principal
from freehold.domain.limits import Bound, Limit, Measure, Standing, Subject, SubjectKind, Window
from freehold.domain.money import Money
from freehold.domain.ports import UpstreamCall
from freehold.domain.receipt import Cost, Receipt
from freehold.domain.request import InferenceRequest
from freehold.domain.response import EmbeddingResult, RerankResult, Usage
from freehold.domain.zones import DEVICE, LAN, WORLD, Zone
from freehold.gateway.bounds import TEMPLATE_TOKENS, bound_of
from freehold.gateway.receipt import ReceiptDraft
from freehold.ledger.machine import OwnedHardware
from freehold.policy.flow import FlowRules
from freehold.wire.messages_request import decode_count_tokens
from freehold.wire.openai_request import decode_chat, decode_completion, decode_embedding, decode_rerank
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, PUBLIC, TREE, House, MemorySink, NoPrices
from tests.unit.gateway.test_pipeline import REQUEST_ID, chat, engine, house

EUR = Limit(
    subject=Subject(SubjectKind.TENANT, "default"),
    measure=Measure.MONEY,
    window=Window.MONTH,
    amount=5_000_000,
    currency="EUR",
)


@dataclass
class Held:
    settled: list[Receipt | None] = field(default_factory=list[Receipt | None])

    def settle(self, receipt: Receipt | None) -> None:
        self.settled.append(receipt)

    def standings(self) -> tuple[Standing, ...]:
        limit = replace(EUR, measure=Measure.REQUESTS, amount=5, currency="")
        return (Standing(limit=limit, used=min(1, len(self.settled)), reserved=0, reset_s=7),)


@dataclass
class Book:
    """Quotas that say yes, or no."""

    limited: frozenset[str] = frozenset({"default"})
    error: LimitReached | None = None
    asked: list[Bound] = field(default_factory=list[Bound])
    held: list[Held] = field(default_factory=list[Held])

    def reserve(self, principal: Principal, bound: Bound) -> Held:
        self.asked.append(bound)
        if self.error is not None:
            raise self.error
        self.held.append(Held())
        return self.held[-1]


def ask(at: House, book: Book, **more: Any) -> MemorySink:
    at.quotas = book
    return asyncio.run(at.ask(chat(**more)))


def test_a_refused_request_reaches_no_deployment_and_is_on_record() -> None:
    small = engine("small")
    at, book = house(small), Book(error=LimitReached(subject="x", used=1, limit=1, window="day", resets="", retry_s=9))
    with pytest.raises(LimitReached):
        ask(at, book)
    assert (at.receipt.outcome, at.receipt.error_code) == (Outcome.REFUSED, "FH-LIMIT-001")
    assert at.receipt.steps == ("authenticate", "label", "decide", "plan", "record")
    assert at.receipt.attempts == ()
    assert at.admission.out == {}


def test_an_error_tells_how_its_caller_stands_once_it_is_counted() -> None:
    down = EngineCrashed(deployment="small", how="by signal 9")
    at = house(engine("small", default=FakeAnswer(error=down)))
    with pytest.raises(EngineCrashed) as caught:
        ask(at, Book())
    (told,) = caught.value.standings
    assert told.used == 1
    assert (b"x-ratelimit-remaining-requests", b"4") in render(caught.value, error_id="e")[2]


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_set_aside_is_settled_once_by_the_kept_receipt(stream: bool) -> None:
    at, book = house(engine("small"), engine("large")), Book()
    sink = ask(at, book, stream=stream)
    (held,) = book.held
    assert sink.reservation is held
    first, *more = held.settled
    assert first is at.receipt
    assert len(at.receipt.attempts) == 2
    assert more == [None]  # which is nothing to who is settled already


def test_a_client_that_leaves_is_charged_what_came_until_then() -> None:
    async def scenario() -> None:
        reached, never = asyncio.Event(), asyncio.Event()

        async def hold(piece: int) -> None:
            if piece == 2:
                reached.set()
                await never.wait()

        at, book = house(engine("small", default=FakeAnswer(text="one two three four", before_piece=hold))), Book()
        at.quotas = book
        task = asyncio.ensure_future(at.ask(chat(stream=True)))
        await reached.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        receipt = book.held[0].settled[0]
        assert receipt is not None
        assert receipt.outcome is Outcome.CANCELLED
        assert receipt.attempts[0].usage.output_tokens > 0

    asyncio.run(scenario())


async def _for_ever(_: int) -> None:
    await asyncio.Event().wait()


async def left_alone(request: InferenceRequest, answering: FakeEngine) -> Receipt:
    """The receipt of a request whose client leaves while nothing of the answer has come."""
    at, book = house(answering), Book()
    at.quotas, at.flow = book, replace(FlowRules.plain(TREE), unread=PUBLIC)
    task = asyncio.ensure_future(at.ask(request))
    while not answering.open_calls:
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    receipt = book.held[0].settled[0]
    assert receipt is not None
    return receipt


@pytest.mark.parametrize(("zone", "tokens"), [(WORLD, len(b'[{"role":"user","content":"hello"}]') // 4), (DEVICE, 0)])
def test_a_client_that_leaves_before_anything_came_is_charged_the_prompt_that_left(zone: Zone, tokens: int) -> None:
    """The other server reads it, and may bill it, all the same: whoever never waits must not have it for nothing."""

    receipt = asyncio.run(left_alone(chat(), engine("some", zone=zone, default=FakeAnswer(before_piece=_for_ever))))
    assert receipt.attempts[0].usage == Usage(input_tokens=tokens, measured=False)


def test_a_picture_that_was_read_in_vain_is_not_counted_by_its_bytes() -> None:
    """What it comes to in tokens says nothing of how long its base64 is."""
    picture = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}' % (b"A" * 400_000)
    raw = b'{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"what is it"},%s]}]}' % picture
    sees = engine("some", zone=WORLD, vision=True, default=FakeAnswer(before_piece=_for_ever))
    receipt = asyncio.run(left_alone(decode_chat(raw, request_id=REQUEST_ID), sees))
    assert receipt.attempts[0].usage == Usage(input_tokens=len("userwhat is it") // 4, measured=False)


@dataclass(slots=True)
class SilentEngine(FakeEngine):
    """A server that does not say how much it read."""

    async def embed(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> EmbeddingResult:
        return EmbeddingResult(payload={}, usage=Usage(measured=False))

    async def rerank(self, call: UpstreamCall, *, permit: EgressPermit | None, deadline_s: float) -> RerankResult:
        return RerankResult(ranked=((1, 0.5), (0, 0.1)), usage=Usage(measured=False))


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (decode_embedding(b'{"model":"auto","input":"%s"}' % (b"x" * 398), request_id=REQUEST_ID), 400 // 4),
        (
            decode_rerank(b'{"model":"auto","query":"%s","documents":["a","b"]}' % (b"x" * 100), request_id=REQUEST_ID),
            (102 + 9 + 2 * 100) // 4,
        ),
    ],
)
def test_what_a_server_does_not_count_is_estimated_and_not_free(request_: InferenceRequest, tokens: int) -> None:
    known, book = engine("small", embeds=True, reranks=True), Book()
    at = house(SilentEngine(deployment=known.deployment))
    at.quotas = book
    asyncio.run(at.ask(request_))
    (attempt,) = at.receipt.attempts
    assert (attempt.usage.input_tokens, attempt.usage.output_tokens, attempt.usage.measured) == (tokens, 0, False)


def test_a_fault_on_the_way_to_the_receipt_gives_all_back() -> None:
    at, book = house(engine("small")), Book()
    at.quotas = book

    def fail(*_: object) -> int:
        raise ZeroDivisionError

    at.audit.append = fail  # pyright: ignore[reportAttributeAccessIssue] - a fault of ours
    with pytest.raises((ZeroDivisionError, RuntimeError)):
        asyncio.run(asyncio.wait_for(at.ask(chat()), 5))
    assert book.held[0].settled == [None]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_fault_on_the_way_to_the_price_leaves_nothing_taken(leaves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        reached, opened = asyncio.Event(), asyncio.Event()

        async def hold(piece: int) -> None:
            if piece == 1:
                reached.set()
                await opened.wait()

        at, book = house(engine("small", default=FakeAnswer(text="one two", before_piece=hold))), Book()
        at.quotas = book
        pipeline = at.pipeline()
        task = asyncio.ensure_future(pipeline.answer(chat(), pipeline.authenticate(GOOD_KEY), MemorySink()))
        await reached.wait()
        if leaves:
            task.cancel()
        opened.set()
        with pytest.raises(ZeroDivisionError):
            await task
        assert at.admission.out == {"small": 0}
        assert book.held[0].settled[0] is at.receipt
        assert at.receipt.outcome is (Outcome.CANCELLED if leaves else Outcome.FAILED)
        assert at.receipt.answered_by is None
        assert pipeline._services.load.running == 0

    def fail(*_: object, **__: object) -> Cost:
        raise ZeroDivisionError

    monkeypatch.setattr("freehold.gateway.opened.price_attempt", fail)
    asyncio.run(scenario())


def test_callers_without_limits_are_not_asked_about() -> None:
    for limited in (frozenset[str](), frozenset({"other", "key-9"})):
        book = Book(limited=limited)
        assert ask(house(engine("small")), book).reservation is None
        assert book.asked == []
    book = Book(limited=frozenset({"key-1"}))
    ask(house(engine("small")), book)
    assert len(book.asked) == 1


# --- the most that a request may come to -----------------------------------------------------------


def deployment(
    name: str = "cloud", *, zone: Zone = WORLD, context: int = 8_000, price: TokenPrice | None = None
) -> Deployment:
    return Deployment(
        name=name,
        engine=EngineKind.OPENAI,
        model=ModelCard(name=name, context_tokens=context),
        zone=zone,
        terms=Terms(),
        price=price,
    )


def price(read: int, written: int, currency: str = "EUR") -> TokenPrice:
    return TokenPrice(input_micros_per_mtok=read, output_micros_per_mtok=written, currency=currency)


def most(
    body: bytes,
    steps: Sequence[Deployment],
    *,
    tries: int = 1,
    decode: Any = decode_chat,
    hardware: Any = None,
    asked: Sequence[Deployment] = (),
    **more: Any,
) -> Bound:
    route = replace(Route(name="auto", deployments=(), attempts_max=tries), **more)
    at = House(engines={each.name: FakeEngine(deployment=each) for each in asked}, routes={"auto": route})
    request = decode(body, request_id=REQUEST_ID)
    draft = ReceiptDraft(
        request=request,
        principal=at.keys.authenticate(GOOD_KEY),
        clock=at.clock,
        config_digest="",
        label=PUBLIC,
    )
    runtime = replace(at.runtime(), hardware=hardware)
    return bound_of(draft, steps, route=route, runtime=runtime, prices=NoPrices())


def body(text: str = "hi", more: str = "") -> bytes:
    return f'{{"model":"auto","messages":[{{"role":"user","content":"{text}"}}]{more}}}'.encode()


def test_a_byte_may_be_a_token_and_the_answer_as_long_as_asked() -> None:
    raw = body("0123456789" * 40, ',"max_tokens":100')
    assert most(raw, [deployment()]).tokens == len(raw) + TEMPLATE_TOKENS + 100
    assert most(body(), [deployment(context=8_000)]).tokens == len(body()) + TEMPLATE_TOKENS + 8_000


def test_an_engine_of_ours_holds_to_its_context() -> None:
    raw = body("x" * 9_000, ',"max_tokens":100')
    assert most(raw, [deployment(zone=DEVICE)]).tokens == 8_000
    assert most(raw, [deployment(zone=LAN)]).tokens == len(raw) + TEMPLATE_TOKENS + 100


@pytest.mark.parametrize("name", ["n_predict", "max_completion_tokens", "num_predict", "max_new_tokens", "min_tokens"])
def test_no_other_member_makes_an_answer_longer_than_what_was_set_aside(name: str) -> None:
    raw = body(more=f',"max_tokens":5,"{name}":3000')
    assert most(raw, [deployment()]).tokens == len(raw) + TEMPLATE_TOKENS + 3_000
    if name in {"n_predict", "num_predict"}:
        raw = body(more=f',"max_tokens":5,"{name}":-1')
        assert most(raw, [deployment()]).tokens == len(raw) + TEMPLATE_TOKENS + 8_000


def test_pictures_may_take_the_whole_context() -> None:
    raw = (
        b'{"model":"auto","max_tokens":7,"messages":[{"role":"user","content":[{"type":"image_url",'
        b'"image_url":{"url":"https://example.org/a.png"}}]}]}'
    )
    assert most(raw, [deployment()]).tokens == 8_000 + 7


def test_embeddings_write_nothing() -> None:
    raw = b'{"model":"auto","input":["one","two"]}'
    assert most(raw, [deployment()], decode=decode_embedding).tokens == len(b'["one","two"]') + TEMPLATE_TOKENS


def test_a_query_is_read_with_each_document() -> None:
    raw = b'{"model":"auto","query":"abc","documents":["one","two"]}'
    members = len(b'"abc"') + len(b'["one","two"]')
    assert most(raw, [deployment()], decode=decode_rerank).tokens == members + 2 * len("abc") + TEMPLATE_TOKENS


def test_counting_uses_nothing() -> None:
    raw = b'{"model":"auto","messages":[{"role":"user","content":"hello"}]}'
    assert most(raw, [deployment()], decode=decode_count_tokens).tokens == 0


def test_both_sides_of_a_gap_are_read() -> None:
    raw = b'{"model":"auto","prompt":"abc","suffix":"def","max_tokens":1}'
    assert most(raw, [deployment()], decode=decode_completion).tokens == len(raw) + TEMPLATE_TOKENS + 1


def test_as_many_of_the_dearest_steps_count_as_may_be_tried() -> None:
    raw = body(more=',"max_tokens":1000')
    read = len(raw) + TEMPLATE_TOKENS
    cheap, dear = deployment("cheap", price=price(1_000_000, 2_000_000)), deployment("dear", price=price(5_000_000, 0))
    steps = [cheap, deployment("home", zone=LAN), dear]
    for tries, micros in (
        (1, max(read + 2_000, 5 * read)),
        (2, 6 * read + 2_000),
        (3, 6 * read + 2_000),
        (9, 6 * read + 2_000),
    ):
        found = most(raw, steps, tries=tries)
        assert found.micros(EUR) == micros
        assert found.tokens == min(tries, 3) * (read + 1_000)


def test_all_that_may_be_asked_about_answers_in_doubt_is_set_aside_too() -> None:
    raw = body(more=',"max_tokens":1000')
    read = len(raw) + TEMPLATE_TOKENS
    small, large, helper = deployment(zone=DEVICE), deployment("large", zone=DEVICE), deployment("helper", zone=DEVICE)
    once, steps = read + 1_000, [small, large]
    plain = most(raw, steps, tries=2).tokens
    assert plain == 2 * once
    checked = read + 1_000 + TEMPLATE_TOKENS + 1_000  # it reads the answer too
    opinion = most(raw, steps, tries=2, asked=[helper], doubt=Doubt(second_opinion="helper")).tokens
    assert opinion == plain + checked
    assert most(raw, steps, tries=2, doubt=Doubt(samples=3)).tokens == plain + 3 * once
    assert most(raw, [small], tries=2, doubt=Doubt(samples=3)).tokens == once, "the last answer is given as it is"
    streamed = body(more=',"max_tokens":1000,"stream":true')
    again = most(streamed, steps, tries=2, stream=StreamMode.PREFIX).tokens
    assert again == 3 * (len(streamed) + TEMPLATE_TOKENS + 1_000), "one that was left may be let pass in the end"


def test_what_a_prerouter_passes_over_may_be_tried_in_the_end_and_is_set_aside_too() -> None:
    raw = body(more=',"max_tokens":1000')
    once = len(raw) + TEMPLATE_TOKENS + 1_000
    steps = [deployment("a", zone=DEVICE), deployment("b", zone=DEVICE), deployment("c", zone=WORLD)]
    assert most(raw, steps, tries=2, prerouter=Prerouter.ON).tokens == 3 * once
    assert most(raw, steps, tries=2).tokens == 2 * once
    assert most(raw, steps[:2], tries=2, prerouter=Prerouter.ON).tokens == 2 * once, "there are no more"
    assert most(raw, steps, tries=1, prerouter=Prerouter.ON).tokens == once, "nothing is passed over"


def test_the_time_of_a_machine_with_a_price_counts_to_the_deadline() -> None:
    hardware = OwnedHardware(
        purchase_price=Money.of(1_000, "EUR"), busy_share_permille=1_000, idle_watts=0, busy_watts=0, life_months=1,
        power_price_micros_per_kwh=0,
    )  # fmt: skip
    at_home = deployment(zone=DEVICE)
    assert most(body(), [at_home], hardware=hardware).micros(EUR) == round(1_000e6 * 600 / (730 * 3_600))
    assert most(body(), [at_home]).micros(EUR) == 0


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (deployment(), "'cloud' has no price, so the limit of 5.000000 EUR on tenant:default cannot be held"),
        (deployment(zone=Zone("eu")), "'cloud' has no price"),
        (deployment(price=price(1, 1, "USD")), "'cloud' has a price in USD"),
        (deployment(zone=LAN, price=price(1, 1, "USD")), "'cloud' has a price in USD"),
    ],
)
def test_money_that_could_not_be_counted_is_not_spent(step: Deployment, told: str) -> None:
    with pytest.raises(PriceMissing, match=told):
        most(body(), [deployment("home", zone=LAN), step], tries=2).micros(EUR)
