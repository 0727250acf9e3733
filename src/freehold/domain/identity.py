"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass

from freehold.domain.labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A customer or department; its label is the floor of every request."""

    name: str
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller. There is no value for "nobody".

    Attributes:
        key_id: Public id of the key, safe to log.
        key_name: What its owner called it.
        tenant: Whose it is.
        label: What this key adds to every request.
        scopes: What it may do: ``infer``, ``admin``.
    """

    key_id: str
    key_name: str
    tenant: Tenant
    label: Label
    scopes: frozenset[str]
