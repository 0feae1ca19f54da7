-- What seals actuals.video_log: each row holds the hash of the row before it.

-- As actuals.prediction_log_hash: one value a line, text as a JSON string, an instant in UTC to the
-- microsecond, nothing as null.
CREATE FUNCTION actuals.video_log_hash(entry actuals.video_log) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    RETURN sha256(convert_to(concat_ws(E'\n',
        encode(entry.previous_hash, 'hex'),
        entry.sequence::text,
        to_json(entry.video_id)::text,
        coalesce(to_json(entry.ad_id)::text, 'null'),
        coalesce(to_char(entry.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'null'),
        entry.is_removed::text,
        to_char(entry.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        entry.is_attested::text
    ), 'UTF8'));
END
$$;
COMMENT ON FUNCTION actuals.video_log_hash(actuals.video_log) IS
    'SHA-256 of a row of the log without its hash; docs/operations.md says how to recompute it.';

-- The rows that are there, in their order.  Whoever writes meanwhile waits for the table.
LOCK TABLE actuals.video_log IN ACCESS EXCLUSIVE MODE;
ALTER TABLE actuals.video_log DISABLE TRIGGER append_only;
DO $$
DECLARE
    entry actuals.video_log;
    last bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR entry IN SELECT * FROM actuals.video_log ORDER BY sequence LOOP
        entry.previous_hash := last;
        last := actuals.video_log_hash(entry);
        UPDATE actuals.video_log SET previous_hash = entry.previous_hash, hash = last
        WHERE sequence = entry.sequence;
    END LOOP;
END
$$;
ALTER TABLE actuals.video_log
    ENABLE TRIGGER append_only,
    ALTER COLUMN previous_hash SET NOT NULL,
    ALTER COLUMN hash SET NOT NULL;

-- As actuals.prediction_log: whoever writes holds the lock to the end of its transaction, so rows
-- are numbered and dated in the order in which they become visible, whatever the clock does.
CREATE FUNCTION actuals.seal_video() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    last actuals.video_log;
BEGIN
    PERFORM pg_advisory_xact_lock(4117630926);
    SELECT * INTO last FROM actuals.video_log ORDER BY sequence DESC LIMIT 1;
    NEW.sequence := coalesce(last.sequence, 0) + 1;
    NEW.logged_at := greatest(clock_timestamp(), last.logged_at + interval '1 microsecond');
    NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := actuals.video_log_hash(NEW);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION actuals.seal_video() IS
    'Numbers, dates and seals a row of the log, whatever its writer said of these columns.';
DROP TRIGGER date ON actuals.video_log;
DROP FUNCTION actuals.date_video();
CREATE TRIGGER seal BEFORE INSERT ON actuals.video_log
    FOR EACH ROW EXECUTE FUNCTION actuals.seal_video();
