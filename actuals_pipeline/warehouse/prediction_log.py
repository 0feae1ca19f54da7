"""The log of predictions: what scoring reads, and what nobody can date back.

A trigger on `public.predictions` logs each new or changed row when its transaction ends, with the
database's clock: such a row is attested.  Rows that no trigger saw (they were there before, or
the table was restored, or it is a view) are logged by `catch_up`, unattested: all that is known of
their time is what they claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import pandas as pd
import psycopg

from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.product import instants, reading

_LOCK = 4_117_630_925
"""Advisory lock of whoever adds to the log, as in the trigger that seals its rows."""

_UNLOGGED: LiteralString = """
WITH said AS (
    SELECT
        prediction_id, video_id, model_name, model_version, predicted_ctr, predicted_roas,
        ROW(prediction_id, video_id, model_name, model_version,
            predicted_ctr, predicted_roas)::text AS content,
        min(claimed_at) AS claimed_at,
        count(*) OVER (PARTITION BY prediction_id) = 1 AS is_alone
    FROM (
        SELECT
            coalesce(id::text, '') AS prediction_id,
            video_id::text AS video_id,
            coalesce(model_name::text, 'default') AS model_name,
            coalesce(model_version::text, '1') AS model_version,
            actuals.number_said(predicted_ctr::text) AS predicted_ctr,
            actuals.number_said(predicted_roas::text) AS predicted_roas,
            actuals.instant_said(logged_at::text) AS claimed_at
        FROM public.predictions
    ) AS product
    GROUP BY prediction_id, video_id, model_name, model_version, predicted_ctr, predicted_roas
), logged AS (
    SELECT
        sequence, prediction_id,
        ROW(prediction_id, video_id, model_name, model_version,
            predicted_ctr, predicted_roas)::text AS content
    FROM actuals.prediction_log
), latest AS (
    SELECT DISTINCT ON (prediction_id) prediction_id, content
    FROM logged
    ORDER BY prediction_id, sequence DESC
)
SELECT
    said.prediction_id, said.video_id, said.model_name, said.model_version,
    said.predicted_ctr, said.predicted_roas, said.claimed_at, false
FROM said
LEFT JOIN (SELECT DISTINCT content FROM logged) AS known USING (content)
LEFT JOIN latest ON latest.prediction_id = said.prediction_id
-- An id that the product gives twice has no latest state that could have been changed back.
WHERE known.content IS NULL OR said.is_alone AND latest.content <> said.content
ORDER BY said.claimed_at, said.content
"""

_CATCH_UP: LiteralString = (
    "INSERT INTO actuals.prediction_log (prediction_id, video_id, model_name, model_version, "
    "predicted_ctr, predicted_roas, claimed_at, is_attested) " + _UNLOGGED
)

_ANYTHING_UNLOGGED: LiteralString = "SELECT EXISTS (" + _UNLOGGED + ")"

_PREDICTIONS: LiteralString = """
SELECT
    sequence, prediction_id, video_id, model_name, model_version,
    CASE WHEN predicted_ctr = 'NaN' THEN 'Infinity' ELSE predicted_ctr END,
    CASE WHEN predicted_roas = 'NaN' THEN 'Infinity' ELSE predicted_roas END,
    CASE WHEN is_attested THEN logged_at ELSE coalesce(claimed_at, logged_at) END AS dated,
    is_attested, claimed_at, logged_at
FROM actuals.prediction_log
WHERE video_id IS NOT NULL
ORDER BY dated, sequence
"""


_TEXTS = ("prediction_id", "video_id", "model_name", "model_version")


def watch(warehouse: Warehouse) -> str | None:
    """Put the triggers on `public.predictions` where they are missing; a reason if it cannot be.

    A view, a foreign table and one on which the pipeline's role may create no trigger cannot be
    watched: their rows are only ever logged by `catch_up`.
    """
    with warehouse.transaction() as connection:
        row = connection.execute("SELECT actuals.watch_predictions()").fetchone()
    return row[0] if row else None


def catch_up(warehouse: Warehouse) -> int:
    """Log, unattested, what `public.predictions` holds and no trigger saw; returns how many rows.

    Ends only when no writer of the log is under way: whoever commits later is dated later.
    """
    with warehouse.transaction() as connection, reading("public.predictions"):
        connection.execute("SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1")
        (anything,) = connection.execute(_ANYTHING_UNLOGGED).fetchone() or (False,)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if not anything:
            return 0
        # Under the lock, so that two pipelines do not log the same row twice.
        return connection.execute(_CATCH_UP).rowcount


@contextmanager
def importing_history(connection: psycopg.Connection) -> Iterator[None]:
    """What the block inserts into `public.predictions` is history: it is logged unattested.

    Each row keeps the `logged_at` that it brings.  For a block of a transaction.
    """
    connection.execute("SET LOCAL actuals.importing_history = on")
    yield
    # Their triggers run at the end of a transaction, and must not see what comes after the block.
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    connection.execute("SET LOCAL actuals.importing_history = off")


def predictions(warehouse: Warehouse) -> pd.DataFrame:
    """Every prediction that names a video, oldest first; instants in UTC, CTR a fraction.

    `logged_at` is when the database received it or, if it is not attested, what it claims itself.
    A predicted value that is no number is infinite here, because a missing one was not predicted;
    neither can be used.
    """
    with warehouse.transaction() as connection:
        rows = connection.execute(_PREDICTIONS).fetchall()
    columns = iter(list(zip(*rows, strict=True)) or [()] * 11)
    return pd.DataFrame(
        {
            "sequence": pd.Series(next(columns), dtype="int64"),
            **{name: pd.Series(next(columns), dtype="str") for name in _TEXTS},
            "predicted_ctr": pd.Series(next(columns), dtype="float64"),
            "predicted_roas": pd.Series(next(columns), dtype="float64"),
            "logged_at": instants(next(columns)),
            "is_attested": pd.Series(next(columns), dtype="bool"),
            "claimed_at": instants(next(columns)),
            "received_at": instants(next(columns)),
        }
    )
