"""Freehold: answers on hardware you own first, and proves where every text went."""

__version__ = "0.1.0"
