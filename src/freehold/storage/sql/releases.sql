-- name: get_key
SELECT key FROM release_key WHERE one = 1

-- name: put_key
INSERT OR IGNORE INTO release_key (one, key) VALUES (1, :key)

-- name: insert_release
INSERT INTO releases (
    id, tenant, deployment, place, commitment, label, rules, reason, receipt, requested_by, requested_line,
    requested_unix_ms, expires_unix_ms
) VALUES (
    :id, :tenant, :deployment, :place, :commitment, :label, :rules, :reason, :receipt, :requested_by, :requested_line,
    :requested_unix_ms, :expires_unix_ms
)

-- name: count_open
SELECT COUNT(*) FROM releases WHERE tenant = :tenant AND is_over = 0

-- name: get_release
SELECT * FROM releases WHERE id = :id AND (:tenant IS NULL OR tenant = :tenant)

-- name: list_releases
SELECT * FROM releases WHERE :tenant IS NULL OR tenant = :tenant ORDER BY id DESC LIMIT :limit

-- name: approve_release
UPDATE releases SET approved_by = :by, approved_unix_ms = :now
WHERE id = :id AND approved_unix_ms IS NULL AND is_over = 0 AND expires_unix_ms > :now

-- name: use_release
UPDATE releases SET used_by = :request_id, used_unix_ms = :now, is_over = 1
WHERE id = :id AND approved_unix_ms IS NOT NULL AND is_over = 0 AND expires_unix_ms > :now

-- name: live_releases
SELECT * FROM releases WHERE is_over = 0 AND approved_unix_ms IS NOT NULL AND expires_unix_ms > :now ORDER BY id

-- name: expired_releases
SELECT * FROM releases WHERE is_over = 0 AND expires_unix_ms <= :now ORDER BY id LIMIT 1000

-- name: end_release
UPDATE releases SET is_over = 1 WHERE id = :id

-- name: drop_releases
DELETE FROM releases WHERE is_over = 1 AND expires_unix_ms < :before

-- name: put_refused
INSERT OR IGNORE INTO refused_bodies (receipt, tenant, unix_ms, commitment, label, scan_complete)
VALUES (:receipt, :tenant, :unix_ms, :commitment, :label, :scan_complete)

-- name: get_refused
SELECT * FROM refused_bodies WHERE receipt = :receipt AND (:tenant IS NULL OR tenant = :tenant)

-- name: drop_refused
DELETE FROM refused_bodies WHERE unix_ms < :before

-- name: relabel_file
UPDATE files SET label = :label WHERE id = :file_id AND label = :before

-- name: get_publication
SELECT * FROM publications WHERE file_id = :file_id

-- name: put_publication
INSERT INTO publications (file_id, before, label, requested_line, requested_unix_ms)
VALUES (:file_id, :before, :label, :requested_line, :requested_unix_ms)
ON CONFLICT (file_id) DO UPDATE SET
    before = excluded.before, label = excluded.label, requested_line = excluded.requested_line,
    requested_unix_ms = excluded.requested_unix_ms

-- name: drop_publication
DELETE FROM publications WHERE file_id = :file_id

-- name: drop_publications
DELETE FROM publications WHERE requested_unix_ms < :before
