-- Limits of tenants and keys, and what each key used, by the hour: small enough to be summed over a month at any time.
CREATE TABLE limits (
    subject TEXT NOT NULL,           -- tenant:NAME or key:ID
    measure TEXT NOT NULL,           -- requests, tokens, money
    per TEXT NOT NULL,               -- minute, hour, day, month
    currency TEXT NOT NULL,          -- of money; else empty
    amount INTEGER NOT NULL,         -- of money: in micro-units
    PRIMARY KEY (subject, measure, per, currency)
) WITHOUT ROWID;

CREATE TABLE usage_attempts (
    hour_unix_ms INTEGER NOT NULL,   -- its beginning
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,            -- empty: from before keys were told apart
    deployment TEXT NOT NULL,
    currency TEXT NOT NULL,          -- empty: unpriced
    attempts INTEGER NOT NULL,
    amount_micros INTEGER NOT NULL,
    energy_mwh INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL,      -- of how many attempts the tokens are estimates
    PRIMARY KEY (hour_unix_ms, tenant, key_id, deployment, currency)
) WITHOUT ROWID;

CREATE TABLE usage_requests (
    hour_unix_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    requests INTEGER NOT NULL,       -- that were not refused
    refused INTEGER NOT NULL,
    PRIMARY KEY (hour_unix_ms, tenant, key_id)
) WITHOUT ROWID;

INSERT INTO usage_attempts
SELECT
    last_unix_ms / 3600000 * 3600000, tenant, '', deployment, COALESCE(currency, ''), SUM(attempts),
    COALESCE(SUM(amount_micros), 0), SUM(energy_mwh), SUM(input_tokens), SUM(output_tokens), SUM(cached_tokens),
    SUM(reasoning_tokens), SUM(estimated)
FROM ledger_spend
GROUP BY 1, 2, 3, 4, 5;

INSERT INTO usage_requests
SELECT
    last_unix_ms / 3600000 * 3600000, tenant, '', SUM(CASE WHEN outcome <> 'refused' THEN requests ELSE 0 END),
    SUM(CASE WHEN outcome = 'refused' THEN requests ELSE 0 END)
FROM ledger_requests
GROUP BY 1, 2;
