-- Events are append-only for the pipeline's role.  This runs with the rights of the schema's owner and
-- takes away what is old, and nothing else: whatever it is asked for, the last 30 days stay.
CREATE FUNCTION actuals.forget_meta_events(before timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
WITH gone AS (
    DELETE FROM actuals.meta_events
    WHERE received_at < least(before, now() - interval '30 days')
    RETURNING 1
)
SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION actuals.forget_meta_events(timestamptz) IS
    'Deletes events that came in before an instant, none of the last 30 days, with the rights of the owner; returns how many.';
REVOKE ALL ON FUNCTION actuals.forget_meta_events(timestamptz) FROM PUBLIC;
