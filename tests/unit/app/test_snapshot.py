"""Which calibrations hold for what runs at this moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from freehold.app.known import Known as Files
from freehold.app.snapshot import CalibrationLookup, snapshot
from freehold.domain.deployment import Deployment, EngineFingerprint
from freehold.domain.ports import Engine
from tests.support.fake_engine import FakeEngine
from tests.support.routing import calibration, deployment
from tests.support.vault_parts import compiled_of

THIS = EngineFingerprint(engine="llama.cpp", version="b1", template_sha256="bb")
OURS = replace(deployment("small"), model=replace(deployment("small").model, digest="sha256:aa"))


@dataclass
class Known:
    """An engine that says what it is."""

    deployment: Deployment = OURS
    said: EngineFingerprint = THIS
    asked: int = field(default=0)

    def fingerprint(self) -> EngineFingerprint:
        self.asked += 1
        return self.said


def lookup(engine: Any, *calibrations: Any) -> CalibrationLookup:
    return CalibrationLookup({"small": cast("Engine", engine)}, calibrations)


def test_all_that_apply_are_found_in_their_order() -> None:
    first, prefix, other = calibration(), calibration(scope="prefix-8"), calibration(workload="other")
    found = lookup(Known(), first, prefix, other)
    assert found("small", "general") == (first, prefix)
    assert found("small", "other") == (other,)


@pytest.mark.parametrize(
    "changed",
    [{"model_digest": "sha256:xx"}, {"engine_version": "b2"}, {"template_digest": "cc"}, {"engine": "vllm"}],
    ids=str,
)
def test_one_for_anything_else_is_not(changed: dict[str, str]) -> None:
    assert lookup(Known(), calibration(**changed))("small", "general") == ()


def test_an_engine_that_changes_is_another_one_at_once() -> None:
    engine = Known(said=EngineFingerprint(engine="llama.cpp"))
    found = lookup(engine, calibration())
    assert found("small", "general") == (), "its template is not known before it is ready"
    engine.said = THIS
    assert len(found("small", "general")) == 1
    engine.said = replace(THIS, version="b2")
    assert found("small", "general") == ()


def test_what_is_known_of_a_server_stands_for_weights_that_are_not_ours() -> None:
    known = EngineFingerprint(
        engine="openai:vllm", version="fp_1", template_sha256="known:1", stands_for_model="known:1"
    )
    made_there = calibration(
        engine="openai:vllm", engine_version="fp_1", template_digest="known:1", model_digest="known:1"
    )
    server = Known(deployment=deployment("small"), said=known)
    assert lookup(server, made_there)("small", "general") == (made_there,)
    server = Known(deployment=deployment("small"), said=EngineFingerprint(engine="openai:vllm"))
    assert lookup(server, made_there)("small", "general") == (), "one that says nothing is uncalibrated"


def test_an_engine_that_cannot_say_what_it_is_has_none() -> None:
    assert lookup(FakeEngine(deployment=OURS), calibration())("small", "general") == ()


def test_a_vault_is_trusted_where_its_owner_says_so(tmp_path: Path) -> None:
    text = "[vaults.notes]\ntrusted = true\n[vaults.mail]\n"
    compiled = compiled_of(tmp_path, text)
    engines = {each.deployment.name: cast("Engine", Known(deployment=each.deployment)) for each in compiled.deployments}
    found = snapshot(compiled, engines, Files(), lambda *_: None, cache_key=b"k" * 32)
    assert found.trusted_vaults == {"notes"}
