"""Prove that nobody changed the log of predictions after the fact.

Everything is recomputed with Postgres's own functions, not with ours in the database, which
whoever changed the log could have changed too.  Somebody who may disable triggers can rewrite the
whole chain: only a hash that was kept elsewhere shows that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.product import reading

_BROKEN: LiteralString = """
WITH chain AS (
    SELECT
        *,
        row_number() OVER in_order AS position,
        coalesce(lag(hash) OVER in_order, decode(repeat('00', 32), 'hex')) AS hash_before,
        lag(logged_at) OVER in_order AS logged_before,
        sha256(convert_to(concat_ws(E'\\n',
            encode(previous_hash, 'hex'),
            sequence::text,
            to_json(prediction_id)::text,
            coalesce(to_json(video_id)::text, 'null'),
            to_json(model_name)::text,
            to_json(model_version)::text,
            coalesce(predicted_ctr::text, 'null'),
            coalesce(predicted_roas::text, 'null'),
            to_char(logged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            coalesce(
                to_char(claimed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'null'),
            is_attested::text
        ), 'UTF8')) AS recomputed
    FROM actuals.prediction_log
    WINDOW in_order AS (ORDER BY sequence)
)
SELECT
    sequence, prediction_id,
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
    (SELECT encode(hash, 'hex') FROM actuals.prediction_log ORDER BY sequence DESC LIMIT 1),
    max(logged_at) > clock_timestamp() + interval '1 minute'
FROM actuals.prediction_log
"""

_EXPECTED: LiteralString = "SELECT sequence FROM actuals.prediction_log WHERE hash = %s"

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
    """A row of the log, and what is to be said of it."""

    sequence: int
    prediction_id: str
    finding: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What the log holds and whether it is what it was.

    `broken` is the first row that is not, `differing` the attested rows that the product has
    changed or deleted since (which is its right, and changes no score), `expected_at` the row
    whose hash was asked for.
    """

    rows: int
    attested: int
    first_logged_at: datetime | None
    last_logged_at: datetime | None
    last_hash: str | None
    is_ahead_of_the_clock: bool
    broken: LoggedRow | None
    differing: list[LoggedRow]
    expected_at: int | None


def verify(warehouse: Warehouse, expect: bytes | None = None) -> Chain:
    """Recompute the whole chain, as it is at one instant; `expect` is a hash seen earlier."""
    with warehouse.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL extra_float_digits = 1")
        extent = connection.execute(_EXTENT).fetchone() or (0, 0, None, None, None, None)
        found = connection.execute(_BROKEN).fetchone()
        expected = connection.execute(_EXPECTED, [expect]).fetchone()
        with reading("public.predictions"):
            differing = connection.execute(_DIFFERING).fetchall()
    rows, attested, first, last, last_hash, is_ahead = extent
    return Chain(
        rows=rows,
        attested=attested,
        first_logged_at=first,
        last_logged_at=last,
        last_hash=last_hash,
        is_ahead_of_the_clock=bool(is_ahead),
        broken=LoggedRow(*found) if found else None,
        differing=[LoggedRow(*row) for row in differing],
        expected_at=expected[0] if expected else None,
    )
