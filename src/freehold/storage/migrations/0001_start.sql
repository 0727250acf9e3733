-- Receipts as JSON documents with the columns that they are looked up by; money in micro-units.
CREATE TABLE receipts (
    id TEXT PRIMARY KEY,
    created_unix_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    task TEXT NOT NULL,
    route TEXT NOT NULL,
    deployment TEXT NOT NULL,        -- of the last attempt; empty where none was made
    zone TEXT NOT NULL,
    outcome TEXT NOT NULL,
    error_code TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    escalated INTEGER NOT NULL,
    bytes_left INTEGER NOT NULL,
    cost_micros INTEGER,             -- NULL: unpriced, never 0
    cost_currency TEXT,
    counterfactual_micros INTEGER,
    counterfactual_currency TEXT,
    total_ms REAL NOT NULL,
    audit_index INTEGER,
    document TEXT NOT NULL
);
CREATE INDEX receipts_by_tenant ON receipts (tenant, id);
CREATE INDEX receipts_by_time ON receipts (created_unix_ms);

CREATE TABLE ledger_entries (
    request_id TEXT NOT NULL REFERENCES receipts (id),
    attempt_index INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    deployment TEXT NOT NULL,
    zone TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    usage_measured INTEGER NOT NULL,
    amount_micros INTEGER,           -- NULL: unpriced, never 0
    currency TEXT,
    energy_mwh INTEGER,
    source TEXT NOT NULL,
    price_version TEXT NOT NULL,
    effective TEXT NOT NULL,
    counterfactual_micros INTEGER,
    counterfactual_currency TEXT,
    PRIMARY KEY (request_id, attempt_index)
) WITHOUT ROWID;
CREATE INDEX ledger_entries_by_time ON ledger_entries (created_unix_ms);

-- Keys by the SHA-256 of the whole key; the key itself is stored nowhere.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scopes TEXT NOT NULL,            -- space-separated, sorted
    label TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    revoked_unix_ms INTEGER
);
