"""Vectors and relevance for the vault: models of this device in jailed children, behind ``domain.vault_ports``."""
