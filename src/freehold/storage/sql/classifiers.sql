-- name: count_classifiers
SELECT COUNT(*) FROM classifiers WHERE tenant = :tenant

-- name: classifier_id
SELECT id FROM classifiers WHERE tenant = :tenant AND name = :name

-- name: put_classifier
INSERT INTO classifiers (tenant, name, id, about, numbers, examples)
VALUES (:tenant, :name, :id, :about, :numbers, :examples)
ON CONFLICT (tenant, name) DO UPDATE SET
    id = excluded.id, about = excluded.about, numbers = excluded.numbers, examples = excluded.examples

-- name: get_classifier
SELECT tenant, name, id, about, numbers, examples FROM classifiers WHERE tenant = :tenant AND name = :name

-- name: all_classifiers
SELECT tenant, name, id, about FROM classifiers WHERE tenant = :tenant ORDER BY name

-- name: remove_classifier
DELETE FROM classifiers WHERE tenant = :tenant AND name = :name
