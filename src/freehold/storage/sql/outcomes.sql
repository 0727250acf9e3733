-- name: put_scoring
INSERT INTO scorings (document) VALUES (:document) ON CONFLICT DO NOTHING

-- name: scoring_id
SELECT id FROM scorings WHERE document = :document

-- name: next_label
UPDATE learning_marks SET value = value + 1 WHERE name = 'labels' RETURNING value

-- name: is_labelled
SELECT label_kind FROM outcomes
WHERE tenant = :tenant AND request_id = :request_id AND deployment = :deployment AND labelled IS NOT NULL

-- name: put_outcome
INSERT INTO outcomes (
    tenant, request_id, deployment, workload, scoring, unix_ms, route, label, signals, probability, threshold, accepted,
    answered, response_id, is_right, label_kind, judged_by, sought, labelled, question, question_model, input_tokens, output_tokens,
    cost_micros, latency_ms
) VALUES (
    :tenant, :request_id, :deployment, :workload, :scoring, :unix_ms, :route, :label, :signals, :probability,
    :threshold, :accepted, :answered, :response_id, :is_right, :label_kind, :judged_by, :sought, :labelled, :question,
    :question_model, :input_tokens, :output_tokens, :cost_micros, :latency_ms
)
ON CONFLICT (tenant, request_id, deployment) DO UPDATE SET
    workload = excluded.workload, scoring = excluded.scoring, unix_ms = excluded.unix_ms, route = excluded.route,
    label = excluded.label, signals = excluded.signals, probability = excluded.probability,
    threshold = excluded.threshold, accepted = excluded.accepted, answered = excluded.answered, response_id = excluded.response_id,
    judged_by = excluded.judged_by, sought = excluded.sought, question = excluded.question,
    question_model = excluded.question_model, input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens, cost_micros = excluded.cost_micros, latency_ms = excluded.latency_ms,
    is_right = IIF(:keeps_label, is_right, excluded.is_right),
    label_kind = IIF(:keeps_label, label_kind, excluded.label_kind),
    labelled = COALESCE(labelled, excluded.labelled)

-- name: answered_outcome
SELECT seq, labelled FROM outcomes WHERE tenant = :tenant AND request_id = :request_id AND answered

-- name: request_of_response
SELECT request_id FROM outcomes WHERE tenant = :tenant AND response_id = :response_id AND answered ORDER BY seq DESC

-- name: label_outcome
UPDATE outcomes SET is_right = :is_right, label_kind = :label_kind, judged_by = '', labelled = :labelled
WHERE seq = :seq

-- name: read_outcomes
SELECT o.*, s.document FROM outcomes AS o JOIN scorings AS s ON s.id = o.scoring
WHERE (:tenant = '' OR o.tenant = :tenant) AND (:workload = '' OR o.workload = :workload)
    AND (:deployment = '' OR o.deployment = :deployment) AND o.unix_ms >= :since_unix_ms
    AND (NOT :labelled OR o.is_right IS NOT NULL)
ORDER BY o.seq DESC LIMIT :most

-- name: labels_since
SELECT o.*, s.document FROM outcomes AS o JOIN scorings AS s ON s.id = o.scoring
WHERE o.labelled > :after ORDER BY o.labelled LIMIT :most

-- name: outcomes_after
SELECT o.*, s.document FROM outcomes AS o JOIN scorings AS s ON s.id = o.scoring
WHERE o.seq > :after ORDER BY o.seq LIMIT :most

-- name: trim_outcomes
DELETE FROM outcomes WHERE tenant = :tenant AND workload = :workload AND seq <= (
    SELECT seq FROM outcomes WHERE tenant = :tenant AND workload = :workload ORDER BY seq DESC LIMIT 1 OFFSET :most
)

-- name: count_outcomes
SELECT tenant, workload, deployment, COUNT(*) AS outcomes, COUNT(is_right) AS labelled, SUM(accepted) AS accepted,
    MIN(unix_ms) AS first_unix_ms, MAX(unix_ms) AS last_unix_ms
FROM outcomes WHERE (:tenant = '' OR tenant = :tenant) GROUP BY tenant, workload, deployment

-- name: erase_outcomes
DELETE FROM outcomes WHERE tenant = :tenant

-- name: erase_watches
DELETE FROM watches WHERE tenant = :tenant

-- name: erase_gold
DELETE FROM gold_questions WHERE tenant = :tenant

-- name: erase_tries
DELETE FROM learning_marks WHERE substr(name, 1, length(:start)) = :start

-- name: note_erased
INSERT INTO learning_marks (name, value) VALUES ('erased', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1

-- name: erase_certificates
DELETE FROM certificates WHERE tenant = :tenant OR (
    tenant = '' AND scoring IN (SELECT DISTINCT scoring FROM outcomes WHERE tenant = :tenant)
)
RETURNING id, tenant, document

-- name: unused_scorings
DELETE FROM scorings
WHERE id NOT IN (SELECT scoring FROM outcomes) AND id NOT IN (SELECT scoring FROM certificates)
