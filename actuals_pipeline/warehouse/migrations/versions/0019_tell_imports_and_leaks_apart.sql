COMMENT ON COLUMN actuals.prediction_accuracy.protocol IS
    'Which days count: launch_to_date, launch_d7 (CTR) or launch_ltd28 (ROAS).';
COMMENT ON COLUMN actuals.model_accuracy.protocol IS
    'Which days count: launch_to_date, headline, or headline_unattested of imported predictions.';

ALTER TABLE actuals.model_accuracy
    ADD COLUMN n_unattested BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN leaked_accuracy DOUBLE PRECISION,
    ADD CONSTRAINT model_accuracy_leaked_accuracy_check CHECK (leaked_accuracy BETWEEN 0 AND 100);
COMMENT ON COLUMN actuals.model_accuracy.n_unattested IS
    'Of n_pairs: imported predictions, whose time nobody can prove.';
COMMENT ON COLUMN actuals.model_accuracy.leaked_accuracy IS
    'What the pairs of n_leaked would have scored, percent; in no other column.';

UPDATE actuals.model_accuracy SET n_unattested = n_pairs WHERE protocol = 'headline_unattested';
UPDATE actuals.model_accuracy AS model SET n_unattested = pairs.n
FROM (
    SELECT as_of_date, model_name, model_version, protocol, count(*) AS n
    FROM actuals.prediction_accuracy
    WHERE protocol = 'launch_to_date' AND status = 'eligible' AND NOT is_attested
      AND (ctr_accuracy IS NOT NULL OR roas_accuracy IS NOT NULL)
    GROUP BY as_of_date, model_name, model_version, protocol
) AS pairs
WHERE (model.as_of_date, model.model_name, model.model_version, model.protocol)
    = (pairs.as_of_date, pairs.model_name, pairs.model_version, pairs.protocol);

COMMENT ON COLUMN actuals.model_drift.z IS
    'ln_calibration against the version''s weeks before, standard deviations; + = predicted more than before.';
ALTER TABLE actuals.model_drift
    ADD COLUMN predicted_shift DOUBLE PRECISION,
    ADD COLUMN predicted_shift_chance DOUBLE PRECISION,
    ADD CONSTRAINT model_drift_predicted_shift_check CHECK (predicted_shift >= 0),
    ADD CONSTRAINT model_drift_predicted_shift_chance_check CHECK (predicted_shift_chance BETWEEN 0 AND 1);
COMMENT ON COLUMN actuals.model_drift.predicted_shift IS
    'How else the week''s predictions are spread than those of the weeks before: population stability index, 0 is alike; null below 30 pairs.';
COMMENT ON COLUMN actuals.model_drift.predicted_shift_chance IS
    'Chance of such an index if nothing had changed, a fraction.';
