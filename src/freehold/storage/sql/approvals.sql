-- name: all_approvals
SELECT id, tenant, key_id, request_id, tool, arguments, digest, because, asked_unix_ms, expires_unix_ms, state, decided_by
FROM approvals WHERE :tenant IS NULL OR tenant = :tenant ORDER BY asked_unix_ms DESC, id DESC

-- name: get_approval
SELECT id, tenant, key_id, request_id, tool, arguments, digest, because, asked_unix_ms, expires_unix_ms, state, decided_by
FROM approvals WHERE id = :id AND (:tenant IS NULL OR tenant = :tenant)

-- name: find_call
SELECT id, tenant, key_id, request_id, tool, arguments, digest, because, asked_unix_ms, expires_unix_ms, state, decided_by
FROM approvals
WHERE tenant = :tenant AND key_id = :key_id AND digest = :digest AND state <> 'used' AND expires_unix_ms > :unix_ms
ORDER BY state = 'allowed' DESC, asked_unix_ms, id LIMIT 1

-- name: add_approval
INSERT INTO approvals
VALUES (
    :id, :tenant, :key_id, :request_id, :tool, :arguments, :digest, :because, :asked_unix_ms, :expires_unix_ms, 'waiting', ''
)

-- name: count_waiting
SELECT COUNT(*) FROM approvals WHERE tenant = :tenant AND state = 'waiting'

-- name: drop_oldest
DELETE FROM approvals WHERE id IN (
    SELECT id FROM approvals WHERE tenant = :tenant AND state = 'waiting' ORDER BY asked_unix_ms, id LIMIT :count
)

-- name: set_state
UPDATE approvals SET state = :state, decided_by = :by, expires_unix_ms = :expires_unix_ms
WHERE id = :id AND state = :from_state AND expires_unix_ms > :unix_ms

-- name: forget_old
DELETE FROM approvals WHERE expires_unix_ms < :unix_ms
