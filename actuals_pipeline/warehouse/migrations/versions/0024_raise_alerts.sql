CREATE TABLE actuals.alerts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    advice TEXT NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
    cleared_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT alerts_pkey PRIMARY KEY (id),
    CONSTRAINT alerts_severity_check CHECK (severity IN ('critical', 'warning')),
    CONSTRAINT alerts_cleared_at_check CHECK (cleared_at >= opened_at)
);
CREATE UNIQUE INDEX alerts_open_idx ON actuals.alerts (rule, subject) WHERE cleared_at IS NULL;
COMMENT ON TABLE actuals.alerts IS
    'One row is one alert: a rule and a subject, from when it was so until it was over.';
COMMENT ON COLUMN actuals.alerts.id IS 'Order of opening.';
COMMENT ON COLUMN actuals.alerts.rule IS 'What is watched; docs/operations.md lists them.';
COMMENT ON COLUMN actuals.alerts.subject IS 'Account, day, model, budget or run it is about; empty: the installation.';
COMMENT ON COLUMN actuals.alerts.severity IS 'critical or warning.';
COMMENT ON COLUMN actuals.alerts.message IS 'What is so, as last looked.';
COMMENT ON COLUMN actuals.alerts.advice IS 'What to do.';
COMMENT ON COLUMN actuals.alerts.opened_at IS 'When it was first so.';
COMMENT ON COLUMN actuals.alerts.last_sent_at IS 'When it was last told.';
COMMENT ON COLUMN actuals.alerts.cleared_at IS 'When it was over; null while it is open.';

CREATE TABLE actuals.alert_messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts BIGINT DEFAULT 0 NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_error TEXT,
    delivered_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT alert_messages_pkey PRIMARY KEY (id),
    CONSTRAINT alert_messages_kind_check CHECK (kind IN ('failure', 'warning', 'success', 'info')),
    CONSTRAINT alert_messages_attempts_check CHECK (attempts >= 0)
);
CREATE INDEX alert_messages_waiting_idx ON actuals.alert_messages (channel, id) WHERE delivered_at IS NULL;
COMMENT ON TABLE actuals.alert_messages IS
    'One row is one message to one channel, sent or waiting.';
COMMENT ON COLUMN actuals.alert_messages.id IS 'Its number.';
COMMENT ON COLUMN actuals.alert_messages.channel IS 'Place and kind of the address; no secret.';
COMMENT ON COLUMN actuals.alert_messages.kind IS 'failure, warning, success or info.';
COMMENT ON COLUMN actuals.alert_messages.title IS 'Its title.';
COMMENT ON COLUMN actuals.alert_messages.body IS 'Its text.';
COMMENT ON COLUMN actuals.alert_messages.created_at IS 'When it was written.';
COMMENT ON COLUMN actuals.alert_messages.attempts IS 'Times that it was tried to send it.';
COMMENT ON COLUMN actuals.alert_messages.next_attempt_at IS 'Not tried again before.';
COMMENT ON COLUMN actuals.alert_messages.last_error IS 'Why the last try failed, without address and secret.';
COMMENT ON COLUMN actuals.alert_messages.delivered_at IS 'When it was taken; null until then.';

CREATE TABLE actuals.heartbeats (
    run_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts BIGINT DEFAULT 0 NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_error TEXT,
    delivered_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT heartbeats_pkey PRIMARY KEY (run_id),
    CONSTRAINT heartbeats_attempts_check CHECK (attempts >= 0)
);
CREATE INDEX heartbeats_created_at_idx ON actuals.heartbeats (created_at);
COMMENT ON TABLE actuals.heartbeats IS
    'One row is one good tick, and the ping that told of it.';
COMMENT ON COLUMN actuals.heartbeats.run_id IS 'Good run of an hourly tick that was to be told.';
COMMENT ON COLUMN actuals.heartbeats.created_at IS 'When that was first tried.';
COMMENT ON COLUMN actuals.heartbeats.attempts IS 'Times that ACTUALS_HEARTBEAT_URL was asked.';
COMMENT ON COLUMN actuals.heartbeats.next_attempt_at IS 'Not tried again before.';
COMMENT ON COLUMN actuals.heartbeats.last_error IS 'Why the last try failed, without the address.';
COMMENT ON COLUMN actuals.heartbeats.delivered_at IS 'When it was taken; null until then.';

CREATE TABLE actuals.health_findings (
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    verdict TEXT NOT NULL,
    seen TEXT NOT NULL,
    advice TEXT NOT NULL,
    checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT health_findings_pkey PRIMARY KEY (name, subject),
    CONSTRAINT health_findings_verdict_check CHECK (verdict IN ('ok', 'warning', 'problem'))
);
COMMENT ON TABLE actuals.health_findings IS
    'One row is one check of the daily health check, as it last came out.';
COMMENT ON COLUMN actuals.health_findings.name IS 'The check, as `actuals doctor` calls it.';
COMMENT ON COLUMN actuals.health_findings.subject IS 'Account that it is about; empty: the installation.';
COMMENT ON COLUMN actuals.health_findings.verdict IS 'ok, warning or problem.';
COMMENT ON COLUMN actuals.health_findings.seen IS 'What was found.';
COMMENT ON COLUMN actuals.health_findings.advice IS 'What to do; empty when ok.';
COMMENT ON COLUMN actuals.health_findings.checked_at IS 'When that was.';
