-- Restricted texts, so that they are known again: fingerprints under a key that is not in here, never a word.
CREATE TABLE memory (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,                -- of the answer's receipt, or of the file
    part INTEGER NOT NULL,
    label TEXT NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    prints BLOB NOT NULL,            -- 64 bits each
    UNIQUE (tenant, id, part)
);
CREATE INDEX memory_by_expiry ON memory (expires_unix_ms);
