"""Whose and under which label something was computed that may be used again: the scope of a cache. Pure.

What is used again shows: an answer comes sooner, a count says so. So whatever is kept of a text is used again only for the
same tenant, under the same label, readers included. A scope says nothing of either: it may be sent to a server.
"""

from __future__ import annotations

import base64
import hmac
import json
from hashlib import sha256

from freehold.domain.labels import Label


def cache_scope(label: Label, *, tenant: str, key: bytes) -> str:
    """The scope of what is computed for a tenant under a label: 43 characters, equal for equal ones and no others.

    Args:
        label: The label of the whole request.
        tenant: Its name.
        key: A secret of this installation, so that nobody tells a scope by guessing.
    """
    told = [
        tenant,
        int(label.level),
        sorted(label.kinds),
        sorted(label.zones),
        None if label.readers is None else sorted(label.readers),
        label.trusted,
    ]
    mac = hmac.new(key, json.dumps(told).encode(), sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
