"""What engines ask of servers, and how they show a credential: in one place, so that a broker's process asks nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from freehold.domain.batch import BETA_HEADER
from freehold.domain.deployment import EngineKind
from freehold.domain.request import Task
from freehold.net.origin import Origin

ANTHROPIC_VERSION = "2023-06-01"
"""Value of the ``anthropic-version`` header."""

OPENAI_PATHS: Mapping[Task, str] = MappingProxyType(
    {
        Task.CHAT: "/chat/completions",
        Task.COMPLETION: "/completions",
        Task.EMBEDDING: "/embeddings",
        Task.RERANK: "/rerank",
    }
)
"""Behind the address's own path."""

TOKENIZE_PATH = "/tokenize"
"""Where vLLM and SGLang count; beside ``/v1``, not below it."""

ASKED_FIELDS = frozenset({"accept", "content-type", BETA_HEADER})
"""Header fields that an engine sends with a request of its own; texts go in bodies, which are on record."""

_MESSAGES_PATHS = ("/messages", "/messages/count_tokens")
_LLAMA_PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/chat/completions/input_tokens",
    "/infill",
)
_VERSION = "/v1"


def fixed_headers(kind: EngineKind, credential: str) -> tuple[tuple[str, str], ...]:
    """Fields of every request to a server of this kind, the credential among them where there is one."""
    if kind is EngineKind.ANTHROPIC:
        key = (("x-api-key", credential),) if credential else ()
        return (("anthropic-version", ANTHROPIC_VERSION), *key)
    return (("authorization", f"Bearer {credential}"),) if credential else ()


def base_path_of(kind: EngineKind, base_url: str) -> str:
    """What stands in front of every path; without the version where paths bring it themselves.

    Raises:
        BaseUrlInvalid: It is no address.
    """
    path = Origin.parse(base_url).base_path
    if kind is EngineKind.ANTHROPIC:
        # Anthropic's own clients are given the address without its version, OpenAI's with it: both are taken.
        return path.removesuffix(_VERSION) + _VERSION
    if kind is EngineKind.LLAMA_SERVER:
        return path.removesuffix(_VERSION)  # /infill and /slots are beside /v1, not below it
    # A Unix socket's address has no room for a path.
    return _VERSION if base_url.startswith("unix:") else path


def asked_paths(kind: EngineKind, base_url: str) -> frozenset[str]:
    """Every path that an engine of this kind may ask for at that address.

    Raises:
        BaseUrlInvalid: It is no address.
    """
    base = base_path_of(kind, base_url)
    if kind is EngineKind.ANTHROPIC:
        return frozenset(base + path for path in _MESSAGES_PATHS)
    if kind is EngineKind.LLAMA_SERVER:
        return frozenset(base + path for path in _LLAMA_PATHS)
    beside = base.removesuffix(_VERSION) + TOKENIZE_PATH
    return frozenset({beside, *(base + path for path in OPENAI_PATHS.values())})
