ALTER TABLE actuals.fetch_log
    ADD COLUMN calls_by_kind JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN bytes BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN missing_ads BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN retries_by_class JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN splits JSONB DEFAULT '{}'::jsonb NOT NULL,
    ADD COLUMN page_size BIGINT,
    ADD COLUMN days_per_request BIGINT,
    ADD COLUMN as_report BOOLEAN,
    ADD COLUMN account_quota_percent DOUBLE PRECISION,
    ADD COLUMN app_quota_percent DOUBLE PRECISION,
    ADD COLUMN account_rests_until TIMESTAMP WITH TIME ZONE,
    ADD COLUMN app_rests_until TIMESTAMP WITH TIME ZONE;
COMMENT ON COLUMN actuals.fetch_log.calls_by_kind IS 'Graph API calls by what was asked for.';
COMMENT ON COLUMN actuals.fetch_log.bytes IS 'Bytes of answers, as decompressed.';
COMMENT ON COLUMN actuals.fetch_log.missing_ads IS 'Ads asked for by id because the account''s listing lacked some.';
COMMENT ON COLUMN actuals.fetch_log.retries_by_class IS 'Calls repeated, by the class of the error.';
COMMENT ON COLUMN actuals.fetch_log.splits IS 'Times that requests were made smaller, by lever.';
COMMENT ON COLUMN actuals.fetch_log.page_size IS 'Rows in a page with which Meta answered.';
COMMENT ON COLUMN actuals.fetch_log.days_per_request IS 'Most days in a request; null: all of them.';
COMMENT ON COLUMN actuals.fetch_log.as_report IS 'Whether only asynchronous reports went through.';
COMMENT ON COLUMN actuals.fetch_log.account_quota_percent IS 'Share of the account''s call limit used up, in percent.';
COMMENT ON COLUMN actuals.fetch_log.app_quota_percent IS 'Share of the app''s call limit used up, in percent.';
COMMENT ON COLUMN actuals.fetch_log.account_rests_until IS 'When the account may be asked again.';
COMMENT ON COLUMN actuals.fetch_log.app_rests_until IS 'When the app may ask again.';

CREATE TABLE actuals.open_reports (
    account_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    report_run_id TEXT NOT NULL,
    submitted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT open_reports_pkey PRIMARY KEY (account_id, fingerprint)
);
CREATE INDEX open_reports_report_run_id_idx ON actuals.open_reports (report_run_id);
COMMENT ON TABLE actuals.open_reports IS
    'One row is one asynchronous report that Meta still holds and nobody has read.';
COMMENT ON COLUMN actuals.open_reports.account_id IS 'Account that the report is about.';
COMMENT ON COLUMN actuals.open_reports.fingerprint IS 'SHA-256 of the request, days included.';
COMMENT ON COLUMN actuals.open_reports.report_run_id IS 'Meta''s id of the report run.';
COMMENT ON COLUMN actuals.open_reports.submitted_at IS 'When it was submitted.';
