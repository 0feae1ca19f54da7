CREATE FUNCTION actuals.remember_known_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO actuals.known_days (account_id, report_date, known_since)
    SELECT account_id, report_date, (fetched_at AT TIME ZONE time_zone)::date FROM stored
    ON CONFLICT (account_id, report_date) DO NOTHING;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION actuals.remember_known_day() IS
    'Keeps the first day on which an account''s report day was stored, whatever replaces it later.';
CREATE TRIGGER remember_known_day AFTER INSERT ON actuals.meta_account_totals
    REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION actuals.remember_known_day();
