"""Labels along the flow: what a request says is joined to its caller's label before it is decided where it may run."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Route, StreamMode, Terms
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.labels import Level
from freehold.domain.memory import KeptPassage, Memory, NoFiles, NothingRemembered
from freehold.domain.request import InferenceRequest
from freehold.domain.zones import DEVICE, WORLD, Zone
from freehold.gateway.flow import AT_ONCE_BYTES_MAX, Flow
from freehold.gateway.remembering import Remembering
from freehold.gateway.runtime import Services
from freehold.policy.flow import FlowRules
from freehold.policy.sources import in_force
from freehold.wire.messages_request import decode_messages
from freehold.wire.openai_request import decode_chat, decode_completion
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, INTERNAL, PUBLIC, RESTRICTED, TREE, House, ManualClock, MemorySink
from tests.support.made_documents import document

SECRET_ANSWER = " ".join(document(random.Random(5), 5))


def engine(name: str, zone: Zone, text: str = "fine") -> FakeEngine:
    terms = Terms(clearance=Level.RESTRICTED if zone == DEVICE else Level.INTERNAL, kinds=None, trains=False)
    card = ModelCard(name=f"{name}-model", vision=True, context_tokens=1_000_000)
    deployment = Deployment(name=name, engine=EngineKind.OPENAI, model=card, zone=zone, terms=terms)
    return FakeEngine(deployment=deployment, default=FakeAnswer(text=text))


@dataclass
class Stored:
    """Labels of files in a dictionary."""

    labels: dict[str, str] = field(default_factory=dict[str, str])

    async def label_of(self, file_id: str, *, tenant: str) -> str | None:
        return self.labels.get(file_id) if tenant == "default" else None


@dataclass
class KeptInMemory:
    """``MemoryStore`` in a list."""

    passages: list[KeptPassage] = field(default_factory=list[KeptPassage])
    erasures: int = 0

    def keep(self, passages: Any, *, unix_ms: int) -> None:
        self.passages += (replace(each, seq=len(self.passages) + place + 1) for place, each in enumerate(passages))

    async def after(self, seq: int) -> list[KeptPassage]:
        return [each for each in self.passages if each.seq > seq]

    async def erased(self) -> int:
        return self.erasures


@dataclass
class FlowHouse(House):
    """A house with stored files and a memory."""

    files: Any = field(default_factory=NoFiles)
    memory: Memory = field(default_factory=NothingRemembered)

    def services(self) -> Services:
        return replace(super().services(), files=self.files, memory=self.memory)


def house(answer: str = "fine", **more: Any) -> FlowHouse:
    return FlowHouse(
        engines={each.deployment.name: each for each in (engine("home", DEVICE, answer), engine("cloud", WORLD))},
        routes={"auto": Route(name="auto", deployments=("cloud", "home"), attempts_max=1)},
        **more,
    )


def chat(*messages: Any, model: str = "auto", stream: bool = False, **more: Any) -> InferenceRequest:
    told = [each if isinstance(each, dict) else {"role": "user", "content": each} for each in messages]
    body = {"model": model, "stream": stream, "messages": told, **more}
    return decode_chat(json.dumps(body).encode(), request_id=f"01890000-0000-7000-8000-{random.getrandbits(48):012x}")


def ask(home: FlowHouse, request: InferenceRequest) -> MemorySink:
    return asyncio.run(home.ask(request))


def rules(home: FlowHouse) -> list[str]:
    return [source.rule for source in home.receipts.kept[-1].label_sources]


def test_a_text_that_says_nothing_goes_where_its_caller_may() -> None:
    home = house()
    assert ask(home, chat("hello")).deployments == ["cloud"]
    assert rules(home) == ["tenant:default"]


@pytest.mark.parametrize(
    "request_",
    [
        chat("Classification: Confidential\nhello"),
        chat({"role": "system", "content": "STRENG VERTRAULICH"}, "hello"),
        chat("hi", {"role": "assistant", "content": "TLP:AMBER"}, "and?"),
        chat("hi", tools=[{"type": "function", "function": {"name": "f", "description": "[confidential]"}}]),
        chat("hi", metadata={"note": "CONFIDENTIEL"}),
        chat("x " * AT_ONCE_BYTES_MAX + "\nTLP:RED\n"),
        decode_completion(b'{"model":"auto","prompt":"CONFIDENCIAL"}', request_id="r"),
    ],
    ids=["user", "system", "history", "tool", "unknown member", "long", "completion"],
)
def test_a_marking_anywhere_keeps_the_request_at_home(request_: InferenceRequest) -> None:
    home = house()
    assert ask(home, request_).deployments == ["home"]
    receipt = home.receipt
    assert receipt.label.level >= Level.CONFIDENTIAL
    assert receipt.label_sources[-1].origin == "marking"
    assert [decision.allowed for decision in receipt.decisions] == [False, True]


def test_a_marking_refuses_what_may_only_run_far_away() -> None:
    home = house()
    with pytest.raises(NoPermittedDeployment):
        ask(home, chat("TLP:RED", model="cloud"))
    assert home.engines["cloud"].calls == []  # pyright: ignore[reportAttributeAccessIssue]
    assert home.receipt.label == RESTRICTED


CALL = {"id": "c1", "type": "function", "function": {"name": "salaries", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "Ann earns 5."}
SOURCES = in_force(
    {
        "hr": ("tool:salaries", RESTRICTED),
        "mail": ("connector:mail/**", replace(PUBLIC, trusted=False)),
        "legal": ("file:/legal/**", INTERNAL),
    }
)


def with_sources(home: FlowHouse, **more: Any) -> FlowHouse:
    home.flow = replace(FlowRules.plain(TREE), sources=SOURCES, **more)
    return home


def test_results_of_tools_and_parts_from_sources_carry_their_labels() -> None:
    home = with_sources(house())
    ask(home, chat("hi", {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT))
    assert rules(home) == ["tenant:default", "source:hr", "messages[2]:tool"]
    assert home.receipts.kept[-1].label == replace(RESTRICTED, trusted=False)
    part = {"type": "text", "text": "hi", "source": "connector:mail/in/7"}
    ask(home, chat({"role": "user", "content": [part]}))
    assert rules(home) == ["tenant:default", "source:mail"]
    assert not home.receipts.kept[-1].label.trusted


@pytest.mark.parametrize("kind", ["image_url", "input_audio"])
def test_what_nobody_looks_into_is_confidential_at_least(kind: str) -> None:
    inner = {"url": "data:image/png;base64,AA"} if kind == "image_url" else {"data": "AA", "format": "wav"}
    request = chat({"role": "user", "content": [{"type": kind, kind: inner}]})
    home = house()
    ask(home, request)
    assert rules(home)[1:] == [f"unread:{'image' if kind == 'image_url' else 'audio'}"]
    assert home.receipts.kept[-1].label.level == Level.CONFIDENTIAL
    home = with_sources(house(), unread=PUBLIC)
    assert ask(home, request).deployments == ["cloud"]


def test_a_file_that_is_named_brings_its_stored_label() -> None:
    home = house(files=Stored({"file-1": "restricted;kinds=phi"}))
    named = chat({"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]})
    ask(home, named)
    assert [source.rule for source in home.receipt.label_sources if source.origin == "file"] == ["file:file-1"]
    assert (home.receipt.label.level, home.receipt.label.kinds) == (Level.RESTRICTED, frozenset({"phi"}))
    assert ask(house(), named).deployments == ["home"]


def test_a_file_that_is_named_in_other_letters_is_looked_up_too() -> None:
    home = house(files=Stored({"file-1": "restricted"}))
    raw = b'{"model":"auto","messages":[{"role":"user","content":[{"type":"file","file":{"\\u0066ile_id":"file-1"}}]}]}'
    ask(home, decode_chat(raw, request_id="01890000-0000-7000-8000-00000000f11e"))
    assert "file:file-1" in rules(home)
    assert "unread:file" not in rules(home)


def test_a_picture_in_the_result_of_a_tool_is_unread_whatever_its_dialect() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    body = {
        "model": "auto",
        "max_tokens": 5,
        "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "shot", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [picture]}]},
        ],
    }
    request = decode_messages(json.dumps(body).encode(), request_id="r")
    flow = Flow(memory=NothingRemembered(), files=NoFiles())
    found = flow.at_once(request, tenant="default", label=PUBLIC, rules=FlowRules.plain(TREE))
    assert [source.rule for source in found or ()] == ["unread:image"]


def test_a_name_of_a_file_that_is_not_here_is_never_recorded() -> None:
    home = house()
    ask(home, chat({"role": "user", "content": [{"type": "file", "file": {"file_id": "my-words"}}]}))
    assert "file:unknown" in rules(home)
    assert "my-words" not in str(home.audit.records)


def test_decisions_for_what_raises_alike_are_made_once() -> None:
    home = house()

    async def run() -> None:
        pipeline = home.pipeline()
        for _ in range(2):
            await pipeline.answer(chat("TLP:RED"), pipeline.authenticate(GOOD_KEY), MemorySink())
        for _ in range(2):
            await pipeline.answer(chat("hello"), pipeline.authenticate(GOOD_KEY), MemorySink())

    asyncio.run(run())
    first, second, third, _ = home.receipts.kept
    assert first.decisions == second.decisions != third.decisions
    assert third.label == PUBLIC


# --- memory ---------------------------------------------------------------------------------------


def with_memory(home: FlowHouse, store: KeptInMemory | None = None, *, keep_days: int = 90) -> Remembering:
    memory = Remembering(
        store=store or KeptInMemory(),
        key_of=lambda tenant: f"a key of the tenant {tenant}".encode(),
        runtime=home.runtime,
        clock=home.clock,
        keep_days=keep_days,
    )
    home.memory = memory
    return memory


def restricted(request: InferenceRequest) -> InferenceRequest:
    return replace(request, label_header="restricted")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", [StreamMode.HOLD, StreamMode.COMMIT])
def test_a_restricted_answer_that_is_pasted_into_a_new_request_stays_at_home(stream: bool, mode: StreamMode) -> None:
    home = house(SECRET_ANSWER)
    home.routes = {"auto": replace(home.routes["auto"], stream=mode)}
    memory = with_memory(home)

    async def run() -> None:
        await home.ask(restricted(chat("What do we know?", stream=stream)))
        await memory.take_over()
        await home.ask(chat(f"Please translate:\n> {SECRET_ANSWER.upper()}\nThanks"))
        await home.ask(chat("x " * AT_ONCE_BYTES_MAX + SECRET_ANSWER))
        await home.ask(chat("Something else entirely, which nobody has ever said before in this house, I hope."))

    asyncio.run(run())
    asked, pasted, in_long, other = home.receipts.kept
    for receipt in (pasted, in_long):
        assert [source.rule for source in receipt.label_sources] == ["tenant:default", f"memory:{asked.id}"]
        assert receipt.label == RESTRICTED
        assert receipt.attempts[0].deployment == "home"
    assert [attempt.deployment for attempt in other.attempts] == ["cloud"]
    calls = home.engines["cloud"].calls  # pyright: ignore[reportAttributeAccessIssue]
    assert len(calls) == 1


def test_what_is_not_above_the_tenants_label_is_not_remembered() -> None:
    store, home = KeptInMemory(), house(SECRET_ANSWER)
    home.keys = replace(home.keys, tenant_label=RESTRICTED)
    memory = with_memory(home, store)

    async def run() -> None:
        await home.ask(restricted(chat("hi")))
        await memory.take_over()

    asyncio.run(run())
    assert store.passages == []
    off = house(SECRET_ANSWER)
    assert not with_memory(off, keep_days=0).wants(off.keys.authenticate(GOOD_KEY), RESTRICTED)


def test_a_marked_text_is_remembered_with_its_answer_and_a_plain_one_beside_it_is_not() -> None:
    home, system = house("ok"), " ".join(document(random.Random(8), 3))
    memory = with_memory(home)

    async def run() -> None:
        await home.ask(chat({"role": "system", "content": system}, f"TLP:RED\n{SECRET_ANSWER}"))
        await memory.take_over()
        await home.ask(chat(SECRET_ANSWER[:400]))
        await home.ask(chat({"role": "system", "content": system}, "hello"))

    asyncio.run(run())
    assert [receipt.label.level for receipt in home.receipts.kept] == [Level.RESTRICTED, Level.RESTRICTED, Level.PUBLIC]


def test_workers_share_what_they_remember_and_forget_what_is_erased() -> None:
    store, home = KeptInMemory(), house(SECRET_ANSWER)
    memory, fellow = with_memory(home, store), Remembering(
        store=store, key_of=lambda tenant: f"a key of the tenant {tenant}".encode(), runtime=home.runtime,
        clock=home.clock, keep_days=1,
    )  # fmt: skip

    async def run() -> None:
        home.memory = memory
        await home.ask(restricted(chat("hi")))
        memory.close()  # as at a stop: nothing that was told is lost
        assert not fellow.has("default")
        await fellow.refresh()
        assert list(fellow.found([SECRET_ANSWER], tenant="default", label=PUBLIC)) == [home.receipt.id]
        assert fellow.found([SECRET_ANSWER], tenant="default", label=RESTRICTED) == {}
        assert fellow.found([SECRET_ANSWER], tenant="other", label=PUBLIC) == {}
        before = len(store.passages)
        await memory.refresh()
        assert len(store.passages) == before
        store.passages.clear()
        store.erasures += 1
        await fellow.refresh()
        assert not fellow.has("default")
        memory.erase("default")
        assert not memory.has("default")

    asyncio.run(run())


def test_a_text_is_remembered_once_until_half_of_its_time_is_over_and_then_forgotten() -> None:
    clock = ManualClock()
    store, home = KeptInMemory(), house(SECRET_ANSWER, clock=clock)
    memory = with_memory(home, store, keep_days=10)

    async def again() -> int:
        await home.ask(restricted(chat("hi")))
        await memory.take_over()
        return len({each.id for each in store.passages})

    assert asyncio.run(again()) == asyncio.run(again()) == 1
    clock.now_s += 6 * 86_400
    assert asyncio.run(again()) == 2
    clock.now_s += 5 * 86_400
    assert len(memory.found([SECRET_ANSWER], tenant="default", label=PUBLIC)) == 1
    clock.now_s += 6 * 86_400
    assert memory.found([SECRET_ANSWER], tenant="default", label=PUBLIC) == {}
    asyncio.run(memory.refresh())
    assert not memory.has("default")


def test_a_label_that_the_site_cannot_read_any_more_is_the_strictest() -> None:
    store, home = KeptInMemory(), house(SECRET_ANSWER)
    memory = with_memory(home, store)

    async def run() -> None:
        await home.ask(restricted(chat("hi")))
        await memory.take_over()
        store.passages[:] = [replace(each, label="confidential;zones=atlantis") for each in store.passages]
        fresh = with_memory(home, store)
        await fresh.begin()
        (found,) = fresh.found([SECRET_ANSWER], tenant="default", label=PUBLIC).values()
        assert found == RESTRICTED

    asyncio.run(run())


def test_looking_for_nothing_takes_microseconds() -> None:
    """Measured 5 µs for a kilobyte; what other processes do to this one is left room for."""
    flow, request = Flow(memory=NothingRemembered(), files=NoFiles()), chat("word " * 200)
    plain = FlowRules.plain(TREE)
    before = time.process_time()
    for _ in range(1_000):
        assert flow.at_once(request, tenant="default", label=INTERNAL, rules=plain) == ()
    assert time.process_time() - before < 0.05
