"""Nothing leaves this machine that may not: asked of the kernel, which sees every packet of every process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import starter_model
from tests.support.sealed import FAR_ADDRESS
from tests.support.server import ROOT

SEALED = ("unshare", "--map-root-user", "--net")


def _why_not() -> str:
    """Why this machine cannot run the test; empty where it can."""
    if missing := [program for program in ("unshare", "ip") if shutil.which(program) is None]:
        return f"needs {' and '.join(missing)}"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    made = subprocess.run([*SEALED, "ip", "tuntap", "add", "t0", "mode", "tun"], capture_output=True, check=False)
    return f"no network namespace of its own: {made.stderr.decode().strip()}" if made.returncode else ""


@pytest.mark.models
def test_no_packet_leaves_unless_the_label_permits_it(tmp_path: Path) -> None:
    model = starter_model("smollm2-135m")
    if reason := _why_not():
        pytest.skip(reason)
    done = subprocess.run(
        [*SEALED, sys.executable, "-m", "tests.support.sealed", str(model), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert seen["at_home"] == []
    assert seen["leaving"] == [FAR_ADDRESS], "the sink must see what does leave, or the line above proves nothing"
    # Both are drawn by lot from one model: the likelier answer is given, whichever that is.
    assert seen["told"].pop("escalated") in {"again: abstain; last_permitted", "small: abstain; best_held"}
    assert seen["told"] == {
        "chat": "small: abstain; last_permitted",
        "streamed": "small: streamed",
        "restricted": "small: abstain; last_permitted",
        "cloud asked for by name": "FH-POLICY-001",
        "image": "FH-REQUEST-006",
        "embeddings": "FH-REQUEST-006",
        "far": "did not answer",
    }
