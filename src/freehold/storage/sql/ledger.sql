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
FROM receipt_pages CROSS JOIN ledger ON seq BETWEEN first_seq AND last_seq
WHERE
    last_unix_ms >= :from_unix_ms AND first_unix_ms < :to_unix_ms
    AND created_unix_ms >= :from_unix_ms AND created_unix_ms < :to_unix_ms
    AND deployment IS NOT NULL AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY deployment, zone, currency
ORDER BY deployment, zone, currency

-- name: requests
SELECT
    outcome,
    shown_zone AS zone,
    CASE WHEN cost_micros IS NOT NULL AND counterfactual_currency = cost_currency THEN cost_currency END AS currency,
    COUNT(*) AS requests,
    SUM(escalated) AS escalated,
    SUM(bytes_left) AS bytes_left,
    COALESCE(SUM(cost_micros), 0) AS cost_micros,
    COALESCE(SUM(counterfactual_micros), 0) AS counterfactual_micros
FROM receipt_pages CROSS JOIN ledger ON seq BETWEEN first_seq AND last_seq
WHERE
    last_unix_ms >= :from_unix_ms AND first_unix_ms < :to_unix_ms
    AND created_unix_ms >= :from_unix_ms AND created_unix_ms < :to_unix_ms
    AND outcome IS NOT NULL AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
