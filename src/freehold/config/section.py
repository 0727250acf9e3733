"""What every table of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$")]
SecretReference = Annotated[str, Field(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
LogName = Annotated[str, Field(pattern=r"^[^\s+]{1,128}$")]


class Section(BaseModel):
    """A table of the file. Types are strict: a number in quotes is a mistake, since it is one more often than not."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
