"""Prove that nobody changed the logs of predictions and of videos after the fact.

Everything is recomputed with Postgres's own functions, not with ours in the database, which
whoever changed a log could have changed too.  Somebody who may disable triggers can rewrite a
whole chain: only a hash that was kept elsewhere shows that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql

from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.product import reading

_PREDICTION: LiteralString = """
    to_json(prediction_id)::text,
    coalesce(to_json(video_id)::text, 'null'),
    to_json(model_name)::text,
    to_json(model_version)::text,
    coalesce(predicted_ctr::text, 'null'),
    coalesce(predicted_roas::text, 'null'),
    to_char(logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    coalesce(to_char(claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'null'),
    is_attested::text
"""

_VIDEO: LiteralString = """
    to_json(video_id)::text,
    coalesce(to_json(ad_id)::text, 'null'),
    coalesce(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'null'),
    is_removed::text,
    to_char(logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    is_attested::text
"""

_BROKEN: LiteralString = """
WITH chain AS (
    SELECT
        sequence, {subject} AS subject, logged_at, previous_hash, hash,
        row_number() OVER in_order AS position,
        coalesce(lag(hash) OVER in_order, decode(repeat('00', 32), 'hex')) AS hash_before,
        lag(logged_at) OVER in_order AS logged_before,
        sha256(convert_to(concat_ws(
            E'\\n', encode(previous_hash, 'hex'), sequence::text, {content}
        ), 'UTF8')) AS recomputed
    FROM {log}
    WINDOW in_order AS (ORDER BY sequence)
)
SELECT
    sequence, subject,
    CASE
        WHEN sequence <> position THEN 'rows before it are missing'
        WHEN hash <> recomputed THEN 'it is not what was sealed'
        WHEN previous_hash <> hash_before THEN 'the row before it is not what it was sealed with'
        ELSE 'it is dated before the row before it'
    END
FROM chain
WHERE sequence <> position OR hash <> recomputed OR previous_hash <> hash_before
    OR logged_at <= logged_before
ORDER BY position
LIMIT 1
"""

_EXTENT: LiteralString = """
SELECT
    count(*), count(*) FILTER (WHERE is_attested), min(logged_at), max(logged_at),
    (SELECT encode(hash, 'hex') FROM {log} ORDER BY sequence DESC LIMIT 1),
    coalesce(max(logged_at) > clock_timestamp() + interval '1 minute', false)
FROM {log}
"""

_EXPECTED: LiteralString = "SELECT hash, sequence FROM {log} WHERE hash = ANY(%s)"

# A row that the product changed, and that was logged anew, still differs from the product's.
_DIFFERING: LiteralString = """
WITH product AS (
    SELECT
        coalesce(id::text, '') AS prediction_id,
        ROW(video_id::text, coalesce(model_name::text, 'default'),
            coalesce(model_version::text, '1'), actuals.number_said(predicted_ctr::text),
            actuals.number_said(predicted_roas::text))::text AS content
    FROM public.predictions
), logged AS (
    SELECT
        sequence, prediction_id,
        ROW(video_id, model_name, model_version, predicted_ctr, predicted_roas)::text AS content
    FROM actuals.prediction_log
    WHERE is_attested
)
SELECT
    sequence, logged.prediction_id,
    CASE WHEN there.prediction_id IS NULL THEN 'deleted' ELSE 'changed' END
FROM logged
LEFT JOIN (SELECT DISTINCT * FROM product) AS same USING (prediction_id, content)
LEFT JOIN (SELECT DISTINCT prediction_id FROM product) AS there
    ON there.prediction_id = logged.prediction_id
WHERE same.content IS NULL
ORDER BY sequence
"""


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """A row of a log: of which prediction or video it is, and what is to be said of it."""

    sequence: int
    subject: str
    finding: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a log holds and whether it is what it was.

    `broken` is the first row that is not, `expected` the rows whose hashes were asked for.
    """

    rows: int
    attested: int
    first_logged_at: datetime | None
    last_logged_at: datetime | None
    last_hash: str | None
    is_ahead_of_the_clock: bool
    broken: LoggedRow | None
    expected: dict[bytes, int]


@dataclass(frozen=True, slots=True)
class Verification:
    """The chains of both logs, as they are at one instant.

    `differing` are the attested predictions that the product has changed or deleted since, which
    is its right, and changes no score.
    """

    predictions: Chain
    videos: Chain
    differing: list[LoggedRow]


def verify(warehouse: Warehouse, expect: Collection[bytes] = ()) -> Verification:
    """Recompute both chains wholly; `expect` are hashes seen earlier, of either log."""
    with warehouse.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL extra_float_digits = 1")
        predictions = _chain(connection, "prediction_log", "prediction_id", _PREDICTION, expect)
        videos = _chain(connection, "video_log", "video_id", _VIDEO, expect)
        with reading("public.predictions"):
            differing = connection.execute(_DIFFERING).fetchall()
    return Verification(predictions, videos, [LoggedRow(*row) for row in differing])


def _chain(
    connection: psycopg.Connection,
    log: str,
    subject: str,
    content: LiteralString,
    expect: Collection[bytes],
) -> Chain:
    parts = {
        "log": sql.Identifier("actuals", log),
        "subject": sql.Identifier(subject),
        "content": sql.SQL(content),
    }
    (extent,) = connection.execute(sql.SQL(_EXTENT).format(**parts)).fetchall()
    found = connection.execute(sql.SQL(_BROKEN).format(**parts)).fetchone()
    expected = connection.execute(sql.SQL(_EXPECTED).format(**parts), [list(expect)]).fetchall()
    rows, attested, first, last, last_hash, is_ahead = extent
    return Chain(
        rows=rows,
        attested=attested,
        first_logged_at=first,
        last_logged_at=last,
        last_hash=last_hash,
        is_ahead_of_the_clock=is_ahead,
        broken=LoggedRow(*found) if found else None,
        expected=dict(expected),
    )
