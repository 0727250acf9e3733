"""What every table of the configuration file is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file. Types are strict: a number in quotes is a mistake, since it is one more often than not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
