CREATE TABLE actuals.winners (
    as_of_date DATE NOT NULL,
    adset_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    ad_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    n_days BIGINT NOT NULL,
    rate DOUBLE PRECISION,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    p_best DOUBLE PRECISION,
    expected_loss DOUBLE PRECISION,
    always_valid_p DOUBLE PRECISION,
    is_winner BOOLEAN NOT NULL,
    missing TEXT,
    basis TEXT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT winners_pkey PRIMARY KEY (as_of_date, adset_id, metric, ad_id),
    CONSTRAINT winners_metric_check CHECK (metric IN ('ctr', 'roas')),
    CONSTRAINT winners_basis_check CHECK (basis IN ('observational')),
    CONSTRAINT winners_p_best_check CHECK (p_best BETWEEN 0 AND 1),
    CONSTRAINT winners_always_valid_p_check CHECK (always_valid_p BETWEEN 0 AND 1),
    CONSTRAINT winners_is_winner_check CHECK (is_winner = (missing IS NULL)),
    CONSTRAINT winners_n_days_check CHECK (n_days >= 0),
    CONSTRAINT winners_rate_check CHECK (rate >= 0),
    CONSTRAINT winners_low_check CHECK (low >= 0),
    CONSTRAINT winners_expected_loss_check CHECK (expected_loss >= 0)
);
COMMENT ON TABLE actuals.winners IS 'One row is one ad that runs against the others of its ad set, as of a day; advice.';
COMMENT ON COLUMN actuals.winners.as_of_date IS 'Whole days before this one count, as they were known at its end.';
COMMENT ON COLUMN actuals.winners.adset_id IS 'Ad set of the ads that are compared.';
COMMENT ON COLUMN actuals.winners.metric IS 'ctr or roas.';
COMMENT ON COLUMN actuals.winners.ad_id IS 'Meta ad.';
COMMENT ON COLUMN actuals.winners.account_id IS 'Account of the ad set.';
COMMENT ON COLUMN actuals.winners.n_days IS 'Whole days with delivery that count, of the last 56.';
COMMENT ON COLUMN actuals.winners.rate IS 'Expected CTR, a fraction, or ROAS, a multiple; null: nothing is known.';
COMMENT ON COLUMN actuals.winners.low IS 'Low end of its 95-percent interval, in its unit.';
COMMENT ON COLUMN actuals.winners.high IS 'High end of it.';
COMMENT ON COLUMN actuals.winners.p_best IS 'Chance that it is the best of the ad set''s ads, a fraction.';
COMMENT ON COLUMN actuals.winners.expected_loss IS 'What choosing it gives away on average, in the unit of rate.';
COMMENT ON COLUMN actuals.winners.always_valid_p IS 'Chance of such a lead over each other ad at any look, were both equal; null: alone.';
COMMENT ON COLUMN actuals.winners.is_winner IS 'Whether it may be called the best.';
COMMENT ON COLUMN actuals.winners.missing IS 'What is missing for that; null: nothing, it is a winner.';
COMMENT ON COLUMN actuals.winners.basis IS 'observational: Meta chose who saw which ad; nobody was drawn by lot.';
COMMENT ON COLUMN actuals.winners.computed_at IS 'When this was last computed; not again once the day was over everywhere.';

CREATE TABLE actuals.budget_advice (
    as_of_date DATE NOT NULL,
    account_id TEXT NOT NULL,
    adset_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    spend_per_day DOUBLE PRECISION NOT NULL,
    roas DOUBLE PRECISION,
    marginal_roas DOUBLE PRECISION,
    advised_spend_per_day DOUBLE PRECISION,
    exponent DOUBLE PRECISION,
    exponent_low DOUBLE PRECISION,
    exponent_high DOUBLE PRECISION,
    reason TEXT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT budget_advice_pkey PRIMARY KEY (as_of_date, account_id, adset_id),
    CONSTRAINT budget_advice_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT budget_advice_spend_per_day_check CHECK (spend_per_day >= 0),
    CONSTRAINT budget_advice_roas_check CHECK (roas >= 0),
    CONSTRAINT budget_advice_marginal_roas_check CHECK (marginal_roas >= 0),
    CONSTRAINT budget_advice_advised_spend_per_day_check CHECK (advised_spend_per_day >= 0)
);
COMMENT ON TABLE actuals.budget_advice IS 'One row is one ad set that runs and what might be spent on it next; advice.';
COMMENT ON COLUMN actuals.budget_advice.as_of_date IS 'Whole days before this one count, as they were known at its end.';
COMMENT ON COLUMN actuals.budget_advice.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.budget_advice.adset_id IS 'Ad set that runs.';
COMMENT ON COLUMN actuals.budget_advice.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.budget_advice.spend_per_day IS 'Mean spend of a day with spend of the last 7, major units.';
COMMENT ON COLUMN actuals.budget_advice.roas IS 'revenue / spend of the last 28 days, late purchases allowed for.';
COMMENT ON COLUMN actuals.budget_advice.marginal_roas IS 'What the next unit of spend a day brings; null: not known.';
COMMENT ON COLUMN actuals.budget_advice.advised_spend_per_day IS 'What to spend a day next, major units; null: no advice.';
COMMENT ON COLUMN actuals.budget_advice.exponent IS 'Percent by which revenue grows with one percent of spend, in the account.';
COMMENT ON COLUMN actuals.budget_advice.exponent_low IS 'Low end of its 95-percent interval.';
COMMENT ON COLUMN actuals.budget_advice.exponent_high IS 'High end of it.';
COMMENT ON COLUMN actuals.budget_advice.reason IS 'Why that, or why there is no advice.';
COMMENT ON COLUMN actuals.budget_advice.computed_at IS 'When this was last computed; not again once the day was over everywhere.';
