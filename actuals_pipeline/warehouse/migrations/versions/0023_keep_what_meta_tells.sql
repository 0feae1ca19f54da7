CREATE TABLE actuals.meta_events (
    event_key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    field TEXT NOT NULL,
    object_level TEXT,
    object_id TEXT,
    happened_at TIMESTAMP WITH TIME ZONE,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    value JSONB NOT NULL,
    CONSTRAINT meta_events_pkey PRIMARY KEY (event_key),
    CONSTRAINT meta_events_event_key_check CHECK (event_key ~ '^[0-9a-f]{64}$'),
    CONSTRAINT meta_events_field_check CHECK (field <> '')
);
CREATE INDEX meta_events_account_id_received_at_idx ON actuals.meta_events (account_id, received_at);
CREATE INDEX meta_events_received_at_idx ON actuals.meta_events (received_at);
COMMENT ON TABLE actuals.meta_events IS
    'One row is one event that Meta told by webhook; append-only.';
COMMENT ON COLUMN actuals.meta_events.event_key IS 'SHA-256 of account, instant, field and value: the same event has the same.';
COMMENT ON COLUMN actuals.meta_events.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.meta_events.field IS 'What was subscribed to, in Meta''s words.';
COMMENT ON COLUMN actuals.meta_events.object_level IS 'campaign, adset, ad or creative, as Meta says.';
COMMENT ON COLUMN actuals.meta_events.object_id IS 'Meta''s id of what changed; null where it names none.';
COMMENT ON COLUMN actuals.meta_events.happened_at IS 'When it happened, as Meta says.';
COMMENT ON COLUMN actuals.meta_events.received_at IS 'When it was told for the first time.';
COMMENT ON COLUMN actuals.meta_events.value IS 'What Meta told, verbatim.';
