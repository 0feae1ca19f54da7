"""Fetch a window of several ad accounts at once, each with its own outcome.

One failing account never blocks or erases another: its fetch ends with an error as a value, and
only complete fetches yield frames.  A fetch covers the window up to the account's own today.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import pandas as pd

from actuals_pipeline.errors import (
    ActualsError,
    InputError,
    MetaRefused,
    MetaThrottled,
    SettingsError,
)
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.agreement import AccountReading
from actuals_pipeline.meta.budgets import BudgetReading, read_budgets
from actuals_pipeline.meta.client import FetchUsage, InsightsClient, MetaAccount
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import RequestSize
from actuals_pipeline.meta.missing_ads import MissingAds
from actuals_pipeline.meta.parse import parse_totals
from actuals_pipeline.meta.spool import RawInsight, Rows, joined
from actuals_pipeline.report_days import (
    DayWindow,
    parse_day,
    report_day,
    retention_floor,
    time_zone,
)
from actuals_pipeline.storable import storable, storable_json

logger = logging.getLogger(__name__)

CONCURRENT_ACCOUNTS = 8
"""Accounts fetched at once; chosen: Meta's limits are per account, ours is two cores."""

Outcome = Literal["complete", "rate_limited", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Quotas:
    """Percent used up of the account's and the app's limit, and until when each has to rest."""

    account_quota_percent: float | None = None
    app_quota_percent: float | None = None
    account_rests_until: datetime | None = None
    app_rests_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountFetch:
    """One account's fetch: rows and control totals of `covered`, or the error that ended it.

    `covered` is None when nothing of the window has begun in the account's time zone.  With
    `ad_id` only that ad was asked for, and `totals` is its one row for all days together.
    `missing_ads` is how many ads were asked for by id because the listing lacked some.
    `budgets` are those of its campaigns and ad sets, None where they were not to be read.
    `older_days` are those whose rows are of an earlier worker's report, with its instant.
    """

    account_id: str
    window: DayWindow
    started_at: datetime
    finished_at: datetime
    usage: FetchUsage
    account: MetaAccount | None = None
    covered: DayWindow | None = None
    rows: Rows | tuple[()] = ()
    totals: Sequence[RawInsight] = ()
    error: ActualsError | None = None
    ad_id: str | None = None
    older_days: Mapping[date, datetime] = field(default_factory=dict)
    size: RequestSize = field(default_factory=RequestSize)
    missing_ads: int = 0
    quotas: Quotas = field(default_factory=Quotas)
    budgets: BudgetReading | None = None

    @property
    def outcome(self) -> Outcome:
        """How it ended; only a complete fetch may replace days."""
        match self.error:
            case None:
                return "complete"
            case MetaThrottled():
                return "rate_limited"
            case MetaRefused():
                return "refused"
            case _:
                return "failed"

    def parts(self, most_rows: int) -> Iterator[AccountFetch]:
        """The complete fetch cut into consecutive days of at most `most_rows` rows, or one day.

        Nothing when it ended with an error or covered no day.
        """
        if self.error is not None or self.covered is None:
            return
        rows = Counter(() if isinstance(self.rows, tuple) else self.rows.days)
        for window in self.covered.parts(lambda day: rows[day.isoformat()], most_rows):
            days = {day.isoformat() for day in window}
            yield replace(
                self,
                covered=window,
                rows=() if isinstance(self.rows, tuple) else self.rows.of_days(days),
                totals=[row for row in self.totals if row["date_start"] in days],
            )

    def read_at(self, day: date) -> datetime:
        """The instant whose figures of `day` these are."""
        return self.older_days.get(day, self.started_at)

    def log_row(self, run_id: str) -> dict[str, Any]:
        """The fetch as a row of `fetch_log`."""
        return {
            "run_id": run_id,
            "kind": "ad" if self.ad_id else "account",
            "account_id": self.account_id,
            "ad_id": self.ad_id,
            "since": self.window.since,
            "until": self.window.until,
            # An earlier worker's report counts as begun when that was submitted.
            "started_at": min([self.started_at, *self.older_days.values()]),
            "duration_seconds": (self.finished_at - self.started_at).total_seconds(),
            "outcome": self.outcome,
            "calls": self.usage.calls,
            "calls_by_kind": dict(self.usage.calls_by_kind),
            "pages": self.usage.pages,
            "rows": len(self.rows),
            "bytes": self.usage.bytes,
            "missing_ads": self.missing_ads,
            "retries": self.usage.retries,
            "retries_by_class": dict(self.usage.retries_by_class),
            "rate_limits_hit": self.usage.rate_limits_hit,
            "throttled_seconds": self.usage.throttled_seconds,
            "backoff_seconds": self.usage.backoff_seconds,
            "polling_seconds": self.usage.polling_seconds,
            "splits": dict(self.usage.splits),
            "page_size": self.size.page_size,
            "days_per_request": self.size.days,
            "as_report": self.size.as_report,
            **asdict(self.quotas),
            "error_class": type(self.error).__name__ if self.error else None,
            "error_message": str(self.error) if self.error else None,
            "is_stand_in": bool(self.account and self.account.is_stand_in),
            **(self.budgets.log_row() if self.budgets else {}),
        }


def fetch_accounts(
    account_ids: Sequence[str],
    window: DayWindow,
    new_client: Callable[[], InsightsClient],
    *,
    purchase_action_type: Callable[[str], str],
    expects_stand_in: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[AccountFetch]:
    """Fetch `window` of every account, in the order given; errors are values, not raised.

    Several are under way at once; each is given as soon as it and those before it have ended.
    """

    def fetch(account_id: str) -> AccountFetch:
        with new_client() as client:
            return fetch_account(
                account_id,
                window,
                client,
                purchase_action_type=purchase_action_type,
                expects_stand_in=expects_stand_in,
                clock=clock,
            )

    with ThreadPoolExecutor(CONCURRENT_ACCOUNTS, thread_name_prefix="account") as pool:
        yield from pool.map(fetch, account_ids)


def fetch_account(
    account_id: str,
    window: DayWindow,
    client: InsightsClient,
    *,
    purchase_action_type: Callable[[str], str],
    expects_stand_in: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AccountFetch:
    """Fetch one account: its node, its own control totals and its ads' daily insights.

    Where the days do not add up, what may have moved meanwhile is read anew, and then known ads
    that the listing lacks are asked for by id.
    """

    def read(account: MetaAccount, started_at: datetime) -> _Read:
        covered = fetchable(window, account, started_at)
        if covered is None:
            return _Read(window, None)
        chosen = purchase_action_type
        reading = AccountReading(client, account_id, covered, purchase_action_type=chosen)
        reading.read()
        # What cannot be read is this account's failure, and nobody else's.
        parse_totals(reading.totals, purchase_action_type=chosen)
        missing = MissingAds(client, account_id, covered, reading, purchase_action_type=chosen)
        missing.ask()
        rows = joined([reading.rows, missing.found]) if len(missing.found) else reading.rows
        return _Read(
            window,
            covered,
            rows,
            reading.totals,
            len(missing.asked),
            _budgets(client, account, started_at),
        )

    return _fetched(
        account_id, window, client, read, expects_stand_in=expects_stand_in, clock=clock
    )


def fetch_ad(
    ad_id: str,
    account_id: str,
    days_back: int,
    client: InsightsClient,
    *,
    expects_stand_in: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AccountFetch:
    """Fetch the trailing `days_back` days of one ad, today in its account's time zone included."""

    def read(account: MetaAccount, started_at: datetime) -> _Read:
        window = DayWindow.trailing(_today(account, started_at), days_back)
        fetchable(window, account, started_at)
        rows = client.ad_insights(account_id, window, ad_id)
        totals = client.ad_reach(account_id, window, ad_id) if len(rows) else []
        return _Read(window, window, rows, totals)

    expected = DayWindow.trailing(clock().date(), days_back)
    fetch = _fetched(
        account_id, expected, client, read, expects_stand_in=expects_stand_in, clock=clock
    )
    return replace(fetch, ad_id=ad_id)


@dataclass(frozen=True, slots=True)
class _Read:
    """What a complete fetch read of `window`."""

    window: DayWindow
    covered: DayWindow | None
    rows: Rows | tuple[()] = ()
    totals: Sequence[RawInsight] = ()
    missing_ads: int = 0
    budgets: BudgetReading | None = None


def _budgets(
    client: InsightsClient, account: MetaAccount, instant: datetime
) -> BudgetReading | None:
    """The account's budgets, unless they were read on its day before; after all that matters."""
    today = _today(account, instant)
    if not client.needs_budgets(account.account_id, today):
        return None
    reading = read_budgets(client, account, today)
    if reading.error is not None:
        logger.warning("budgets not read account=act_%s: %s", account.account_id, reading.error)
    return reading


def _fetched(
    account_id: str,
    window: DayWindow,
    client: InsightsClient,
    read: Callable[[MetaAccount, datetime], _Read],
    *,
    expects_stand_in: bool,
    clock: Callable[[], datetime],
) -> AccountFetch:
    """The fetch in which `read` reads the account; what it raises is the fetch's error.

    `window` stands for what would have been asked if the account itself cannot be read.
    """
    started_at = clock()
    account: MetaAccount | None = None
    done = _Read(window, None)
    error: ActualsError | None = None
    try:
        account = client.account(account_id)
        refuse_mistaken_source(account, expects_stand_in=expects_stand_in)
        done = read(account, started_at)
        client.forget_reports()
    except ActualsError as caught:
        logger.warning("fetch failed account=act_%s window=%s: %s", account_id, window, caught)
        error = caught
    else:
        logger.info("fetched account=act_%s window=%s rows=%d", account_id, window, len(done.rows))
    finished_at = clock()
    older = {day: at for day, at in client.reported_at.items() if at < started_at}
    return AccountFetch(
        account_id=account_id,
        window=done.window,
        started_at=started_at,
        finished_at=finished_at,
        usage=client.usage,
        account=account,
        covered=done.covered,
        rows=done.rows,
        totals=done.totals,
        error=error,
        older_days=older,
        size=client.size,
        missing_ads=done.missing_ads,
        quotas=_quotas(client.limits, account_id, finished_at),
        budgets=done.budgets,
    )


def _quotas(limits: Limits, account_id: str, instant: datetime) -> Quotas:
    account_percent, account_seconds = limits.quota(account_id)
    app_percent, app_seconds = limits.quota(None)
    return Quotas(
        account_percent,
        app_percent,
        instant + timedelta(seconds=account_seconds) if account_seconds else None,
        instant + timedelta(seconds=app_seconds) if app_seconds else None,
    )


def fetchable(window: DayWindow, account: MetaAccount, instant: datetime) -> DayWindow | None:
    """The part of `window` that has begun in the account's time zone by `instant`.

    `InputError` when it begins before what Meta keeps: such days would silently stay empty.
    """
    today = _today(account, instant)
    floor = retention_floor(today)
    if window.since < floor:
        raise InputError(
            f"{window.since} lies beyond the 37 months that Meta keeps: start on {floor} or later."
        )
    return window.clipped(until=today)


def _today(account: MetaAccount, instant: datetime) -> date:
    return report_day(instant, time_zone(account.time_zone))


def refuse_mistaken_source(account: MetaAccount, *, expects_stand_in: bool) -> None:
    """Raise when stand-in data would pass for real data, or real data for stand-in data."""
    if account.is_stand_in and not expects_stand_in:
        raise SettingsError(
            "META_GRAPH_URL points at the Graph API stand-in, whose data is made up: point it at "
            "https://graph.facebook.com, or use `actuals demo`."
        )
    if expects_stand_in and not account.is_stand_in:
        raise SettingsError(
            "ACTUALS_STAND_IN is set but a real Graph API answered: unset ACTUALS_STAND_IN."
        )


def raw_frame(fetches: Iterable[AccountFetch], *, run_id: str, api_version: str) -> pd.DataFrame:
    """Complete fetches as rows of `raw_meta_insights`.

    `payload` is JSON text: verbatim but for what Postgres cannot store.
    """
    spools = [
        (fetch, fetch.rows)
        for fetch in fetches
        if fetch.error is None and not isinstance(fetch.rows, tuple)
    ]
    fetch_of_row = [fetch for fetch, rows in spools for _ in range(len(rows))]
    ad_ids = [ad_id for _, rows in spools for ad_id in rows.ad_ids]
    days = [each for _, rows in spools for each in map(cache(parse_day), rows.days)]
    texts = [storable_json(text) for _, rows in spools for text in rows.texts()]
    return pd.DataFrame(
        {
            "account_id": pd.Series([fetch.account_id for fetch in fetch_of_row], dtype="str"),
            "ad_id": pd.Series(ad_ids, dtype="str"),
            "report_date": pd.Series(days, dtype="object"),
            "payload": pd.Series(texts, dtype="object"),
            "api_version": pd.Series([api_version] * len(texts), dtype="str"),
            "run_id": pd.Series([run_id] * len(texts), dtype="str"),
            "fetched_at": _instants(map(AccountFetch.read_at, fetch_of_row, days)),
        }
    )


def totals_frame(
    fetches: Iterable[AccountFetch],
    *,
    run_id: str,
    api_version: str,
    purchase_action_type: Callable[[str], str],
) -> pd.DataFrame:
    """Complete fetches as rows of `meta_account_totals`, one for every covered day.

    A covered day that Meta reports nothing for is a known zero, marked `is_reported` False.
    """
    complete = [
        (fetch, fetch.account, fetch.covered)
        for fetch in fetches
        if fetch.error is None and fetch.account is not None and fetch.covered is not None
    ]
    days: list[tuple[AccountFetch, MetaAccount, date]] = [
        (fetch, account, day) for fetch, account, covered in complete for day in covered
    ]
    known = pd.DataFrame(
        {
            "account_id": pd.Series([fetch.account_id for fetch, _, _ in days], dtype="str"),
            "report_date": pd.Series([day for _, _, day in days], dtype="object"),
            "account_name": pd.Series(
                [storable(account.name) for _, account, _ in days], dtype="str"
            ),
            "currency": pd.Series([account.currency for _, account, _ in days], dtype="str"),
            "time_zone": pd.Series([account.time_zone for _, account, _ in days], dtype="str"),
            "purchase_action_type": pd.Series(
                [purchase_action_type(fetch.account_id) for fetch, _, _ in days], dtype="str"
            ),
            "is_stand_in": pd.Series([account.is_stand_in for _, account, _ in days], dtype="bool"),
            "api_version": pd.Series([api_version] * len(days), dtype="str"),
            "run_id": pd.Series([run_id] * len(days), dtype="str"),
            "fetched_at": _instants(fetch.read_at(day) for fetch, _, day in days),
        }
    )
    reported = parse_totals(
        [row for fetch, _, _ in complete for row in fetch.totals],
        purchase_action_type=purchase_action_type,
    ).drop(columns=["currency", "purchase_action_type"])
    totals = known.merge(
        reported, on=["account_id", "report_date"], how="left", validate="1:1", indicator=True
    )
    is_reported = totals["_merge"] == "both"
    counts = ["impressions", "clicks", "conversions"]
    money = ["spend", "revenue", *(f"revenue_{window}" for window in fields.CLICK_WINDOWS)]
    return totals.assign(
        is_reported=is_reported,
        **{name: totals[name].astype("Int64").fillna(0).astype("int64") for name in counts},
        **{name: totals[name].where(is_reported, Decimal(0)) for name in money},
    ).drop(columns="_merge")


def _instants(values: Iterable[datetime]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="datetime64[us, UTC]")
