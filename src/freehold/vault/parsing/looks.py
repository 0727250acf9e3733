"""Pictures and scanned pages, read by their looks (OCR) where the extra ``ocr`` is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import math
import warnings
from collections.abc import Callable
from typing import Any

from freehold.domain.errors.vault import FileDamaged, FileTooLarge
from freehold.vault.parsing.draft import normal
from freehold.vault.parsing.limits import Spent

MISSING = 'pictures are read by the extra ocr: pip install "freehold[ocr]"'

_SCALE = 200 / 72
"""Of pages in points: 200 dots per inch, what the model was measured with."""

_SIDE_MAX = 2_000
_AREA_MAX = 2_900_000
"""Of a picture in pixels, an A4 page at 170 dots per inch: the model takes 250 bytes of memory for each."""

_SHARE_OF_TIME = 0.8
"""Of the time, after which no further page is begun: what was read until then is kept."""

_SURE = 0.5
_SAME_LINE = 0.6

Picture = Any
"""A NumPy array of height, width and three colours."""


def seen_by() -> str:
    """What reads pictures, and its version."""
    return f"rapidocr {importlib.metadata.version('rapidocr')}"


class Sight:
    """Reads pictures, with a model that is loaded with the first of them.

    Attributes:
        why_not: Why the last picture was not read, or empty.
        was_used: Whether any was.
    """

    def __init__(self) -> None:
        self._reader: Any = None
        self.why_not = ""
        self.was_used = False

    def load(self) -> bool:
        """Load the model, in this process; whether it is there."""
        if self._reader is None and importlib.util.find_spec("rapidocr") is not None:
            import onnxruntime
            from rapidocr import RapidOCR

            runtime: Any = onnxruntime
            runtime.disable_telemetry_events()

            one = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
            self._reader = RapidOCR(params={**one, "Global.log_level": "critical"})
        return self._reader is not None

    def page(self, render: Callable[[float], Picture], size: tuple[float, float], spent: Spent) -> str:
        """The lines of a page of ``size`` in points; empty where there are none or it is not read (``why_not``)."""
        if not self._may(spent):
            return ""
        return self._read(render(min(_SCALE, _fitting(*size))))

    def picture(self, data: bytes, spent: Spent) -> tuple[str, list[int]]:
        """The lines of a picture file, and the frames of it that were not read.

        Raises:
            FileUnread: It is damaged or beyond a limit.
        """
        if importlib.util.find_spec("PIL") is None:
            self.why_not = MISSING
            return "", []
        from PIL import Image, UnidentifiedImageError

        Image.MAX_IMAGE_PIXELS = spent.limits.pixels_max
        lines: list[str] = []
        missed: list[int] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(io.BytesIO(data)) as image:
                    frames = getattr(image, "n_frames", 1)
                    spent.pages(frames)
                    if image.width * image.height > spent.limits.pixels_max:
                        raise spent.too_large(f"it has more than {spent.limits.pixels_max:,} pixels")
                    for number in range(frames if image.format == "TIFF" else 1):
                        image.seek(number)
                        seen = self._frame(image, spent)
                        lines.append(seen)
                        missed += [] if seen else [number + 1]
        except FileTooLarge:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise spent.too_large(f"it has more than {spent.limits.pixels_max:,} pixels") from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
            raise FileDamaged(name=spent.name, reason="it is no whole picture") from error
        return "\n\n".join(filter(None, lines)), missed

    def _frame(self, image: Any, spent: Spent) -> str:
        if not self._may(spent):
            image.load()  # a damaged one is told as such whether or not it can be read
            return ""
        import numpy

        scale = min(1.0, _fitting(*image.size))
        # Made smaller first: what comes behind takes several times the memory of its pixels.
        image.thumbnail((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        image = image.convert("RGBA") if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA") else image
        if image.mode == "RGBA":
            from PIL import Image

            ground = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(ground, image)
        plain = image.convert("RGB")
        return self._read(numpy.asarray(plain)[:, :, ::-1])

    def _may(self, spent: Spent) -> bool:
        """Whether one more is read; counts it."""
        if spent.ocr_pages >= spent.limits.ocr_pages_max:
            self.why_not = f"of one file {spent.limits.ocr_pages_max} pictures are read"
        elif spent.left_s() < (1 - _SHARE_OF_TIME) * spent.limits.seconds_max:
            self.why_not = "the time for one file was over"
        elif not self.load():
            self.why_not = MISSING
        else:
            self.why_not = ""
            self.was_used = True
            spent.ocr_pages += 1
            return True
        return False

    def _read(self, picture: Picture) -> str:
        found = self._reader(picture)
        if found.txts is None:
            return ""
        words = [
            (box, text)
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if score >= _SURE and text.strip()
        ]
        return normal(_in_lines(words)).strip()


def _fitting(width: float, height: float) -> float:
    """How much a picture may be scaled to be no larger than the model reads."""
    width, height = max(width, 1.0), max(height, 1.0)
    return min(_SIDE_MAX / max(width, height), math.sqrt(_AREA_MAX / (width * height)))


def _in_lines(words: list[tuple[Any, str]]) -> str:
    """Pieces with their boxes as lines: those at about one height stand beside each other."""
    placed: list[tuple[float, float, float, str]] = []
    for box, text in words:
        top, bottom = min(point[1] for point in box), max(point[1] for point in box)
        placed.append(((top + bottom) / 2, bottom - top, min(point[0] for point in box), text))
    placed.sort(key=lambda each: (each[0], each[2]))
    lines: list[list[tuple[float, str]]] = []
    height_at = -math.inf
    for middle, height, left, text in placed:
        if not lines or middle - height_at > _SAME_LINE * height:
            lines.append([])
            height_at = middle
        lines[-1].append((left, text))
    return "\n".join(" ".join(text for _, text in sorted(line)) for line in lines)
