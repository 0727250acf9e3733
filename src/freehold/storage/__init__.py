"""What survives a restart: the data folder and one SQLite file with receipts, ledger entries and keys."""
