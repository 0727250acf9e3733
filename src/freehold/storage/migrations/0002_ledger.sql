-- One row an attempt, with what is known of the request on the last one; receipts themselves in compressed pages.
-- Rows are numbered in the order of their coming; a page holds the receipts of the rows from first_seq to last_seq.
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,                -- of the request
    attempt INTEGER NOT NULL,        -- its place in the request; -1 on the one row of a request without any
    tenant TEXT NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    deployment TEXT,                 -- NULL where no attempt was made, and so are the eleven after it
    zone TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    usage_measured INTEGER,
    amount_micros INTEGER,           -- NULL: unpriced, never 0
    currency TEXT,
    energy_mwh INTEGER,
    source TEXT,
    price_version TEXT,
    outcome TEXT,                    -- NULL but on the request's last row, and so are all after it
    shown_zone TEXT,                 -- of the answer, else of the last attempt; empty where none was made
    escalated INTEGER,
    bytes_left INTEGER,
    cost_micros INTEGER,             -- NULL: unpriced, never 0
    cost_currency TEXT,
    counterfactual_micros INTEGER,
    counterfactual_currency TEXT
);
CREATE UNIQUE INDEX ledger_by_id ON ledger (tenant, id, attempt);

CREATE TABLE receipt_pages (
    first_seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    first_unix_ms INTEGER NOT NULL,  -- the least and the greatest created_unix_ms of its rows
    last_unix_ms INTEGER NOT NULL,
    form TEXT NOT NULL,              -- json: one receipt as text; pages: see storage/pages.py
    content BLOB NOT NULL
);

INSERT INTO ledger
SELECT
    ROW_NUMBER() OVER (ORDER BY r.id, e.attempt_index),
    r.id, COALESCE(e.attempt_index, -1), r.tenant, r.created_unix_ms, e.deployment, e.zone, e.input_tokens,
    e.output_tokens, e.cached_tokens, e.reasoning_tokens, e.usage_measured, e.amount_micros, e.currency, e.energy_mwh,
    e.source, e.price_version,
    IIF(last.n, r.outcome, NULL), IIF(last.n, r.zone, NULL), IIF(last.n, r.escalated, NULL),
    IIF(last.n, r.bytes_left, NULL), IIF(last.n, r.cost_micros, NULL), IIF(last.n, r.cost_currency, NULL),
    IIF(last.n, r.counterfactual_micros, NULL), IIF(last.n, r.counterfactual_currency, NULL)
FROM receipts AS r
LEFT JOIN ledger_entries AS e ON e.request_id = r.id
JOIN (SELECT 1 AS n UNION ALL SELECT 0) AS last
    ON last.n = (
        e.attempt_index IS NULL
        OR e.attempt_index = (SELECT MAX(o.attempt_index) FROM ledger_entries AS o WHERE o.request_id = r.id)
    );

INSERT INTO receipt_pages
SELECT MIN(l.seq), MAX(l.seq), r.created_unix_ms, r.created_unix_ms, 'json', r.document
FROM receipts AS r JOIN ledger AS l ON l.tenant = r.tenant AND l.id = r.id
GROUP BY r.id;

DROP TABLE ledger_entries;
DROP TABLE receipts;
