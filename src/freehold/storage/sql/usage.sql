-- A sum that no column can hold becomes a fraction in SQLite; the cast makes the greatest number of it that there is.

-- name: add_attempts
INSERT INTO usage_attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    attempts = CAST(attempts + excluded.attempts AS INTEGER),
    amount_micros = CAST(amount_micros + excluded.amount_micros AS INTEGER),
    energy_mwh = CAST(energy_mwh + excluded.energy_mwh AS INTEGER),
    input_tokens = CAST(input_tokens + excluded.input_tokens AS INTEGER),
    output_tokens = CAST(output_tokens + excluded.output_tokens AS INTEGER),
    cached_tokens = CAST(cached_tokens + excluded.cached_tokens AS INTEGER),
    reasoning_tokens = CAST(reasoning_tokens + excluded.reasoning_tokens AS INTEGER),
    estimated = CAST(estimated + excluded.estimated AS INTEGER)

-- name: add_requests
INSERT INTO usage_requests VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, refused = refused + excluded.refused

-- name: attempts
SELECT
    hour_unix_ms / :step_ms * :step_ms AS slot_unix_ms, tenant, key_id, deployment, currency,
    SUM(attempts), SUM(amount_micros), SUM(energy_mwh), SUM(input_tokens), SUM(output_tokens), SUM(cached_tokens),
    SUM(reasoning_tokens), SUM(estimated)
FROM usage_attempts
WHERE
    hour_unix_ms >= :from_unix_ms AND hour_unix_ms < :to_unix_ms AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY 1, 2, 3, 4, 5

-- name: requests
SELECT hour_unix_ms / :step_ms * :step_ms AS slot_unix_ms, tenant, key_id, SUM(requests), SUM(refused)
FROM usage_requests
WHERE
    hour_unix_ms >= :from_unix_ms AND hour_unix_ms < :to_unix_ms AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY 1, 2, 3

-- name: is_filed
SELECT 1 FROM receipts WHERE tenant = ? AND id = ?
