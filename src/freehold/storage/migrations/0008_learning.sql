-- What judged answers turned out to be, what was certified from that, and how far each watch for drift is. No texts but
-- the questions with known answers that a tenant gave itself.
CREATE TABLE scorings (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL UNIQUE    -- JSON: all that decides what a score means
);

CREATE TABLE outcomes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    request_id TEXT NOT NULL,
    deployment TEXT NOT NULL,
    workload TEXT NOT NULL,
    scoring INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    route TEXT NOT NULL,
    label TEXT NOT NULL,
    signals TEXT NOT NULL,           -- JSON: numbers by name, six digits each
    probability REAL,                -- NULL: there was none
    threshold REAL,
    accepted INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    response_id TEXT NOT NULL,       -- what the client knows the answer by, besides request_id
    is_right INTEGER,                -- NULL: not known
    label_kind TEXT,                 -- NULL as long as is_right is
    judged_by TEXT NOT NULL,
    sought REAL NOT NULL,
    labelled INTEGER,                -- the how manyeth label it was, when it was first known
    question BLOB NOT NULL,          -- see storage/vectors.py; empty for none
    question_model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_micros INTEGER,             -- NULL: unpriced, never 0
    latency_ms REAL NOT NULL
);
CREATE UNIQUE INDEX outcomes_by_request ON outcomes (tenant, request_id, deployment);
CREATE INDEX outcomes_by_response ON outcomes (tenant, response_id) WHERE response_id <> '';
CREATE INDEX outcomes_by_workload ON outcomes (tenant, workload, seq);
CREATE INDEX outcomes_by_label ON outcomes (labelled) WHERE labelled IS NOT NULL;

CREATE TABLE certificates (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,            -- empty: everybody's
    scoring INTEGER NOT NULL,
    label_kind TEXT NOT NULL,
    document TEXT NOT NULL,          -- JSON: the certificate
    UNIQUE (tenant, scoring, label_kind)
);

CREATE TABLE watches (
    tenant TEXT NOT NULL,
    workload TEXT NOT NULL,
    deployment TEXT NOT NULL,
    document TEXT NOT NULL,          -- JSON: what was bet and won, and the alarm
    PRIMARY KEY (tenant, workload, deployment)
);

CREATE TABLE learning_marks (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO learning_marks VALUES ('labels', 0), ('watched', 0), ('looked_at', 0);

CREATE TABLE shadow_spend (
    month TEXT NOT NULL,             -- YYYY-MM in UTC
    currency TEXT NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (month, currency)
);

CREATE TABLE gold_questions (
    tenant TEXT NOT NULL,
    workload TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,          -- JSON: a question with its known answers, as evals/questions.py reads it
    PRIMARY KEY (tenant, workload, id)
);
