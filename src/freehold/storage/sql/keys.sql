-- name: insert_key
INSERT INTO keys (id, sha256, name, tenant, scopes, label, created_unix_ms, revoked_unix_ms, expires_unix_ms, follows, line,
    user, user_groups, clearance)
VALUES (:id, :sha256, :name, :tenant, :scopes, :label, :created_unix_ms, NULL, :expires_unix_ms, :follows, :line,
    :user, :user_groups, :clearance)

-- name: revoke_key
UPDATE keys SET revoked_unix_ms = :revoked_unix_ms WHERE id = :id AND revoked_unix_ms IS NULL

-- name: expire_key
UPDATE keys SET expires_unix_ms = MIN(COALESCE(expires_unix_ms, :until_unix_ms), :until_unix_ms)
WHERE id = :id AND revoked_unix_ms IS NULL AND COALESCE(expires_unix_ms, :unix_ms + 1) > :unix_ms
    AND NOT EXISTS (SELECT 1 FROM keys AS later WHERE later.follows = :id)

-- name: change_reads
UPDATE keys SET user = :user, user_groups = :user_groups, clearance = :clearance
WHERE id = :id AND revoked_unix_ms IS NULL AND COALESCE(expires_unix_ms, :unix_ms + 1) > :unix_ms

-- name: all_keys
SELECT id, sha256, name, tenant, scopes, label, created_unix_ms, revoked_unix_ms, expires_unix_ms, follows, line,
    user, user_groups, clearance
FROM keys ORDER BY id

-- name: insert_event
INSERT INTO key_events (unix_ms, event, key_id, tenant, by, detail)
VALUES (:unix_ms, :event, :key_id, :tenant, :by, :detail)

-- name: all_events
SELECT seq, unix_ms, event, key_id, tenant, by, detail FROM key_events ORDER BY seq LIMIT 1000

-- name: forget_events
DELETE FROM key_events WHERE seq <= :seq
