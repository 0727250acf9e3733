-- name: newest_seq
SELECT COALESCE(MAX(seq), 0) FROM ledger

-- name: insert_row
INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_page
INSERT INTO receipt_pages VALUES (?, ?, ?, ?, ?, ?)

-- name: is_there
SELECT 1 FROM ledger WHERE tenant = ? AND id = ? LIMIT 1

-- name: get_receipt
SELECT seq, id FROM ledger WHERE tenant = :tenant AND id = :id AND outcome IS NOT NULL

-- name: recent_receipts
SELECT seq, id FROM ledger WHERE tenant = :tenant AND outcome IS NOT NULL ORDER BY id DESC LIMIT :limit

-- name: recent_receipts_before
SELECT seq, id FROM ledger
WHERE tenant = :tenant AND id < :before AND outcome IS NOT NULL ORDER BY id DESC LIMIT :limit

-- name: page_of
SELECT first_seq, form, content FROM receipt_pages WHERE first_seq <= :seq ORDER BY first_seq DESC LIMIT 1
