"""How a server that somebody else runs is told to keep its cache of prompts apart.

A server that is not known to understand a member never gets it.
"""

from __future__ import annotations

import base64
import hashlib

from freehold.domain.deployment import PromptCache
from freehold.domain.request import InferenceRequest, Task

SALT, REUSE = "cache_salt", "cache_prompt"

_HOUSE = "freehold"
"""The salt of the house's own calls: an empty one is refused."""

_TASKS_WITHOUT = (Task.COUNT,)


def cache_members(request: InferenceRequest, kind: PromptCache, *, scope: str) -> dict[str, object]:
    """Members that keep what a server caches of this request within ``scope``; what the client says goes no further.

    Args:
        request: What is asked.
        kind: What the server understands.
        scope: For whom and under which label (``policy.cache_scope``).
    """
    if kind is PromptCache.SHARED or request.task in _TASKS_WITHOUT:
        return {}
    if kind is PromptCache.UNUSED:
        return {REUSE: False} if request.is_generated else {}
    salt = scope or _HOUSE
    if said := request.fields.get(SALT):  # the client keeps its own users apart, within its scope
        salt = base64.urlsafe_b64encode(hashlib.sha256(salt.encode() + b"\0" + said).digest()).decode()
    return {SALT: salt}
