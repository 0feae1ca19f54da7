ALTER TABLE actuals.meta_account_totals
    ADD COLUMN revenue_1d_click NUMERIC,
    ADD COLUMN revenue_7d_click NUMERIC,
    ADD COLUMN revenue_28d_click NUMERIC,
    ADD CONSTRAINT meta_account_totals_revenue_1d_click_finite_check
        CHECK (revenue_1d_click > '-Infinity' AND revenue_1d_click < 'Infinity'),
    ADD CONSTRAINT meta_account_totals_revenue_7d_click_finite_check
        CHECK (revenue_7d_click > '-Infinity' AND revenue_7d_click < 'Infinity'),
    ADD CONSTRAINT meta_account_totals_revenue_28d_click_finite_check
        CHECK (revenue_28d_click > '-Infinity' AND revenue_28d_click < 'Infinity');
COMMENT ON COLUMN actuals.meta_account_totals.revenue_1d_click IS 'Value of purchases within 1 d of a click, in revenue or not; null: not kept.';
COMMENT ON COLUMN actuals.meta_account_totals.revenue_7d_click IS 'Value of purchases within 7 d of a click, in revenue or not; null: not kept.';
COMMENT ON COLUMN actuals.meta_account_totals.revenue_28d_click IS 'Value of purchases within 28 d of a click, in revenue or not; null: not kept.';

-- Of ads that are no longer listed there is no payload, as there is none of pruned months.
UPDATE actuals.meta_account_totals AS total
SET
    revenue_1d_click = windows.within_1, revenue_7d_click = windows.within_7,
    revenue_28d_click = windows.within_28
FROM (
    SELECT
        account_id, report_date, sum(coalesce((entry ->> '1d_click')::numeric, 0)) AS within_1,
        sum(coalesce((entry ->> '7d_click')::numeric, 0)) AS within_7,
        sum(coalesce((entry ->> '28d_click')::numeric, 0)) AS within_28
    FROM actuals.raw_meta_insights AS raw
    JOIN actuals.meta_account_totals AS of_account USING (account_id, report_date)
    CROSS JOIN jsonb_path_query(raw.payload, '$.action_values[*]') AS entry
    WHERE entry ->> 'action_type' = of_account.purchase_action_type
    GROUP BY account_id, report_date
) AS windows
WHERE windows.account_id = total.account_id AND windows.report_date = total.report_date;

ALTER TABLE actuals.revenue_development
    ADD COLUMN computed_at TIMESTAMP WITH TIME ZONE DEFAULT 'epoch' NOT NULL;
ALTER TABLE actuals.revenue_development ALTER COLUMN computed_at DROP DEFAULT;
COMMENT ON COLUMN actuals.revenue_development.computed_at IS 'When this was last computed; not again once the day had begun everywhere.';
