"""The product's tables as the pipeline reads them: `public.videos` and `public.predictions`.

They belong to the product; we create them only where they are missing and never alter them, so
ids of another type than ours are read as text and instants without time zone as UTC.
"""

from __future__ import annotations

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

_PREDICTIONS: LiteralString = """
SELECT id::text, video_id::text, coalesce(model_name::text, 'default'),
       coalesce(model_version::text, '1'),
       predicted_ctr::double precision, predicted_roas::double precision, logged_at
FROM public.predictions
WHERE logged_at IS NOT NULL AND video_id IS NOT NULL
ORDER BY logged_at, id
"""


def videos(warehouse: Warehouse) -> pd.DataFrame:
    """Videos that run as an ad: `video_id`, `ad_id`, `created_at` (UTC), oldest first."""
    video_ids, ad_ids, created_at = _columns(warehouse, "public.videos", _VIDEOS, 3)
    return pd.DataFrame(
        {
            "video_id": pd.Series(video_ids, dtype="str"),
            "ad_id": pd.Series(ad_ids, dtype="str"),
            "created_at": _instants(created_at),
        }
    )


def predictions(warehouse: Warehouse) -> pd.DataFrame:
    """Every prediction, oldest first, with `logged_at` in UTC and `predicted_ctr` a fraction.

    One without its video or its instant cannot be compared and is left out (a check counts them);
    a model without a name is `default`, without a version `1`, as in the table that we create.
    """
    columns = _columns(warehouse, "public.predictions", _PREDICTIONS, 7)
    names = ("prediction_id", "video_id", "model_name", "model_version")
    texts = {
        name: pd.Series(values, dtype="str") for name, values in zip(names, columns, strict=False)
    }
    return pd.DataFrame(
        {
            **texts,
            "predicted_ctr": pd.Series(columns[4], dtype="float64"),
            "predicted_roas": pd.Series(columns[5], dtype="float64"),
            "logged_at": _instants(columns[6]),
        }
    )


def _columns(
    warehouse: Warehouse, table: str, query: LiteralString, width: int
) -> list[tuple[Any, ...]]:
    with warehouse.transaction() as connection:
        try:
            rows = connection.execute(query).fetchall()
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            raise WarehouseError(
                f"{table} cannot be read ({error.diag.message_primary or error}): it must have the "
                "columns that the README lists."
            ) from error
    return list(zip(*rows, strict=True)) or [()] * width


def _instants(values: tuple[Any, ...]) -> pd.Series[Any]:
    """Aware and naive datetimes (taken as UTC) as one UTC series."""
    aware = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
    return aware.astype("datetime64[us, UTC]")
