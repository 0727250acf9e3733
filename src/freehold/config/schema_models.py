"""Settings of models on this machine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from freehold.config.section import Section


class Models(Section):
    """Whose signatures on models count."""

    trusted_keys: list[str] = Field(
        default=[],
        description="Public keys of those who sign models and bundles, each as NAME+ID+KEY. With one here, models that"
        " nobody of them signed are not given to an engine.",
    )
    unsigned: Literal["allow", "refuse"] | None = Field(
        default=None,
        description="What becomes of models that nobody trusted has signed: allow or refuse. If not given, refuse"
        " where there are trusted keys, else allow. A wrong signature is refused in any case.",
    )
