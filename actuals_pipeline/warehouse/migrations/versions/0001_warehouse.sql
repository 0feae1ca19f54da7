CREATE TABLE actuals.raw_meta_insights (
    account_id TEXT NOT NULL,
    ad_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    payload JSONB NOT NULL,
    api_version TEXT NOT NULL,
    run_id TEXT NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT raw_meta_insights_pkey PRIMARY KEY (account_id, ad_id, report_date)
);
CREATE INDEX raw_meta_insights_report_date_idx ON actuals.raw_meta_insights (report_date);
COMMENT ON TABLE actuals.raw_meta_insights IS 'One row is one ad''s insights for one report day, verbatim.';
COMMENT ON COLUMN actuals.raw_meta_insights.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.raw_meta_insights.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.raw_meta_insights.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.raw_meta_insights.payload IS 'The insights row exactly as Meta answered it.';
COMMENT ON COLUMN actuals.raw_meta_insights.api_version IS 'Marketing API version of the answer.';
COMMENT ON COLUMN actuals.raw_meta_insights.run_id IS 'Run that fetched the row as it stands.';
COMMENT ON COLUMN actuals.raw_meta_insights.fetched_at IS 'When these figures were first fetched from Meta as they stand.';

CREATE TABLE actuals.meta_account_totals (
    account_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    account_name TEXT NOT NULL,
    currency TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    reach BIGINT,
    spend NUMERIC NOT NULL,
    conversions BIGINT NOT NULL,
    revenue NUMERIC NOT NULL,
    purchase_action_type TEXT NOT NULL,
    is_reported BOOLEAN NOT NULL,
    is_stand_in BOOLEAN NOT NULL,
    api_version TEXT NOT NULL,
    run_id TEXT NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT meta_account_totals_pkey PRIMARY KEY (account_id, report_date),
    CONSTRAINT meta_account_totals_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT meta_account_totals_impressions_check CHECK (impressions >= 0),
    CONSTRAINT meta_account_totals_clicks_check CHECK (clicks >= 0),
    CONSTRAINT meta_account_totals_reach_check CHECK (reach >= 0),
    CONSTRAINT meta_account_totals_spend_check CHECK (spend >= 0),
    CONSTRAINT meta_account_totals_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT meta_account_totals_revenue_finite_check CHECK (revenue > '-Infinity' AND revenue < 'Infinity')
);
COMMENT ON TABLE actuals.meta_account_totals IS 'One row is Meta''s own account-level total for one fetched report day.';
COMMENT ON COLUMN actuals.meta_account_totals.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.meta_account_totals.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.meta_account_totals.account_name IS 'Name of the account when fetched.';
COMMENT ON COLUMN actuals.meta_account_totals.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.meta_account_totals.time_zone IS 'IANA time zone of the account''s days.';
COMMENT ON COLUMN actuals.meta_account_totals.impressions IS 'Meta''s own total of impressions.';
COMMENT ON COLUMN actuals.meta_account_totals.clicks IS 'Meta''s own total of clicks (all).';
COMMENT ON COLUMN actuals.meta_account_totals.reach IS 'People reached that day, de-duplicated by Meta; unknown when null.';
COMMENT ON COLUMN actuals.meta_account_totals.spend IS 'Meta''s own total spend, major units of currency.';
COMMENT ON COLUMN actuals.meta_account_totals.conversions IS 'Purchases of purchase_action_type.';
COMMENT ON COLUMN actuals.meta_account_totals.revenue IS 'Value of those purchases, major units of currency.';
COMMENT ON COLUMN actuals.meta_account_totals.purchase_action_type IS 'Action type that counts.';
COMMENT ON COLUMN actuals.meta_account_totals.is_reported IS 'Whether Meta gave a row; a fetched day without one is a known zero.';
COMMENT ON COLUMN actuals.meta_account_totals.is_stand_in IS 'Whether the local stand-in answered.';
COMMENT ON COLUMN actuals.meta_account_totals.api_version IS 'Marketing API version of the answer.';
COMMENT ON COLUMN actuals.meta_account_totals.run_id IS 'Run that last fetched this account-day whole.';
COMMENT ON COLUMN actuals.meta_account_totals.fetched_at IS 'When this account-day was last fetched whole.';

CREATE TABLE actuals.ad_actuals (
    account_id TEXT NOT NULL,
    ad_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    video_id TEXT,
    campaign_id TEXT,
    campaign_name TEXT,
    adset_id TEXT,
    adset_name TEXT,
    ad_name TEXT,
    currency TEXT NOT NULL,
    attribution_setting TEXT,
    purchase_action_type TEXT NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    link_clicks BIGINT NOT NULL,
    reach BIGINT,
    spend NUMERIC NOT NULL,
    conversions BIGINT NOT NULL,
    revenue NUMERIC NOT NULL,
    ctr DOUBLE PRECISION,
    roas DOUBLE PRECISION,
    cpm DOUBLE PRECISION,
    cpc DOUBLE PRECISION,
    frequency DOUBLE PRECISION,
    is_settled BOOLEAN NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT ad_actuals_pkey PRIMARY KEY (account_id, ad_id, report_date),
    CONSTRAINT ad_actuals_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT ad_actuals_impressions_check CHECK (impressions >= 0),
    CONSTRAINT ad_actuals_clicks_check CHECK (clicks >= 0),
    CONSTRAINT ad_actuals_link_clicks_check CHECK (link_clicks >= 0),
    CONSTRAINT ad_actuals_reach_check CHECK (reach >= 0),
    CONSTRAINT ad_actuals_spend_check CHECK (spend >= 0),
    CONSTRAINT ad_actuals_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT ad_actuals_revenue_finite_check CHECK (revenue > '-Infinity' AND revenue < 'Infinity')
);
CREATE INDEX ad_actuals_ad_id_idx ON actuals.ad_actuals (ad_id);
CREATE INDEX ad_actuals_report_date_idx ON actuals.ad_actuals (report_date);
COMMENT ON TABLE actuals.ad_actuals IS 'One row is one ad''s figures for one report day.';
COMMENT ON COLUMN actuals.ad_actuals.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.ad_actuals.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.ad_actuals.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.ad_actuals.video_id IS 'public.videos.id whose meta_platform_id is this ad.';
COMMENT ON COLUMN actuals.ad_actuals.campaign_id IS 'Campaign of the ad on that day.';
COMMENT ON COLUMN actuals.ad_actuals.campaign_name IS 'Its name when fetched.';
COMMENT ON COLUMN actuals.ad_actuals.adset_id IS 'Ad set of the ad on that day.';
COMMENT ON COLUMN actuals.ad_actuals.adset_name IS 'Its name when fetched.';
COMMENT ON COLUMN actuals.ad_actuals.ad_name IS 'Name of the ad when fetched.';
COMMENT ON COLUMN actuals.ad_actuals.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.ad_actuals.attribution_setting IS 'The ad set''s own attribution setting.';
COMMENT ON COLUMN actuals.ad_actuals.purchase_action_type IS 'The one action type counted in conversions and revenue.';
COMMENT ON COLUMN actuals.ad_actuals.impressions IS 'Times the ad was shown.';
COMMENT ON COLUMN actuals.ad_actuals.clicks IS 'Clicks (all), Meta''s and the specification''s word.';
COMMENT ON COLUMN actuals.ad_actuals.link_clicks IS 'Clicks on the link (inline_link_clicks).';
COMMENT ON COLUMN actuals.ad_actuals.reach IS 'People reached that day; unknown when null; never sum it.';
COMMENT ON COLUMN actuals.ad_actuals.spend IS 'Spend by day of delivery, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals.conversions IS 'Purchases of purchase_action_type, by Meta''s dating.';
COMMENT ON COLUMN actuals.ad_actuals.revenue IS 'Value of those purchases, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals.ctr IS 'clicks / impressions, a fraction; null without impressions.';
COMMENT ON COLUMN actuals.ad_actuals.roas IS 'revenue / spend, a multiple; null without spend.';
COMMENT ON COLUMN actuals.ad_actuals.cpm IS '1000 * spend / impressions, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals.cpc IS 'spend / clicks, major units of currency.';
COMMENT ON COLUMN actuals.ad_actuals.frequency IS 'impressions / reach, times a person.';
COMMENT ON COLUMN actuals.ad_actuals.is_settled IS 'Whether Meta restates the day no more: it was over 28 days old when fetched.';
COMMENT ON COLUMN actuals.ad_actuals.fetched_at IS 'When these figures were first fetched from Meta as they stand.';

CREATE TABLE actuals.spend_reconciliation (
    account_id TEXT NOT NULL,
    report_date DATE NOT NULL,
    currency TEXT NOT NULL,
    n_ads BIGINT NOT NULL,
    ads_spend NUMERIC NOT NULL,
    meta_spend NUMERIC NOT NULL,
    spend_difference NUMERIC NOT NULL,
    ads_impressions BIGINT NOT NULL,
    meta_impressions BIGINT NOT NULL,
    impressions_difference BIGINT NOT NULL,
    tolerance_share NUMERIC NOT NULL,
    verdict TEXT NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT spend_reconciliation_pkey PRIMARY KEY (account_id, report_date),
    CONSTRAINT spend_reconciliation_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT spend_reconciliation_verdict_check CHECK (verdict IN ('exact', 'within_tolerance', 'gap')),
    CONSTRAINT spend_reconciliation_spend_difference_check CHECK (spend_difference = meta_spend - ads_spend),
    CONSTRAINT spend_reconciliation_ads_spend_check CHECK (ads_spend >= 0),
    CONSTRAINT spend_reconciliation_meta_spend_check CHECK (meta_spend >= 0),
    CONSTRAINT spend_reconciliation_ads_spend_finite_check CHECK (ads_spend > '-Infinity' AND ads_spend < 'Infinity'),
    CONSTRAINT spend_reconciliation_meta_spend_finite_check CHECK (meta_spend > '-Infinity' AND meta_spend < 'Infinity')
);
COMMENT ON TABLE actuals.spend_reconciliation IS 'One row is one account and report day: the ads'' spend against Meta''s own total.';
COMMENT ON COLUMN actuals.spend_reconciliation.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.spend_reconciliation.report_date IS 'Calendar day in the ad account''s own time zone.';
COMMENT ON COLUMN actuals.spend_reconciliation.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.spend_reconciliation.n_ads IS 'Ads with a row in ad_actuals that day.';
COMMENT ON COLUMN actuals.spend_reconciliation.ads_spend IS 'Sum of spend over those ads.';
COMMENT ON COLUMN actuals.spend_reconciliation.meta_spend IS 'Meta''s own account total.';
COMMENT ON COLUMN actuals.spend_reconciliation.spend_difference IS 'meta_spend - ads_spend: what no listed ad explains.';
COMMENT ON COLUMN actuals.spend_reconciliation.ads_impressions IS 'Sum of impressions over the ads.';
COMMENT ON COLUMN actuals.spend_reconciliation.meta_impressions IS 'Meta''s own account total.';
COMMENT ON COLUMN actuals.spend_reconciliation.impressions_difference IS 'meta_impressions - ads_impressions.';
COMMENT ON COLUMN actuals.spend_reconciliation.tolerance_share IS 'Share of meta_spend by which the two may differ.';
COMMENT ON COLUMN actuals.spend_reconciliation.verdict IS 'exact: equal to the cent; within_tolerance; gap: beyond it.';
COMMENT ON COLUMN actuals.spend_reconciliation.fetched_at IS 'When these figures were first fetched from Meta as they stand.';

CREATE TABLE actuals.prediction_accuracy (
    as_of_date DATE NOT NULL,
    ad_id TEXT NOT NULL,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    protocol TEXT NOT NULL,
    account_id TEXT,
    video_id TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    currency TEXT,
    status TEXT NOT NULL,
    predicted_ctr DOUBLE PRECISION,
    actual_ctr DOUBLE PRECISION,
    predicted_roas DOUBLE PRECISION,
    actual_roas DOUBLE PRECISION,
    ctr_error DOUBLE PRECISION,
    roas_error DOUBLE PRECISION,
    ctr_accuracy DOUBLE PRECISION,
    roas_accuracy DOUBLE PRECISION,
    ctr_accuracy_raw DOUBLE PRECISION,
    roas_accuracy_raw DOUBLE PRECISION,
    ctr_direction TEXT,
    roas_direction TEXT,
    ctr_status TEXT NOT NULL,
    roas_status TEXT NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    spend NUMERIC NOT NULL,
    conversions BIGINT NOT NULL,
    revenue NUMERIC NOT NULL,
    first_delivery_on DATE,
    last_delivery_on DATE,
    predicted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    days_since_prediction BIGINT NOT NULL,
    settled_spend_share DOUBLE PRECISION,
    CONSTRAINT prediction_accuracy_pkey PRIMARY KEY (as_of_date, ad_id, model_name, model_version, protocol),
    CONSTRAINT prediction_accuracy_status_check CHECK (status IN ('eligible', 'leaked', 'no_delivery', 'invalid_prediction', 'too_young', 'too_old')),
    CONSTRAINT prediction_accuracy_ctr_accuracy_check CHECK (ctr_accuracy BETWEEN 0 AND 1),
    CONSTRAINT prediction_accuracy_roas_accuracy_check CHECK (roas_accuracy BETWEEN 0 AND 1),
    CONSTRAINT prediction_accuracy_impressions_check CHECK (impressions >= 0),
    CONSTRAINT prediction_accuracy_clicks_check CHECK (clicks >= 0),
    CONSTRAINT prediction_accuracy_spend_check CHECK (spend >= 0),
    CONSTRAINT prediction_accuracy_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT prediction_accuracy_revenue_finite_check CHECK (revenue > '-Infinity' AND revenue < 'Infinity')
);
CREATE INDEX prediction_accuracy_ad_id_idx ON actuals.prediction_accuracy (ad_id);
COMMENT ON TABLE actuals.prediction_accuracy IS 'One row is one ad, model version and protocol, as of a day.';
COMMENT ON COLUMN actuals.prediction_accuracy.as_of_date IS 'The comparison counts report days up to and including this one.';
COMMENT ON COLUMN actuals.prediction_accuracy.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.prediction_accuracy.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.prediction_accuracy.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.prediction_accuracy.protocol IS 'Which days count; launch_to_date: first delivery to as_of_date.';
COMMENT ON COLUMN actuals.prediction_accuracy.account_id IS 'Account of the ad; unknown before its first row.';
COMMENT ON COLUMN actuals.prediction_accuracy.video_id IS 'public.videos.id of the ad.';
COMMENT ON COLUMN actuals.prediction_accuracy.prediction_id IS 'public.predictions.id compared.';
COMMENT ON COLUMN actuals.prediction_accuracy.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.prediction_accuracy.status IS 'eligible counts in the headline; otherwise the reason why not.';
COMMENT ON COLUMN actuals.prediction_accuracy.predicted_ctr IS 'Predicted click-through rate (all clicks), a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.actual_ctr IS 'clicks / impressions, a fraction.';
COMMENT ON COLUMN actuals.prediction_accuracy.predicted_roas IS 'Predicted return on ad spend, a multiple.';
COMMENT ON COLUMN actuals.prediction_accuracy.actual_roas IS 'revenue / spend, a multiple.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_error IS '100 * (predicted - actual) / predicted, percent; + is overestimated.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_error IS '100 * (predicted - actual) / predicted, percent; + is overestimated.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_accuracy IS '1 - |predicted - actual| / predicted, clamped to 0..1.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_accuracy IS '1 - |predicted - actual| / predicted, clamped to 0..1.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_accuracy_raw IS 'The same before clamping; negative when actual > 2 * predicted.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_accuracy_raw IS 'The same before clamping; negative when actual > 2 * predicted.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_direction IS 'over, under or exact: the prediction''s side.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_direction IS 'over, under or exact: the prediction''s side.';
COMMENT ON COLUMN actuals.prediction_accuracy.ctr_status IS 'ok, or why the CTR has no score.';
COMMENT ON COLUMN actuals.prediction_accuracy.roas_status IS 'ok, or why the ROAS has no score.';
COMMENT ON COLUMN actuals.prediction_accuracy.impressions IS 'Launch to as_of_date.';
COMMENT ON COLUMN actuals.prediction_accuracy.clicks IS 'Clicks (all), launch to as_of_date.';
COMMENT ON COLUMN actuals.prediction_accuracy.spend IS 'Launch to as_of_date, major units of currency.';
COMMENT ON COLUMN actuals.prediction_accuracy.conversions IS 'Purchases, launch to as_of_date.';
COMMENT ON COLUMN actuals.prediction_accuracy.revenue IS 'Value of those purchases, major units of currency.';
COMMENT ON COLUMN actuals.prediction_accuracy.first_delivery_on IS 'First report day with impressions.';
COMMENT ON COLUMN actuals.prediction_accuracy.last_delivery_on IS 'Last report day with impressions.';
COMMENT ON COLUMN actuals.prediction_accuracy.predicted_at IS 'When the prediction was logged (public.predictions.logged_at).';
COMMENT ON COLUMN actuals.prediction_accuracy.days_since_prediction IS 'Whole days from predicted_at to the end of as_of_date.';
COMMENT ON COLUMN actuals.prediction_accuracy.settled_spend_share IS 'Share of spend on days that Meta restates no more.';

CREATE TABLE actuals.model_accuracy (
    as_of_date DATE NOT NULL,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    protocol TEXT NOT NULL,
    ctr_mae DOUBLE PRECISION,
    roas_mae DOUBLE PRECISION,
    prediction_accuracy DOUBLE PRECISION,
    n_pairs BIGINT NOT NULL,
    n_ctr BIGINT NOT NULL,
    n_roas BIGINT NOT NULL,
    n_predicted BIGINT NOT NULL,
    n_leaked BIGINT NOT NULL,
    n_no_delivery BIGINT NOT NULL,
    n_invalid BIGINT NOT NULL,
    n_too_young BIGINT NOT NULL,
    n_too_old BIGINT NOT NULL,
    n_unscored BIGINT NOT NULL,
    n_no_prediction BIGINT NOT NULL,
    coverage_ads DOUBLE PRECISION,
    coverage_spend DOUBLE PRECISION,
    settled_spend_share DOUBLE PRECISION,
    CONSTRAINT model_accuracy_pkey PRIMARY KEY (as_of_date, model_name, model_version, protocol),
    CONSTRAINT model_accuracy_prediction_accuracy_check CHECK (prediction_accuracy BETWEEN 0 AND 100)
);
COMMENT ON TABLE actuals.model_accuracy IS 'One row is one model version and protocol, as of a day.';
COMMENT ON COLUMN actuals.model_accuracy.as_of_date IS 'The comparison counts report days up to and including this one.';
COMMENT ON COLUMN actuals.model_accuracy.model_name IS 'Model that predicted.';
COMMENT ON COLUMN actuals.model_accuracy.model_version IS 'Its version.';
COMMENT ON COLUMN actuals.model_accuracy.protocol IS 'Which days count; launch_to_date: first delivery to as_of_date.';
COMMENT ON COLUMN actuals.model_accuracy.ctr_mae IS 'Mean |predicted - actual| CTR over eligible pairs, percentage points.';
COMMENT ON COLUMN actuals.model_accuracy.roas_mae IS 'Mean |predicted - actual| ROAS over eligible pairs, multiples.';
COMMENT ON COLUMN actuals.model_accuracy.prediction_accuracy IS '100 * mean over pairs of the mean of the available ctr_accuracy, roas_accuracy; percent.';
COMMENT ON COLUMN actuals.model_accuracy.n_pairs IS 'Pairs in prediction_accuracy, the column.';
COMMENT ON COLUMN actuals.model_accuracy.n_ctr IS 'Pairs with a CTR score.';
COMMENT ON COLUMN actuals.model_accuracy.n_roas IS 'Pairs with a ROAS score.';
COMMENT ON COLUMN actuals.model_accuracy.n_predicted IS 'Ads with a prediction of this version.';
COMMENT ON COLUMN actuals.model_accuracy.n_leaked IS 'Left out: predicted only after first delivery.';
COMMENT ON COLUMN actuals.model_accuracy.n_no_delivery IS 'Left out: not delivered yet.';
COMMENT ON COLUMN actuals.model_accuracy.n_invalid IS 'Left out: not a usable prediction.';
COMMENT ON COLUMN actuals.model_accuracy.n_too_young IS 'Left out: the video is younger than ACTUALS_MIN_AGE_HOURS.';
COMMENT ON COLUMN actuals.model_accuracy.n_too_old IS 'Left out: the video is older than ACTUALS_MAX_AGE_DAYS.';
COMMENT ON COLUMN actuals.model_accuracy.n_unscored IS 'Left out: eligible, but neither metric can be compared.';
COMMENT ON COLUMN actuals.model_accuracy.n_no_prediction IS 'Delivered ads of eligible age that this version never predicted.';
COMMENT ON COLUMN actuals.model_accuracy.coverage_ads IS 'Share of delivered ads of eligible age that have a scored pair.';
COMMENT ON COLUMN actuals.model_accuracy.coverage_spend IS 'The same by spend; null when currencies differ.';
COMMENT ON COLUMN actuals.model_accuracy.settled_spend_share IS 'Share of the pairs'' spend that Meta restates no more.';

CREATE TABLE actuals.fetch_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    account_id TEXT,
    ad_id TEXT,
    since DATE NOT NULL,
    until DATE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    duration_seconds DOUBLE PRECISION,
    outcome TEXT NOT NULL,
    calls BIGINT NOT NULL,
    pages BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    retries BIGINT NOT NULL,
    rate_limits_hit BIGINT NOT NULL,
    throttled_seconds DOUBLE PRECISION,
    error_class TEXT,
    error_message TEXT,
    is_stand_in BOOLEAN NOT NULL,
    CONSTRAINT fetch_log_pkey PRIMARY KEY (id),
    CONSTRAINT fetch_log_outcome_check CHECK (outcome IN ('complete', 'rate_limited', 'refused', 'failed')),
    CONSTRAINT fetch_log_kind_check CHECK (kind IN ('account', 'ad'))
);
CREATE INDEX fetch_log_run_id_idx ON actuals.fetch_log (run_id);
CREATE INDEX fetch_log_started_at_idx ON actuals.fetch_log (started_at);
COMMENT ON TABLE actuals.fetch_log IS 'One row is one account''s (or one ad''s) fetch in one run; append-only.';
COMMENT ON COLUMN actuals.fetch_log.id IS 'Order of writing.';
COMMENT ON COLUMN actuals.fetch_log.run_id IS 'Run that fetched.';
COMMENT ON COLUMN actuals.fetch_log.kind IS 'account: a whole account; ad: a single ad.';
COMMENT ON COLUMN actuals.fetch_log.account_id IS 'Account asked; null when it never became known.';
COMMENT ON COLUMN actuals.fetch_log.ad_id IS 'Ad asked, when kind is ad.';
COMMENT ON COLUMN actuals.fetch_log.since IS 'First report day asked.';
COMMENT ON COLUMN actuals.fetch_log.until IS 'Last report day asked.';
COMMENT ON COLUMN actuals.fetch_log.started_at IS 'Start of the fetch.';
COMMENT ON COLUMN actuals.fetch_log.duration_seconds IS 'Time from start to outcome.';
COMMENT ON COLUMN actuals.fetch_log.outcome IS 'complete, rate_limited, refused or failed; only complete replaces days.';
COMMENT ON COLUMN actuals.fetch_log.calls IS 'Graph API calls.';
COMMENT ON COLUMN actuals.fetch_log.pages IS 'Pages of insights read.';
COMMENT ON COLUMN actuals.fetch_log.rows IS 'Insights rows read, the account total not counted.';
COMMENT ON COLUMN actuals.fetch_log.retries IS 'Calls repeated after a failure.';
COMMENT ON COLUMN actuals.fetch_log.rate_limits_hit IS 'Answers that asked us to wait.';
COMMENT ON COLUMN actuals.fetch_log.throttled_seconds IS 'Time spent waiting for quota.';
COMMENT ON COLUMN actuals.fetch_log.error_class IS 'Class of the error that ended the fetch.';
COMMENT ON COLUMN actuals.fetch_log.error_message IS 'Its message, without secrets.';
COMMENT ON COLUMN actuals.fetch_log.is_stand_in IS 'Whether the stand-in answered.';
