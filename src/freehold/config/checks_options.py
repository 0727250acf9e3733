"""Options of engines that no single value shows to be wrong: for another engine, or against each other."""

from __future__ import annotations

from collections.abc import Iterator

from freehold.config.lines import KeyPath
from freehold.config.mistakes import Mistake
from freehold.config.schema import DeploymentSection

_ASK_NOTHING: dict[str, tuple[object, ...]] = {
    "tensor_split": ([],),
    "kv_cache": (None, "f16"),
    "flash_attention": (None, True),
    "speculation": ("auto", "off"),
    "draft_model": ("",),
    "draft_tokens": (0,),
    "adapters": ([],),
    "adapter_digests": ([],),
}
"""Values of each option that are true of an engine that has no such thing."""

_CARDS_MAX = 16
_OF_EMBEDDED = ("speculation", "draft_model", "draft_tokens")


def check_options(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    """Mistakes of one deployment's engine options."""
    if section.engine not in {"embedded", "llama-server"} or section.base_url:
        for key, nothing in _ASK_NOTHING.items():
            if getattr(section, key) not in nothing:
                yield Mistake(path=(*path, key), text="only for a llama.cpp that Freehold runs; leave it out")
        return
    if section.engine == "llama-server":
        for key in _OF_EMBEDDED:
            if getattr(section, key) not in _ASK_NOTHING[key]:
                yield Mistake(path=(*path, key), text="only engine 'embedded' guesses tokens; leave it out")
    if section.flash_attention is False and section.kv_cache not in {None, "f16"}:
        text = f"a cache of {section.kv_cache} needs flash attention; leave one of the two out"
        yield Mistake(path=(*path, "kv_cache"), text=text)
    yield from _speculation(path, section)
    yield from _split(path, section)
    if section.adapter_digests and len(section.adapter_digests) != len(section.adapters):
        text = (
            f"{len(section.adapter_digests)} digests for {len(section.adapters)} adapters; give one for each, or none"
        )
        yield Mistake(path=(*path, "adapter_digests"), text=text)


def _speculation(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    if section.speculation == "draft" and not section.draft_model:
        yield Mistake(path=(*path, "speculation"), text="draft_model must be set with it: who guesses")
    if section.speculation == "lookup" and section.draft_model:
        text = "lookup guesses without a model; leave draft_model out, or set speculation = 'draft'"
        yield Mistake(path=(*path, "draft_model"), text=text)
    if section.draft_tokens and section.speculation == "auto" and not section.draft_model:
        yield Mistake(path=(*path, "draft_tokens"), text="nothing guesses; set draft_model or speculation")
    if section.draft_model and section.draft_model == section.model:
        yield Mistake(
            path=(*path, "draft_model"), text="a model that drafts for itself gains nothing; name a smaller one"
        )
    if section.embeds and (section.draft_model or section.speculation in {"draft", "lookup"}):
        yield Mistake(path=(*path, "speculation"), text="a model that embeds writes no tokens; leave it out")


def _split(path: KeyPath, section: DeploymentSection) -> Iterator[Mistake]:
    split = section.tensor_split
    if not split:
        return
    if any(share < 0 for share in split) or not sum(split) or len(split) > _CARDS_MAX:
        text = f"{split}: shares are 0 or more, not all 0, for at most {_CARDS_MAX} accelerators"
        yield Mistake(path=(*path, "tensor_split"), text=text)
    if not section.gpu_layers:
        text = "no layer is on an accelerator; set gpu_layers too, -1 for all"
        yield Mistake(path=(*path, "tensor_split"), text=text)
