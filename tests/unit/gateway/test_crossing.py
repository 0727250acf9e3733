"""Texts on their way out: looked through where that may close the way, and only then; less of them where that opens it."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.declassified import Act
from freehold.domain.deployment import (
    Declassify,
    Deployment,
    EngineKind,
    Instead,
    ModelCard,
    Route,
    StreamMode,
    Terms,
    Uncalibrated,
)
from freehold.domain.errors.policy import EgressDenied, NoPermittedDeployment
from freehold.domain.errors.untrusted import ServerToolRefused
from freehold.domain.errors.upstream import UpstreamUnreachable
from freehold.domain.findings import DetectRules
from freehold.domain.identity import Principal
from freehold.domain.labels import Label, Level
from freehold.domain.memory import NoFiles, NothingRemembered
from freehold.domain.request import InferenceRequest
from freehold.domain.zones import DEVICE, LAN, WORLD
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Services
from freehold.gateway.scanner import Scanner
from freehold.wire.openai_request import decode_chat, decode_completion
from tests.support.detection import HereReader
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.gateway import GOOD_KEY, INTERNAL, TREE, House, ManualClock, MemorySink, OneKey
from tests.unit.gateway.test_detours import BusyAdmission
from tests.unit.gateway.test_pipeline import REQUEST_ID, chat, engine

MAIL = "jane.roe@corp.example"
SECRET = "AKIA" + "Q3EGRZ7KMNPLXW5T"
RULES = DetectRules()


def cloud(name: str = "cloud", *, kinds: frozenset[str] | None = frozenset(), answer: str = "from afar") -> FakeEngine:
    terms = Terms(clearance=Level.INTERNAL, kinds=kinds, trains=False, retention_days=0)
    deployment = Deployment(
        name=name, engine=EngineKind.OPENAI, model=ModelCard(name=f"{name}-model"), zone=WORLD, terms=terms
    )
    return FakeEngine(deployment=deployment, default=FakeAnswer(text=answer))


def house(*engines: FakeEngine, reader: HereReader | None = None, rules: DetectRules = RULES, **route: object) -> House:
    names = tuple(each.deployment.name for each in engines)
    auto = Route(name="auto", deployments=names, uncalibrated=Uncalibrated.ESCALATE, attempts_max=3)
    clock = ManualClock()
    return House(
        engines={each.deployment.name: each for each in engines},
        routes={"auto": replace(auto, **route)},  # pyright: ignore[reportArgumentType] - tests name fields of Route
        keys=OneKey(tenant_label=INTERNAL),
        clock=clock,
        detect=rules,
        detector=Scanner(reader=reader or HereReader(), clock=clock),
    )


def ask(at: House, request: InferenceRequest) -> MemorySink:
    return asyncio.run(at.ask(request))


def test_personal_data_stay_where_the_next_deployment_is_not_cleared_for_them() -> None:
    far = cloud()
    at = house(engine("home"), far)
    assert ask(at, chat(f"write to {MAIL}")).text == "answer of home"
    assert not far.calls
    receipt = at.receipt
    assert receipt.outcome is Outcome.COMPLETE
    assert receipt.label.kinds == {"pii"}
    assert "detector:pii" in [source.rule for source in receipt.label_sources]
    denied = next(each for each in receipt.decisions if each.deployment == "cloud")
    assert not denied.allowed and denied.rules == ("kinds",)
    assert any(each.startswith("structured ") for each in receipt.detectors)


def test_a_text_in_which_nothing_is_found_goes_on() -> None:
    far = cloud()
    at = house(engine("home"), far)
    assert ask(at, chat("write to nobody")).text == "from afar"
    assert at.receipt.label == INTERNAL and len(far.calls) == 1


def test_a_route_that_begins_far_away_pays_up_front_and_sends_nothing() -> None:
    far, reader = cloud(), HereReader()
    at = house(far, reader=reader)
    with pytest.raises(NoPermittedDeployment, match="may have it") as refused:
        ask(at, chat(f"write to {MAIL}"))
    assert not far.calls and reader.asked
    assert "kinds=pii" in refused.value.message
    assert at.receipt.outcome is Outcome.REFUSED and at.receipt.label.kinds == {"pii"}


def test_a_credential_never_leaves_whatever_a_deployment_is_cleared_for() -> None:
    far = cloud(kinds=None)
    at = house(far)
    with pytest.raises(NoPermittedDeployment):
        ask(at, chat(f"key {SECRET} does not work"))
    assert not far.calls
    assert next(iter(at.receipt.decisions)).rules == ("secrets",)


def test_at_home_nobody_looks() -> None:
    reader = HereReader()
    at = house(engine("home"), reader=reader)
    ask(at, chat(f"write to {MAIL}"))
    assert not reader.asked and at.receipt.label == INTERNAL and not at.receipt.detectors


def test_what_could_only_be_cleared_for_is_not_looked_for() -> None:
    reader = HereReader(people=("Jane Roe",))
    at = house(cloud(kinds=frozenset({"pii"})), reader=reader)
    ask(at, chat("tell Jane Roe"))
    assert reader.asked and not any(names for _, names in reader.asked)


def test_names_are_looked_for_where_they_would_close_the_way() -> None:
    far = cloud()
    at = house(far, reader=HereReader(people=("Jane Roe",)))
    with pytest.raises(NoPermittedDeployment):
        ask(at, chat("tell Jane Roe"))
    assert not far.calls


def test_code_that_is_filled_in_is_looked_through_for_shapes_only() -> None:
    reader = HereReader(people=("Jane Roe",))
    far = replace(cloud().deployment, model=ModelCard(name="coder", infill=True))
    at = house(FakeEngine(deployment=far, default=FakeAnswer(text="x")), reader=reader)
    body = b'{"model":"auto","prompt":"def jane_roe(","suffix":")"}'
    ask(at, decode_completion(body, request_id=REQUEST_ID))
    assert reader.asked and not any(names for _, names in reader.asked)


def test_inside_the_house_nobody_looks_where_its_owner_says_so() -> None:
    near, reader = engine("near", zone=LAN), HereReader()
    at = house(near, reader=reader, rules=replace(RULES, inside=frozenset({DEVICE, LAN})))
    ask(at, chat(f"key {SECRET}"))
    assert not reader.asked and len(near.calls) == 1


@pytest.mark.parametrize("fails", ["its process ended", "the time was over"])
def test_a_detector_that_fails_keeps_the_text_on_this_device(fails: str) -> None:
    far = cloud(kinds=None)
    at = house(engine("home"), far, reader=HereReader(fails=fails))
    assert ask(at, chat("hello")).text == "answer of home"
    assert not far.calls
    assert any(fails in each for each in at.receipt.detours)
    denied = next(each for each in at.receipt.decisions if each.deployment == "cloud")
    assert denied.rules == ("scan",)


def test_a_file_that_nobody_read_keeps_the_text_on_this_device() -> None:
    seeing = replace(cloud(kinds=None).deployment, model=ModelCard(name="eyes", vision=True))
    far = FakeEngine(deployment=seeing, default=FakeAnswer(text="x"))
    at = house(far)
    body = (
        b'{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"sum up"},'
        b'{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]}'
    )
    with pytest.raises(NoPermittedDeployment):
        ask(at, decode_chat(body, request_id=REQUEST_ID, label_header="internal;zones=world"))
    assert not far.calls


def test_what_a_long_word_hides_is_seen() -> None:
    far = cloud(kinds=None)
    at = house(far)
    hidden = "https://example.org/?" + "a" * 300 + "&key=" + SECRET
    with pytest.raises(NoPermittedDeployment):
        ask(at, chat(hidden))
    assert not far.calls


def test_data_that_nobody_can_read_stay() -> None:
    far = cloud(kinds=None)
    with pytest.raises(NoPermittedDeployment):
        ask(house(far), chat("A" * 20_000))
    assert not far.calls


def test_looking_begins_beside_the_attempt_at_home() -> None:
    order: list[str] = []

    async def told(_: str) -> None:
        order.append("looked")

    async def piece(place: int) -> None:
        order.append(f"piece {place}")
        await asyncio.sleep(0)

    home = engine("home", default=FakeAnswer(text="a b c", before_piece=piece))
    at = house(home, cloud(), reader=HereReader(before=told))
    ask(at, chat("hello"))
    assert "looked" in order and order.index("looked") < order.index("piece 2")


def test_nobody_waits_for_it_where_the_answer_at_home_is_good() -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    at = house(engine("home"), cloud(), reader=HereReader(before=never), uncalibrated=Uncalibrated.ACCEPT)
    assert ask(at, chat("hello")).text == "answer of home"


def test_a_client_that_leaves_meanwhile_leaves_nothing_behind() -> None:
    reached = asyncio.Event()

    async def never(_: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    at = house(cloud(), reader=HereReader(before=never))

    async def leave() -> None:
        asking = asyncio.create_task(at.ask(chat("hello")))
        await reached.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(leave())
    assert at.receipt.outcome is Outcome.CANCELLED


def test_an_answer_at_home_stands_where_it_failed_and_nothing_further_may_have_the_text() -> None:
    home = engine("home", default=FakeAnswer(error=UpstreamUnreachable(deployment="home", reason="gone")))
    far = cloud()
    with pytest.raises(NoPermittedDeployment, match="kinds=pii"):
        ask(house(home, far), chat(f"write to {MAIL}"))
    assert not far.calls


def test_what_is_nobodys_data_is_not_counted() -> None:
    far = cloud()
    at = house(far, rules=replace(RULES, ignore=("*@corp.example",)))
    assert ask(at, chat(f"write to {MAIL}")).text == "from afar"


def test_pseudonyms_go_and_come_back() -> None:
    far = cloud()
    far.answers = _Echoing()
    at = house(far, declassify=Declassify.PSEUDONYMISE)
    sink = ask(at, chat(f"write to {MAIL} please"))
    sent = far.calls[0].body.decode()
    assert MAIL not in sent and "⟦EMAIL_" in sent
    assert sink.text == f"you said: write to {MAIL} please"
    attempt = at.receipt.attempts[0]
    assert attempt.left_out is not None
    assert attempt.left_out.act is Act.PSEUDONYMISE
    assert attempt.left_out.counts == (("EMAIL", 1),) and attempt.left_out.answered == (("restored", 1),)
    assert attempt.left_out.label == "internal;zones=world"
    assert at.receipt.label.kinds == {"pii"}
    assert at.audit.events()[:2] == ["declassify", "egress.intent"]
    assert "reidentify" in at.audit.events()
    assert MAIL not in str(at.audit.records)
    allowed = next(iter(at.receipt.decisions))
    assert allowed.allowed and allowed.rules == ("declassify:pseudonymise",)


@pytest.mark.parametrize("stream", [False, True])
def test_redacted_data_are_gone_for_good(stream: bool) -> None:
    far = cloud()
    far.answers = _Echoing()
    at = house(far, declassify=Declassify.REDACT, stream=StreamMode.COMMIT)
    sink = ask(at, chat(f"write to {MAIL}", stream=stream))
    assert sink.text == "you said: write to [EMAIL]"
    assert "reidentify" not in at.audit.events()


def test_a_label_that_its_tenant_gave_is_lowered_only_by_what_was_taken_out() -> None:
    far = cloud()
    far.answers = _Echoing()
    at = house(far, declassify=Declassify.PSEUDONYMISE)
    at.keys = OneKey(tenant_label=Label(level=Level.INTERNAL, kinds=frozenset({"pii"}), zones=TREE.zones))
    assert ask(at, chat(f"write to {MAIL}")).text == f"you said: write to {MAIL}"
    other = house(far, declassify=Declassify.PSEUDONYMISE)
    other.keys = at.keys
    with pytest.raises(NoPermittedDeployment):
        ask(other, chat("nothing in here"))
    assert len(far.calls) == 1


def test_what_cannot_be_taken_out_keeps_the_text() -> None:
    far = cloud()
    at = house(far, declassify=Declassify.PSEUDONYMISE)
    body = b'{"model":"auto","messages":[{"role":"user","name":"%s","content":"hi"}]}' % MAIL.encode()
    with pytest.raises(NoPermittedDeployment):
        ask(at, decode_chat(body, request_id=REQUEST_ID))
    assert not far.calls
    assert any("found 1 more" in each for each in at.receipt.detours)


def test_a_credential_is_not_taken_out() -> None:
    far = cloud()
    with pytest.raises(NoPermittedDeployment):
        ask(house(far, declassify=Declassify.PSEUDONYMISE), chat(f"{MAIL} lost {SECRET}"))
    assert not far.calls


def test_a_name_that_is_seen_only_in_the_second_look_is_taken_out_too() -> None:
    class Late(HereReader):
        async def look(self, piece: str, *, names: bool, deadline_s: float):
            self.people = ("Jane Roe",) if "⟦" in piece else ()
            return await super().look(piece, names=names, deadline_s=deadline_s)

    far = cloud()
    far.answers = _Echoing()
    at = house(far, reader=Late(), declassify=Declassify.PSEUDONYMISE)
    sink = ask(at, chat(f"Jane Roe has {MAIL}"))
    assert "Jane Roe" not in far.calls[0].body.decode()
    assert sink.text == f"you said: Jane Roe has {MAIL}"


class _Echoing(dict[str, FakeAnswer]):
    """Says what it was told."""

    def get(self, key: str, default: FakeAnswer | None = None) -> FakeAnswer:  # type: ignore[override]
        del default
        return FakeAnswer(text=f"you said: {key}")


def test_zones_are_not_a_detectors_to_give() -> None:
    far = cloud()
    at = house(far, declassify=Declassify.PSEUDONYMISE)
    at.keys = OneKey(
        tenant_label=Label(level=Level.CONFIDENTIAL, kinds=frozenset({"pii"}), zones=frozenset({DEVICE, LAN}))
    )
    with pytest.raises(NoPermittedDeployment):
        ask(at, chat(f"write to {MAIL}"))
    assert not far.calls


class _Wanting(NothingRemembered):
    """Asked what it wants to remember."""

    def __init__(self) -> None:
        self.asked: list[Label] = []

    def wants(self, principal: Principal, label: Label) -> bool:
        del principal
        self.asked.append(label)
        return False


def test_what_detectors_find_again_need_not_be_remembered() -> None:
    """Else every address of e-mail would push a restricted text out of the memory, which holds so many."""
    memory = _Wanting()

    class Remembering(House):
        def services(self) -> Services:
            return replace(super().services(), memory=memory)

    far = cloud(kinds=frozenset({"pii"}))
    plain = house(far)
    at = Remembering(**{each.name: getattr(plain, each.name) for each in fields(plain)})
    ask(at, chat(f"write to {MAIL}"))
    assert at.receipt.label.kinds == {"pii"} and len(far.calls) == 1
    assert memory.asked and all(label == INTERNAL for label in memory.asked)


def test_an_untrusted_public_text_is_guarded_where_its_label_may_still_rise() -> None:
    far = cloud(kinds=frozenset({"pii"}), answer="![x](https://evil.example/x) done")
    at = house(far)
    at.keys = OneKey()
    sink = ask(at, replace(chat(f"write to {MAIL}"), is_external=True))
    assert at.receipt.label.level is Level.INTERNAL and not at.receipt.label.trusted
    assert "evil.example" not in sink.text or "](https://evil" not in sink.text


@pytest.mark.parametrize("act", [Declassify.REDACT, Declassify.PSEUDONYMISE])
def test_a_route_that_is_called_like_a_person_is_no_person(act: Declassify) -> None:
    far = cloud()
    at = house(far, reader=HereReader(people=("auto",)), declassify=act)
    ask(at, chat(f"write to {MAIL}", model="auto"))
    assert len(far.calls) == 1 and not at.receipt.detours


def test_what_is_refused_before_its_first_attempt_leaves_nothing_behind() -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    at = house(cloud(kinds=None), reader=HereReader(before=never))
    at.keys = OneKey()
    body = b'{"model":"auto","messages":[{"role":"user","content":"hello"}],"web_search_options":{}}'
    request = replace(decode_chat(body, request_id=REQUEST_ID), is_external=True)

    async def refused() -> None:
        with pytest.raises(ServerToolRefused):
            await at.ask(request)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(refused())


def test_a_configuration_that_comes_into_force_meanwhile_decides_nothing() -> None:
    """Else a text could go to where the old one leads because of what the new one says of another place by that name."""
    far = cloud()
    at, later = house(far), house(cloud(kinds=frozenset({"pii"})))
    now = [at.runtime()]

    class Files(NoFiles):
        async def label_of(self, file_id: str, *, tenant: str) -> str | None:
            if len(now) == 1:
                now.append(later.runtime())
                await pipeline.answer(chat("hello"), pipeline.authenticate(GOOD_KEY), MemorySink())
            return "internal;zones=world"

    pipeline = Pipeline(services=replace(at.services(), files=Files()), runtime=lambda: now[-1])
    body = b'{"model":"auto","messages":[{"role":"user","content":"write to %s"}],"metadata":{"file_id":"f"}}'
    request = decode_chat(body % MAIL.encode(), request_id=REQUEST_ID)
    with pytest.raises(NoPermittedDeployment):
        asyncio.run(pipeline.answer(request, pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert not far.calls


def test_who_waits_for_room_in_the_house_is_not_served_there_once_its_text_may_not_go_there() -> None:
    """Looking, for another way, has found what no rule lets go here either."""
    plain = cloud("near")
    near = FakeEngine(deployment=replace(plain.deployment, zone=LAN), default=plain.default)
    far = cloud()
    inside = replace(RULES, inside=frozenset({DEVICE, LAN}))
    at = house(near, far, rules=inside, when_busy=(Instead.OVERFLOW_FARTHER, Instead.QUEUE))
    at.admission = BusyAdmission(busy=frozenset({"near"}))
    with pytest.raises(EgressDenied):
        ask(at, chat(f"write to {MAIL}"))
    assert not near.calls and not far.calls


def test_who_waits_for_room_at_home_waits_for_no_look() -> None:
    """Only a way out that would be taken is looked for."""

    async def never(_: str) -> None:
        await asyncio.Event().wait()

    words = (Instead.OVERFLOW, Instead.QUEUE)
    reader = HereReader(before=never)
    at = house(engine("home"), cloud(), reader=reader, uncalibrated=Uncalibrated.ACCEPT, when_busy=words)
    at.admission = BusyAdmission(busy=frozenset({"home"}))

    async def asked() -> MemorySink:
        return await asyncio.wait_for(at.ask(chat("hello")), 5)

    assert asyncio.run(asked()).text == "answer of home"
    assert at.admission.waited_for == ["home"]


def test_a_way_out_that_is_taken_for_want_of_room_is_looked_for_first() -> None:
    far = cloud()
    words = (Instead.OVERFLOW_FARTHER, Instead.QUEUE)
    for text, sent in (("hello", 1), (f"write to {MAIL}", 1)):
        at = house(engine("home"), far, uncalibrated=Uncalibrated.ACCEPT, when_busy=words)
        at.admission = BusyAdmission(busy=frozenset({"home"}))
        ask(at, chat(text))
        assert len(far.calls) == sent
