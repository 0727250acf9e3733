from __future__ import annotations

import asyncio
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from freehold.domain.deployment import Deployment, EngineKind, ModelCard, Terms
from freehold.domain.errors.engine import EngineCrashed, EngineNotReady, EngineStartFailed
from freehold.domain.errors.request import ContentUnsupported
from freehold.domain.hardware import ENGINE_NEEDS
from freehold.domain.ports import UpstreamCall
from freehold.domain.zones import DEVICE
from freehold.engines.llama.child import ChildSpec, LlamaChild
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.llama.host import ChildLease
from freehold.engines.llama.settings import LlamaSettings
from freehold.engines.process.life import Life
from freehold.engines.process.plan import Plan
from freehold.hostinfo.clock import SystemClock, SystemIds
from freehold.net.broker import Broker
from freehold.wire.openai_request import decode_chat, decode_rerank

HOME = Deployment(
    name="tiny", engine=EngineKind.EMBEDDED, model=ModelCard(name="m"), zone=DEVICE, terms=Terms(), slots=2
)
HI = decode_chat(b'{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}', request_id="r1")


def engine(settings: LlamaSettings, *, cpu_flags: frozenset[str] = frozenset()) -> LlamaEngine:
    clock = SystemClock()
    broker = Broker(clock=clock, permit_key=b"k" * 32)
    return LlamaEngine(
        deployment=HOME, settings=settings, broker=broker, clock=clock, ids=SystemIds(clock), cpu_flags=cpu_flags
    )


def refusal(tried: LlamaEngine) -> str:
    async def main() -> str:
        with pytest.raises(EngineStartFailed) as caught:
            await tried.start()
        state = tried.state()
        assert not state.ready
        assert state.detail.startswith("failed: ")
        await tried.close()
        return caught.value.message

    return asyncio.run(main())


def test_a_processor_without_avx2_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    settings = LlamaSettings(model_path=str(tmp_path / "missing.gguf"))
    assert "AVX2" in refusal(engine(settings, cpu_flags=frozenset({"sse2"})))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "AVX2" not in refusal(engine(settings, cpu_flags=frozenset({"asimd"})))


def test_a_missing_model_is_told() -> None:
    assert "No such file" in refusal(engine(LlamaSettings(model_path="/nowhere/m.gguf")))


def test_a_program_that_is_no_engine_is_told_with_its_last_words(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\necho 'error: invalid argument: --offline' >&2\nexit 3\n")
    program.chmod(0o755)
    message = refusal(engine(LlamaSettings(model_path=str(model), program=str(program))))
    assert "with exit code 3: error: invalid argument: --offline" in message


def test_before_its_start_it_is_not_ready_and_answers_so() -> None:
    async def main() -> None:
        idle = engine(LlamaSettings(model_path="m.gguf"))
        assert (idle.state().ready, idle.state().detail) == (False, "not started")
        assert idle.jail_report() == ()
        call = idle.prepare(HI, want_logprobs=0)
        assert call.origin.startswith("unix:///")
        with pytest.raises(EngineNotReady, match="not started"):
            await anext(idle.stream(call, permit=None, deadline_s=SystemClock().monotonic_s() + 5))
        await idle.close()

    asyncio.run(main())


def test_the_fingerprint_names_the_build_that_is_pinned() -> None:
    found = engine(LlamaSettings(model_path="m.gguf")).fingerprint()
    assert (found.engine, found.template_sha256) == ("llama.cpp", "")
    assert found.version.startswith("b")
    assert found.version[1:].isdigit()


def test_nothing_secret_is_in_the_command_line_of_a_program(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    settings = LlamaSettings(model_path=str(model), program="/opt/llama/bin/llama-server", pooling="mean")
    spec = ChildSpec(
        name="tiny", settings=settings, embeds=True, infill=False, threads=3, connections=9, folder="/tmp/f"
    )
    order = spec.order(Plan(slots=2, context_tokens=4096), key="hush")
    command = order["command"]
    assert isinstance(command, list)
    assert "hush" not in " ".join(command)
    assert command[command.index("--api-key-file") + 1] == "/tmp/f/key"
    assert command[command.index("-c") + 1] == "8192"
    assert command[command.index("-ub") + 1] == "2048"
    assert command[command.index("--pooling") + 1] == "mean"


def test_a_program_is_started_without_a_memory_of_its_own(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    plan = Plan(slots=2, context_tokens=4096)
    for program, memory_mib in (("/opt/llama/bin/llama-server", 0), ("", 256)):
        settings = LlamaSettings(model_path=str(model), program=program)
        spec = ChildSpec(
            name="tiny", settings=settings, embeds=False, infill=False, threads=3, connections=9, folder="/tmp/f"
        )
        order = spec.order(plan, key="hush")
        assert order["memory_mib"] == memory_mib
        command = order["command"]
        assert isinstance(command, list)
        if program:
            assert command[command.index("--cache-ram") + 1] == "0"
            assert command[command.index("--slot-prompt-similarity") + 1] == "0"


def test_every_instruction_set_that_the_build_uses_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    settings = LlamaSettings(model_path=str(tmp_path / "missing.gguf"))
    has = frozenset({"sse2", *ENGINE_NEEDS})
    for flag in ENGINE_NEEDS:
        assert f"processors with {flag.upper()}," in refusal(engine(settings, cpu_flags=has - {flag}))
    assert "No such file" in refusal(engine(settings, cpu_flags=has))


def test_it_reranks_nothing_and_passes_nothing_through() -> None:
    async def main() -> None:
        idle = engine(LlamaSettings(model_path="m.gguf"))
        asked = decode_rerank(b'{"model": "tiny", "query": "q", "documents": ["a"]}', request_id="r1")
        call = UpstreamCall(origin="unix:///s", path="/rerank", body=b"", headers=(), request=asked)
        with pytest.raises(ContentUnsupported, match="rerank requests"):
            await idle.rerank(call, permit=None, deadline_s=1.0)
        assert idle.relaying is None
        await idle.close()

    asyncio.run(main())


def test_an_answer_of_a_file_that_was_written_over_does_not_count() -> None:
    async def main() -> None:
        child = SimpleNamespace(client=None, headers=(), seats=None)
        spoilt = ChildLease(Life(cast("LlamaChild", child)), name="tiny", is_spoilt=lambda: True)
        spoilt.over(answered=False)
        with pytest.raises(EngineCrashed, match="ended since its model file was written over"):
            spoilt.over(answered=True)
        ChildLease(Life(cast("LlamaChild", child)), name="tiny", is_spoilt=lambda: False).over(answered=True)

    asyncio.run(main())
