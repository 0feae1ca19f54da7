CREATE TABLE actuals.known_days (
    account_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    known_since DATE NOT NULL,
    CONSTRAINT known_days_pkey PRIMARY KEY (account_id, report_date)
);
COMMENT ON TABLE actuals.known_days IS
    'One row is one account''s report day, and since when it is known whole; append-only.';
COMMENT ON COLUMN actuals.known_days.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.known_days.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.known_days.known_since IS
    'Account-local day on which this report day was first fetched whole.';

-- The revisions say when a day's ads came to be known; of a day without ads the fetch has to.
INSERT INTO actuals.known_days
SELECT
    total.account_id, total.report_date,
    least(min(known.as_of_date), (total.fetched_at AT TIME ZONE total.time_zone)::date)
FROM actuals.meta_account_totals AS total
LEFT JOIN actuals.ad_actuals_revisions AS known USING (account_id, report_date)
GROUP BY total.account_id, total.report_date;

CREATE INDEX ad_actuals_revisions_as_of_date_idx ON actuals.ad_actuals_revisions (as_of_date);

ALTER TABLE actuals.prediction_accuracy
    ADD COLUMN campaign_id TEXT,
    ADD COLUMN adset_id TEXT,
    ADD COLUMN matures_on DATE,
    ADD COLUMN completeness DOUBLE PRECISION,
    ADD COLUMN completeness_se DOUBLE PRECISION,
    ADD COLUMN is_provisional BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN is_reconstructed BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN dispersion DOUBLE PRECISION,
    ADD COLUMN order_value DOUBLE PRECISION,
    ADD COLUMN ctr_low DOUBLE PRECISION,
    ADD COLUMN ctr_high DOUBLE PRECISION,
    ADD COLUMN ctr_z DOUBLE PRECISION,
    ADD COLUMN ctr_verdict TEXT,
    ADD COLUMN ctr_is_discovery BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN ctr_more_impressions DOUBLE PRECISION,
    ADD COLUMN ctr_ceiling DOUBLE PRECISION,
    ADD COLUMN roas_low DOUBLE PRECISION,
    ADD COLUMN roas_high DOUBLE PRECISION,
    ADD COLUMN roas_z DOUBLE PRECISION,
    ADD COLUMN roas_verdict TEXT,
    ADD COLUMN roas_is_discovery BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN roas_more_purchases DOUBLE PRECISION,
    ADD COLUMN roas_ceiling DOUBLE PRECISION,
    ADD COLUMN roas_relative_se DOUBLE PRECISION,
    ADD COLUMN baseline_ctr DOUBLE PRECISION,
    ADD COLUMN baseline_roas DOUBLE PRECISION;
COMMENT ON COLUMN actuals.prediction_accuracy.campaign_id IS
    'Campaign of the ad; its ads share budget, audience and weather.';
COMMENT ON COLUMN actuals.prediction_accuracy.adset_id IS
    'Ad set of the ad.';
COMMENT ON COLUMN actuals.prediction_accuracy.matures_on IS
    'Day at whose end a launch window is final; else null.';
COMMENT ON COLUMN actuals.prediction_accuracy.completeness IS
    'Share of the final revenue that should be known, by spend; null: not asked.';
COMMENT ON COLUMN actuals.prediction_accuracy.completeness_se IS
    'Standard error of completeness / completeness.';
COMMENT ON COLUMN actuals.prediction_accuracy.is_provisional IS
    'Whether the figures may still change by much; in no headline.';
COMMENT ON COLUMN actuals.prediction_accuracy.is_reconstructed IS
    'Whether figures learnt later stand for those of a day without any.';
COMMENT ON COLUMN actuals.prediction_accuracy.dispersion IS
    'Variance of the campaign''s clicks / that of independent impressions.';
COMMENT ON COLUMN actuals.prediction_accuracy.order_value IS
    'Mean value of a purchase, drawn to the account''s; major units.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_low IS
    'Low end of the 95-percent interval of actual_ctr (Wilson), a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_high IS
    'High end of it, a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_z IS
    'Standard deviations that the clicks are off; + is more than predicted.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_verdict IS
    'within_tolerance, under, over or unresolved.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_is_discovery IS
    'Whether it is off beyond chance; one in ten such is not.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_more_impressions IS
    'Impressions more, about, until an unresolved CTR is told from chance.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_ceiling IS
    'Accuracy to expect of a prediction that is exactly true, a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_low IS
    'Low end of the 95-percent interval of actual_roas, a multiple.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_high IS
    'High end of it, a multiple.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_z IS
    'Standard deviations that the revenue is off; + is more than predicted.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_verdict IS
    'within_tolerance, under, over or unresolved.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_is_discovery IS
    'Whether it is off beyond chance; one in ten such is not.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_more_purchases IS
    'Purchases more, about, until an unresolved ROAS is told from chance.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_ceiling IS
    'Accuracy to expect of a prediction that is exactly true, a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_relative_se IS
    'Standard error of actual_roas / actual_roas.';
COMMENT ON COLUMN actuals.prediction_accuracy.baseline_ctr IS
    'CTR of the account in the 28 days before first delivery, a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.baseline_roas IS
    'ROAS of the account in the 28 days before first delivery.';
ALTER TABLE actuals.prediction_accuracy
    DROP CONSTRAINT prediction_accuracy_status_check,
    ADD CONSTRAINT prediction_accuracy_status_check CHECK (status IN ('eligible', 'leaked', 'no_delivery', 'ambiguous', 'invalid_prediction', 'too_young', 'too_old', 'immature', 'incomplete_history')),
    ADD CONSTRAINT prediction_accuracy_ctr_verdict_check CHECK (ctr_verdict IN ('within_tolerance', 'under', 'over', 'unresolved')),
    ADD CONSTRAINT prediction_accuracy_roas_verdict_check CHECK (roas_verdict IN ('within_tolerance', 'under', 'over', 'unresolved'));
COMMENT ON COLUMN actuals.prediction_accuracy.protocol IS
    'Which days count: launch_to_date, launch_d7, launch_ltd28, headline.';

ALTER TABLE actuals.model_accuracy
    ADD COLUMN prediction_accuracy_low DOUBLE PRECISION,
    ADD COLUMN prediction_accuracy_high DOUBLE PRECISION,
    ADD COLUMN n_clusters BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN noise_ceiling DOUBLE PRECISION,
    ADD COLUMN baseline_accuracy DOUBLE PRECISION,
    ADD COLUMN accuracy_of_achievable DOUBLE PRECISION,
    ADD COLUMN unresolved_share DOUBLE PRECISION,
    ADD COLUMN n_immature BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN n_reconstructed BIGINT DEFAULT 0 NOT NULL;
COMMENT ON COLUMN actuals.model_accuracy.prediction_accuracy_low IS
    'Low end of its 95-percent interval, percent; null below ten campaigns.';
COMMENT ON COLUMN actuals.model_accuracy.prediction_accuracy_high IS
    'High end of it, percent.';
COMMENT ON COLUMN actuals.model_accuracy.n_clusters IS
    'Campaigns of the pairs.';
COMMENT ON COLUMN actuals.model_accuracy.noise_ceiling IS
    'Accuracy to expect of a perfect model on the same volumes, percent.';
COMMENT ON COLUMN actuals.model_accuracy.baseline_accuracy IS
    'Accuracy that the account''s rates before each launch would have had, percent.';
COMMENT ON COLUMN actuals.model_accuracy.accuracy_of_achievable IS
    'Where the accuracy lies from baseline (0) to ceiling (1).';
COMMENT ON COLUMN actuals.model_accuracy.unresolved_share IS
    'Share of the pairs'' verdicts that need more data.';
COMMENT ON COLUMN actuals.model_accuracy.n_immature IS
    'Left out: the launch window is not final yet.';
COMMENT ON COLUMN actuals.model_accuracy.n_reconstructed IS
    'Of n_pairs: rest on figures learnt afterwards.';
COMMENT ON COLUMN actuals.model_accuracy.protocol IS
    'Which days count: launch_to_date, launch_d7, launch_ltd28, headline.';
