"""The configuration as commands beside the server need it."""

from __future__ import annotations

import os

from freehold.config.compile import Compiled, compile_config
from freehold.config.load import LoadedConfig, find_file, load
from freehold.domain.errors.config import ConfigMissing
from freehold.policy.text import parse_label


def loaded_or_default(config: str) -> LoadedConfig:
    """The configuration, or the defaults where there is none.

    Raises:
        ConfigInvalid: It holds mistakes.
        ConfigMissing: The one that was asked for is not there.
    """
    try:
        path = find_file(config or None)
    except ConfigMissing:
        if config or os.environ.get("FREEHOLD_CONFIG"):
            raise
        path = None
    return load(path, check_label=parse_label)


def compiled_or_default(config: str) -> Compiled:
    """As ``loaded_or_default``, in domain values.

    Raises:
        SecretUnreadable: A secret is not there.
    """
    return compile_config(loaded_or_default(config), environment=os.environ)
