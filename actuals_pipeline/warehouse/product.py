"""The product's tables as the pipeline reads them; `prediction_log` logs `public.predictions`.

They belong to the product; we create them only where they are missing and never alter them, so
ids of another type than ours are read as text and instants without time zone as UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import pandas as pd
import psycopg

from actuals_pipeline.errors import WarehouseError
from actuals_pipeline.warehouse.connection import Warehouse

_VIDEOS: LiteralString = """
SELECT id::text, trim(meta_platform_id::text), created_at
FROM public.videos
WHERE trim(meta_platform_id::text) <> ''
ORDER BY created_at, id
"""


def videos(warehouse: Warehouse) -> pd.DataFrame:
    """Videos that run as an ad: `video_id`, `ad_id`, `created_at` (UTC), oldest first."""
    video_ids, ad_ids, created_at = _columns(warehouse, "public.videos", _VIDEOS, 3)
    return pd.DataFrame(
        {
            "video_id": pd.Series(video_ids, dtype="str"),
            "ad_id": pd.Series(ad_ids, dtype="str"),
            "created_at": instants(created_at),
        }
    )


@contextmanager
def reading(table: str) -> Iterator[None]:
    """Say of a product's table that it lacks what we read, instead of what Postgres says."""
    try:
        yield
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        raise WarehouseError(
            f"{table} cannot be read ({error.diag.message_primary or error}): it must have the "
            "columns that the README lists."
        ) from error


def _columns(
    warehouse: Warehouse, table: str, query: LiteralString, width: int
) -> list[tuple[Any, ...]]:
    with warehouse.transaction() as connection, reading(table):
        rows = connection.execute(query).fetchall()
    return list(zip(*rows, strict=True)) or [()] * width


def instants(values: tuple[Any, ...]) -> pd.Series[Any]:
    """Aware and naive datetimes (taken as UTC) as one UTC series."""
    aware = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
    return aware.astype("datetime64[us, UTC]")
