CREATE TABLE actuals.model_statistics (
    as_of_date DATE NOT NULL,
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    protocol TEXT NOT NULL,
    statistic TEXT NOT NULL,
    segment TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    unit TEXT NOT NULL,
    n_pairs BIGINT NOT NULL,
    n_clusters BIGINT NOT NULL,
    is_off BOOLEAN DEFAULT false NOT NULL,
    verdict TEXT,
    CONSTRAINT model_statistics_pkey PRIMARY KEY (as_of_date, model_name, model_version, protocol, statistic, segment),
    CONSTRAINT model_statistics_verdict_check CHECK (verdict IN ('better', 'worse', 'unresolved'))
);
COMMENT ON TABLE actuals.model_statistics IS
    'One row is one statistic of a model version''s final pairs, as of a day.';
COMMENT ON COLUMN actuals.model_statistics.as_of_date IS
    'The comparison counts report days up to and including this one.';
COMMENT ON COLUMN actuals.model_statistics.model_name IS
    'Model that predicted.';
COMMENT ON COLUMN actuals.model_statistics.model_version IS
    'Its version.';
COMMENT ON COLUMN actuals.model_statistics.protocol IS
    'headline, or headline_unattested of imported predictions.';
COMMENT ON COLUMN actuals.model_statistics.statistic IS
    'What is said, metric first, as ctr_calibration.';
COMMENT ON COLUMN actuals.model_statistics.segment IS
    'Of which part of the pairs, as campaign 42; empty: all of them.';
COMMENT ON COLUMN actuals.model_statistics.value IS
    'The figure, in unit.';
COMMENT ON COLUMN actuals.model_statistics.low IS
    'Low end of its 95-percent interval; null where there is none.';
COMMENT ON COLUMN actuals.model_statistics.high IS
    'High end of it.';
COMMENT ON COLUMN actuals.model_statistics.unit IS
    'Unit of value, low and high.';
COMMENT ON COLUMN actuals.model_statistics.n_pairs IS
    'Pairs that it rests on.';
COMMENT ON COLUMN actuals.model_statistics.n_clusters IS
    'Campaigns of those pairs, or ad sets where the order is judged.';
COMMENT ON COLUMN actuals.model_statistics.is_off IS
    'Whether a segment is off beyond chance, among all of its kind.';
COMMENT ON COLUMN actuals.model_statistics.verdict IS
    'Of accuracy_difference: better, worse or unresolved.';
