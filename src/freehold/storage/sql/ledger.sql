-- Rows that lie wholly in the span of time are summed here. Where a tenant has one on a page that lies in it only in
-- part, the page is left out, and is to be summed receipt by receipt: :span_ms is the most that a row reaches back.

-- name: spend
SELECT
    deployment,
    zone,
    currency,
    SUM(attempts) AS attempts,
    COALESCE(SUM(amount_micros), 0) AS amount_micros,
    SUM(energy_mwh) AS energy_mwh,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(cached_tokens) AS cached_tokens,
    SUM(reasoning_tokens) AS reasoning_tokens,
    SUM(estimated) AS estimated
FROM ledger_spend
WHERE
    last_unix_ms >= :from_unix_ms AND last_unix_ms < :to_unix_ms AND first_unix_ms >= :from_unix_ms
    AND (:tenant IS NULL OR tenant = :tenant)
    AND page NOT IN (
        SELECT page FROM ledger_spend
        WHERE
            (last_unix_ms >= :from_unix_ms AND last_unix_ms < :from_unix_ms + :span_ms AND first_unix_ms < :from_unix_ms
            OR last_unix_ms >= :to_unix_ms AND last_unix_ms < :to_unix_ms + :span_ms AND first_unix_ms < :to_unix_ms)
            AND (:tenant IS NULL OR tenant = :tenant)
    )
GROUP BY deployment, zone, currency

-- name: spend_partly
SELECT form, content FROM receipt_pages
WHERE
    number IN (
        SELECT page FROM ledger_spend
        WHERE
            (last_unix_ms >= :from_unix_ms AND last_unix_ms < :from_unix_ms + :span_ms AND first_unix_ms < :from_unix_ms
            OR last_unix_ms >= :to_unix_ms AND last_unix_ms < :to_unix_ms + :span_ms AND first_unix_ms < :to_unix_ms)
            AND (:tenant IS NULL OR tenant = :tenant)
    )

-- name: requests
SELECT
    outcome,
    zone,
    cost_currency,
    counterfactual_currency,
    SUM(requests) AS requests,
    SUM(escalated) AS escalated,
    SUM(bytes_left) AS bytes_left,
    COALESCE(SUM(cost_micros), 0) AS cost_micros,
    COALESCE(SUM(counterfactual_micros), 0) AS counterfactual_micros
FROM ledger_requests
WHERE
    last_unix_ms >= :from_unix_ms AND last_unix_ms < :to_unix_ms AND first_unix_ms >= :from_unix_ms
    AND (:tenant IS NULL OR tenant = :tenant)
    AND page NOT IN (
        SELECT page FROM ledger_requests
        WHERE
            (last_unix_ms >= :from_unix_ms AND last_unix_ms < :from_unix_ms + :span_ms AND first_unix_ms < :from_unix_ms
            OR last_unix_ms >= :to_unix_ms AND last_unix_ms < :to_unix_ms + :span_ms AND first_unix_ms < :to_unix_ms)
            AND (:tenant IS NULL OR tenant = :tenant)
    )
GROUP BY 1, 2, 3, 4

-- name: requests_partly
SELECT form, content FROM receipt_pages
WHERE
    number IN (
        SELECT page FROM ledger_requests
        WHERE
            (last_unix_ms >= :from_unix_ms AND last_unix_ms < :from_unix_ms + :span_ms AND first_unix_ms < :from_unix_ms
            OR last_unix_ms >= :to_unix_ms AND last_unix_ms < :to_unix_ms + :span_ms AND first_unix_ms < :to_unix_ms)
            AND (:tenant IS NULL OR tenant = :tenant)
    )

-- name: prices
SELECT
    tenant,
    deployment,
    zone,
    currency,
    source,
    price_version,
    effective,
    SUM(attempts) AS attempts,
    COALESCE(SUM(amount_micros), 0) AS amount_micros
FROM ledger_spend
WHERE
    last_unix_ms >= :from_unix_ms AND last_unix_ms < :to_unix_ms AND (:tenant IS NULL OR tenant = :tenant)
GROUP BY 1, 2, 3, 4, 5, 6, 7
