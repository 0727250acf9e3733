-- Files that clients gave and batches made, and the batches. Contents lie beside the database, a file each; results of a
-- batch that runs lie in its journal (storage/batch_results.py).
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER,         -- NULL: never
    label TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX files_by_tenant ON files (tenant, id);
CREATE INDEX files_by_end ON files (expires_unix_ms) WHERE expires_unix_ms IS NOT NULL;

CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    is_over INTEGER NOT NULL,
    content TEXT NOT NULL            -- the batch as JSON, the columns above among it
) WITHOUT ROWID;

CREATE INDEX batches_by_tenant ON batches (tenant, id);
CREATE INDEX batches_active ON batches (id) WHERE is_over = 0;
