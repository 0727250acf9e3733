"""Hubs: one with models of which only the beginnings may be fetched, what it may do wrong, and one that is absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from freehold.domain.errors.base import FreeholdError
from freehold.domain.errors.model import HubRefused, HubUnreachable
from freehold.domain.model_ports import HubFile, ProgressSink
from tests.servers.hub_server import HubServer
from tests.support.gguf_files import LLAMA_PAIRS, STRING, TENSORS, array, header, tensor_info
from tests.support.safetensors_files import tiny_files

_TOKENS = [f"token-{number:028}" for number in range(130_000)]
_WEIGHTS = 1 << 24


def _model() -> bytes:
    """A header longer than the first read, and 16 MiB of weights that a look may not fetch."""
    pairs = [each for each in LLAMA_PAIRS if b"tokenizer.ggml.tokens" not in each]
    tensors = (*TENSORS, tensor_info("blk.1.ffn_up.weight", (64, _WEIGHTS // 256), offset=64 * 164 * 4))
    start = header([*pairs, array("tokenizer.ggml.tokens", STRING, _TOKENS)], tensors)
    return start + b"\1" * (64 * 164 * 4 + _WEIGHTS)


MODEL = _model()
GGUF = "org/repo/model.gguf"


@contextmanager
def hub_with_models() -> Iterator[HubServer]:
    """``MODEL`` as a GGUF file, and a model in two safetensors files."""
    files = {GGUF: MODEL, **{f"org/tensors/{name}": content for name, content in tiny_files().items()}}
    with HubServer(files) as hub:
        hub.plain = {"org/tensors/config.json", "org/tensors/model.safetensors.index.json"}
        yield hub


Wrong = tuple[Callable[[HubServer], None], type[FreeholdError], str]
"""What a hub does, and how that is refused."""


def behaving(name: str, value: object) -> Callable[[HubServer], None]:
    """A hub behaves otherwise in one respect (``HubBehaviour``)."""
    return lambda hub: setattr(hub.behaviour, name, value)


WRONG: dict[str, Wrong] = {
    "always busy": (behaving("storage_status", 503), HubUnreachable, "503"),
    "another part": (behaving("shift_range", 1), HubRefused, "another part"),
    "another length than the hub says": (behaving("total", str(1 << 40)), HubRefused, "its storage has"),
    "redirects without end": (behaving("hops", 99), HubRefused, "redirects"),
    "a scheme that is none": (behaving("downgrade", "ftp"), HubRefused, "ftp"),
    "terms to accept": (behaving("error_code", "GatedRepo"), HubRefused, "terms"),
}
"""However it is reached."""


class AbsentHub:
    endpoint = "http://hub.invalid"

    async def describe(self, *, repo: str, filename: str, revision: str) -> HubFile:
        raise HubUnreachable(hub=self.endpoint, reason="connection refused")

    async def fetch(self, file: HubFile, *, target: str, progress: ProgressSink) -> str:
        raise AssertionError("nothing can be fetched from an absent hub")
