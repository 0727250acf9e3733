"""The vault's bars. ``python -m bench.vault.NAME``."""
