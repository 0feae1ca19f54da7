CREATE TABLE actuals.video_log (
    sequence BIGINT NOT NULL,
    video_id TEXT NOT NULL,
    ad_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE,
    is_removed BOOLEAN NOT NULL,
    logged_at TIMESTAMP WITH TIME ZONE NOT NULL,
    is_attested BOOLEAN NOT NULL,
    CONSTRAINT video_log_pkey PRIMARY KEY (sequence),
    CONSTRAINT video_log_sequence_check CHECK (sequence >= 1),
    CONSTRAINT video_log_is_removed_check CHECK (NOT is_removed OR ad_id IS NULL AND created_at IS NULL)
);
CREATE INDEX video_log_video_id_sequence_idx ON actuals.video_log (video_id, sequence);
COMMENT ON TABLE actuals.video_log IS 'One row is what public.videos came to say of one video; append-only, each dated by the database.';
COMMENT ON COLUMN actuals.video_log.sequence IS 'Order of receipt: 1, 2, 3 and so on without a gap.';
COMMENT ON COLUMN actuals.video_log.video_id IS 'public.videos.id; several rows when it was changed there.';
COMMENT ON COLUMN actuals.video_log.ad_id IS 'The Meta ad that runs the video from then on; null when none does.';
COMMENT ON COLUMN actuals.video_log.created_at IS 'public.videos.created_at as said; null when it is not known.';
COMMENT ON COLUMN actuals.video_log.is_removed IS 'Whether the video was deleted.';
COMMENT ON COLUMN actuals.video_log.logged_at IS 'When this database came to know it, by its own clock.';
COMMENT ON COLUMN actuals.video_log.is_attested IS 'Whether the product said so at logged_at; false: found later, it may have said so long before.';

COMMENT ON COLUMN actuals.model_accuracy.n_unmatched IS 'Predicted videos that are unknown, run as no ad or have no date; not in n_predicted.';
