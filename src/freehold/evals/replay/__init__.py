"""Replay: what routers, confidence and certificates would have done on outcomes that were recorded."""
