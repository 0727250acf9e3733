"""The bars of the vault, measured."""
