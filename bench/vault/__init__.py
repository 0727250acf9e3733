"""Benchmarks of the vault: each prints its bars, what was measured, and whether they hold."""
