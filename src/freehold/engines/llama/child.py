"""A child process with llama.cpp in it, and the connection to it."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from freehold.domain.engine_options import exact
from freehold.domain.errors.engine import EngineRefused
from freehold.domain.errors.upstream import UpstreamError, UpstreamUnreachable
from freehold.domain.ports import Clock
from freehold.engines.llama.calls import INFILL_PATH
from freehold.engines.llama.infill import FORM_REQUEST, InfillForm, read_form
from freehold.engines.llama.seats import Seats
from freehold.engines.llama.sending import send
from freehold.engines.llama.settings import LlamaSettings, batch_for
from freehold.engines.process.child import ChildProcess
from freehold.engines.process.plan import Plan
from freehold.net.client import HttpClient

_CONNECT_RETRY_S = 0.05
_ANSWER_BYTES_MAX = 4 << 20
_EMBEDDING_TOKENS_MAX = 2_048
_LOADING = 503
_OK = 200
_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What every start of one deployment's child has in common.

    Attributes:
        name: The deployment; the child calls its model so.
        settings: How llama.cpp runs.
        embeds: Whether it makes embeddings instead of answers.
        infill: Whether it is to fill in the middle.
        threads: Decoding threads, at least 1.
        connections: Most connections to it at once; each holds one of its threads.
        folder: Private folder of the socket; made at each start, so its name must not be guessable.
        card_shares: The share of it that each card gets, in the system's order; empty to leave that to llama.cpp.
    """

    name: str
    settings: LlamaSettings
    embeds: bool
    infill: bool
    threads: int
    connections: int
    folder: str
    card_shares: tuple[float, ...] = ()

    @property
    def socket(self) -> str:
        """Where the child listens."""
        return f"{self.folder}/e.sock"

    @property
    def key_file(self) -> str:
        """Where a ``llama-server`` finds its key: other users can read arguments."""
        return f"{self.folder}/key"

    @property
    def memory_mib(self) -> int:
        """For prompts that had to make way. Only of the embedded llama.cpp it is known when it keeps and fetches them."""
        return 0 if self.settings.program or self.embeds else self.settings.memory_mib

    def order(self, plan: Plan, *, key: str) -> dict[str, object]:
        """The worker's order; it goes over standard input, so that nothing of it shows in a process list."""
        settings = self.settings
        model = Path(settings.model_path).resolve()
        draft = Path(settings.draft_path).resolve() if settings.draft_path else None
        adapters = [(Path(path).resolve(), scale) for path, scale in settings.adapters]
        batch = settings.batch_tokens
        if self.embeds:  # an embedding is made in one go: the batch must hold the whole text
            batch = min(plan.context_tokens, _EMBEDDING_TOKENS_MAX)
        elif not batch:
            on_gpu = settings.gpu_layers != 0
            batch = batch_for(file_bytes=model.stat().st_size, threads=self.threads, on_gpu=on_gpu)
        batch = max(batch, plan.slots)  # every slot gets a token a step
        order: dict[str, object] = {
            "folder": self.folder,
            "socket": self.socket,
            "key": key,
            "key_file": self.key_file,
            "model": str(model),
            "readable": [
                sys.prefix,
                sys.base_prefix,
                str(model.parent),
                *([] if draft is None else [str(draft)]),
                *(str(path) for path, _ in adapters),
            ],
            "alias": self.name,
            "slots": plan.slots,
            "context_tokens": plan.context_tokens,
            "threads": self.threads,
            "connections": self.connections,
            "batch_tokens": batch,
            "memory_mib": self.memory_mib,
            "gpu_layers": settings.gpu_layers,
            "tensor_split": list(settings.tensor_split or self.card_shares),
            "cache_type": settings.cache_type.value,
            "flash_attention": settings.flash_attention,
            "speculation": settings.speculation.value,
            "draft": "" if draft is None else str(draft),
            "draft_tokens": settings.draft_tokens,
            "adapters": [(str(path), scale) for path, scale in adapters],
            "embeds": self.embeds,
            "pooling": settings.pooling,
            "command": [],
            "executes": bool(settings.program),
        }
        if settings.program:
            program = Path(settings.program).resolve()
            cast("list[str]", order["readable"]).extend((str(program.parent), str(program.parent.parent / "lib")))
            order["command"] = _command(str(program), order)
        return order


def _command(program: str, order: Mapping[str, Any]) -> list[str]:
    """The command line of a ``llama-server``."""
    command = [
        program, "-m", order["model"], "-a", order["alias"], "--host", order["socket"],
        "--api-key-file", order["key_file"], "-np", str(order["slots"]),
        "-c", str(order["slots"] * order["context_tokens"]), "-b", str(order["batch_tokens"]),
        "-ub", str(order["batch_tokens"]), "-t", str(order["threads"]), "-tb", str(order["threads"]),
        "--cache-ram", "0", "--slot-prompt-similarity", "0", "--fit", "off", "--offline", "--no-webui",
        "--slots", "--metrics", "--jinja", "--threads-http", str(order["connections"]), "-ngl", str(order["gpu_layers"] if order["gpu_layers"] >= 0 else 999),
    ]  # fmt: skip
    command += ["-ctk", order["cache_type"], "-ctv", order["cache_type"]]
    if order["flash_attention"] is not None:
        command += ["-fa", "on" if order["flash_attention"] else "off"]
    if order["tensor_split"]:
        command += ["-ts", ",".join(f"{share:g}" for share in order["tensor_split"])]
    for path, scale in order["adapters"]:
        command += ["--lora-scaled", f"{path}:{exact(scale)}"]
    if order["embeds"]:
        command += ["--embeddings"]
        command += ["--pooling", order["pooling"]] if order["pooling"] else []
    return command


class LlamaChild(ChildProcess):
    """One worker process with a socket and key of its own (``life.Child``).

    Attributes:
        client: Connections to its socket, shared by all lives.
        headers: What every request to it carries.
        properties: What llama.cpp says of the model (``/props``), known once it is ready.
        infill_form: How its prompts for fill-in-the-middle are written; ``None`` where it has none.
        seats: Which of its slots holds whose prompt; ``None`` for one that embeds.
    """

    def __init__(
        self,
        *,
        spec: ChildSpec,
        process: asyncio.subprocess.Process,
        client: HttpClient,
        key: str,
        clock: Clock,
        slots: int,
    ) -> None:
        super().__init__(process, folder=spec.folder)
        self._spec = spec
        self._clock = clock
        self.client = client
        self.headers = (("authorization", f"Bearer {key}"),)
        self.properties: Mapping[str, object] = {}
        self.infill_form: InfillForm | None = None
        remembers = spec.memory_mib > 0
        self.seats = None if spec.embeds else Seats(slots, clock=clock, name=spec.name, remembers=remembers)

    @classmethod
    async def launch(cls, spec: ChildSpec, plan: Plan, *, client: HttpClient, clock: Clock) -> LlamaChild:
        """Start the process; whether it becomes ready shows later.

        Raises:
            OSError: The model file is gone, or the system has no room for another process or folder.
        """
        key = secrets.token_hex(32)
        order = spec.order(plan, key=key)
        process = await cls.spawn("freehold.engines.llama.worker", folder=spec.folder)
        if spec.settings.program:
            _write_key(spec, key)
        child = cls(spec=spec, process=process, client=client, key=key, clock=clock, slots=plan.slots)
        return child.begin(order)

    async def prove_ready(self) -> None:
        """Return once it has generated a token (or, if it embeds, a vector).

        Raises:
            EngineRefused: It is up, but answers with an error.
        """
        path, body = "/v1/completions", {"prompt": "1 2 3", "max_tokens": 1, "cache_prompt": False}
        if self._spec.embeds:
            path, body = "/v1/embeddings", {"input": "1 2 3"}
        times = self._spec.settings.supervision
        while True:
            try:
                status, answer = await self._ask("POST", path, body, timeout_s=times.start_timeout_s)
            except UpstreamError:
                status, answer = _LOADING, b""  # no socket yet; the supervisor knows when it is too late
            if status == _OK:
                break
            if status != _LOADING:
                raise EngineRefused(source=self._spec.name, deployment=self._spec.name, reason=_words(answer))
            await asyncio.sleep(_CONNECT_RETRY_S)
        _, answer = await self._ask("GET", "/props", None, timeout_s=times.start_timeout_s)
        properties = json.loads(answer)
        if self._spec.infill:
            status, answer = await self._ask("POST", INFILL_PATH, FORM_REQUEST, timeout_s=times.start_timeout_s)
            if status == _OK:
                self.infill_form = read_form(json.loads(answer), bos=str(properties.get("bos_token") or ""))
        self.properties = properties

    async def heartbeat(self) -> None:
        """Return once its inference loop, which answers ``/slots``, is heard of.

        Raises:
            UpstreamError: It is not.
        """
        status, _ = await self._ask(
            "GET", "/slots", None, timeout_s=self._spec.settings.supervision.heartbeat_timeout_s
        )
        if status >= _SERVER_ERRORS:  # others say that /slots is switched off, which is an answer too
            raise UpstreamUnreachable(source=self._spec.name, deployment=self._spec.name, reason=f"status {status}")

    async def _ask(self, method: str, path: str, body: object, *, timeout_s: float) -> tuple[int, bytes]:
        reply = await send(
            self.client,
            method=method,
            path=path,
            headers=(*self.headers, ("content-type", "application/json")),
            body=b"" if body is None else json.dumps(body).encode(),
            permit=None,
            deadline_s=self._clock.monotonic_s() + timeout_s,
        )
        return reply.status, await reply.read(limit_bytes=_ANSWER_BYTES_MAX)


def _write_key(spec: ChildSpec, key: str) -> None:
    Path(spec.key_file).write_text(key, encoding="ascii")


def _words(answer: bytes) -> str:
    """The message of an error object of llama.cpp, else the bytes as text."""
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return answer[:200].decode(errors="replace")
