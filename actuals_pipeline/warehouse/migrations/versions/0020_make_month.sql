-- The one thing that a writer has to create.  It runs with the rights of the schema's owner, so that
-- the pipeline's role needs none over the schema.
CREATE FUNCTION actuals.make_month(parent text, month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole text := 'actuals.' || quote_ident(parent);
    part text := 'actuals.' || quote_ident(parent || to_char(month, '_YYYY_MM'));
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass(whole) AND relkind = 'p')
        OR month IS NULL
        OR month <> date_trunc('month', month)::date
        OR month NOT BETWEEN '1900-01-01' AND '2999-12-01'
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'make_month wants a table of the schema actuals that is kept by month, and the first day of a month';
    END IF;
    IF to_regclass(part) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Created apart and then attached: that leaves readers and writers of the table at work, which
    -- creating it as a partition would lock out.
    EXECUTE 'CREATE TABLE ' || part || ' (LIKE ' || whole
        || ' INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)';
    EXECUTE 'COMMENT ON TABLE ' || part || ' IS ' || quote_literal('One month of ' || whole || '.');
    EXECUTE 'ALTER TABLE ' || whole || ' ATTACH PARTITION ' || part || ' FOR VALUES FROM ('
        || quote_literal(month) || ') TO (' || quote_literal((month + interval '1 month')::date) || ')';
    RETURN true;
END
$$;
COMMENT ON FUNCTION actuals.make_month(text, date) IS
    'Gives a table its partition for a month, with the rights of the owner; false where it has one.';
REVOKE ALL ON FUNCTION actuals.make_month(text, date) FROM PUBLIC;
