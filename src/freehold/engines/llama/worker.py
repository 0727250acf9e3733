"""The engine's child process: ``python -m freehold.engines.llama.worker``, started by ``child`` only.

It begins as ``process.worker`` says, and serves until standard input closes, which happens at the latest when the
gateway is gone. It holds no secret but the key of its own socket.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from freehold.engines.process.worker import begin

_DRAFT_TOKENS, _DRAFT_SURE = 3, 0.75
_LOOKUP_ALIKE, _LOOKUP_TOKENS = 6, 8
"""As many tokens must have stood there alike before what followed is the guess, and so many are guessed."""


def main() -> None:
    """Run one order."""
    order, answers = begin()
    os.close(answers)
    if order["command"]:
        os.execv(order["command"][0], order["command"])  # noqa: S606 - the operator's own program, no shell
    server = _serve(order)
    sys.stdin.buffer.read()
    del server
    # No orderly stop: the model's memory goes with the process, and destructors wait for running requests.
    os._exit(0)


def _serve(order: dict[str, Any]) -> object:
    """Start llama.cpp's own server; it listens on the socket and answers from threads of its own."""
    import xllamacpp as untyped  # only the child ever loads it

    xllamacpp = cast("Any", untyped)
    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = order["model"], [order["alias"]]
    params.hostnames, params.api_keys = [order["socket"]], [order["key"]]
    params.n_parallel, params.n_ctx = order["slots"], order["slots"] * order["context_tokens"]
    params.n_batch, params.n_ubatch = order["batch_tokens"], order["batch_tokens"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    params.n_gpu_layers = order["gpu_layers"]
    _set_options(xllamacpp, params, order)
    # What was read for one request is used again only where the gateway says so: see ``seats``. With a similarity of 0 no
    # prompt is put into memory, or fetched from there, for a request that names its slot.
    params.cache_ram_mib, params.cache_idle_slots = order["memory_mib"], False
    params.slot_prompt_similarity, params.n_cache_reuse = 0.0, 0
    params.embedding = order["embeds"]
    if order["pooling"]:
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, "LLAMA_POOLING_TYPE_" + order["pooling"].upper())
    # Upstream's defaults are made for a desk: a web page, any origin with credentials, memory sized by itself.
    params.ui, params.cors_origins, params.cors_credentials = False, "http://127.0.0.1", False
    params.endpoint_slots, params.endpoint_metrics, params.endpoint_props = True, True, False
    params.n_threads_http = order["connections"]  # an idle connection holds a thread
    params.fit_params, params.offline, params.verbosity = False, True, 2
    return xllamacpp.Server(params)


def _set_options(xllamacpp: Any, params: Any, order: dict[str, Any]) -> None:
    """What the planner or the owner chose: cache, attention, accelerators, adapters, and who guesses tokens."""
    cache_type = getattr(xllamacpp.ggml_type, "GGML_TYPE_" + order["cache_type"].upper())
    params.cache_type_k = params.cache_type_v = cache_type
    if order["flash_attention"] is not None:
        word = "ENABLED" if order["flash_attention"] else "DISABLED"
        params.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, "LLAMA_FLASH_ATTN_TYPE_" + word)
    if order["tensor_split"]:
        places = len(params.tensor_split)
        params.tensor_split = (order["tensor_split"] + [0.0] * places)[:places]
    adapters: list[object] = []
    for path, scale in order["adapters"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = path, scale
        adapters.append(adapter)
    params.lora_adapters = adapters
    guesses, kinds = params.speculative, xllamacpp.common_speculative_type
    if order["draft"]:
        guesses.types, draft = [kinds.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE], guesses.draft
        draft.mparams.path, draft.n_max, draft.p_min = (
            order["draft"],
            order["draft_tokens"] or _DRAFT_TOKENS,
            _DRAFT_SURE,
        )
        draft.n_gpu_layers, draft.cache_type_k, draft.cache_type_v = order["gpu_layers"], cache_type, cache_type
        draft.cpuparams.n_threads = draft.cpuparams_batch.n_threads = order["threads"]
    elif order["speculation"] == "lookup":
        guesses.types, lookup = [kinds.COMMON_SPECULATIVE_TYPE_NGRAM_MAP_K], guesses.ngram_map_k
        lookup.size_n, lookup.size_m = _LOOKUP_ALIKE, order["draft_tokens"] or _LOOKUP_TOKENS


if __name__ == "__main__":
    main()
