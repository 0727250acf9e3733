"""``freehold doctor --engine``: one engine is started, which generates a token, and is stopped again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from freehold.app.engines import build_engine
from freehold.app.snapshot import tenants_of
from freehold.app.stores import Stores, open_stores
from freehold.cli.checks import Check, good, remark
from freehold.config.compile import Compiled, DeploymentPlan
from freehold.config.load import LoadedConfig
from freehold.domain.deployment import EngineKind
from freehold.domain.errors.server import DataFolderLocked
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.onnx.engine import OnnxEngine
from freehold.hostinfo.probe import probe

_OURS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER, EngineKind.ONNX})


def check_engine(folder: Path, loaded: LoadedConfig, compiled: Compiled) -> list[Check]:
    """Start the first engine of ours. Starting one means that it generated a token, or computed a vector.

    Raises:
        FreeholdError: It cannot be started.
    """
    plan = next((each for each in compiled.deployments if each.deployment.engine in _OURS), None)
    if plan is None:
        return [remark("engine", "the configuration has none of ours")]
    try:
        with open_stores(
            folder, origin=loaded.config.audit.origin, tree=compiled.tree, tenants=tenants_of(compiled)
        ) as stores:
            return [asyncio.run(_start(plan, stores))]
    except DataFolderLocked:
        return [remark("engine", 'not started here: the server is running; "freehold models" shows its engines')]


async def _start(plan: DeploymentPlan, stores: Stores) -> Check:
    engine = build_engine(plan, stores, probe())
    name = f"engine {plan.deployment.name}"
    began_s = stores.clock.monotonic_s()
    try:
        await engine.start()
        took_s = stores.clock.monotonic_s() - began_s
        held = (
            sum(1 for each in engine.jail_report() if each.holds)
            if isinstance(engine, (LlamaEngine, OnnxEngine))
            else 0
        )
        did = "computed something" if isinstance(engine, OnnxEngine) else "generated a token"
        return good(name, f"{did} {took_s:.1f} s after its start; {held} measures of its jail hold")
    finally:
        await engine.close()
        await stores.broker.close()
