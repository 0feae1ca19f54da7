CREATE TABLE actuals.pruned_months (
    account_id TEXT NOT NULL,
    month DATE NOT NULL,
    rows BIGINT NOT NULL,
    fetched_until TIMESTAMP WITH TIME ZONE NOT NULL,
    pruned_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pruned_months_pkey PRIMARY KEY (account_id, month)
);
COMMENT ON TABLE actuals.pruned_months IS
    'One row is one account''s month whose payloads were pruned; its figures stay.';
COMMENT ON COLUMN actuals.pruned_months.account_id IS 'Meta ad account, digits without act_.';
COMMENT ON COLUMN actuals.pruned_months.month IS 'First day of the month.';
COMMENT ON COLUMN actuals.pruned_months.rows IS 'Payloads that were removed the last time.';
COMMENT ON COLUMN actuals.pruned_months.fetched_until IS 'Payloads of days fetched whole up to this instant are gone.';
COMMENT ON COLUMN actuals.pruned_months.pruned_at IS 'When they were removed.';

-- Months that 0004 made have no comments; those that are made since have.
DO $$
DECLARE
    explained record;
BEGIN
    FOR explained IN
        SELECT
            month.oid::regclass AS name, parent.oid::regclass AS of_table,
            attribute.attname AS column_name,
            col_description(parent.oid, attribute.attnum) AS said
        FROM pg_inherits
        JOIN pg_class AS month ON month.oid = inhrelid
        JOIN pg_class AS parent ON parent.oid = inhparent
        JOIN pg_attribute AS attribute ON attribute.attrelid = parent.oid
        WHERE parent.relnamespace = 'actuals'::regnamespace AND parent.relkind = 'p'
            AND attribute.attnum > 0 AND NOT attribute.attisdropped
    LOOP
        EXECUTE 'COMMENT ON TABLE ' || explained.name || ' IS '
            || quote_literal('One month of ' || explained.of_table || '.');
        EXECUTE 'COMMENT ON COLUMN ' || explained.name || '.' || quote_ident(explained.column_name)
            || ' IS ' || quote_literal(explained.said);
    END LOOP;
END
$$;
