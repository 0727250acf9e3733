-- The date from which a row's price holds, as its receipts say; rows from before have it in their receipts only.
ALTER TABLE ledger_spend ADD COLUMN effective TEXT NOT NULL DEFAULT '';
