"""What stands behind the gateway while clients are tested: scripted servers that know some further tricks.

``structured``      answers with JSON for the schema of ``{"city", "degrees"}``
``429-once NAME``   refuses the first time for each NAME, with Retry-After 1
``503-always``      refuses with that status
``image``           says how many images it was sent, and how each begins

A conversation whose last turn is a tool's is answered with what the tools said.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.http import Exchange
from tests.servers.openai_server import OpenAIServer
from tests.support.site import Site, site

ANSWER = '{"city": "Paris", "degrees": 21}'

MORE = """
[deployments.seeing]
engine = "openai"
model = "scripted-seeing"
zone = "lan"
base_url = "{small}"
clearance = "confidential"
vision = true

[deployments.filling]
engine = "openai"
model = "scripted-filling"
zone = "lan"
base_url = "{small}"
clearance = "internal"
infill = true

# Each kind of trouble has a deployment of its own: what fails is left alone for a while.
[deployments.busy]
engine = "openai"
model = "scripted-busy"
zone = "lan"
base_url = "{small}"
clearance = "internal"

[deployments.once]
engine = "openai"
model = "scripted-once"
zone = "lan"
base_url = "{small}"
clearance = "internal"

[deployments.failing]
engine = "openai"
model = "scripted-failing"
zone = "lan"
base_url = "{small}"
clearance = "internal"

[deployments.public-only]
engine = "openai"
model = "scripted-public"
zone = "lan"
base_url = "{small}"
clearance = "public"
"""

BODY_LIMIT_BYTES = 1_000_000


class ClientServer(OpenAIServer):
    """The scripted server with those tricks."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: set[str] = set()

    async def _complete(self, exchange: Exchange, mode: str) -> None:
        messages = exchange.body.get("messages", [])
        if mode.startswith("429-once") and mode not in self._refused:
            self._refused.add(mode)
            error = {"message": "slow down", "type": "rate_limit", "code": "rate_limit_exceeded"}
            await exchange.reply_json(429, {"error": error}, retry_after="1")
        elif mode == "503-always":
            await exchange.reply_json(503, {"error": {"message": "no room", "type": "overloaded", "code": 503}})
        elif messages and messages[-1]["role"] == "tool":
            told = [_text(each["content"]) for each in messages if each["role"] == "tool"]
            await super()._complete(exchange, f"say:The tools said: {', '.join(told)}")
        elif mode == "structured":
            await super()._complete(exchange, f"say:{ANSWER}")
        elif mode == "image":
            await super()._complete(exchange, f"say:{_images(messages)}")
        else:
            await super()._complete(exchange, mode)


def _text(content: str | list[dict]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _images(messages: list[dict]) -> str:
    parts = [part for each in messages if isinstance(each["content"], list) for part in each["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return f"{len(urls)} image: {' '.join(url[:22] for url in urls)}"


@contextmanager
def client_site(folder: Path) -> Generator[Site]:
    """The usual site with these servers, and a body limit that a client can reach."""
    server = ClientServer()
    with site(folder, server=f"body_limit_bytes = {BODY_LIMIT_BYTES}", more=MORE, small=server) as running:
        yield running
