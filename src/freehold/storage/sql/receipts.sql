-- name: insert_receipt
INSERT INTO receipts (
    id, created_unix_ms, tenant, key_id, task, route, deployment, zone, outcome, error_code, attempts, escalated,
    bytes_left, cost_micros, cost_currency, counterfactual_micros, counterfactual_currency, total_ms, audit_index,
    document
) VALUES (
    :id, :created_unix_ms, :tenant, :key_id, :task, :route, :deployment, :zone, :outcome, :error_code, :attempts,
    :escalated, :bytes_left, :cost_micros, :cost_currency, :counterfactual_micros, :counterfactual_currency, :total_ms,
    :audit_index, :document
)

-- name: get_receipt
SELECT document FROM receipts WHERE id = :id AND tenant = :tenant

-- name: recent_receipts
SELECT document FROM receipts WHERE tenant = :tenant ORDER BY id DESC LIMIT :limit

-- name: recent_receipts_before
SELECT document FROM receipts WHERE tenant = :tenant AND id < :before ORDER BY id DESC LIMIT :limit
