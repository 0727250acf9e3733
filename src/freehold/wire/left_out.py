"""What of a request its deployment was not told, since its interface has no word for it: named, so that it is no secret."""

from __future__ import annotations

import re

from freehold.domain.deployment import Deployment, EngineKind
from freehold.domain.request import Dialect, InferenceRequest
from freehold.wire.anthropic_upstream import left_out_of_chat

_CHARACTERS_MAX = 1024
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


def names_left_out(request: InferenceRequest, deployment: Deployment) -> str:
    """Paths of members, apart by commas; empty where all of them went along.

    Only what changes no answer is left out: what would change one is refused.
    """
    is_anthropic = deployment.engine is EngineKind.ANTHROPIC
    if not (is_anthropic or request.left_out):
        return ""
    names = request.left_out
    if is_anthropic:
        native = request.native
        if native is not None and native.dialect is Dialect.ANTHROPIC:
            return ""
        names = (*names, *left_out_of_chat(request))
    return ", ".join(_NOT_A_NAME.sub("?", name) for name in names)[:_CHARACTERS_MAX]
