-- name: insert_entry
INSERT INTO ledger_entries (
    request_id, attempt_index, created_unix_ms, tenant, key_id, deployment, zone, input_tokens, output_tokens,
    cached_tokens, reasoning_tokens, usage_measured, amount_micros, currency, energy_mwh, source, price_version,
    effective, counterfactual_micros, counterfactual_currency
) VALUES (
    :request_id, :attempt_index, :created_unix_ms, :tenant, :key_id, :deployment, :zone, :input_tokens, :output_tokens,
    :cached_tokens, :reasoning_tokens, :usage_measured, :amount_micros, :currency, :energy_mwh, :source,
    :price_version, :effective, :counterfactual_micros, :counterfactual_currency
)

-- name: spend
SELECT
    deployment,
    zone,
    currency,
    COUNT(*) AS attempts,
    COALESCE(SUM(amount_micros), 0) AS amount_micros,
    COALESCE(SUM(energy_mwh), 0) AS energy_mwh,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(cached_tokens) AS cached_tokens,
    SUM(reasoning_tokens) AS reasoning_tokens,
    MIN(usage_measured) AS measured
FROM ledger_entries
WHERE created_unix_ms >= :from_unix_ms AND created_unix_ms < :to_unix_ms AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY deployment, zone, currency
ORDER BY deployment, zone, currency

-- name: requests
SELECT
    outcome,
    zone,
    CASE WHEN cost_micros IS NOT NULL AND counterfactual_currency = cost_currency THEN cost_currency END AS currency,
    COUNT(*) AS requests,
    SUM(escalated) AS escalated,
    SUM(bytes_left) AS bytes_left,
    COALESCE(SUM(cost_micros), 0) AS cost_micros,
    COALESCE(SUM(counterfactual_micros), 0) AS counterfactual_micros
FROM receipts
WHERE created_unix_ms >= :from_unix_ms AND created_unix_ms < :to_unix_ms AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
