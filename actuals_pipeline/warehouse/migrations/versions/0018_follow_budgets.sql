CREATE TABLE actuals.budget_snapshots (
    account_id TEXT NOT NULL,
    snapshot_date DATE NOT NULL,
    level TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    campaign_id TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    daily_budget NUMERIC,
    lifetime_budget NUMERIC,
    starts_on DATE,
    ends_on DATE,
    read_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT budget_snapshots_pkey PRIMARY KEY (account_id, snapshot_date, level, budget_id),
    CONSTRAINT budget_snapshots_level_check CHECK (level IN ('campaign', 'adset')),
    CONSTRAINT budget_snapshots_one_budget_check CHECK ((daily_budget IS NULL) <> (lifetime_budget IS NULL)),
    CONSTRAINT budget_snapshots_ends_on_check CHECK (starts_on <= ends_on),
    CONSTRAINT budget_snapshots_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT budget_snapshots_daily_budget_check CHECK (daily_budget >= 0),
    CONSTRAINT budget_snapshots_lifetime_budget_check CHECK (lifetime_budget >= 0),
    CONSTRAINT budget_snapshots_daily_budget_finite_check CHECK (daily_budget > '-Infinity' AND daily_budget < 'Infinity'),
    CONSTRAINT budget_snapshots_lifetime_budget_finite_check CHECK (lifetime_budget > '-Infinity' AND lifetime_budget < 'Infinity')
);
CREATE INDEX budget_snapshots_snapshot_date_idx ON actuals.budget_snapshots (snapshot_date);
COMMENT ON TABLE actuals.budget_snapshots IS
    'One row is one budget at Meta as it stood on one day.';
COMMENT ON COLUMN actuals.budget_snapshots.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.budget_snapshots.snapshot_date IS 'Day in the account''s own time zone on which the budget stood so.';
COMMENT ON COLUMN actuals.budget_snapshots.level IS 'campaign or adset: what the budget is of.';
COMMENT ON COLUMN actuals.budget_snapshots.budget_id IS 'Meta campaign or ad set.';
COMMENT ON COLUMN actuals.budget_snapshots.campaign_id IS 'The campaign, or that of the ad set.';
COMMENT ON COLUMN actuals.budget_snapshots.name IS 'Name of the campaign or ad set.';
COMMENT ON COLUMN actuals.budget_snapshots.status IS 'Meta''s effective status; only ACTIVE spends.';
COMMENT ON COLUMN actuals.budget_snapshots.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.budget_snapshots.daily_budget IS 'Budget of a day, major units; null: it is for the life.';
COMMENT ON COLUMN actuals.budget_snapshots.lifetime_budget IS 'Budget of all days, major units; null: by day.';
COMMENT ON COLUMN actuals.budget_snapshots.starts_on IS 'First day on which it may spend; null: not said.';
COMMENT ON COLUMN actuals.budget_snapshots.ends_on IS 'Last day on which it may spend; null: no end.';
COMMENT ON COLUMN actuals.budget_snapshots.read_at IS 'When it was last read from Meta on that day.';

CREATE TABLE actuals.plan_snapshots (
    snapshot_date DATE NOT NULL,
    plan_id TEXT NOT NULL,
    name TEXT,
    account_id TEXT,
    campaign_id TEXT,
    currency TEXT NOT NULL,
    amount NUMERIC NOT NULL,
    starts_on DATE NOT NULL,
    ends_on DATE NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT plan_snapshots_pkey PRIMARY KEY (snapshot_date, plan_id),
    CONSTRAINT plan_snapshots_ends_on_check CHECK (starts_on <= ends_on),
    CONSTRAINT plan_snapshots_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT plan_snapshots_amount_check CHECK (amount >= 0),
    CONSTRAINT plan_snapshots_amount_finite_check CHECK (amount > '-Infinity' AND amount < 'Infinity')
);
COMMENT ON TABLE actuals.plan_snapshots IS
    'One row is one planned budget as it stood on one day.';
COMMENT ON COLUMN actuals.plan_snapshots.snapshot_date IS 'Day, in ACTUALS_TIMEZONE, on which the plan stood so.';
COMMENT ON COLUMN actuals.plan_snapshots.plan_id IS 'public.budgets.id.';
COMMENT ON COLUMN actuals.plan_snapshots.name IS 'Its name.';
COMMENT ON COLUMN actuals.plan_snapshots.account_id IS 'Meta ad account that it is for; null: all of them.';
COMMENT ON COLUMN actuals.plan_snapshots.campaign_id IS 'Meta campaign that it is for; null: all of them.';
COMMENT ON COLUMN actuals.plan_snapshots.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.plan_snapshots.amount IS 'What may be spent from the first to the last day, major units.';
COMMENT ON COLUMN actuals.plan_snapshots.starts_on IS 'First report day that counts.';
COMMENT ON COLUMN actuals.plan_snapshots.ends_on IS 'Last report day that counts.';
COMMENT ON COLUMN actuals.plan_snapshots.read_at IS 'When it was last read on that day.';

CREATE TABLE actuals.budget_pacing (
    as_of_date DATE NOT NULL,
    level TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    account_id TEXT,
    campaign_id TEXT,
    name TEXT,
    status TEXT,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    daily_budget NUMERIC,
    period_start DATE NOT NULL,
    period_end DATE,
    budget NUMERIC NOT NULL,
    spend_limit NUMERIC NOT NULL,
    spend NUMERIC,
    spend_whole_days NUMERIC,
    expected_spend DOUBLE PRECISION,
    projected_spend DOUBLE PRECISION,
    projected_spend_low DOUBLE PRECISION,
    projected_spend_high DOUBLE PRECISION,
    highest_day_share DOUBLE PRECISION,
    days_missing BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    is_reconstructed BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT budget_pacing_pkey PRIMARY KEY (as_of_date, level, budget_id),
    CONSTRAINT budget_pacing_level_check CHECK (level IN ('campaign', 'adset', 'plan')),
    CONSTRAINT budget_pacing_kind_check CHECK (kind IN ('daily', 'lifetime', 'plan')),
    CONSTRAINT budget_pacing_verdict_check CHECK (verdict IN ('on_track', 'underspending', 'overspending', 'paused', 'unknown')),
    CONSTRAINT budget_pacing_reason_check CHECK (reason IN ('as_planned', 'a_day_beyond_its_limit', 'beyond_the_limit', 'projected_beyond', 'projected_below', 'ended_below', 'not_active', 'too_few_days', 'days_missing', 'no_rate', 'no_end')),
    CONSTRAINT budget_pacing_period_end_check CHECK (period_start <= period_end),
    CONSTRAINT budget_pacing_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT budget_pacing_daily_budget_check CHECK (daily_budget >= 0),
    CONSTRAINT budget_pacing_budget_check CHECK (budget >= 0),
    CONSTRAINT budget_pacing_spend_limit_check CHECK (spend_limit >= 0),
    CONSTRAINT budget_pacing_days_missing_check CHECK (days_missing >= 0),
    CONSTRAINT budget_pacing_daily_budget_finite_check CHECK (daily_budget > '-Infinity' AND daily_budget < 'Infinity'),
    CONSTRAINT budget_pacing_budget_finite_check CHECK (budget > '-Infinity' AND budget < 'Infinity'),
    CONSTRAINT budget_pacing_spend_limit_finite_check CHECK (spend_limit > '-Infinity' AND spend_limit < 'Infinity'),
    CONSTRAINT budget_pacing_spend_finite_check CHECK (spend > '-Infinity' AND spend < 'Infinity'),
    CONSTRAINT budget_pacing_spend_whole_days_finite_check CHECK (spend_whole_days > '-Infinity' AND spend_whole_days < 'Infinity')
);
COMMENT ON TABLE actuals.budget_pacing IS
    'One row is one budget and what was spent of it, as of a day.';
COMMENT ON COLUMN actuals.budget_pacing.as_of_date IS 'Day at whose end this was known; what is judged ends the day before.';
COMMENT ON COLUMN actuals.budget_pacing.level IS 'campaign or adset: a budget at Meta; plan: one of public.budgets.';
COMMENT ON COLUMN actuals.budget_pacing.budget_id IS 'Meta campaign, Meta ad set or public.budgets.id.';
COMMENT ON COLUMN actuals.budget_pacing.account_id IS 'Meta ad account; null: a plan for all of them.';
COMMENT ON COLUMN actuals.budget_pacing.campaign_id IS 'Meta campaign; null: a plan for all of them.';
COMMENT ON COLUMN actuals.budget_pacing.name IS 'Name of the campaign, ad set or plan.';
COMMENT ON COLUMN actuals.budget_pacing.status IS 'Meta''s effective status; null: a plan.';
COMMENT ON COLUMN actuals.budget_pacing.currency IS 'ISO 4217 code of the money columns.';
COMMENT ON COLUMN actuals.budget_pacing.kind IS 'daily, lifetime or plan.';
COMMENT ON COLUMN actuals.budget_pacing.daily_budget IS 'Budget of a day as it stands; null: not of that kind.';
COMMENT ON COLUMN actuals.budget_pacing.period_start IS 'First report day that counts: of the calendar week (from Sunday) where daily.';
COMMENT ON COLUMN actuals.budget_pacing.period_end IS 'Last one; null: Meta named no end.';
COMMENT ON COLUMN actuals.budget_pacing.budget IS 'Budget of the whole period; of days when it was not paused.';
COMMENT ON COLUMN actuals.budget_pacing.spend_limit IS 'Most that may be spent in the period: by Meta''s own rule, or planned.';
COMMENT ON COLUMN actuals.budget_pacing.spend IS 'Spend to date, the as-of day included; null: a rate is missing.';
COMMENT ON COLUMN actuals.budget_pacing.spend_whole_days IS 'Spend of the days before the as-of day.';
COMMENT ON COLUMN actuals.budget_pacing.expected_spend IS 'Share of budget that those days have; null: the period has no end.';
COMMENT ON COLUMN actuals.budget_pacing.projected_spend IS 'Spend at the end of the period if days go on as they did.';
COMMENT ON COLUMN actuals.budget_pacing.projected_spend_low IS 'Low end of its 95-percent interval; null: unknown.';
COMMENT ON COLUMN actuals.budget_pacing.projected_spend_high IS 'High end of it.';
COMMENT ON COLUMN actuals.budget_pacing.highest_day_share IS 'Most of a whole day''s spend over its budget; 1.75 is allowed.';
COMMENT ON COLUMN actuals.budget_pacing.days_missing IS 'Days before the as-of day that were never fetched.';
COMMENT ON COLUMN actuals.budget_pacing.verdict IS 'on_track, underspending, overspending, paused or unknown.';
COMMENT ON COLUMN actuals.budget_pacing.reason IS 'What the verdict rests on.';
COMMENT ON COLUMN actuals.budget_pacing.is_reconstructed IS 'Whether a later budget stands for days on which none was known.';

ALTER TABLE actuals.fetch_log
    DROP CONSTRAINT fetch_log_kind_check,
    ADD CONSTRAINT fetch_log_kind_check CHECK (kind IN ('account', 'ad', 'budgets'));
COMMENT ON COLUMN actuals.fetch_log.kind IS 'account: a whole account; ad: a single ad; budgets.';
