-- Keys that expire and keys that follow one another; and what happened to keys, until it is in the audit log.
ALTER TABLE keys ADD COLUMN expires_unix_ms INTEGER;       -- NULL: never
ALTER TABLE keys ADD COLUMN follows TEXT NOT NULL DEFAULT '';  -- id of the key that it was made in place of
ALTER TABLE keys ADD COLUMN line TEXT NOT NULL DEFAULT '';     -- id of the first key of those that followed one another
UPDATE keys SET line = id;

-- One key is followed by one, also where two programs rotate it at once.
CREATE UNIQUE INDEX keys_by_follows ON keys (follows) WHERE follows <> '';

CREATE TABLE key_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    unix_ms INTEGER NOT NULL,
    event TEXT NOT NULL,
    key_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    by TEXT NOT NULL,                -- id of the key that did it, or a word for a program on this machine
    detail TEXT NOT NULL             -- JSON
);
