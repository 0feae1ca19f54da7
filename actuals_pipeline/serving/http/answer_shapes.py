"""What the answers look like, for OpenAPI: the specification's keys with their types and units.

Nothing is built from these: the answers are those of the command line.  A key may be added to an
answer; none of these is taken away or renamed, and each is always there.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from actuals_pipeline.serving.queries import Source

Amount: TypeAlias = float
"""Money as a JSON number, exact; major units of the currency that stands beside it."""

Count: TypeAlias = int


_OF_THE_TOTALS = (
    "ISO 4217: the only one, or of several the investment's; null where a rate to it is missing."
)


class Shape(BaseModel):
    """An object to which keys may be added."""

    model_config = ConfigDict(extra="allow")


class Alive(Shape):
    """The process lives."""

    status: Literal["ok"]


class Ready(Shape):
    """The database answers and has the schema of this version."""

    status: Literal["ready"]


class Window(Shape):
    """Report days, both included."""

    since: date
    until: date


class AdFigures(Shape):
    """One ad's figures over the window."""

    impressions: Count
    clicks: Count = Field(description="All clicks.")
    ctr: float | None = Field(description="Clicks / impressions in percent: 1.5.")
    spend: Amount = Field(description="In `currency`.")
    conversions: Count = Field(description="Purchases.")
    roas: float | None = Field(description="Revenue / spend; null without spend.")
    revenue: Amount = Field(description="In `currency`.")
    reach: Count | None = Field(description="People of the whole window; null where Meta has none.")
    cpm: float | None = Field(description="Spend for 1,000 impressions, in `currency`.")
    cpc: float | None = Field(description="Spend for a click, in `currency`.")
    frequency: float | None = Field(description="Impressions / reach.")
    currency: str = Field(description="ISO 4217.")


class AdAnswer(Shape):
    """What one ad did."""

    status: Literal["success", "no_delivery", "outside_window"]
    source: Source
    ad_id: str
    video_id: str | None
    actuals: AdFigures | None = Field(description="Null unless `status` is `success`.")
    saved_to_db: bool
    fetched_at: datetime
    window: Window
    message: str | None = Field(
        default=None, description="Why there are no figures; not there when there are."
    )


class SyncSummary(Shape):
    """What a run brought; the four counts add up to `total_ads`."""

    total_ads: Count
    successful: Count
    failed: Count
    rate_limited: Count
    no_data: Count
    currency: str | None = Field(description=_OF_THE_TOTALS)
    total_spend: Amount | None = Field(description="In `currency`; null without one.")
    total_conversions: Count | None
    total_revenue: Amount | None = Field(description="In `currency`; null without one.")
    duration_seconds: float
    timestamp: datetime


class CurrencyAmounts(Shape):
    """Figures of one currency."""

    currency: str = Field(description="ISO 4217.")
    spend: Amount
    revenue: Amount
    roas: float | None = Field(description="Revenue / spend.")
    conversions: Count
    cpa: float | None = Field(description="Spend / conversions, in `currency`.")


class AccountOutcome(Shape):
    """How an account's fetch ended."""

    account_id: str
    outcome: Literal["complete", "rate_limited", "refused", "failed"]
    error_class: str | None
    error_message: str | None


class SyncAnswer(Shape):
    """A run of the Dagster job."""

    status: Literal["success", "partial", "failed"]
    summary: SyncSummary
    source: Source | None
    window: Window
    by_currency: list[CurrencyAmounts]
    accounts: list[AccountOutcome]
    run_ids: list[str]


class UnderWay(Shape):
    """A run that has not ended."""

    status: Literal["running"]
    run_id: UUID
    answer_at: str = Field(description="Path of this run's answer, as in `Location`.")


class FetcherStats(Shape):
    """Counts over every fetch of an account or an ad."""

    total_fetches: Count
    successful_fetches: Count
    failed_fetches: Count
    success_rate: float | None = Field(description="In percent: 98.0; null before any fetch.")
    rate_limits_hit: Count
    currency: str | None = Field(description=_OF_THE_TOTALS)
    total_spend_tracked: Amount | None = Field(description="In `currency`; null without one.")
    total_conversions_tracked: Count
    spend_tracked_by_currency: dict[str, Amount]


class Scheduler(Shape):
    """The hourly schedule."""

    is_running: bool
    interval_hours: int
    last_run: datetime | None
    last_summary: SyncSummary | None
    fetcher_stats: FetcherStats


class StatusAnswer(Shape):
    """Whether the schedule runs, and what the last run did."""

    status: Literal["healthy", "unhealthy"]
    problems: list[str] = Field(description="Why it is unhealthy, and what to do.")
    source: Source | None
    scheduler: Scheduler


class Stats(FetcherStats):
    """The counts, and whether Meta can be asked."""

    meta_api_configured: bool


class StatsAnswer(Shape):
    """Counts over every fetch."""

    status: Literal["success"]
    source: Source | None
    stats: Stats


class ModelAccuracy(Shape):
    """One model version under one protocol."""

    model_name: str
    model_version: str
    ctr_mae: float | None = Field(description="Mean absolute error of CTR, percentage points.")
    roas_mae: float | None = Field(description="Mean absolute error of ROAS, multiples.")
    prediction_accuracy: float | None = Field(description="In percent: 92.5.")
    as_of: date
    n_ads: Count
    is_provisional: bool


class SummaryAnswer(Shape):
    """The dashboard's numbers."""

    status: Literal["success", "partial", "empty"]
    as_of: date | None
    source: Source | None
    window: Window | None
    currency: str | None = Field(description="Of the totals, ISO 4217; null where they are.")
    total_spend: Amount | None
    total_revenue: Amount | None
    overall_roas: float | None = Field(description="Revenue / spend: 3.2.")
    total_conversions: Count | None
    avg_cpa: float | None = Field(description="Spend / conversions, in `currency`.")
    conversion_rate: float | None = Field(description="Conversions / clicks, a fraction.")
    by_currency: list[CurrencyAmounts]
    ml_accuracy: ModelAccuracy | None
    models: list[ModelAccuracy]


class AccuracyAnswer(Shape):
    """A model's rows of the summary."""

    status: Literal["success"]
    model: str
    models: list[ModelAccuracy]
