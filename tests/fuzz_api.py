"""Schemathesis against a real gateway: ``python -m tests.fuzz_api [--examples N] [--seed S]``, or ``just fuzz-api``.

The document that the gateway publishes is what is tried: as it is, and once more with names of models and ids of keys that
exist, so that more gets past the door; each with a key of every scope. Behind the gateway is a scripted server that
answers whatever it is asked, so that an upstream gives no cause for a 5xx. What may be answered with one all the same is
named in ``EXPECTED``: 501 by the routes for sound, 503 by ``/readyz``. Anything else above 499 is a fault.

Schemathesis lives in an environment of its own below ``$XDG_CACHE_HOME/freehold``, outside the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

SCHEMATHESIS = "schemathesis==4.32.5"
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "unsupported_method", "allow_header_conformance", "ignored_auth",
)  # fmt: skip
"""Not ``use_after_free``: a key that was revoked is shown on, with the time."""
SCOPES = {"infer": ("infer",), "manage": ("infer", "manage"), "admin": ("infer", "admin")}
EXPECTED = {"/v1/audio/{kind}": 501, "/readyz": 503}
MODELS = ("plain", "auto", "vectors", "small", "nothing")


CONFIG = """
[server]
port = 0
drain_s = 2
[tenants.default]
label = "internal"
[tenants.other]
label = "internal"
[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "lan"
base_url = "{upstream}"
clearance = "restricted"
tools = true
vision = true
infill = true
[deployments.vectors]
engine = "openai"
model = "scripted-vectors"
zone = "lan"
base_url = "{upstream}"
clearance = "restricted"
embeds = true
[routes.plain]
deployments = ["small"]
[routes.auto]
deployments = ["small"]
"""


class AnyServer(OpenAIServer):
    """Answers whatever it is asked in the same way: it may be something that no server of ours has seen."""

    async def answer(self, exchange: Exchange) -> None:
        """As if something ordinary had been asked."""
        if exchange.path != "/v1/models":
            body = exchange.body
            texts = body.get("input")
            ordinary = {
                "messages": [{"role": "user", "content": "hello"}],
                "prompt": "hello",
                "input": ["hello"] * (len(texts) if isinstance(texts, list) else 1),
                "stream_options": body.get("stream_options") or {},
            }
            ordinary = {name: value for name, value in ordinary.items() if name in body}
            exchange.raw = json.dumps({**body, **ordinary}).encode()
        await super().answer(exchange)


def environment(folder: Path) -> Path:
    """The command of the version named here, set up where it is not there yet."""
    home = folder / "schemathesis"
    note = home / "version"
    if not note.is_file() or note.read_text(encoding="utf-8") != SCHEMATHESIS:
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "--quiet", SCHEMATHESIS], check=True)
        note.write_text(SCHEMATHESIS, encoding="utf-8")
    return home / "bin" / "schemathesis"


def narrowed(document: dict[str, Any], gateway: Gateway) -> dict[str, Any]:
    """The document with values that exist, so that requests get further."""
    found = json.loads(json.dumps(document))
    for schema in found["components"]["schemas"].values():
        members = schema.get("properties", {})
        if schema.get("title", "").endswith(("Answer", "View", "Tag")) or "model" not in members:
            continue
        members["model"] = {"enum": list(MODELS)}
    ids = [gateway.new_key(tenant="default", scopes=["infer"])[1] for _ in range(3)]
    for path in found["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "key_id":
                    parameter["schema"] = {"enum": [*ids, "nothing"]}
                if parameter["name"] == "name":
                    parameter["schema"] = {"enum": list(MODELS)}
    return found


def attempt(command: Path, gateway: Gateway, document: dict[str, Any], key: str, words: argparse.Namespace) -> str:
    """One run; what it printed at its end, with its exit code before it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "openapi.json"
        place.write_text(json.dumps(document), encoding="utf-8")
        rules = "".join(
            f'[[operations]]\ninclude-path = "{path}"\n'
            f'checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "{status}"]\n'
            for path, status in EXPECTED.items()
        )
        config = Path(folder) / "schemathesis.toml"
        config.write_text(rules, encoding="utf-8")
        done = subprocess.run(
            [
                str(command), "--config-file", str(config), "run", str(place), "--url", gateway.base_url,
                "-H", f"Authorization: Bearer {key}", "-n", str(words.examples), "--seed", str(words.seed),
                "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-color",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    _, found, failures = done.stdout.partition("= FAILURES =")
    return f"{done.returncode}\n{failures if found else done.stdout[-1500:]}{done.stderr[-2000:]}"


def main() -> int:
    """Run; exit code 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="cases an operation, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--scope", choices=SCOPES, action="append", help="only with a key of this scope; all if not given"
    )
    words = parser.parse_args()
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    command = environment(Path(home) / "freehold")
    is_bad, cases_all = False, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        in_thread(AnyServer()) as upstream,
        running(CONFIG.format(upstream=upstream.base_url), Path(folder)) as gateway,
    ):
        published = gateway.get("/openapi.json", key="")
        for scope, scopes in ((name, SCOPES[name]) for name in words.scope or SCOPES):
            for form, document in (("published", published), ("narrowed", narrowed(published, gateway))):
                key, _ = gateway.new_key(tenant="default", scopes=scopes)
                code, _, told = attempt(command, gateway, document, key, words).partition("\n")
                cases = re.search(r"(\d+) generated", told)
                cases_all += int(cases[1]) if cases else 0
                print(f"{scope}, {form}: {cases[0] if cases else 'no cases'}, exit code {code}", flush=True)
                with gateway.http(key) as client:
                    if client.get("/v1/models").status_code != 200:
                        print("  its key was revoked on the way; what came after that was refused")
                if code != "0":
                    is_bad = True
                    print(told)
    print(f"{cases_all} cases, seed {words.seed}: {'SOMETHING WAS FOUND' if is_bad else 'nothing was found'}")
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
