-- Receipts are found through the page that they lie on; the ledger is what the attempts and the requests of a page come
-- to, one row for each ten seconds, tenant, deployment (outcome), price and currency that occur on it.
ALTER TABLE receipt_pages RENAME TO receipt_pages_2;

CREATE TABLE receipts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,                -- of the request
    page INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE receipt_pages (
    number INTEGER PRIMARY KEY,
    form TEXT NOT NULL,              -- json: one receipt as text; pages, parts: see storage/pages.py
    content BLOB NOT NULL
);

CREATE TABLE ledger_spend (
    last_unix_ms INTEGER NOT NULL,   -- the greatest created_unix_ms of what is summed
    page INTEGER NOT NULL,
    place INTEGER NOT NULL,          -- among the rows of the page
    first_unix_ms INTEGER NOT NULL,  -- the least created_unix_ms; in the same ten seconds as the greatest
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    zone TEXT NOT NULL,
    currency TEXT,                   -- NULL: unpriced
    source TEXT NOT NULL,
    price_version TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    amount_micros INTEGER,           -- NULL: unpriced, never 0
    energy_mwh INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    estimated INTEGER NOT NULL,      -- of how many attempts the tokens are estimates
    PRIMARY KEY (last_unix_ms, page, place)
) WITHOUT ROWID;

CREATE TABLE ledger_requests (
    last_unix_ms INTEGER NOT NULL,   -- as above
    page INTEGER NOT NULL,
    place INTEGER NOT NULL,
    first_unix_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    outcome TEXT NOT NULL,
    zone TEXT NOT NULL,              -- of the answer, else of the last attempt; empty where none was made
    cost_currency TEXT,              -- NULL: unpriced
    counterfactual_currency TEXT,    -- NULL: no price to compare with
    requests INTEGER NOT NULL,
    escalated INTEGER NOT NULL,
    bytes_left INTEGER NOT NULL,
    cost_micros INTEGER,             -- NULL: unpriced, never 0
    counterfactual_micros INTEGER,   -- NULL: no price to compare with, never 0
    PRIMARY KEY (last_unix_ms, page, place)
) WITHOUT ROWID;

INSERT INTO receipt_pages SELECT first_seq, form, content FROM receipt_pages_2;

INSERT INTO receipts
SELECT tenant, id, first_seq
FROM ledger JOIN receipt_pages_2
    ON first_seq = (SELECT MAX(p.first_seq) FROM receipt_pages_2 AS p WHERE p.first_seq <= seq)
WHERE outcome IS NOT NULL
ORDER BY tenant, id;

INSERT INTO ledger_spend
SELECT
    MAX(created_unix_ms), first_seq, ROW_NUMBER() OVER (ORDER BY MIN(seq)), MIN(created_unix_ms), tenant, deployment,
    zone, currency, source, price_version, COUNT(*), SUM(amount_micros), COALESCE(SUM(energy_mwh), 0),
    SUM(input_tokens), SUM(output_tokens), SUM(cached_tokens), SUM(reasoning_tokens), SUM(usage_measured = 0)
FROM receipt_pages_2 CROSS JOIN ledger ON seq BETWEEN first_seq AND last_seq
WHERE deployment IS NOT NULL
GROUP BY first_seq, created_unix_ms / 10000, tenant, deployment, zone, currency, source, price_version;

INSERT INTO ledger_requests
SELECT
    MAX(created_unix_ms), first_seq, ROW_NUMBER() OVER (ORDER BY MIN(seq)), MIN(created_unix_ms), tenant, outcome,
    shown_zone, cost_currency, counterfactual_currency, COUNT(*), SUM(escalated), SUM(bytes_left), SUM(cost_micros),
    SUM(counterfactual_micros)
FROM receipt_pages_2 CROSS JOIN ledger ON seq BETWEEN first_seq AND last_seq
WHERE outcome IS NOT NULL
GROUP BY first_seq, created_unix_ms / 10000, tenant, outcome, shown_zone, cost_currency, counterfactual_currency;

DROP TABLE ledger;
DROP TABLE receipt_pages_2;
