CREATE TABLE actuals.model_drift (
    as_of_date DATE NOT NULL,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    metric TEXT NOT NULL,
    week DATE NOT NULL,
    n_pairs BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    purchases BIGINT NOT NULL,
    coverage_spend DOUBLE PRECISION,
    ln_calibration DOUBLE PRECISION,
    standard_error DOUBLE PRECISION,
    lower DOUBLE PRECISION,
    upper DOUBLE PRECISION,
    skill DOUBLE PRECISION,
    skill_lower DOUBLE PRECISION,
    skill_upper DOUBLE PRECISION,
    normalised_entropy DOUBLE PRECISION,
    normalised_entropy_lower DOUBLE PRECISION,
    normalised_entropy_upper DOUBLE PRECISION,
    wape_excess DOUBLE PRECISION,
    wape_excess_lower DOUBLE PRECISION,
    wape_excess_upper DOUBLE PRECISION,
    rank_correlation DOUBLE PRECISION,
    is_eligible BOOLEAN NOT NULL,
    z DOUBLE PRECISION,
    cusum_up DOUBLE PRECISION NOT NULL,
    cusum_down DOUBLE PRECISION NOT NULL,
    cusum_limit DOUBLE PRECISION NOT NULL,
    ewma DOUBLE PRECISION NOT NULL,
    ewma_lower DOUBLE PRECISION NOT NULL,
    ewma_upper DOUBLE PRECISION NOT NULL,
    is_alarm BOOLEAN NOT NULL,
    changed_since DATE,
    state TEXT NOT NULL,
    state_since DATE NOT NULL,
    causes TEXT,
    breach_start DATE,
    versus_previous TEXT,
    CONSTRAINT model_drift_pkey PRIMARY KEY (as_of_date, model_name, model_version, metric, week),
    CONSTRAINT model_drift_metric_check CHECK (metric IN ('ctr', 'roas')),
    CONSTRAINT model_drift_week_check CHECK (extract(isodow FROM week) = 1),
    CONSTRAINT model_drift_state_check CHECK (state IN ('ok', 'warn', 'breach', 'requested', 'cooldown')),
    CONSTRAINT model_drift_coverage_spend_check CHECK (coverage_spend BETWEEN 0 AND 1),
    CONSTRAINT model_drift_versus_previous_check CHECK (versus_previous IN ('worse', 'better', 'unresolved')),
    CONSTRAINT model_drift_n_pairs_check CHECK (n_pairs >= 0),
    CONSTRAINT model_drift_clicks_check CHECK (clicks >= 0),
    CONSTRAINT model_drift_purchases_check CHECK (purchases >= 0),
    CONSTRAINT model_drift_standard_error_check CHECK (standard_error >= 0),
    CONSTRAINT model_drift_cusum_up_check CHECK (cusum_up >= 0),
    CONSTRAINT model_drift_cusum_down_check CHECK (cusum_down >= 0),
    CONSTRAINT model_drift_cusum_limit_check CHECK (cusum_limit >= 0)
);
COMMENT ON TABLE actuals.model_drift IS 'One row is one model version, metric and week, with its charts, as of a day.';
COMMENT ON COLUMN actuals.model_drift.as_of_date IS 'Weeks that had ended by this day are looked at.';
COMMENT ON COLUMN actuals.model_drift.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.model_drift.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.model_drift.metric IS 'ctr (by launch_d7) or roas (by launch_ltd28).';
COMMENT ON COLUMN actuals.model_drift.week IS 'Monday of the ISO week in which the pairs matured.';
COMMENT ON COLUMN actuals.model_drift.n_pairs IS 'Pairs that matured in the week and count.';
COMMENT ON COLUMN actuals.model_drift.clicks IS 'Clicks (all) of those pairs.';
COMMENT ON COLUMN actuals.model_drift.purchases IS 'Purchases of those pairs.';
COMMENT ON COLUMN actuals.model_drift.coverage_spend IS 'Share of the week''s matured spend that those pairs have, a fraction.';
COMMENT ON COLUMN actuals.model_drift.ln_calibration IS 'ln(predicted / observed): 0.095 is a tenth too much.';
COMMENT ON COLUMN actuals.model_drift.standard_error IS 'Standard error of ln_calibration.';
COMMENT ON COLUMN actuals.model_drift.lower IS 'One-sided 95 percent bound of ln_calibration below.';
COMMENT ON COLUMN actuals.model_drift.upper IS 'One-sided 95 percent bound of ln_calibration above.';
COMMENT ON COLUMN actuals.model_drift.skill IS '1 - error / error of the account''s own rate; below 0 is worse than it.';
COMMENT ON COLUMN actuals.model_drift.skill_lower IS 'One-sided 95 percent bound of skill below.';
COMMENT ON COLUMN actuals.model_drift.skill_upper IS 'One-sided 95 percent bound of skill above.';
COMMENT ON COLUMN actuals.model_drift.normalised_entropy IS 'Log loss over that of the account''s own rate; CTR only.';
COMMENT ON COLUMN actuals.model_drift.normalised_entropy_lower IS 'One-sided 95 percent bound of normalised_entropy below.';
COMMENT ON COLUMN actuals.model_drift.normalised_entropy_upper IS 'One-sided 95 percent bound of normalised_entropy above.';
COMMENT ON COLUMN actuals.model_drift.wape_excess IS 'WAPE less that of a perfect model, a fraction; ROAS only.';
COMMENT ON COLUMN actuals.model_drift.wape_excess_lower IS 'One-sided 95 percent bound of wape_excess below.';
COMMENT ON COLUMN actuals.model_drift.wape_excess_upper IS 'One-sided 95 percent bound of wape_excess above.';
COMMENT ON COLUMN actuals.model_drift.rank_correlation IS 'Spearman''s, of actual with predicted within the week, -1 to 1.';
COMMENT ON COLUMN actuals.model_drift.is_eligible IS 'Whether the week has enough in it to conclude from.';
COMMENT ON COLUMN actuals.model_drift.z IS 'ln_calibration against the version''s weeks before, standard deviations.';
COMMENT ON COLUMN actuals.model_drift.cusum_up IS 'CUSUM towards too much, standard deviations.';
COMMENT ON COLUMN actuals.model_drift.cusum_down IS 'CUSUM towards too little, standard deviations.';
COMMENT ON COLUMN actuals.model_drift.cusum_limit IS 'Above it is an alarm; depends on how many charts are watched.';
COMMENT ON COLUMN actuals.model_drift.ewma IS 'Moving average of z, standard deviations.';
COMMENT ON COLUMN actuals.model_drift.ewma_lower IS 'Lower limit of ewma.';
COMMENT ON COLUMN actuals.model_drift.ewma_upper IS 'Upper limit of ewma.';
COMMENT ON COLUMN actuals.model_drift.is_alarm IS 'Whether one of the CUSUMs is above its limit.';
COMMENT ON COLUMN actuals.model_drift.changed_since IS 'In an alarm: Monday of the week of the change.';
COMMENT ON COLUMN actuals.model_drift.state IS 'ok, warn, breach, requested, cooldown: after the week.';
COMMENT ON COLUMN actuals.model_drift.state_since IS 'Monday of the week since when.';
COMMENT ON COLUMN actuals.model_drift.causes IS 'Why the state is not ok, comma-separated.';
COMMENT ON COLUMN actuals.model_drift.breach_start IS 'Monday of the week in which that breach began.';
COMMENT ON COLUMN actuals.model_drift.versus_previous IS 'In a breach''s last week: worse, better or unresolved against the version before.';
CREATE TABLE actuals.retrain_states (
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    metric TEXT NOT NULL,
    as_of_date DATE NOT NULL,
    week DATE NOT NULL,
    state TEXT NOT NULL,
    state_since DATE NOT NULL,
    breach_start DATE,
    causes TEXT,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    evidence JSONB NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT retrain_states_pkey PRIMARY KEY (model_name, model_version, metric),
    CONSTRAINT retrain_states_metric_check CHECK (metric IN ('ctr', 'roas')),
    CONSTRAINT retrain_states_state_check CHECK (state IN ('ok', 'warn', 'breach', 'requested', 'cooldown')),
    CONSTRAINT retrain_states_action_check CHECK (action IN ('wait', 'recalibrate', 'retrain', 'roll_back'))
);
COMMENT ON TABLE actuals.retrain_states IS 'One row is one model version and metric: what is thought of it now.';
COMMENT ON COLUMN actuals.retrain_states.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.retrain_states.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.retrain_states.metric IS 'ctr (by launch_d7) or roas (by launch_ltd28).';
COMMENT ON COLUMN actuals.retrain_states.as_of_date IS 'Day as of which this is the state.';
COMMENT ON COLUMN actuals.retrain_states.week IS 'Monday of the last closed week.';
COMMENT ON COLUMN actuals.retrain_states.state IS 'ok, warn, breach, requested or cooldown.';
COMMENT ON COLUMN actuals.retrain_states.state_since IS 'Monday of the week since when.';
COMMENT ON COLUMN actuals.retrain_states.breach_start IS 'Monday of the week in which the breach began.';
COMMENT ON COLUMN actuals.retrain_states.causes IS 'Why the state is not ok, comma-separated.';
COMMENT ON COLUMN actuals.retrain_states.action IS 'wait, recalibrate, retrain or roll_back.';
COMMENT ON COLUMN actuals.retrain_states.reason IS 'Why that, in a sentence.';
COMMENT ON COLUMN actuals.retrain_states.evidence IS 'Its last weeks, as in model_drift.';
COMMENT ON COLUMN actuals.retrain_states.updated_at IS 'When anything of it last changed.';
CREATE TABLE actuals.retrain_requests (
    request_key TEXT NOT NULL,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    breach_start DATE NOT NULL,
    week DATE NOT NULL,
    as_of_date DATE NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    evidence JSONB NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
    delivered_at TIMESTAMP WITH TIME ZONE,
    attempts BIGINT DEFAULT 0 NOT NULL,
    last_attempt_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT retrain_requests_pkey PRIMARY KEY (request_key),
    CONSTRAINT retrain_requests_action_check CHECK (action IN ('wait', 'recalibrate', 'retrain', 'roll_back')),
    CONSTRAINT retrain_requests_request_key_check CHECK (request_key <> ''),
    CONSTRAINT retrain_requests_week_check CHECK (breach_start <= week),
    CONSTRAINT retrain_requests_attempts_check CHECK (attempts >= 0)
);
CREATE INDEX retrain_requests_model_name_model_version_idx ON actuals.retrain_requests (model_name, model_version);
COMMENT ON TABLE actuals.retrain_requests IS 'One row is one breach of a model version, and what was asked to be done about it.';
COMMENT ON COLUMN actuals.retrain_requests.request_key IS 'model:version:breach_start; the same for the same breach for ever.';
COMMENT ON COLUMN actuals.retrain_requests.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.retrain_requests.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.retrain_requests.breach_start IS 'Monday of the week it began in.';
COMMENT ON COLUMN actuals.retrain_requests.week IS 'Monday of the week after which it was asked.';
COMMENT ON COLUMN actuals.retrain_requests.as_of_date IS 'Day as of which it was asked.';
COMMENT ON COLUMN actuals.retrain_requests.action IS 'recalibrate, retrain or roll_back.';
COMMENT ON COLUMN actuals.retrain_requests.reason IS 'Why that, in sentences.';
COMMENT ON COLUMN actuals.retrain_requests.evidence IS 'The last weeks, as in model_drift.';
COMMENT ON COLUMN actuals.retrain_requests.requested_at IS 'When it was written down.';
COMMENT ON COLUMN actuals.retrain_requests.delivered_at IS 'When it was handed over; null until then.';
COMMENT ON COLUMN actuals.retrain_requests.attempts IS 'Times that it was tried to hand it over.';
COMMENT ON COLUMN actuals.retrain_requests.last_attempt_at IS 'When that was tried last.';
COMMENT ON COLUMN actuals.retrain_requests.last_error IS 'Why that failed, without address and secret.';
