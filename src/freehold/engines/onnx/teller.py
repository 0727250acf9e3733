"""What tells languages apart; loaded in a worker only, since it needs the packages of the extra ``embed``."""

from __future__ import annotations

from typing import Any


class LanguageTeller:
    """The model of ``py3langid``, which comes with the package (``domain.detect_ports.Teller``)."""

    def __init__(self) -> None:
        from py3langid import langid

        found: Any = langid
        self._identifier: Any = found.LanguageIdentifier.from_model_file(found.MODEL_FILE, norm_probs=True)

    def __call__(self, words: str, /) -> tuple[tuple[str, float], ...]:
        """The languages that some words may be in; see ``Teller``."""
        return tuple((name, float(chance)) for name, chance in self._identifier.rank(words))
