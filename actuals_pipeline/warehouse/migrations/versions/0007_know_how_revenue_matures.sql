CREATE TABLE actuals.revenue_development (
    as_of_date DATE NOT NULL,
    account_id TEXT NOT NULL,
    age_days BIGINT NOT NULL,
    revenue_share DOUBLE PRECISION NOT NULL,
    revenue_share_se DOUBLE PRECISION NOT NULL,
    clicks_share DOUBLE PRECISION,
    source TEXT NOT NULL,
    dating TEXT NOT NULL,
    n_cohorts BIGINT NOT NULL,
    CONSTRAINT revenue_development_pkey PRIMARY KEY (as_of_date, account_id, age_days),
    CONSTRAINT revenue_development_age_days_check CHECK (age_days BETWEEN 0 AND 28),
    CONSTRAINT revenue_development_revenue_share_check CHECK (revenue_share >= 0 AND revenue_share < 'Infinity'),
    CONSTRAINT revenue_development_revenue_share_se_check CHECK (revenue_share_se >= 0 AND revenue_share_se < 'Infinity'),
    CONSTRAINT revenue_development_clicks_share_check CHECK (clicks_share >= 0 AND clicks_share < 'Infinity'),
    CONSTRAINT revenue_development_source_check CHECK (source IN ('revisions', 'click_windows', 'assumed')),
    CONSTRAINT revenue_development_dating_check CHECK (dating IN ('impression', 'conversion', 'unknown')),
    CONSTRAINT revenue_development_n_cohorts_check CHECK (n_cohorts >= 0)
);
COMMENT ON TABLE actuals.revenue_development IS 'One row is one account and age: how much of a day''s revenue is known by then.';
COMMENT ON COLUMN actuals.revenue_development.as_of_date IS 'The day as of which this was known; what came in on it is not looked at yet.';
COMMENT ON COLUMN actuals.revenue_development.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.revenue_development.age_days IS 'Days from a report day to the one at whose end: 0 (the day itself) to 28.';
COMMENT ON COLUMN actuals.revenue_development.revenue_share IS 'Revenue that a report day''s spend has by then / what it comes to; a fraction.';
COMMENT ON COLUMN actuals.revenue_development.revenue_share_se IS 'Standard error of revenue_share, a fraction.';
COMMENT ON COLUMN actuals.revenue_development.clicks_share IS 'Clicks (all) of a report day known by then / final ones; null where not measured.';
COMMENT ON COLUMN actuals.revenue_development.source IS 'How revenue_share is known: revisions (the account''s days as they grew), click_windows (Meta''s, of settled days), assumed.';
COMMENT ON COLUMN actuals.revenue_development.dating IS 'Day of a purchase: impression, conversion; unknown is treated like conversion.';
COMMENT ON COLUMN actuals.revenue_development.n_cohorts IS 'Report days that revenue_share rests on; 0 when assumed.';
