-- name: insert_batch
INSERT INTO batches (id, tenant, input_file_id, is_over, content)
VALUES (:id, :tenant, :input_file_id, :is_over, :content)

-- name: update_batch
UPDATE batches SET is_over = :is_over, content = :content WHERE id = :id

-- name: get_batch
SELECT content FROM batches WHERE id = :id AND (:tenant IS NULL OR tenant = :tenant)

-- name: list_batches
SELECT content FROM batches
WHERE (:tenant IS NULL OR tenant = :tenant) AND id > :first AND id < :last
ORDER BY id DESC LIMIT :limit

-- name: active_batches
SELECT content FROM batches WHERE is_over = 0 ORDER BY id

-- name: active_of_tenant
SELECT COUNT(*) FROM batches WHERE is_over = 0 AND tenant = :tenant
