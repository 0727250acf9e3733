"""Typed configuration: one TOML file, every mistake at once with its line, and where each value came from."""
