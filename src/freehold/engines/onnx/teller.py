"""What tells languages apart; loaded in a worker only, since it needs the packages of the extra ``embed``."""

from __future__ import annotations

import io
import lzma
from array import array
from pathlib import Path
from typing import Any

_TYPECODES = {2: "H", 4: "I"}


class LanguageTeller:
    """The model of ``py3langid``, which comes with the package (``domain.detect_ports.Teller``)."""

    def __init__(self) -> None:
        self._identifier = _identifier()

    def __call__(self, words: str, /) -> tuple[tuple[str, float], ...]:
        """The languages that some words may be in; see ``Teller``."""
        return tuple((name, float(chance)) for name, chance in self._identifier.rank(words))


def _identifier() -> Any:
    """The package's classifier, its model unpacked in memory: its own loader writes a file, and a worker may write none."""
    import numpy
    from py3langid import langid

    np: Any = numpy
    package: Any = langid
    packed = Path(package.MODEL_DIR) / package.MODEL_FILE
    with lzma.open(packed) as file, np.load(io.BytesIO(file.read()), allow_pickle=False) as model:
        return package.LanguageIdentifier(
            model["ptc"],
            model["pc"],
            model["classes"].tolist(),
            _numbers(model["nextmove"]),
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=_numbers(model["nextmove_row"]),
        )


def _numbers(values: Any) -> array[int]:
    """Whole numbers as the classifier walks through them fastest."""
    return array(_TYPECODES[values.dtype.itemsize], values.tobytes())
