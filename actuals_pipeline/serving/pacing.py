"""How budgets are spent, for the command line's JSON: judged by the pipeline, and only read."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

from actuals_pipeline.serving import queries
from actuals_pipeline.serving.json_numbers import CENTS, RATE, Number, rounded
from actuals_pipeline.serving.queries import Row
from actuals_pipeline.warehouse.connection import Warehouse

_VERDICTS = ("overspending", "underspending", "on_track", "paused", "unknown")
_WORTH_A_WORD = _VERDICTS[:2]


def all_budgets(warehouse: Warehouse, as_of: date | None) -> dict[str, Any]:
    """Every budget as of the last day up to `as_of` that was judged; the newest by default."""
    rows = queries.budgets(warehouse, as_of)
    return {"as_of": rows[0]["as_of_date"] if rows else None, "budgets": list(map(_budget, rows))}


def budgets(warehouse: Warehouse, until: date) -> dict[str, Any] | None:
    """How many budgets are spent how, and those worth a word; None where none is known.

    Plans are always listed: there are few, and somebody made each of them.
    """
    rows = queries.budgets(warehouse, until)
    if not rows:
        return None
    return {
        "as_of": rows[0]["as_of_date"],
        "verdicts": dict.fromkeys(_VERDICTS, 0) | Counter(row["verdict"] for row in rows),
        "listed": [
            _budget(row) for row in rows if row["verdict"] in _WORTH_A_WORD or row["kind"] == "plan"
        ],
    }


def _budget(row: Row) -> dict[str, Any]:
    low, high = row["projected_spend_low"], row["projected_spend_high"]
    share = row["highest_day_share"]
    return {
        "level": row["level"],
        "id": row["budget_id"],
        "name": row["name"],
        "account_id": row["account_id"],
        "kind": row["kind"],
        "status": row["status"],
        "currency": row["currency"],
        "daily_budget": _amount(row["daily_budget"]),
        "period": {"since": row["period_start"], "until": row["period_end"]},
        "budget": _amount(row["budget"]),
        "limit": _amount(row["spend_limit"]),
        "spent": _amount(row["spend"]),
        "spent_by_whole_days": _amount(row["spend_whole_days"]),
        "expected_by_whole_days": _measured(row["expected_spend"]),
        "projected": _measured(row["projected_spend"]),
        "projected_ci95": [_measured(low), _measured(high)] if low is not None else None,
        "highest_day_share": None if share is None else rounded(Decimal(repr(share)), RATE),
        "days_missing": row["days_missing"],
        "verdict": row["verdict"],
        "reason": row["reason"],
        "is_reconstructed": row["is_reconstructed"],
    }


def _amount(value: Decimal | None) -> Number | None:
    return None if value is None else rounded(value, CENTS)


def _measured(value: float | None) -> Number | None:
    return None if value is None else rounded(Decimal(repr(value)), CENTS)
