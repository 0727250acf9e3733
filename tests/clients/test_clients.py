"""Programs that people have: official clients, each in an environment of its own, against a gateway that runs.

On demand, since they are 200 MB of other people's code: ``just test-clients``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.servers import client_site
from tests.clients.venvs import CLIENTS, HERE, ClientVenv, cache_folder, surprises
from tests.support.server import eventually
from tests.support.site import Site

VARIABLE = "FREEHOLD_TEST_CLIENTS"
SUITE_S = 300
LEFT_MS_MAX = 200
"""A client that leaves is noticed at the upstream within this."""
NOWHERE = "http://127.0.0.1:9"


def child_environment(venv: ClientVenv, home: Path) -> dict[str, str]:
    """All that other people's code knows of this machine. Whoever heeds proxies goes nowhere but to loopback."""
    return {
        "PATH": f"{venv.folder / 'bin'}:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPYCACHEPREFIX": str(home / "compiled"),
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


@dataclass
class House:
    """The gateway, and a key that may not ask it anything."""

    site: Site
    key_without_scope: str

    def environment(self, venv: ClientVenv, home: Path) -> dict[str, str]:
        """What a suite is told besides."""
        gateway = self.site.gateway
        return child_environment(venv, home) | {
            "FREEHOLD_URL": gateway.base_url,
            "FREEHOLD_KEY": gateway.key,
            "FREEHOLD_KEY_WITHOUT_SCOPE": self.key_without_scope,
        }

    def left_ms(self, left_s: float, since_s: float) -> float:
        """How long after a client left the upstream knew, of what it noticed after ``since_s``."""
        exchanges = self.site.small.exchanges

        def look() -> list[float]:
            gone = [each.gone_s for each in list(exchanges) if each.gone.is_set()]
            return [1000 * (gone_s - left_s) for gone_s in gone if gone_s > since_s]

        return min(eventually(look, what="the upstream's notice"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"on demand: just test-clients (makes the environments, then {VARIABLE}=1)")
    with client_site(tmp_path_factory.mktemp("clients")) as site, site.gateway.key_ring() as ring:
        secret, _ = ring.new(name="reads-metrics", tenant="default", scopes=("admin",))
        eventually(lambda: _known(site, secret), what="the new key")
        yield House(site, secret)


def _known(site: Site, secret: str) -> bool:
    with site.gateway.http(secret) as client:
        return client.get("/metrics").status_code == 200


@pytest.fixture
def venv(request: pytest.FixtureRequest, house: House) -> ClientVenv:
    made = ClientVenv(request.param)
    if not made.is_made:
        pytest.fail(f"the environment of {made.client} is missing: python -m tests.clients.venvs")
    return made


every_client = pytest.mark.parametrize("venv", CLIENTS, indirect=True)


@every_client
def test_nothing_runs_unasked_in_its_environment(venv: ClientVenv) -> None:
    assert surprises(venv.packages) == []


@every_client
def test_a_client_finds_what_it_expects(venv: ClientVenv, house: House, tmp_path: Path) -> None:
    for file in (HERE / "kit.py", HERE / venv.client / "suite.py"):
        shutil.copy(file, tmp_path)
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [venv.python, "suite.py"],
        cwd=tmp_path,
        env=house.environment(venv, tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=SUITE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert len(results) > 2, done.stdout + done.stderr
    for result in results:
        if "left_s" in result.get("told", {}):
            _judge_leaving(result, house)
    _keep(venv.client, results)
    failed = [f"{each['case']}: {each['why']}" for each in results if each["outcome"] == "failed"]
    assert not failed, "\n\n".join(failed)


def _judge_leaving(result: dict[str, Any], house: House) -> None:
    left_s, since_s = result["told"].pop("left_s"), result["told"].pop("since_s")
    took_ms = house.left_ms(left_s, since_s)
    result["told"]["left_ms"] = round(took_ms, 1)
    if took_ms > LEFT_MS_MAX and result["outcome"] == "passed":
        result |= {"outcome": "failed", "why": f"the upstream was let go after {took_ms:.0f} ms"}


def _keep(client: str, results: list[dict[str, Any]]) -> None:
    """The newest results of each client stay beside the environments."""
    folder = cache_folder() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{client}.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
