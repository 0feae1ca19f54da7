-- What makes actuals.video_log a log: the database numbers and dates each row.

-- As of actuals.prediction_log: whoever writes holds the lock to the end of its transaction, so rows
-- are numbered and dated in the order in which they become visible, whatever the clock does.
CREATE FUNCTION actuals.date_video() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    last actuals.video_log;
BEGIN
    PERFORM pg_advisory_xact_lock(4117630926);
    SELECT * INTO last FROM actuals.video_log ORDER BY sequence DESC LIMIT 1;
    NEW.sequence := coalesce(last.sequence, 0) + 1;
    NEW.logged_at := greatest(clock_timestamp(), last.logged_at + interval '1 microsecond');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION actuals.date_video() IS
    'Numbers and dates a row of the log, whatever its writer said of these columns.';

CREATE FUNCTION actuals.refuse_to_forget_videos() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'actuals.video_log is append-only: which ad ran a video is neither changed nor removed',
        HINT = 'Correct public.videos; what it says from then on is logged.';
END
$$;
COMMENT ON FUNCTION actuals.refuse_to_forget_videos() IS 'Refuses to change or remove rows of the log.';

CREATE TRIGGER date BEFORE INSERT ON actuals.video_log
    FOR EACH ROW EXECUTE FUNCTION actuals.date_video();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON actuals.video_log
    FOR EACH STATEMENT EXECUTE FUNCTION actuals.refuse_to_forget_videos();

CREATE VIEW actuals.latest_videos AS
SELECT DISTINCT ON (video_id) video_id, ad_id, created_at, is_removed
FROM actuals.video_log
ORDER BY video_id, sequence DESC;
COMMENT ON VIEW actuals.latest_videos IS 'One row is what is known by now of one video.';

-- Runs at the end of the writer's transaction, with the rights of the log's owner.  Whatever goes
-- wrong here must not cost the product its row: the next run of the pipeline logs it instead.
CREATE FUNCTION actuals.log_video() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO actuals.video_log (video_id, is_removed, is_attested)
        SELECT video_id, true, true FROM actuals.latest_videos WHERE NOT is_removed;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE'
        AND (OLD.id::text, OLD.meta_platform_id::text, OLD.created_at::text)
        IS NOT DISTINCT FROM (NEW.id::text, NEW.meta_platform_id::text, NEW.created_at::text)
    THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND OLD.id::text IS DISTINCT FROM NEW.id::text THEN
        INSERT INTO actuals.video_log (video_id, is_removed, is_attested)
        VALUES (coalesce(OLD.id::text, ''), true, true);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO actuals.video_log (video_id, ad_id, created_at, is_removed, is_attested)
        VALUES (
            coalesce(NEW.id::text, ''), nullif(trim(NEW.meta_platform_id::text), ''),
            actuals.instant_said(NEW.created_at::text), false, true
        );
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING USING MESSAGE =
        'a video is not in actuals.video_log yet (' || SQLERRM || '); it will be, unattested';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION actuals.log_video() IS
    'Logs what changes in public.videos when its transaction ends.';

CREATE FUNCTION actuals.watch_videos() RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    disabled name;
BEGIN
    IF to_regclass('public.videos') IS NULL THEN
        RETURN 'there is no table public.videos';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'public.videos'::regclass AND tgname = 'video_log'
    ) THEN
        CREATE CONSTRAINT TRIGGER video_log AFTER INSERT OR UPDATE OR DELETE ON public.videos
            DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION actuals.log_video();
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'public.videos'::regclass AND tgname = 'video_log_emptied'
    ) THEN
        CREATE TRIGGER video_log_emptied AFTER TRUNCATE ON public.videos
            FOR EACH STATEMENT EXECUTE FUNCTION actuals.log_video();
    END IF;
    FOR disabled IN
        SELECT tgname FROM pg_trigger
        WHERE tgrelid = 'public.videos'::regclass AND tgname IN ('video_log', 'video_log_emptied')
            AND tgenabled IN ('D', 'R')
    LOOP
        EXECUTE 'ALTER TABLE public.videos ENABLE TRIGGER ' || quote_ident(disabled);
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN insufficient_privilege OR wrong_object_type OR feature_not_supported THEN
    RETURN SQLERRM;
END
$$;
COMMENT ON FUNCTION actuals.watch_videos() IS
    'Puts the log''s triggers on public.videos where they are missing; says why if it cannot.';

CREATE FUNCTION actuals.catch_up_videos() RETURNS bigint
LANGUAGE plpgsql
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
AS $$
DECLARE
    n_rows bigint;
BEGIN
    -- Whoever writes now is waited for, and commits no more behind our back.
    PERFORM pg_advisory_xact_lock(4117630926);
    INSERT INTO actuals.video_log (video_id, ad_id, created_at, is_removed, is_attested)
    SELECT
        coalesce(said.video_id, known.video_id), said.ad_id, said.created_at,
        said.video_id IS NULL, false
    FROM (
        -- An id that the product gives twice says what the first of its rows says.
        SELECT DISTINCT ON (video_id) *
        FROM (
            SELECT
                coalesce(id::text, '') AS video_id,
                nullif(trim(meta_platform_id::text), '') AS ad_id,
                actuals.instant_said(created_at::text) AS created_at
            FROM public.videos
        ) AS product
        ORDER BY video_id, created_at, ad_id
    ) AS said
    FULL JOIN actuals.latest_videos AS known USING (video_id)
    WHERE (said.video_id IS NULL AND NOT known.is_removed)
        OR (said.video_id IS NOT NULL AND (
            known.video_id IS NULL OR known.is_removed
            OR (said.ad_id, said.created_at) IS DISTINCT FROM (known.ad_id, known.created_at)
        ))
    ORDER BY said.created_at, 1;
    GET DIAGNOSTICS n_rows = ROW_COUNT;
    RETURN n_rows;
END
$$;
COMMENT ON FUNCTION actuals.catch_up_videos() IS
    'Logs, unattested, what public.videos says and no trigger saw; returns how many rows.';

SELECT actuals.watch_videos();
-- A product's table of a shape that cannot be read is told of by the next run.
DO $$
BEGIN
    PERFORM actuals.catch_up_videos();
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING USING MESSAGE = 'public.videos cannot be read yet (' || SQLERRM || ')';
END
$$;
