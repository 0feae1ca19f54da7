CREATE TABLE public.budgets (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT,
    meta_account_id TEXT,
    meta_campaign_id TEXT,
    currency TEXT NOT NULL,
    amount NUMERIC NOT NULL,
    start_date DATE NOT NULL,
    end_date DATE NOT NULL,
    CONSTRAINT budgets_pkey PRIMARY KEY (id),
    CONSTRAINT budgets_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT budgets_amount_check CHECK (amount >= 0 AND amount < 'Infinity'),
    CONSTRAINT budgets_end_date_check CHECK (start_date <= end_date)
);
COMMENT ON TABLE public.budgets IS
    'One row is one planned budget.';
COMMENT ON COLUMN public.budgets.meta_account_id IS 'Ad account that it is for, digits; null: all.';
COMMENT ON COLUMN public.budgets.meta_campaign_id IS 'Meta campaign that it is for; null: all.';
COMMENT ON COLUMN public.budgets.currency IS 'ISO 4217 code of amount.';
COMMENT ON COLUMN public.budgets.amount IS 'What may be spent, major units.';
COMMENT ON COLUMN public.budgets.start_date IS 'First report day that counts.';
COMMENT ON COLUMN public.budgets.end_date IS 'Last report day that counts.';
