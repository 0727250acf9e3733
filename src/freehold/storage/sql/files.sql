-- name: insert_file
INSERT INTO files (id, tenant, filename, purpose, size_bytes, created_unix_ms, expires_unix_ms, label)
VALUES (:id, :tenant, :filename, :purpose, :size_bytes, :created_unix_ms, :expires_unix_ms, :label)

-- name: bytes_of_tenant
SELECT COALESCE(SUM(size_bytes), 0) FROM files WHERE tenant = :tenant

-- name: get_file
SELECT * FROM files
WHERE id = :id AND (:tenant IS NULL OR tenant = :tenant) AND (expires_unix_ms IS NULL OR expires_unix_ms > :now)

-- name: list_files_down
SELECT * FROM files
WHERE (:tenant IS NULL OR tenant = :tenant) AND (expires_unix_ms IS NULL OR expires_unix_ms > :now)
    AND (:purpose = '' OR purpose = :purpose) AND (:after = '' OR id < :after)
ORDER BY id DESC LIMIT :limit

-- name: list_files_up
SELECT * FROM files
WHERE (:tenant IS NULL OR tenant = :tenant) AND (expires_unix_ms IS NULL OR expires_unix_ms > :now)
    AND (:purpose = '' OR purpose = :purpose) AND id > :after
ORDER BY id LIMIT :limit

-- name: is_input
SELECT EXISTS (SELECT 1 FROM batches WHERE is_over = 0 AND input_file_id = :id)

-- name: delete_file
DELETE FROM files WHERE id = :id

-- name: expired_files
SELECT id FROM files
WHERE expires_unix_ms <= :now
    AND NOT EXISTS (SELECT 1 FROM batches WHERE is_over = 0 AND input_file_id = files.id)
LIMIT 1000

-- name: all_ids
SELECT id FROM files
