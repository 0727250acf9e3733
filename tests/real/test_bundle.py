"""The whole bundle: a fresh Python gets the program from its wheels, without a network, and answers. On demand, as all here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.integration.test_bundle_offline import SEALED, answered, bundled, why_not
from tests.real.conftest import VARIABLE

INSTALL = (
    "set -e; {python} -m venv venv; tar -xf b.tar; venv/bin/pip install -q --no-index --find-links wheels freehold"
)


def test_a_fresh_machine_is_set_up_from_a_bundle_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: {VARIABLE}=1")
    if reason := why_not():
        pytest.skip(reason)
    bundle = bundled(tmp_path, monkeypatch)
    done = subprocess.run(
        [*SEALED, "sh", "-c", INSTALL.format(python=sys.executable)],
        cwd=tmp_path, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    seen = answered(bundle, tmp_path / "fresh", tmp_path / "venv" / "bin" / "freehold")
    assert seen["routes"] == []
    assert seen["import"]["serving"] == ["smollm2-135m"], seen
    assert seen["answer"], seen
    with tarfile.open(bundle) as archive:
        listed = json.loads(archive.extractfile("sbom.json").read())
        wheels = [each for each in archive.getnames() if each.startswith("wheels/")]
        licences = [each for each in archive.getnames() if each.startswith("licences/")]
    libraries = [each for each in listed["components"] if each["type"] == "library"]
    assert len(wheels) == len(libraries) == len(licences) - 1, "one licence more: the model's"
