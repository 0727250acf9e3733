"""The composition root: the only room that knows every other."""

from freehold.app.server import serve

__all__ = ["serve"]
