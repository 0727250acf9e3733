-- name: insert_key
INSERT INTO keys (id, sha256, name, tenant, scopes, label, created_unix_ms, revoked_unix_ms)
VALUES (:id, :sha256, :name, :tenant, :scopes, :label, :created_unix_ms, NULL)

-- name: revoke_key
UPDATE keys SET revoked_unix_ms = :revoked_unix_ms WHERE id = :id AND revoked_unix_ms IS NULL

-- name: all_keys
SELECT id, sha256, name, tenant, scopes, label, created_unix_ms, revoked_unix_ms FROM keys ORDER BY id
