ALTER TABLE actuals.fetch_log
    ADD COLUMN backoff_seconds DOUBLE PRECISION,
    ADD COLUMN polling_seconds DOUBLE PRECISION;
COMMENT ON COLUMN actuals.fetch_log.backoff_seconds IS 'Time spent waiting before calls were repeated after a failure.';
COMMENT ON COLUMN actuals.fetch_log.polling_seconds IS 'Time spent waiting for reports that Meta computed.';

CREATE TABLE actuals.fruitless_ads (
    account_id TEXT NOT NULL,
    ad_id TEXT NOT NULL,
    since DATE NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT fruitless_ads_pkey PRIMARY KEY (account_id, ad_id)
);
COMMENT ON TABLE actuals.fruitless_ads IS
    'One row is one ad that had nothing when it was asked for by id; it rests for a day.';
COMMENT ON COLUMN actuals.fruitless_ads.account_id IS 'Account whose days did not add up.';
COMMENT ON COLUMN actuals.fruitless_ads.ad_id IS 'Ad that was asked for by id.';
COMMENT ON COLUMN actuals.fruitless_ads.since IS 'First report day in which it had nothing.';
COMMENT ON COLUMN actuals.fruitless_ads.asked_at IS 'When it was asked for the last time.';
