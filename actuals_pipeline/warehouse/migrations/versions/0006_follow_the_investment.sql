CREATE TABLE actuals.investment_summary (
    as_of_date DATE NOT NULL,
    scope TEXT NOT NULL,
    currency TEXT NOT NULL,
    since DATE NOT NULL,
    impressions BIGINT NOT NULL,
    clicks BIGINT NOT NULL,
    link_clicks BIGINT NOT NULL,
    conversions BIGINT NOT NULL,
    spend NUMERIC,
    revenue NUMERIC,
    roas DOUBLE PRECISION,
    cpa DOUBLE PRECISION,
    conversion_rate DOUBLE PRECISION,
    link_conversion_rate DOUBLE PRECISION,
    impressions_7d BIGINT NOT NULL,
    clicks_7d BIGINT NOT NULL,
    link_clicks_7d BIGINT NOT NULL,
    conversions_7d BIGINT NOT NULL,
    spend_7d NUMERIC,
    revenue_7d NUMERIC,
    roas_7d DOUBLE PRECISION,
    cpa_7d DOUBLE PRECISION,
    conversion_rate_7d DOUBLE PRECISION,
    link_conversion_rate_7d DOUBLE PRECISION,
    impressions_28d BIGINT NOT NULL,
    clicks_28d BIGINT NOT NULL,
    link_clicks_28d BIGINT NOT NULL,
    conversions_28d BIGINT NOT NULL,
    spend_28d NUMERIC,
    revenue_28d NUMERIC,
    roas_28d DOUBLE PRECISION,
    cpa_28d DOUBLE PRECISION,
    conversion_rate_28d DOUBLE PRECISION,
    link_conversion_rate_28d DOUBLE PRECISION,
    spend_at_least NUMERIC NOT NULL,
    settled_spend_share DOUBLE PRECISION,
    investment_total NUMERIC,
    spent_share DOUBLE PRECISION,
    burn_per_day_7d DOUBLE PRECISION,
    burn_per_day_28d DOUBLE PRECISION,
    burn_per_day_settled DOUBLE PRECISION,
    outlook TEXT NOT NULL,
    projected_end DATE,
    projected_end_low DATE,
    projected_end_high DATE,
    n_accounts_covered BIGINT NOT NULL,
    accounts_missing JSONB DEFAULT '{}'::jsonb NOT NULL,
    unconverted JSONB DEFAULT '{}'::jsonb NOT NULL,
    is_reconstructed BOOLEAN NOT NULL,
    CONSTRAINT investment_summary_pkey PRIMARY KEY (as_of_date, scope, currency),
    CONSTRAINT investment_summary_scope_check CHECK (scope IN ('currency', 'overall')),
    CONSTRAINT investment_summary_outlook_check CHECK (outlook IN ('projected', 'spent', 'never', 'too_few_days', 'no_total', 'unconverted')),
    CONSTRAINT investment_summary_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT investment_summary_spend_check CHECK (spend >= 0),
    CONSTRAINT investment_summary_spend_at_least_check CHECK (spend_at_least >= 0),
    CONSTRAINT investment_summary_investment_total_check CHECK (investment_total >= 0),
    CONSTRAINT investment_summary_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT investment_summary_revenue_finite_check CHECK (revenue > '-Infinity' AND revenue < 'Infinity'),
    CONSTRAINT investment_summary_spend_at_least_finite_check CHECK (spend_at_least > '-Infinity' AND spend_at_least < 'Infinity'),
    CONSTRAINT investment_summary_investment_total_finite_check CHECK (investment_total > '-Infinity' AND investment_total < 'Infinity')
);
COMMENT ON TABLE actuals.investment_summary IS
    'One row is the investment in one currency, or overall, as of a day.';
COMMENT ON COLUMN actuals.investment_summary.as_of_date IS 'Day at whose end this was known; its own figures count to date.';
COMMENT ON COLUMN actuals.investment_summary.scope IS 'currency: its accounts alone; overall: all accounts, converted into currency.';
COMMENT ON COLUMN actuals.investment_summary.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.investment_summary.since IS 'First report day that counts.';
COMMENT ON COLUMN actuals.investment_summary.impressions IS 'Times ads were shown, since the investment began.';
COMMENT ON COLUMN actuals.investment_summary.clicks IS 'Clicks (all), since the investment began.';
COMMENT ON COLUMN actuals.investment_summary.link_clicks IS 'Clicks on the link, since the investment began.';
COMMENT ON COLUMN actuals.investment_summary.conversions IS 'Purchases, since the investment began.';
COMMENT ON COLUMN actuals.investment_summary.spend IS 'Spend, since the investment began, major units of currency; null where a rate is missing.';
COMMENT ON COLUMN actuals.investment_summary.revenue IS 'Value of the purchases, since the investment began, major units of currency; null likewise.';
COMMENT ON COLUMN actuals.investment_summary.roas IS 'revenue / spend, since the investment began, a multiple; null without spend.';
COMMENT ON COLUMN actuals.investment_summary.cpa IS 'spend / conversions, since the investment began, major units of currency.';
COMMENT ON COLUMN actuals.investment_summary.conversion_rate IS 'conversions / clicks, since the investment began, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.link_conversion_rate IS 'conversions / link_clicks, since the investment began, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.impressions_7d IS 'Times ads were shown, the 7 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.clicks_7d IS 'Clicks (all), the 7 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.link_clicks_7d IS 'Clicks on the link, the 7 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.conversions_7d IS 'Purchases, the 7 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.spend_7d IS 'Spend, the 7 days before as_of_date, major units of currency; null where a rate is missing.';
COMMENT ON COLUMN actuals.investment_summary.revenue_7d IS 'Value of the purchases, the 7 days before as_of_date, major units of currency; null likewise.';
COMMENT ON COLUMN actuals.investment_summary.roas_7d IS 'revenue / spend, the 7 days before as_of_date, a multiple; null without spend.';
COMMENT ON COLUMN actuals.investment_summary.cpa_7d IS 'spend / conversions, the 7 days before as_of_date, major units of currency.';
COMMENT ON COLUMN actuals.investment_summary.conversion_rate_7d IS 'conversions / clicks, the 7 days before as_of_date, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.link_conversion_rate_7d IS 'conversions / link_clicks, the 7 days before as_of_date, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.impressions_28d IS 'Times ads were shown, the 28 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.clicks_28d IS 'Clicks (all), the 28 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.link_clicks_28d IS 'Clicks on the link, the 28 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.conversions_28d IS 'Purchases, the 28 days before as_of_date.';
COMMENT ON COLUMN actuals.investment_summary.spend_28d IS 'Spend, the 28 days before as_of_date, major units of currency; null where a rate is missing.';
COMMENT ON COLUMN actuals.investment_summary.revenue_28d IS 'Value of the purchases, the 28 days before as_of_date, major units of currency; null likewise.';
COMMENT ON COLUMN actuals.investment_summary.roas_28d IS 'revenue / spend, the 28 days before as_of_date, a multiple; null without spend.';
COMMENT ON COLUMN actuals.investment_summary.cpa_28d IS 'spend / conversions, the 28 days before as_of_date, major units of currency.';
COMMENT ON COLUMN actuals.investment_summary.conversion_rate_28d IS 'conversions / clicks, the 28 days before as_of_date, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.link_conversion_rate_28d IS 'conversions / link_clicks, the 28 days before as_of_date, a fraction.';
COMMENT ON COLUMN actuals.investment_summary.spend_at_least IS 'Spend of which the rate is known: all of it where spend is.';
COMMENT ON COLUMN actuals.investment_summary.settled_spend_share IS 'Share of spend_at_least that Meta restates no more.';
COMMENT ON COLUMN actuals.investment_summary.investment_total IS 'ACTUALS_INVESTMENT_BUDGET; null where it is not set.';
COMMENT ON COLUMN actuals.investment_summary.spent_share IS 'spend / investment_total, a fraction; above 1 when overspent.';
COMMENT ON COLUMN actuals.investment_summary.burn_per_day_7d IS 'Mean spend of the 7 days before as_of_date, major units a day.';
COMMENT ON COLUMN actuals.investment_summary.burn_per_day_28d IS 'Mean spend of the 28 days before as_of_date, major units a day.';
COMMENT ON COLUMN actuals.investment_summary.burn_per_day_settled IS 'Mean spend of the newest 28 settled days, major units a day.';
COMMENT ON COLUMN actuals.investment_summary.outlook IS 'projected, spent or never (at this burn); otherwise why nothing can be said.';
COMMENT ON COLUMN actuals.investment_summary.projected_end IS 'Day on which the total is spent; the actual one where outlook is spent.';
COMMENT ON COLUMN actuals.investment_summary.projected_end_low IS 'Earliest end, 95 percent interval; null if unknown.';
COMMENT ON COLUMN actuals.investment_summary.projected_end_high IS 'Latest end, 95 percent interval; null: may never come.';
COMMENT ON COLUMN actuals.investment_summary.n_accounts_covered IS 'Accounts of which every day up to as_of_date was fetched.';
COMMENT ON COLUMN actuals.investment_summary.accounts_missing IS 'By account: days before as_of_date that were never fetched.';
COMMENT ON COLUMN actuals.investment_summary.unconverted IS 'By currency: days with figures but no exchange rate.';
COMMENT ON COLUMN actuals.investment_summary.is_reconstructed IS 'Whether figures count that were first known after as_of_date.';

CREATE TABLE actuals.exchange_rates (
    rate_date DATE NOT NULL,
    from_currency TEXT NOT NULL,
    to_currency TEXT NOT NULL,
    rate NUMERIC NOT NULL,
    source TEXT,
    imported_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT exchange_rates_pkey PRIMARY KEY (rate_date, from_currency, to_currency),
    CONSTRAINT exchange_rates_rate_check CHECK (rate > 0 AND rate < 'Infinity'),
    CONSTRAINT exchange_rates_currencies_check CHECK (from_currency ~ '^[A-Z]{3}$' AND to_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT exchange_rates_differ_check CHECK (from_currency <> to_currency)
);
COMMENT ON TABLE actuals.exchange_rates IS
    'One row is one exchange rate of one day, as the user supplied it.';
COMMENT ON COLUMN actuals.exchange_rates.rate_date IS 'Day of the rate.';
COMMENT ON COLUMN actuals.exchange_rates.from_currency IS 'ISO 4217 code of what is converted.';
COMMENT ON COLUMN actuals.exchange_rates.to_currency IS 'ISO 4217 code of what it becomes.';
COMMENT ON COLUMN actuals.exchange_rates.rate IS 'Units of to_currency that one unit of from_currency was worth.';
COMMENT ON COLUMN actuals.exchange_rates.source IS 'Who says so, as the file had it.';
COMMENT ON COLUMN actuals.exchange_rates.imported_at IS 'When it was imported as it stands.';
