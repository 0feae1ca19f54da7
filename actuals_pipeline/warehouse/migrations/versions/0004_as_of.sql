CREATE FUNCTION actuals.ad_actuals_as_of(day date)
RETURNS TABLE (
    account_id text, ad_id text, report_date date, currency text, attribution_setting text,
    purchase_action_type text, impressions bigint, clicks bigint, link_clicks bigint, reach bigint,
    spend numeric, conversions bigint, revenue numeric, ctr double precision,
    roas double precision, is_settled boolean, known_since date, fetched_at timestamptz
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        latest.account_id, latest.ad_id, latest.report_date, latest.currency,
        latest.attribution_setting, latest.purchase_action_type, latest.impressions, latest.clicks,
        latest.link_clicks, latest.reach, latest.spend, latest.conversions, latest.revenue,
        latest.clicks::double precision / nullif(latest.impressions, 0),
        (latest.revenue / nullif(latest.spend, 0))::double precision,
        day - latest.report_date > 28,
        latest.as_of_date, latest.fetched_at
    FROM (
        SELECT DISTINCT ON (known.account_id, known.ad_id, known.report_date) known.*
        FROM actuals.ad_actuals_revisions AS known
        WHERE known.as_of_date <= day
        ORDER BY known.account_id, known.ad_id, known.report_date, known.as_of_date DESC
    ) AS latest
    WHERE latest.is_listed;
END;
COMMENT ON FUNCTION actuals.ad_actuals_as_of(date) IS
    'The figures of every ad and report day as they were known at the end of a day.';

CREATE VIEW actuals.ad_actuals_history AS
SELECT
    known.account_id, known.ad_id, known.report_date,
    known.as_of_date AS known_since,
    lead(known.as_of_date) OVER (
        PARTITION BY known.account_id, known.ad_id, known.report_date ORDER BY known.as_of_date
    ) AS known_until,
    known.is_listed, known.currency, known.attribution_setting, known.purchase_action_type,
    known.impressions, known.clicks, known.link_clicks, known.reach, known.spend,
    known.conversions, known.revenue, known.fetched_at
FROM actuals.ad_actuals_revisions AS known;
COMMENT ON VIEW actuals.ad_actuals_history IS
    'Every state of an ad''s report day, known from known_since up to, not including, known_until (null: still).';
