-- name: put_certificate
INSERT INTO certificates (id, tenant, scoring, label_kind, document)
VALUES (:id, :tenant, :scoring, :label_kind, :document)
ON CONFLICT (tenant, scoring, label_kind) DO UPDATE SET id = excluded.id, document = excluded.document

-- name: all_certificates
SELECT document FROM certificates ORDER BY rowid

-- name: get_certificate
SELECT tenant, document FROM certificates WHERE id = :id

-- name: remove_certificate
DELETE FROM certificates WHERE id = :id

-- name: all_watches
SELECT tenant, workload, deployment, document FROM watches ORDER BY tenant, workload, deployment

-- name: put_watch
INSERT INTO watches (tenant, workload, deployment, document) VALUES (:tenant, :workload, :deployment, :document)
ON CONFLICT DO UPDATE SET document = excluded.document

-- name: remove_watch
DELETE FROM watches WHERE tenant = :tenant AND workload = :workload AND deployment = :deployment

-- name: mark
SELECT value FROM learning_marks WHERE name = :name

-- name: set_mark
INSERT INTO learning_marks (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: shadow_spend
SELECT micros FROM shadow_spend WHERE month = :month AND currency = :currency

-- name: add_shadow_spend
INSERT INTO shadow_spend (month, currency, micros) VALUES (:month, :currency, :micros)
ON CONFLICT DO UPDATE SET micros = micros + excluded.micros

-- name: put_gold
INSERT INTO gold_questions (tenant, workload, id, document) VALUES (:tenant, :workload, :id, :document)
ON CONFLICT DO UPDATE SET document = excluded.document

-- name: all_gold
SELECT tenant, workload, id, document FROM gold_questions
WHERE (:tenant = '' OR tenant = :tenant) AND (:workload = '' OR workload = :workload)
ORDER BY tenant, workload, id

-- name: remove_gold
DELETE FROM gold_questions WHERE tenant = :tenant AND workload = :workload AND (:id = '' OR id = :id)
