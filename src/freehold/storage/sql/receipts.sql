-- name: newest_page
SELECT COALESCE(MAX(number), 0) FROM receipt_pages

-- name: insert_page
INSERT INTO receipt_pages VALUES (?, ?, ?)

-- name: insert_receipt
INSERT INTO receipts VALUES (?, ?, ?)

-- name: insert_spend
INSERT INTO ledger_spend VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_requests
INSERT INTO ledger_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: is_there
SELECT 1 FROM receipts WHERE tenant = ? AND id = ?

-- name: get_receipt
SELECT id, page FROM receipts WHERE tenant = :tenant AND id = :id

-- name: recent_receipts
SELECT id, page FROM receipts WHERE tenant = :tenant ORDER BY id DESC LIMIT :limit

-- name: recent_receipts_before
SELECT id, page FROM receipts WHERE tenant = :tenant AND id < :before ORDER BY id DESC LIMIT :limit

-- name: page
SELECT form, content FROM receipt_pages WHERE number = ?

-- name: pages_between
SELECT form, content FROM receipt_pages
WHERE
    number IN (
        SELECT page FROM ledger_requests WHERE last_unix_ms >= :from_unix_ms AND first_unix_ms < :to_unix_ms
    )
ORDER BY number
