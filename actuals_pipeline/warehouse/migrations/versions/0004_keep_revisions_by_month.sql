-- Out of the way, with their indexes and constraints, so that the new ones get the same names.
CREATE SCHEMA actuals_before_0004;
ALTER TABLE actuals.raw_meta_insights SET SCHEMA actuals_before_0004;
ALTER TABLE actuals.ad_actuals SET SCHEMA actuals_before_0004;

CREATE TABLE actuals.raw_meta_insights (LIKE actuals_before_0004.raw_meta_insights INCLUDING ALL)
    PARTITION BY RANGE (report_date);
COMMENT ON TABLE actuals.raw_meta_insights IS
    'One row is one ad''s insights for one report day, verbatim.';
CREATE TABLE actuals.ad_actuals (LIKE actuals_before_0004.ad_actuals INCLUDING ALL)
    PARTITION BY RANGE (report_date);
COMMENT ON TABLE actuals.ad_actuals IS 'One row is one ad''s figures for one report day.';

CREATE TABLE actuals.ad_actuals_revisions (
    account_id TEXT NOT NULL,
    ad_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    as_of_date DATE NOT NULL,
    is_listed BOOLEAN NOT NULL,
    currency TEXT,
    attribution_setting TEXT,
    purchase_action_type TEXT,
    impressions BIGINT,
    clicks BIGINT,
    link_clicks BIGINT,
    reach BIGINT,
    spend NUMERIC,
    conversions BIGINT,
    revenue NUMERIC,
    fetched_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT ad_actuals_revisions_pkey PRIMARY KEY (account_id, ad_id, report_date, as_of_date),
    CONSTRAINT ad_actuals_revisions_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ad_actuals_revisions_is_listed_check CHECK (is_listed = (spend IS NOT NULL AND impressions IS NOT NULL AND currency IS NOT NULL)),
    CONSTRAINT ad_actuals_revisions_impressions_check CHECK (impressions >= 0),
    CONSTRAINT ad_actuals_revisions_clicks_check CHECK (clicks >= 0),
    CONSTRAINT ad_actuals_revisions_link_clicks_check CHECK (link_clicks >= 0),
    CONSTRAINT ad_actuals_revisions_reach_check CHECK (reach >= 0),
    CONSTRAINT ad_actuals_revisions_spend_check CHECK (spend >= 0),
    CONSTRAINT ad_actuals_revisions_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT ad_actuals_revisions_revenue_finite_check CHECK (revenue > '-Infinity' AND revenue < 'Infinity')
) PARTITION BY RANGE (report_date);
COMMENT ON TABLE actuals.ad_actuals_revisions IS 'One row is what came to be known of one ad''s report day on one day; the newest row up to a day is what was known then.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.as_of_date IS 'Account-local day from whose end on this is what was known.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.is_listed IS 'Whether Meta had a row; false with null figures once it listed the ad no more.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.attribution_setting IS 'The ad set''s own attribution setting.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.purchase_action_type IS 'The one action type counted as a purchase.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.clicks IS 'Clicks (all).';
COMMENT ON COLUMN actuals.ad_actuals_revisions.link_clicks IS 'Clicks on the link (inline_link_clicks).';
COMMENT ON COLUMN actuals.ad_actuals_revisions.reach IS 'People reached that day; unknown when null.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.spend IS 'Spend by day of delivery, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.conversions IS 'Purchases of purchase_action_type.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.revenue IS 'Value of those purchases, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals_revisions.fetched_at IS 'When these figures were first fetched from Meta.';

DO $$
DECLARE
    name text;
    month date;
BEGIN
    FOR name, month IN
        SELECT parent, first_day
        FROM (
            SELECT DISTINCT 'raw_meta_insights' AS source, date_trunc('month', report_date)::date AS first_day
            FROM actuals_before_0004.raw_meta_insights
            UNION
            SELECT DISTINCT 'ad_actuals', date_trunc('month', report_date)::date
            FROM actuals_before_0004.ad_actuals
        ) AS months
        JOIN (VALUES ('raw_meta_insights', 'raw_meta_insights'), ('ad_actuals', 'ad_actuals'),
                     ('ad_actuals', 'ad_actuals_revisions')) AS made (source, parent) USING (source)
    LOOP
        EXECUTE 'CREATE TABLE actuals.' || name || to_char(month, '_YYYY_MM')
            || ' PARTITION OF actuals.' || name || ' FOR VALUES FROM ('
            || quote_literal(month) || ') TO ('
            || quote_literal((month + interval '1 month')::date) || ')';
    END LOOP;
END
$$;

INSERT INTO actuals.raw_meta_insights SELECT * FROM actuals_before_0004.raw_meta_insights;
INSERT INTO actuals.ad_actuals SELECT * FROM actuals_before_0004.ad_actuals;
INSERT INTO actuals.ad_actuals_revisions
SELECT
    account_id, ad_id, report_date,
    (fetched_at AT TIME ZONE coalesce(zone.time_zone, 'UTC'))::date,
    true, currency, attribution_setting, purchase_action_type, impressions, clicks, link_clicks,
    reach, spend, conversions, revenue, fetched_at
FROM actuals.ad_actuals
LEFT JOIN (
    SELECT DISTINCT ON (account_id) account_id, time_zone
    FROM actuals.meta_account_totals
    ORDER BY account_id, report_date DESC
) AS zone USING (account_id);

DROP TABLE actuals_before_0004.raw_meta_insights, actuals_before_0004.ad_actuals;
DROP SCHEMA actuals_before_0004;

ALTER TABLE actuals.fetch_log
    ADD COLUMN rows_inserted BIGINT,
    ADD COLUMN rows_updated BIGINT,
    ADD COLUMN rows_unchanged BIGINT,
    ADD COLUMN rows_deleted BIGINT,
    ADD COLUMN rows_superseded BIGINT;
CREATE INDEX fetch_log_ads_idx ON actuals.fetch_log (account_id, started_at) WHERE kind = 'ad';
COMMENT ON COLUMN actuals.fetch_log.rows_inserted IS 'Rows new to raw_meta_insights.';
COMMENT ON COLUMN actuals.fetch_log.rows_updated IS 'Rows of it that Meta restated.';
COMMENT ON COLUMN actuals.fetch_log.rows_unchanged IS 'Rows of it that stayed as they were.';
COMMENT ON COLUMN actuals.fetch_log.rows_deleted IS 'Rows of it that Meta lists no more.';
COMMENT ON COLUMN actuals.fetch_log.rows_superseded IS 'Rows left aside: a newer fetch was stored first.';
