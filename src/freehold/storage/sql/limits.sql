-- name: all_limits
SELECT subject, measure, per, currency, amount FROM limits ORDER BY subject, measure, per, currency

-- name: get_amount
SELECT amount FROM limits
WHERE subject = :subject AND measure = :measure AND per = :per AND currency = :currency

-- name: put_limit
INSERT INTO limits (subject, measure, per, currency, amount)
VALUES (:subject, :measure, :per, :currency, :amount)
ON CONFLICT DO UPDATE SET amount = excluded.amount

-- name: count_limits
SELECT COUNT(*) FROM limits

-- name: remove_limit
DELETE FROM limits
WHERE subject = :subject AND measure = :measure AND per = :per AND currency = :currency
