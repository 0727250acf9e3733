"""The vault's models of this device: verified, and made to run when they are first asked."""

from __future__ import annotations

from collections.abc import Sequence

from freehold.domain.errors.model import ModelNotInstalled
from freehold.domain.errors.vault import VaultModelMissing, VaultNeedsExtra, VaultRankerUnfit
from freehold.engines.embed.child import TextModel
from freehold.engines.embed.engine import LocalEmbedder, LocalRanker
from freehold.engines.onnx.packages import missing_packages
from freehold.serving.installed import VerifiedText
from freehold.serving.registry import ModelRegistry
from freehold.vault.choice import ENGLISH, reads_english, reads_foreign

_QUERY_PREFIXES = {ENGLISH: "Represent this sentence for searching relevant passages: "}
"""What the publisher of a model says should stand before a question."""


def local_embedder(registry: ModelRegistry, name: str, *, threads: int = 1) -> LocalEmbedder:
    """The embedder of a name (``vault.choice``). Nothing is started; its digest is checked.

    Args:
        registry: Where models are.
        name: Of the catalogue.
        threads: Computing threads of its child.

    Raises:
        VaultModelMissing: It is not here.
        VaultNeedsExtra: What runs it is not installed.
        ModelError: Its file is not what it should be.
    """
    found = _verified(registry, name)
    return LocalEmbedder(_model(found, threads), files=registry.checked_files(found.model, of=name))


def local_ranker(registry: ModelRegistry, name: str, *, threads: int = 1) -> EnglishRanker:
    """The reranker of a name; as ``local_embedder``."""
    found = _verified(registry, name)
    return EnglishRanker(_model(found, threads), files=registry.checked_files(found.model, of=name))


class EnglishRanker(LocalRanker):
    """A reranker that knows English only, and is asked of nothing else."""

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """Relevance of texts; see ``PassageRanker``.

        Raises:
            VaultRankerUnfit: The question is not in English, or a text is in another language.
            VaultModelFailed: There is none; the message says why.
        """
        if not reads_english(question) or any(reads_foreign(text) for text in texts):
            raise VaultRankerUnfit(model=self.model)
        return await super().scores(question, texts)


def _verified(registry: ModelRegistry, name: str) -> VerifiedText:
    if missing := missing_packages():
        raise VaultNeedsExtra(missing=", ".join(missing), extra="vault")
    try:
        return registry.load_text(name)
    except ModelNotInstalled:
        raise VaultModelMissing(model=name, folder=str(registry.folder), purpose="The vault") from None


def _model(found: VerifiedText, threads: int) -> TextModel:
    entry, name = found.entry, found.entry.name
    return TextModel(
        name=name,
        model_path=str(found.model.path),
        tokenizer_path="" if found.model.tokenizer is None else str(found.model.tokenizer),
        dimensions=entry.shape.embedding_length if entry.embeds else 0,
        pooling="" if entry.onnx is None else entry.onnx.pooling,
        tokens_max=entry.context_tokens,
        query_prefix=_QUERY_PREFIXES.get(name, ""),
        threads=threads,
    )
