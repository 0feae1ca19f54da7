CREATE OR REPLACE VIEW actuals.completeness_by_age AS
WITH known AS (
    SELECT
        revision.account_id, revision.as_of_date - revision.report_date AS age,
        min(revision.as_of_date) OVER account_day = revision.report_date AS is_followed,
        lag(revision.as_of_date) OVER ad_day IS NULL AS is_new,
        -- What this revision added to what was known before; an ad that is listed no more has nothing.
        coalesce(revision.spend, 0) - coalesce(lag(revision.spend) OVER ad_day, 0) AS spend,
        coalesce(revision.clicks, 0) - coalesce(lag(revision.clicks) OVER ad_day, 0) AS clicks,
        -- After a change of ACTUALS_PURCHASE_ACTION_TYPE there is more or less, and nothing came.
        CASE WHEN revision.purchase_action_type <> lag(revision.purchase_action_type) OVER ad_day THEN 0
            ELSE coalesce(revision.conversions, 0) - coalesce(lag(revision.conversions) OVER ad_day, 0)
        END AS conversions,
        CASE WHEN revision.purchase_action_type <> lag(revision.purchase_action_type) OVER ad_day THEN 0
            ELSE coalesce(revision.revenue, 0) - coalesce(lag(revision.revenue) OVER ad_day, 0)
        END AS revenue
    FROM actuals.ad_actuals_revisions AS revision
    JOIN actuals.meta_account_totals AS total USING (account_id, report_date)
    WHERE
        -- The last 90 days that have settled: habits change, and a year of revisions takes long.
        revision.report_date >= (SELECT max(report_date) FROM actuals.meta_account_totals) - 118
        AND (total.fetched_at AT TIME ZONE total.time_zone)::date - total.report_date > 28
    WINDOW
        account_day AS (PARTITION BY revision.account_id, revision.report_date),
        ad_day AS (
            PARTITION BY revision.account_id, revision.report_date, revision.ad_id
            ORDER BY revision.as_of_date
        )
), added AS (
    SELECT
        account_id, age, count(*) FILTER (WHERE is_new) AS ad_days, sum(spend) AS spend,
        sum(clicks) AS clicks, sum(conversions) AS conversions, sum(revenue) AS revenue
    FROM known
    WHERE is_followed
    GROUP BY account_id, age
)
SELECT
    account.account_id, age_days, coalesce(sum(ad_days), 0)::bigint AS n_ad_days,
    CASE WHEN sum(spend) > 0 THEN
        (sum(spend) FILTER (WHERE age <= age_days) / sum(spend))::double precision
    END AS spend_share,
    CASE WHEN sum(clicks) > 0 THEN
        (sum(clicks) FILTER (WHERE age <= age_days) / sum(clicks))::double precision
    END AS clicks_share,
    CASE WHEN sum(conversions) > 0 THEN
        (sum(conversions) FILTER (WHERE age <= age_days) / sum(conversions))::double precision
    END AS conversions_share,
    CASE WHEN sum(revenue) > 0 THEN
        (sum(revenue) FILTER (WHERE age <= age_days) / sum(revenue))::double precision
    END AS revenue_share
FROM (SELECT DISTINCT account_id FROM actuals.meta_account_totals) AS account
CROSS JOIN generate_series(0, 28) AS age_days
LEFT JOIN added USING (account_id)
GROUP BY account.account_id, age_days;
