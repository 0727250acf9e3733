-- Classifiers trained from examples. Their numbers and texts are the tenant's: every look-up names it.
CREATE TABLE classifiers (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,                -- another one for each training
    about TEXT NOT NULL,             -- JSON: all but the numbers
    numbers BLOB NOT NULL,
    examples TEXT NOT NULL,          -- JSON; empty where they were not to be kept
    PRIMARY KEY (tenant, name)
);
