"""A site's own rules in a real process: they deny, a change takes effect, and a bad change leaves those before in force."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.servers.openai_server import OpenAIServer
from tests.support.server import Gateway, eventually, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = 2
workers = {workers}

[policy]
rules = "own.cedar"

[deployments.office]
engine = "openai"
model = "scripted"
zone = "lan"
base_url = "{upstream}"
clearance = "confidential"

[routes.auto]
deployments = ["office"]
"""
RULE = '@id("{name}") @reason("takes no more than internal")\nforbid (principal, action, resource) when {{ context.label.level > 1 }};\n'
OPENS = '@id("opens") forbid (principal, action, resource) unless { context.label.level > 0 };\n'


def ask(gateway: Gateway, label: str) -> tuple[int, str, str]:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    with gateway.http() as client:
        reply = client.post("/v1/chat/completions", json=body, headers={"freehold-label": label})
    receipt = gateway.newest_receipt()
    return reply.status_code, reply.text, receipt["config_digest"]


@pytest.mark.parametrize("workers", [1, 2])
def test_own_rules_deny_and_a_bad_change_changes_nothing(tmp_path: Path, workers: int) -> None:
    rules = tmp_path / "own.cedar"
    rules.write_text(RULE.format(name="first"), encoding="utf-8")
    with in_thread(OpenAIServer()) as server:
        config = CONFIG.format(upstream=server.base_url, workers=workers)
        with running(config, tmp_path) as gateway:
            assert ask(gateway, "internal")[0] == 200
            status, text, digest = ask(gateway, "confidential;zones=lan")
            assert status == 403
            assert "takes no more than internal" in text
            assert gateway.newest_receipt()["decisions"][0]["rules"] == ["first"]

            rules.write_text(OPENS, encoding="utf-8")
            os.kill(gateway.pid, signal.SIGHUP)
            eventually(lambda: "was not changed" in gateway.log, what="the refusal")
            assert "and the same text made internal may" in gateway.log
            assert ask(gateway, "confidential;zones=lan")[::2] == (403, digest)

            rules.write_text(RULE.format(name="second").replace("> 1", "> 0"), encoding="utf-8")
            os.kill(gateway.pid, signal.SIGHUP)

            def all_deny() -> bool:
                return all(ask(gateway, "internal")[0] == 403 for _ in range(12))

            eventually(all_deny, within_s=20, what="the new rules in every worker")
            assert ask(gateway, "internal")[2] != digest
            assert gateway.newest_receipt()["decisions"][0]["rules"] == ["second"]
