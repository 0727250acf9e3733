-- Calls of tools that wait for a human, or were decided a short while ago. The arguments are here so that who decides can
-- read what would be called; a day after they are of no use any more they are gone.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    key_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    digest TEXT NOT NULL,            -- of tool and arguments
    because TEXT NOT NULL,           -- what made the context untrusted
    asked_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    state TEXT NOT NULL,             -- waiting, allowed, denied, used
    decided_by TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX approvals_by_call ON approvals (tenant, key_id, digest);
CREATE INDEX approvals_by_state ON approvals (tenant, state, asked_unix_ms);
