CREATE TABLE actuals.watched_since (
    subject TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT watched_since_pkey PRIMARY KEY (subject)
);
COMMENT ON TABLE actuals.watched_since IS
    'One row is something of which alerts are to be raised, and since when.';
COMMENT ON COLUMN actuals.watched_since.subject IS 'Account, digits without act_; empty: the schedule.';
COMMENT ON COLUMN actuals.watched_since.since IS 'When it was first to be fetched, or to tick.';

COMMENT ON TABLE actuals.meta_events IS
    'One row is one event that Meta told by webhook; append-only, and kept for 90 days.';
