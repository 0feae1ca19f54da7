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


# An account may be written with or without act_, as everywhere.
_BUDGETS: LiteralString = """
SELECT id::text, name::text, nullif(regexp_replace(trim(meta_account_id::text), '^act_', ''), ''),
       nullif(trim(meta_campaign_id::text), ''), currency::text, amount::numeric,
       start_date::date, end_date::date
FROM public.budgets
WHERE currency ~ '^[A-Z]{3}$' AND amount >= 0 AND amount < 'Infinity' AND start_date <= end_date
ORDER BY id
"""

_UNUSABLE_BUDGETS: LiteralString = """
SELECT id::text, name::text, currency::text, amount::text, start_date::text, end_date::text
FROM public.budgets
WHERE (
    currency ~ '^[A-Z]{3}$' AND amount >= 0 AND amount < 'Infinity' AND start_date <= end_date
) IS NOT TRUE
ORDER BY id
"""


def budgets(warehouse: Warehouse) -> pd.DataFrame:
    """The planned budgets that can be used, as rows of `plan_snapshots` but for the day."""
    names = ("plan_id", "name", "account_id", "campaign_id", "currency")
    others = ("amount", "starts_on", "ends_on")
    columns = _columns(warehouse, "public.budgets", _BUDGETS, len(names) + len(others))
    dtypes = dict.fromkeys(names, "str") | dict.fromkeys(others, "object")
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=dtype)
            for (name, dtype), values in zip(dtypes.items(), columns, strict=True)
        }
    )


def unusable_budgets(warehouse: Warehouse) -> list[dict[str, str | None]]:
    """Planned budgets that are left out: no currency, no amount, or an end before the start."""
    names = ("id", "name", "currency", "amount", "start_date", "end_date")
    columns = _columns(warehouse, "public.budgets", _UNUSABLE_BUDGETS, len(names))
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


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
