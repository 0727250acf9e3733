"""Which version of each model runs here, and whether its name leads to another one, or its file is another one, by now."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from freehold.app.placed_engine import PlacedEngine
from freehold.audit.records import model_switch_record, policy_change_record
from freehold.config.compile import DeploymentPlan
from freehold.domain.deployment import EngineKind
from freehold.domain.ports import AuditRecord, Engine
from freehold.engines.llama.engine import LlamaEngine
from freehold.engines.onnx.engine import OnnxEngine
from freehold.engines.process.files import ModelFiles
from freehold.gateway.runtime import Runtime
from freehold.hostinfo.probe import probe
from freehold.serving.manifests import Hold
from freehold.serving.registry import ModelRegistry

log = logging.getLogger("freehold.app")

_OURS = frozenset({EngineKind.EMBEDDED, EngineKind.LLAMA_SERVER, EngineKind.ONNX})
_ROOM = 1.3
"""Memory for a second copy, as a multiple of its file: weights, cache and buffers."""


class ModelWatch:
    """Keeps the files of running engines from the garbage collection, and tells which were switched.

    Args:
        models: The models of this machine.
        running: Engines whose files are held from the beginning.
    """

    def __init__(self, models: ModelRegistry, running: Iterable[Engine] = ()) -> None:
        self._models = models
        self._holds: dict[int, tuple[Engine, tuple[Hold, ...]]] = {}
        self.hold(running)

    def hold(self, engines: Iterable[Engine]) -> None:
        """Hold the files of these engines."""
        for engine in engines:
            paths = self._files(engine)
            if paths and id(engine) not in self._holds:  # the engine is kept with it, so that its id stays its own
                self._holds[id(engine)] = engine, tuple(map(Hold, paths))

    def let_go(self, engines: Iterable[Engine]) -> None:
        """Let go of those of engines that were closed."""
        for engine in engines:
            _, holds = self._holds.pop(id(engine), (engine, ()))
            for hold in holds:
                hold.close()

    def close(self) -> None:
        """Let go of all."""
        self.let_go([engine for engine, _ in self._holds.values()])

    def _files(self, engine: Engine) -> list[Path]:
        """What of the models folder it is loaded from, now or later: the model, and the one that guesses."""
        digest = _weights(engine).removeprefix("sha256:")
        manifest = self._models.shelf.read(digest) if digest else None
        found = [] if manifest is None else [self._models.shelf.model_path(manifest)]
        inner = engine.inner if isinstance(engine, PlacedEngine) else engine
        if isinstance(inner, LlamaEngine) and inner.settings.draft_path:
            found.append(Path(inner.settings.draft_path))
        return found

    def moved(self, plans: Mapping[str, DeploymentPlan], engines: Mapping[str, Engine]) -> frozenset[str]:
        """Deployments whose model, or the one that guesses for it, is another one by now than the one that runs.

        Its name leads to another version, or a file that its owner keeps was exchanged. May read such a file whole.
        """
        found: set[str] = set()
        for name, plan in plans.items():
            engine = engines.get(name)
            if engine is None or plan.deployment.engine not in _OURS or plan.settings.base_url:
                continue
            model = self._models.find(plan.deployment.model.name)
            running = _weights(engine)
            if model is not None and running and model.digest != running:
                found.add(name)
            elif self._draft_moved(plan, engine):
                log.info("%s guesses with another version of %s", name, plan.settings.options.draft_model)
                found.add(name)
            elif exchanged := self._exchanged(engine):
                log.info("%s: %s changed", name, ", ".join(map(str, exchanged)))
                found.add(name)
        return frozenset(found)

    def _draft_moved(self, plan: DeploymentPlan, engine: Engine) -> bool:
        """Whether the name of the model that guesses leads to another version; one that does not guess is not loaded."""
        guesses = _draft(engine)
        draft = self._models.find(plan.settings.options.draft_model) if guesses else None
        return draft is not None and draft.digest != guesses

    def warn_unvouched(self, engines: Mapping[str, Engine]) -> None:
        """Say of which engines the files would not be loaded any more, since nobody trusted now signed them."""
        for name, engine in engines.items():
            files = _files_of(engine)
            if files is not None and (reason := files.unvouched()):
                log.warning("%s runs on until it is loaded anew, and does not start then: %s", name, reason)

    def _exchanged(self, engine: Engine) -> tuple[Path, ...]:
        """Files of its owner's that it was built from and that are others now: what was pulled is never changed in its place."""
        files = _files_of(engine)
        return () if files is None else files.exchanged(outside=self._models.folder)

    def has_room(self, engines: Iterable[Engine]) -> bool:
        """Whether these fit into memory beside what runs."""
        size_bytes = sum(engine.deployment.model.size_bytes for engine in engines)
        return _ROOM * size_bytes < probe().memory_free_bytes


def _files_of(engine: Engine) -> ModelFiles | None:
    inner = engine.inner if isinstance(engine, PlacedEngine) else engine
    return inner.files if isinstance(inner, LlamaEngine | OnnxEngine) else None


def _weights(engine: Engine) -> str:
    """Digest of the file that it runs; adapters are not part of it."""
    model = engine.deployment.model
    return model.weights_digest or model.digest


def _draft(engine: Engine) -> str:
    """Digest of the model that guesses for it; empty where none does."""
    inner = engine.inner if isinstance(engine, PlacedEngine) else engine
    return inner.settings.draft_digest if isinstance(inner, LlamaEngine) else ""


def changes(
    before: Runtime, after: Runtime, moved: Collection[str], *, unix_ms: int, tenant: str
) -> Iterator[AuditRecord]:
    """What the audit log is told of a reload: another configuration, and other versions of models."""
    if before.config_digest != after.config_digest:
        yield policy_change_record(
            unix_ms=unix_ms, tenant=tenant, before=before.config_digest, after=after.config_digest, source="reload"
        )
    for name in sorted(moved):
        old, new = before.engines[name], after.engines[name]
        drafts = _draft(old), _draft(new)
        if drafts[0] != drafts[1]:
            yield model_switch_record(
                unix_ms=unix_ms, tenant=tenant, deployment=name, before=drafts[0], after=drafts[1], part="draft"
            )
        digests = old.deployment.model.digest, new.deployment.model.digest
        if digests[0] != digests[1] or drafts[0] == drafts[1]:
            yield model_switch_record(
                unix_ms=unix_ms, tenant=tenant, deployment=name, before=digests[0], after=digests[1]
            )
