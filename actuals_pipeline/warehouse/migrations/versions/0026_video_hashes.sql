ALTER TABLE actuals.video_log
    ADD COLUMN previous_hash BYTEA,
    ADD COLUMN hash BYTEA,
    ADD CONSTRAINT video_log_hash_check CHECK (octet_length(hash) = 32 AND octet_length(previous_hash) = 32);
COMMENT ON TABLE actuals.video_log IS 'One row is what public.videos came to say of one video; append-only, each row seals the one before.';
COMMENT ON COLUMN actuals.video_log.previous_hash IS 'hash of the row before; 32 zero bytes in the first.';
COMMENT ON COLUMN actuals.video_log.hash IS 'SHA-256 of previous_hash and all other columns (actuals.video_log_hash).';
