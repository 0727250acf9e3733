"""A gateway in front of scripted servers: what most end-to-end tests ask."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.servers.anthropic_server import AnthropicServer
from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.ports import closed_port
from tests.support.server import Gateway, running
from tests.support.upstream import in_thread

CONFIG = """
[server]
port = 0
drain_s = 2
{server}

[tenants.default]
label = "internal"
[tenants.other]
label = "internal"

[deployments.small]
engine = "openai"
model = "scripted-small"
zone = "lan"
base_url = "{small}"
clearance = "confidential"
tools = true

[deployments.large]
engine = "openai"
model = "scripted-large"
zone = "lan"
base_url = "{large}"
clearance = "internal"

[deployments.claude]
engine = "anthropic"
model = "scripted-claude"
zone = "lan"
base_url = "{claude}"
clearance = "internal"
tools = true

[deployments.vectors]
engine = "openai"
model = "scripted-vectors"
zone = "lan"
base_url = "{small}"
clearance = "internal"
embeds = true

[deployments.nowhere]
engine = "openai"
model = "scripted-nowhere"
zone = "lan"
base_url = "http://127.0.0.1:{closed_port}/v1"
clearance = "internal"

[routes.plain]
deployments = ["small"]
[routes.auto]
deployments = ["small", "large"]
uncalibrated = "escalate"
[routes.fallback]
deployments = ["nowhere", "large"]
[routes.commit]
deployments = ["small", "large"]
stream = "commit"

[aliases]
"gpt-4o-mini" = "plain"
"""


class SteadyServer(OpenAIServer):
    """Answers everything, also what another server is asked to fail at."""

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        await super()._complete(exchange, f"not {mode}")


@dataclass
class Site:
    """The gateway and the servers behind it."""

    gateway: Gateway
    small: OpenAIServer
    large: OpenAIServer
    claude: AnthropicServer

    def ask(self, text: str, *, model: str = "plain", **more: Any) -> Any:
        """One chat through the official client; the raw reply, headers and all."""
        messages = [{"role": "user", "content": text}]
        chat = self.gateway.openai().chat.completions
        return chat.with_raw_response.create(model=model, messages=messages, **more)

    def receipt_of(self, reply: Any) -> dict[str, Any]:
        return self.gateway.receipt(reply.headers["freehold-receipt"])


@contextmanager
def site(folder: Path, *, server: str = "", more: str = "", small: OpenAIServer | None = None) -> Generator[Site]:
    """Run all of it; ``server`` goes into that section, ``more`` to the end of the configuration; there ``{small}`` is the first server."""
    with ExitStack() as servers:
        first = servers.enter_context(in_thread(small or OpenAIServer()))
        second = servers.enter_context(in_thread(SteadyServer()))
        claude = servers.enter_context(in_thread(AnthropicServer()))
        config = CONFIG.format(
            server=server,
            small=first.base_url,
            large=second.base_url,
            claude=claude.base_url,
            closed_port=closed_port(),
        )
        gateway = servers.enter_context(running(config + more.replace("{small}", first.base_url), folder))
        yield Site(gateway, first, second, claude)


def refusal(house: Site, content: Any, **more: Any) -> dict[str, Any]:
    """The error that a question gets, and its receipt."""
    with pytest.raises(openai.APIStatusError) as refused:
        house.ask(content, **more)
    return {**refused.value.body, "receipt": refused.value.response.headers.get("freehold-receipt")}
