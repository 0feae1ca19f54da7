"""The budgets of an account's campaigns and ad sets, as they stand now.

Meta tells no history of them, so what is wanted of it has to be read day by day.  A budget is
either the campaign's or each of its ad sets', by day or for life; "0" means that it is not there.

Source: Campaign and AdSet of facebook-business 26.0.3; Marketing API v26.0, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pandas as pd

from actuals_pipeline.errors import ActualsError, MetaThrottled, MetaUnavailable
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.client import InsightsClient, MetaAccount
from actuals_pipeline.meta.minor_units import major_units
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.report_days import report_day, time_zone
from actuals_pipeline.storable import storable

Level = Literal["campaign", "adset"]


@dataclass(frozen=True, slots=True)
class MetaBudget:
    """One budget; money in major units, one of the two is None.

    `status` is the effective one; days are account-local, None where Meta names none.
    """

    level: Level
    budget_id: str
    campaign_id: str
    name: str
    status: str
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    starts_on: date | None
    ends_on: date | None


@dataclass(frozen=True, slots=True)
class BudgetReading:
    """What one attempt to read an account's budgets on its calendar day `day` brought."""

    day: date
    budgets: Sequence[MetaBudget] = ()
    error: ActualsError | None = None

    @property
    def is_over(self) -> bool:
        """Whether to ask no more that day: it was read, or what hinders it does not pass."""
        return not isinstance(self.error, MetaThrottled | MetaUnavailable)

    def log_row(self) -> dict[str, Any]:
        """The attempt as columns of `fetch_log`."""
        return {
            "budgets_on": self.day if self.is_over else None,
            "budgets": None if self.error else len(self.budgets),
            "budgets_error": str(self.error) if self.error else None,
        }


def read_budgets(client: InsightsClient, account: MetaAccount, day: date) -> BudgetReading:
    """The account's budgets, read on its calendar day `day`: two calls, more if there are many.

    What hinders it is part of what is returned: it must not hinder anything else.
    """
    try:
        campaigns = client.campaigns(account.account_id)
        ad_sets = client.ad_sets(account.account_id)
        budgets = [
            *_budgets("campaign", campaigns, account),
            *_budgets("adset", ad_sets, account),
        ]
    except ActualsError as error:
        return BudgetReading(day, error=error)
    return BudgetReading(day, budgets)


def budgets_frame(reading: BudgetReading, account: MetaAccount, read_at: datetime) -> pd.DataFrame:
    """A reading as rows of `budget_snapshots`."""
    budgets = reading.budgets
    n = len(budgets)
    texts = ("level", "budget_id", "campaign_id", "status")
    others = ("daily_budget", "lifetime_budget", "starts_on", "ends_on")
    return pd.DataFrame(
        {
            "account_id": pd.Series([account.account_id] * n, dtype="str"),
            "snapshot_date": pd.Series([reading.day] * n, dtype="object"),
            "name": pd.Series([storable(each.name) for each in budgets], dtype="str"),
            "currency": pd.Series([account.currency] * n, dtype="str"),
            **{
                name: pd.Series([getattr(each, name) for each in budgets], dtype="str")
                for name in texts
            },
            **{
                name: pd.Series([getattr(each, name) for each in budgets], dtype="object")
                for name in others
            },
            "read_at": pd.Series([read_at] * n, dtype="datetime64[us, UTC]"),
        }
    )


def _budgets(
    level: Level, nodes: Iterable[Mapping[str, Any]], account: MetaAccount
) -> Iterable[MetaBudget]:
    """The nodes that have a budget of their own."""
    query, zone = Query.of_account(account.account_id), time_zone(account.time_zone)
    for node in nodes:
        try:
            budget = _budget(level, node, account.currency, zone)
        except ValueError as error:
            raise query.unexpected(f"of {level} {node['id']} {error}") from None
        if budget is not None:
            yield budget


def _budget(
    level: Level, node: Mapping[str, Any], currency: str, zone: ZoneInfo
) -> MetaBudget | None:
    """`ValueError` says what is not as it should be."""
    daily, lifetime = (
        major_units(str(node.get(name) or "0"), currency)
        for name in ("daily_budget", "lifetime_budget")
    )
    if not daily and not lifetime:
        return None
    starts, ends = (_instant(node.get(name)) for name in ("start_time", fields.END_OF_LEVEL[level]))
    campaign_id = node["id"] if level == "campaign" else node.get("campaign_id")
    status = node.get("effective_status")
    if not fields.is_id(campaign_id):
        raise ValueError(f"campaign_id is {campaign_id!r}")
    if not isinstance(status, str):
        raise ValueError(f"effective_status is {status!r}")  # noqa: TRY004 - Meta's, and told alike
    starts_on = report_day(starts, zone) if starts else None
    # It ends before that instant: at midnight, with the day before.
    ends_on = report_day(ends - timedelta(microseconds=1), zone) if ends else None
    if starts_on and ends_on:
        ends_on = max(starts_on, ends_on)
    return MetaBudget(
        level,
        str(node["id"]),
        str(campaign_id),
        str(node.get("name", "")),
        status,
        daily or None,
        None if daily else lifetime,
        starts_on,
        ends_on,
    )


def _instant(text: object) -> datetime | None:
    """Meta's way of writing one, 2026-03-07T00:00:00-0800; the beginning of 1970 means none."""
    if not text:
        return None
    instant = datetime.fromisoformat(str(text))
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return instant if instant > datetime(1970, 1, 2, tzinfo=UTC) else None
