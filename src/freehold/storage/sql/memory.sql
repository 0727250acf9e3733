-- name: put_passage
INSERT INTO memory (tenant, id, part, label, expires_unix_ms, prints)
VALUES (:tenant, :id, :part, :label, :expires_unix_ms, :prints)
ON CONFLICT (tenant, id, part) DO NOTHING

-- name: passages_after
SELECT seq, tenant, id, part, label, expires_unix_ms, prints FROM memory WHERE seq > :seq ORDER BY seq

-- name: expire_passages
DELETE FROM memory WHERE expires_unix_ms <= :now

-- name: trim_passages
DELETE FROM memory WHERE tenant = :tenant AND seq <= (
    SELECT COALESCE(MAX(seq), 0) FROM (
        SELECT seq, SUM(length(prints)) OVER (ORDER BY seq DESC) AS held FROM memory WHERE tenant = :tenant
    ) WHERE held > :most
)

-- name: erase_passages
DELETE FROM memory WHERE tenant = :tenant

-- name: forget_passages
DELETE FROM memory WHERE tenant = :tenant AND id = :id

-- name: erased_mark
SELECT value FROM learning_marks WHERE name = 'erased'
