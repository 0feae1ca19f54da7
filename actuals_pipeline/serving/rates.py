"""Exchange rates from a CSV file: all of it or, for a single bad row, nothing.

A rate that is missing leaves amounts unconverted and is noticed; a wrong one would not be, so
half a file is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from actuals_pipeline.currencies import CURRENCIES
from actuals_pipeline.errors import InputError
from actuals_pipeline.report_days import parse_day
from actuals_pipeline.serving.csv_import import lines_of
from actuals_pipeline.warehouse import exchange_rates
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.exchange_rates import StoreCounts, StoredRate


def import_rates(warehouse: Warehouse, path: Path, now: datetime) -> StoreCounts:
    """Store the rates of a CSV file: `date, from, to, rate` and, if present, `source`.

    `InputError` names the first bad line; nothing is stored then.
    """
    rates: dict[tuple[date, str, str], StoredRate] = {}
    line_of: dict[tuple[date, str, str], int] = {}
    for line, row in lines_of(path, {"date", "from", "to", "rate"}, set()):
        try:
            rate = _rate(row, now)
            _refuse_repeated(line_of.setdefault(rate[:3], line), line)
        except InputError as error:
            reason = str(error).rstrip(".")
            raise InputError(f"{path} line {line}: {reason}; nothing was stored.") from error
        rates[rate[:3]] = rate
    return exchange_rates.store(warehouse, rates.values())


def listed(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Every stored rate, under the names of the file."""
    return [
        {
            "date": each.rate_date,
            "from": each.from_currency,
            "to": each.to_currency,
            "rate": each.rate,
            "source": each.source,
            "imported_at": each.imported_at,
        }
        for each in exchange_rates.stored(warehouse)
    ]


def _rate(row: Mapping[str, str], now: datetime) -> StoredRate:
    day = parse_day(row["date"])
    from_currency, to_currency = (_currency(row[name], name) for name in ("from", "to"))
    if from_currency == to_currency:
        raise InputError(f"from and to are both {to_currency}, which needs no rate")
    # More digits than any bank publishes; 1,08 and 1e3 would be somebody's mistake.
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,18})?", row["rate"]) or not Decimal(row["rate"]):
        raise InputError(f"rate {row['rate']!r} is no number above 0 such as 0.9234")
    source = row.get("source") or None
    if source and "\0" in source:
        raise InputError("source holds a NUL character, which Postgres does not store")
    return StoredRate(day, from_currency, to_currency, Decimal(row["rate"]), source, now)


def _refuse_repeated(first: int, line: int) -> None:
    if first != line:
        raise InputError(f"it is of the same day and currencies as line {first}")


def _currency(text: str, column: str) -> str:
    if text not in CURRENCIES:
        raise InputError(f"{column} {text!r} is no currency such as EUR")
    return text
