"""The exchange rates that the user supplies: stored by day and currencies, the last word holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from actuals_pipeline.warehouse.connection import Warehouse


class StoredRate(NamedTuple):
    """One row of `actuals.exchange_rates`."""

    rate_date: date
    from_currency: str
    to_currency: str
    rate: Decimal
    source: str | None
    imported_at: datetime


class StoreCounts(NamedTuple):
    """What storing rates did, in rows."""

    inserted: int
    updated: int
    unchanged: int


_STORE = """
INSERT INTO actuals.exchange_rates AS kept
    (rate_date, from_currency, to_currency, rate, source, imported_at)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (rate_date, from_currency, to_currency) DO UPDATE
SET rate = excluded.rate, source = excluded.source, imported_at = excluded.imported_at
WHERE (kept.rate, kept.source) IS DISTINCT FROM (excluded.rate, excluded.source)
RETURNING xmax = 0
"""

_STORED = """
SELECT rate_date, from_currency, to_currency, rate, source, imported_at
FROM actuals.exchange_rates
ORDER BY rate_date, from_currency, to_currency
"""


def store(warehouse: Warehouse, rates: Iterable[StoredRate]) -> StoreCounts:
    """Insert or replace rates by their key, all of them or, if the database refuses one, none."""
    inserted = updated = unchanged = 0
    with warehouse.transaction() as connection:
        for rate in rates:
            outcome = connection.execute(_STORE, rate).fetchone()
            inserted += outcome == (True,)
            updated += outcome == (False,)
            unchanged += outcome is None
    return StoreCounts(inserted, updated, unchanged)


def stored(warehouse: Warehouse) -> list[StoredRate]:
    """Every rate, ordered by day and currencies."""
    with warehouse.transaction() as connection:
        return [StoredRate(*row) for row in connection.execute(_STORED).fetchall()]
