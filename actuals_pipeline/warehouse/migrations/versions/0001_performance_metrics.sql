-- `ctr` is a percent here, as in the specification's JSON.  A video whose ad was exchanged during
-- a day has two ads that day: their counts are added and both payloads are kept.
CREATE VIEW public.performance_metrics AS
SELECT
    -- Written out, because a date as text follows each session's DateStyle.
    md5(actual.video_id || ' ' || to_char(actual.report_date, 'YYYY-MM-DD'))::uuid AS id,
    actual.video_id::{video_id_type} AS video_id,
    'meta'::varchar AS platform,
    actual.report_date AS date,
    sum(actual.impressions)::bigint AS impressions,
    sum(actual.clicks)::bigint AS clicks,
    sum(actual.spend) AS spend,
    100.0 * sum(actual.clicks) / nullif(sum(actual.impressions), 0) AS ctr,
    sum(actual.conversions)::bigint AS conversions,
    CASE
        WHEN count(*) = 1 THEN (array_agg(raw.payload))[1]
        ELSE jsonb_agg(raw.payload ORDER BY actual.ad_id)
    END AS raw_data,
    max(actual.fetched_at) AT TIME ZONE 'UTC' AS created_at
FROM actuals.ad_actuals AS actual
LEFT JOIN actuals.raw_meta_insights AS raw USING (account_id, ad_id, report_date)
WHERE actual.video_id IS NOT NULL
GROUP BY actual.video_id, actual.report_date;

COMMENT ON VIEW public.performance_metrics IS
    'One row is one video and report day, for services that read it; ctr is a percent.';
