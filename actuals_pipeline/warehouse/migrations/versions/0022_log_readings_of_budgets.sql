ALTER TABLE actuals.fetch_log
    DROP CONSTRAINT fetch_log_kind_check,
    ADD CONSTRAINT fetch_log_kind_check CHECK (kind IN ('account', 'ad')),
    ADD COLUMN budgets_on DATE,
    ADD COLUMN budgets BIGINT,
    ADD COLUMN budgets_error TEXT,
    ADD CONSTRAINT fetch_log_budgets_check CHECK (budgets IS NULL OR budgets_on IS NOT NULL);
CREATE INDEX fetch_log_budgets_idx ON actuals.fetch_log (account_id, budgets_on) WHERE budgets_on IS NOT NULL;
COMMENT ON COLUMN actuals.fetch_log.kind IS 'account: a whole account; ad: a single ad.';
COMMENT ON COLUMN actuals.fetch_log.budgets_on IS 'Account-local day of which no budgets need be read any more; null: not looked at.';
COMMENT ON COLUMN actuals.fetch_log.budgets IS 'Budgets of campaigns and ad sets read; null: none were.';
COMMENT ON COLUMN actuals.fetch_log.budgets_error IS 'Why they could not be read, without secrets.';
