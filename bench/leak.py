"""A public leak benchmark against a real gateway: what a client wrote stays here, what a model makes up stays out.

``python -m bench.leak`` starts ``freehold serve`` with one route whose upstream is the capture of ``pii-leak-benchmark``, and
lets that judge: its ``selfcheck`` (what reaches the upstream, and whether the client gets its values back) and its second
profile (the upstream says values that were never in the prompt, whole and cut at every place; no part of them may come
through). A second route, which takes nothing out, shows that the same run finds a leak where there is one.

The package lives in an environment of its own below ``$XDG_CACHE_HOME/freehold``, made from hashes. Nothing is fetched
unless ``--install`` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bars import Bar, all_of, bar_table, summary
from tests.clients.venvs import ClientVenv
from tests.support.server import Gateway, running

PACKAGE = "pii_leak_benchmark"
CLEAN, PLAIN = "clean", "plain"
CONFIG = """
[server]
port = 0
drain_s = 2

[tenants.default]
label = "internal"

[deployments.capture]
engine = "openai"
model = "capture"
zone = "lan"
base_url = "http://127.0.0.1:{port}/v1"
{terms}
retention_days = 0
trains = false

[routes.clean]
deployments = ["capture"]
redact_answers = true
{declassify}

[routes.plain]
deployments = ["capture"]
{declassify}
"""
CLEARED_FOR_TEXT = 'clearance = "internal"\nkinds = []'
"""As a provider's are; that it is on this machine, as the benchmark's capture has to be, lets it be no farther than the LAN."""
CLEARED_FOR_ALL = 'clearance = "restricted"\nkinds = ["pii", "phi", "pci"]'
"""Its requests go as they are: then only what is said of answers holds."""
RUN_S_MAX = 3_600


@dataclass(frozen=True)
class Profile:
    """What the second profile says of one route.

    Attributes:
        report: Its own report.
        partial: Its report on parts of values; empty where it was not asked for.
    """

    report: dict[str, Any]
    partial: dict[str, Any]

    def rate(self, name: str) -> float:
        return float(self.report["metrics"]["leak_rate"][name])

    @property
    def fidelity(self) -> float:
        return float(self.report["metrics"]["fidelity_rate"])

    @property
    def inconclusive(self) -> int:
        found = int(self.report["metrics"]["cases_inconclusive"])
        return found + int(self.partial["metrics"]["cases_inconclusive"] if self.partial else 0)


class Package:
    """The benchmark in its environment, pointed at a gateway.

    Args:
        python: Of its environment.
        gateway: What is judged.
        port: Of its capture, which the gateway has as its upstream.
        folder: For its reports.
    """

    def __init__(self, python: Path, gateway: Gateway, port: int, folder: Path) -> None:
        self._python = python
        self._gateway = gateway
        self._port = port
        self._folder = folder

    def profile(self, route: str, *, oracle: str, seed: str, partial: bool) -> Profile:
        """Run the second profile through a route.

        Raises:
            RuntimeError: It could not be run.
        """
        out = self._folder / f"{route}-{oracle}"
        words = ["--out", str(out), "--only", route, "--model", route, "--oracle", oracle, "--seed", seed]
        words += ["--gateway-url", f"{self._gateway.base_url}/v1/chat/completions", "--upstream-port", str(self._port)]
        done = self._run("pii_leak_benchmark.v2_cli", *words, *(["--partial-emission"] if partial else []))
        report, beside = out / f"{route}.json", out / f"{route}.partial-emission.json"
        if not report.is_file() or partial is not beside.is_file():
            raise RuntimeError(f"{done.stdout}{done.stderr}")
        print(done.stdout)
        read = json.loads(beside.read_text(encoding="utf-8")) if partial else {}
        return Profile(report=json.loads(report.read_text(encoding="utf-8")), partial=read)

    def selfcheck(self, route: str, *words: str) -> tuple[int, str]:
        """Run the smoke test through a route: its exit status, and what it printed."""
        target = ["--target-base-url", f"{self._gateway.base_url}/v1", "--target-model", route]
        done = self._run("pii_leak_benchmark.cli", "selfcheck", *target, "--capture-port", str(self._port), *words)
        print(done.stdout + done.stderr)
        return done.returncode, done.stdout

    def _run(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        key = self._gateway.key
        return subprocess.run(
            [str(self._python), "-m", module, *words],
            env={**os.environ, "V2_GATEWAY_TOKEN": key, "CONFORMANCE_TARGET_API_KEY": key},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=RUN_S_MAX,
            check=False,
        )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def config(port: int, *, answers_only: bool) -> str:
    """The gateway's configuration."""
    return CONFIG.format(
        port=port,
        terms=CLEARED_FOR_ALL if answers_only else CLEARED_FOR_TEXT,
        declassify="" if answers_only else 'declassify = "pseudonymise"',
    )


def bars_of_answers(found: Profile, control: Profile) -> list[Bar]:
    """What must hold of what a model makes up."""
    cases = found.report["metrics"]["cases_applicable"]
    tries = found.report["metrics"]["partition_oracle"]["captured_requests_total"]
    return [
        Bar(what=f"LeakRate, whole values ({cases} cases)", measured=found.rate("single_chunk"), needed=0, digits=4),
        Bar(what=f"LeakRate, cut values ({tries} requests)", measured=found.rate("adversarial"), needed=0, digits=4),
        Bar(
            what="partial emission",
            measured=float(found.partial["metrics"]["partial_emission_rate"]["overall"]),
            needed=0,
            digits=4,
        ),
        Bar(what="cases that could not be judged", measured=found.inconclusive, needed=0, digits=0),
        Bar(
            what="LeakRate of the route that takes nothing out",
            measured=control.rate("overall"),
            needed=1,
            is_floor=True,
            digits=4,
        ),
    ]


def bars_of_requests(package: Package, found: Profile) -> list[Bar]:
    """What must hold of what a client wrote."""
    reached = found.report["checks"]["configured_upstream_boundary"]["leaked_entity_types"]
    status, said = package.selfcheck(CLEAN, "--no-credentials")
    with_secrets, _ = package.selfcheck(CLEAN)
    return [
        Bar(what="FidelityRate", measured=found.fidelity, needed=1, is_floor=True, digits=4),
        Bar(what="types of values that reached the upstream", measured=len(reached), needed=0, digits=0),
        all_of("selfcheck is CLEAN", int(status == 0 and "CLEAN" in said), 1),
        # A secret leaves this device in no form: then nothing reaches the capture, and the package says "not measured".
        all_of("selfcheck with secrets finds no leak", int(with_secrets != 1), 1),
    ]


def main() -> int:
    """Run, and print the bars; exit code 1 where one does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.leak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--install", action="store_true", help="fetch the benchmark into its environment first")
    parser.add_argument("--answers-only", action="store_true", help="requests go as they are; judge answers alone")
    parser.add_argument("--thorough", action="store_true", help="also cut every value in three: thousands of requests")
    parser.add_argument("--seed", default="f4ee401d", help="of the values, in hex")
    words = parser.parse_args()
    place = ClientVenv(PACKAGE)
    if words.install:
        place.make()
    if not place.is_made:
        print("pii-leak-benchmark is not here yet: python -m bench.leak --install fetches it, checked against hashes.")
        return 2
    port = free_port()
    oracle = "union-worst-case" if words.thorough else "exhaustive-2-part"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(config(port, answers_only=words.answers_only), folder, wait_ready=False) as gateway:
            package = Package(place.python, gateway, port, folder)
            control = package.profile(PLAIN, oracle="midpoint", seed=words.seed, partial=False)
            found = package.profile(CLEAN, oracle=oracle, seed=words.seed, partial=True)
            bars = bars_of_answers(found, control)
            if not words.answers_only:
                bars += bars_of_requests(package, found)
    print(bar_table(bars))
    print()
    print(summary(bars))
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
