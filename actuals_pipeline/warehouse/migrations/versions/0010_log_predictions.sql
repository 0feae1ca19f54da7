CREATE TABLE actuals.prediction_log (
    sequence BIGINT NOT NULL,
    prediction_id TEXT NOT NULL,
    video_id TEXT,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    predicted_ctr DOUBLE PRECISION,
    predicted_roas DOUBLE PRECISION,
    logged_at TIMESTAMP WITH TIME ZONE NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE,
    is_attested BOOLEAN NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT prediction_log_pkey PRIMARY KEY (sequence),
    CONSTRAINT prediction_log_sequence_check CHECK (sequence >= 1),
    CONSTRAINT prediction_log_hash_check CHECK (octet_length(hash) = 32 AND octet_length(previous_hash) = 32)
);
COMMENT ON TABLE actuals.prediction_log IS 'One row is one prediction as it was received; append-only, each row seals the one before.';
COMMENT ON COLUMN actuals.prediction_log.sequence IS 'Order of receipt: 1, 2, 3 and so on without a gap.';
COMMENT ON COLUMN actuals.prediction_log.prediction_id IS 'public.predictions.id; several rows when it was changed there.';
COMMENT ON COLUMN actuals.prediction_log.video_id IS 'public.videos.id as said; null when none was named.';
COMMENT ON COLUMN actuals.prediction_log.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.prediction_log.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.prediction_log.predicted_ctr IS 'Click-through rate as said, meant as a fraction; NaN when it was no number.';
COMMENT ON COLUMN actuals.prediction_log.predicted_roas IS 'Return on ad spend as said, a multiple; NaN when it was no number.';
COMMENT ON COLUMN actuals.prediction_log.logged_at IS 'When this database received it, by its own clock.';
COMMENT ON COLUMN actuals.prediction_log.claimed_at IS 'public.predictions.logged_at as it was then; anybody may have set it.';
COMMENT ON COLUMN actuals.prediction_log.is_attested IS 'Whether logged_at is when it was made known; false: history that only claims its time.';
COMMENT ON COLUMN actuals.prediction_log.previous_hash IS 'hash of the row before; 32 zero bytes in the first.';
COMMENT ON COLUMN actuals.prediction_log.hash IS 'SHA-256 of previous_hash and all other columns (actuals.prediction_log_hash).';

ALTER TABLE actuals.prediction_accuracy
    ADD COLUMN is_attested BOOLEAN DEFAULT false NOT NULL,
    DROP CONSTRAINT prediction_accuracy_status_check,
    ADD CONSTRAINT prediction_accuracy_status_check CHECK (status IN ('eligible', 'leaked',
        'no_delivery', 'ambiguous', 'invalid_prediction', 'too_young', 'too_old', 'incomplete_history'));
COMMENT ON COLUMN actuals.prediction_accuracy.is_attested IS 'Whether this database dated the prediction; false: its time is only claimed.';
COMMENT ON COLUMN actuals.prediction_accuracy.predicted_at IS 'When the prediction was logged; what it claims itself when not is_attested.';

ALTER TABLE actuals.model_accuracy
    ADD COLUMN n_ambiguous BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN n_unmatched BIGINT DEFAULT 0 NOT NULL;
COMMENT ON COLUMN actuals.model_accuracy.n_ambiguous IS 'Left out: different predictions that claim the same instant.';
COMMENT ON COLUMN actuals.model_accuracy.n_unmatched IS 'Predicted videos that are unknown or run as no ad; not in n_predicted.';
