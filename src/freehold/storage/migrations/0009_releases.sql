-- Releases of one body to one deployment; what is kept of bodies that policy refused; publications that wait for a second
-- person. No body is here: what stands for one is a commitment under a key of this database.
CREATE TABLE release_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL
);

CREATE TABLE releases (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    deployment TEXT NOT NULL,
    place TEXT NOT NULL,
    commitment TEXT NOT NULL,
    label TEXT NOT NULL,
    rules TEXT NOT NULL,             -- separated by spaces
    reason TEXT NOT NULL,
    receipt TEXT NOT NULL,           -- empty: the body was given
    requested_by TEXT NOT NULL,
    requested_line TEXT NOT NULL,
    requested_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    approved_by TEXT NOT NULL DEFAULT '',
    approved_unix_ms INTEGER,
    used_by TEXT NOT NULL DEFAULT '',
    used_unix_ms INTEGER,
    is_over INTEGER NOT NULL DEFAULT 0  -- 1: used, or its expiry is among the events
) WITHOUT ROWID;

CREATE INDEX releases_by_tenant ON releases (tenant, id);
CREATE INDEX releases_open ON releases (expires_unix_ms) WHERE is_over = 0;

CREATE TABLE refused_bodies (
    receipt TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    unix_ms INTEGER NOT NULL,
    commitment TEXT NOT NULL,
    label TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX refused_bodies_by_time ON refused_bodies (unix_ms);

CREATE TABLE publications (
    file_id TEXT PRIMARY KEY,
    before TEXT NOT NULL,
    label TEXT NOT NULL,
    requested_line TEXT NOT NULL,
    requested_unix_ms INTEGER NOT NULL
) WITHOUT ROWID;
