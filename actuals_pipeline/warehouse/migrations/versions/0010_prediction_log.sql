-- What makes actuals.prediction_log a log: the database numbers, dates and seals each row.

-- One row a line: what an auditor recomputes.  Text is written as a JSON string, a number in the
-- shortest way that reads back the same, an instant in UTC to the microsecond, nothing as null.
CREATE FUNCTION actuals.prediction_log_hash(entry actuals.prediction_log) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET extra_float_digits = 1
AS $$
BEGIN
    RETURN sha256(convert_to(concat_ws(E'\n',
        encode(entry.previous_hash, 'hex'),
        entry.sequence::text,
        to_json(entry.prediction_id)::text,
        coalesce(to_json(entry.video_id)::text, 'null'),
        to_json(entry.model_name)::text,
        to_json(entry.model_version)::text,
        coalesce(entry.predicted_ctr::text, 'null'),
        coalesce(entry.predicted_roas::text, 'null'),
        to_char(entry.logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        coalesce(to_char(entry.claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'null'),
        entry.is_attested::text
    ), 'UTF8'));
END
$$;
COMMENT ON FUNCTION actuals.prediction_log_hash(actuals.prediction_log) IS
    'SHA-256 of a row of the log without its hash; docs/operations.md says how to recompute it.';

-- A transaction that writes holds the lock to its end, so rows are numbered in the order in which
-- they become visible.  Clocks may be set back; the log's never is.
CREATE FUNCTION actuals.seal_prediction() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    last actuals.prediction_log;
BEGIN
    PERFORM pg_advisory_xact_lock(4117630925);
    SELECT * INTO last FROM actuals.prediction_log ORDER BY sequence DESC LIMIT 1;
    NEW.sequence := coalesce(last.sequence, 0) + 1;
    NEW.logged_at := greatest(clock_timestamp(), last.logged_at + interval '1 microsecond');
    NEW.previous_hash := coalesce(last.hash, decode(repeat('00', 32), 'hex'));
    NEW.hash := actuals.prediction_log_hash(NEW);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION actuals.seal_prediction() IS
    'Numbers, dates and seals a row of the log, whatever its writer said of these columns.';

CREATE FUNCTION actuals.refuse_to_forget() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'actuals.prediction_log is append-only: what was predicted is neither changed nor removed',
        HINT = 'Insert a corrected prediction into public.predictions; it is logged as a new one.';
END
$$;
COMMENT ON FUNCTION actuals.refuse_to_forget() IS 'Refuses to change or remove rows of the log.';

CREATE TRIGGER seal BEFORE INSERT ON actuals.prediction_log
    FOR EACH ROW EXECUTE FUNCTION actuals.seal_prediction();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON actuals.prediction_log
    FOR EACH STATEMENT EXECUTE FUNCTION actuals.refuse_to_forget();

-- The product may keep its values in any type, and in any state: they are read as text.
CREATE FUNCTION actuals.number_said(said text) RETURNS double precision
LANGUAGE plpgsql STABLE STRICT
AS $$
BEGIN
    RETURN said::double precision;
EXCEPTION WHEN data_exception THEN
    RETURN 'NaN';
END
$$;
COMMENT ON FUNCTION actuals.number_said(text) IS 'A predicted value as said; NaN when it is no number.';

CREATE FUNCTION actuals.instant_said(said text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT
SET timezone = 'UTC'
AS $$
DECLARE
    instant timestamptz := said::timestamptz;
BEGIN
    RETURN CASE WHEN instant >= '0001-01-01' AND instant < '9999-01-01' THEN instant END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION actuals.instant_said(text) IS
    'An instant as said, UTC where it names no zone; null when it is none of our calendar.';

-- Runs at the end of the writer's transaction, with the rights of the log's owner.  Whatever goes
-- wrong here must not cost the product its row: the next run of the pipeline logs it instead.
CREATE FUNCTION actuals.log_prediction() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET extra_float_digits = 1
AS $$
BEGIN
    IF TG_OP = 'UPDATE'
        AND (OLD.id::text, OLD.video_id::text, OLD.model_name::text, OLD.model_version::text,
             OLD.predicted_ctr::text, OLD.predicted_roas::text)
        IS NOT DISTINCT FROM
            (NEW.id::text, NEW.video_id::text, NEW.model_name::text, NEW.model_version::text,
             NEW.predicted_ctr::text, NEW.predicted_roas::text)
    THEN
        RETURN NULL;
    END IF;
    INSERT INTO actuals.prediction_log (
        prediction_id, video_id, model_name, model_version, predicted_ctr, predicted_roas,
        claimed_at, is_attested
    ) VALUES (
        coalesce(NEW.id::text, ''), NEW.video_id::text,
        coalesce(NEW.model_name::text, 'default'), coalesce(NEW.model_version::text, '1'),
        actuals.number_said(NEW.predicted_ctr::text), actuals.number_said(NEW.predicted_roas::text),
        actuals.instant_said(NEW.logged_at::text),
        coalesce(current_setting('actuals.importing_history', true), '') <> 'on'
    );
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING USING MESSAGE =
        'a prediction is not in actuals.prediction_log yet (' || SQLERRM || '); it will be, unattested';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION actuals.log_prediction() IS
    'Logs a new or changed row of public.predictions when its transaction ends.';

CREATE FUNCTION actuals.date_prediction() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.logged_at := OLD.logged_at;
    ELSIF coalesce(current_setting('actuals.importing_history', true), '') <> 'on' THEN
        NEW.logged_at := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION actuals.date_prediction() IS
    'Sets logged_at of a new prediction, unless history is imported, and lets nobody change it.';

CREATE FUNCTION actuals.watch_predictions() RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    IF to_regclass('public.predictions') IS NULL THEN
        RETURN 'there is no table public.predictions';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'public.predictions'::regclass AND tgname = 'prediction_log'
    ) THEN
        CREATE CONSTRAINT TRIGGER prediction_log AFTER INSERT OR UPDATE ON public.predictions
            DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION actuals.log_prediction();
    ELSIF EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'public.predictions'::regclass AND tgname = 'prediction_log'
            AND tgenabled IN ('D', 'R')
    ) THEN
        ALTER TABLE public.predictions ENABLE TRIGGER prediction_log;
    END IF;
    -- Only in the table that we made: another's columns are the product's own affair.
    IF obj_description('public.predictions'::regclass, 'pg_class')
            = 'One row is one prediction of one model version for one video.'
        AND NOT EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = 'public.predictions'::regclass AND tgname = 'date_prediction'
        )
    THEN
        CREATE TRIGGER date_prediction BEFORE INSERT OR UPDATE ON public.predictions
            FOR EACH ROW EXECUTE FUNCTION actuals.date_prediction();
    END IF;
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege OR wrong_object_type OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION actuals.watch_predictions() IS
    'Puts the log''s triggers on public.predictions where they are missing; says why if it cannot.';

SELECT actuals.watch_predictions();
