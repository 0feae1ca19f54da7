"""Ads whose truth is known, what an API would have told of them day by day, and their scores.

Impressions are lognormal by day and clicks binomial, in every fourth campaign about a rate of
the day's own (overdispersed).  Purchases are Poisson, worth a lognormal amount, and come to be
known at a delay; their report day is that of the impression.  An old ad without a prediction gives
the account its rates of before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from actuals_pipeline.accuracy.as_known import Knowledge, changes_of
from actuals_pipeline.accuracy.baseline import BASELINE_DAYS, account_rates
from actuals_pipeline.accuracy.columns import Positions
from actuals_pipeline.accuracy.contract import (
    KNOWN_ACCOUNT_DAYS,
    KNOWN_DAYS,
    PREDICTIONS,
    READ,
    REVISIONS,
    WINDOW_DAYS,
)
from actuals_pipeline.accuracy.launch_windows import (
    SharesOf,
    asked_windows,
    launch_pairs,
    window_figures,
)
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.accuracy.pair import delivered_ads, pair
from actuals_pipeline.accuracy.score import score
from actuals_pipeline.accuracy.uncertainty import Assumptions, judge
from actuals_pipeline.frames import conform
from actuals_pipeline.money import exact_sums
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.videos import VIDEOS

ACCOUNT: Final = "42"
FIRST_LAUNCH: Final = date(2026, 3, 1)
LAUNCH_DAYS: Final = 20
AS_OF: Final = date(2026, 5, 20)
"""All ads have run by then, and all launch windows are final."""

ORDER_VALUE: Final = 10.0
ORDER_VALUE_CV: Final = 0.8
KNOWN_AT_AGES: Final = (0, 1, 3, 7, 14, 28)
KNOWN_SHARES: Final = (0.5, 0.65, 0.75, 0.85, 0.95, 1.0)
"""Of a day's purchases, at each of these ages in days."""

_EVALUATION_DAYS: Final = 365
_COUNTS = ["impressions", "clicks", "conversions"]
_MONEY = ["spend", "revenue"]


def known_shares(
    _: pd.DataFrame, __: Positions, ages: Positions
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The true curve by which the purchases of these ads come to stand on the day of the click."""
    at = np.searchsorted(KNOWN_AT_AGES, ages, side="right") - 1
    return np.array(KNOWN_SHARES)[at], np.zeros(len(ages))


@dataclass(frozen=True)
class Scored:
    """What the scoring path says as of a day."""

    judged: pd.DataFrame
    models: pd.DataFrame

    def of(self, version: str, protocol: str) -> pd.DataFrame:
        """The judged pairs of one version and protocol."""
        rows = self.judged
        return rows[rows["model_version"].eq(version) & rows["protocol"].eq(protocol)]

    def headline(self, version: str) -> dict[str, Any]:
        """The headline of one version."""
        rows = self.models
        is_it = rows["model_version"].eq(version) & rows["protocol"].eq("headline")
        [row] = rows[is_it].to_dict("records")
        return {str(name): value for name, value in row.items()}


@dataclass(frozen=True)
class SimulatedAds:
    """Ads with their truth, one row an ad in every array, and all that was ever told of them."""

    ad_ids: npt.NDArray[Any]
    campaigns: npt.NDArray[Any]
    launches: npt.NDArray[Any]
    ctr: npt.NDArray[Any]
    """True click rates, fractions."""
    roas: npt.NDArray[Any]
    """True revenue over spend, once all purchases are known."""
    revisions: pd.DataFrame

    @classmethod
    def made(
        cls,
        n_ads: int,
        *,
        seed: int = 1,
        n_campaigns: int = 40,
        first_launch: date = FIRST_LAUNCH,
        prefix: str = "a",
    ) -> SimulatedAds:
        rng = np.random.default_rng(seed)
        campaign = np.arange(n_ads) % n_campaigns
        # Budget, audience and weather are the campaign's.
        of_campaign = np.exp(rng.normal(0, 0.3, (2, n_campaigns)))[:, campaign]
        ctr = np.clip(0.02 * of_campaign[0] * np.exp(rng.normal(0, 0.2, n_ads)), 0, 0.2)
        roas = 3 * of_campaign[1] * np.exp(rng.normal(0, 0.2, n_ads))
        launches = np.array(
            [first_launch + timedelta(days=int(n)) for n in rng.integers(0, LAUNCH_DAYS, n_ads)]
        )
        ad_ids = np.array([f"{prefix}{n:05d}" for n in range(n_ads)], dtype=object)
        life = rng.integers(12, 20, n_ads)
        ad = np.repeat(np.arange(n_ads), life)
        day = launches[ad] + np.array(
            [timedelta(days=int(n)) for n in np.concatenate([np.arange(each) for each in life])]
        )
        impressions = np.rint(np.exp(rng.normal(7.3, 0.5, len(ad)))).astype(np.int64) + 1
        of_day = np.where(
            campaign[ad] % 4 == 1, rng.beta(999 * ctr[ad], 999 * (1 - ctr[ad])), ctr[ad]
        )
        spend = np.rint(impressions * rng.uniform(0.8, 1.2, len(ad)))
        steps = np.diff([0.0, *KNOWN_SHARES])
        purchases = rng.poisson((roas[ad] * spend / 100 / ORDER_VALUE)[:, None] * steps)
        days = pd.DataFrame(
            {
                "ad_id": ad_ids[ad],
                "report_date": day,
                "impressions": impressions,
                "clicks": rng.binomial(impressions, of_day),
                "cents": spend,
            }
        )
        revisions = pd.concat([_told(days, purchases, _worth(rng, purchases)), _of_before()])
        return cls(
            ad_ids,
            np.array([f"campaign {n:02d}" for n in campaign], dtype=object),
            launches,
            ctr,
            roas,
            conform(revisions, REVISIONS),
        )

    @property
    def videos(self) -> pd.DataFrame:
        """One video an ad, made the day before its launch."""
        created = [datetime.combine(day, time(2), UTC) - timedelta(days=1) for day in self.launches]
        rows = {"video_id": "v" + self.ad_ids, "ad_id": self.ad_ids, "created_at": created}
        return conform(pd.DataFrame(rows), VIDEOS)

    @property
    def places(self) -> pd.DataFrame:
        """The campaign of each ad."""
        rows = {"ad_id": self.ad_ids, "campaign_id": self.campaigns, "adset_id": self.campaigns}
        return pd.DataFrame(rows, dtype="str")

    def predictions(
        self, version: str, ctr: Any, roas: Any, *, after_launch: timedelta = timedelta(hours=-3)
    ) -> pd.DataFrame:
        """One prediction an ad of one version, logged so long after the first delivery began."""
        logged = [datetime.combine(day, time.min, UTC) + after_launch for day in self.launches]
        rows = pd.DataFrame(
            {
                "prediction_id": version + self.ad_ids,
                "video_id": "v" + self.ad_ids,
                "model_name": "ranker",
                "model_version": version,
                "predicted_ctr": ctr,
                "predicted_roas": roas,
                "logged_at": logged,
                "is_attested": True,
                "claimed_at": None,
                "received_at": logged,
                "sequence": 0,
            }
        )
        return conform(rows, PREDICTIONS)

    def beside(self, others: SimulatedAds) -> SimulatedAds:
        """These ads and the others in one account."""
        arrays = ("ad_ids", "campaigns", "launches", "ctr", "roas")
        joined = {
            name: np.concatenate([getattr(self, name), getattr(others, name)]) for name in arrays
        }
        told = pd.concat([self.revisions, others.revisions], ignore_index=True)
        told = told.drop_duplicates(list(REVISIONS.key), ignore_index=True)
        return replace(self, **joined, revisions=told)

    def scored(
        self,
        *predictions: pd.DataFrame,
        as_of: date = AS_OF,
        shares_of: SharesOf = known_shares,
        order_of_rows: int | None = None,
    ) -> Scored:
        """The whole scoring path, over frames in any order of their rows (seeded)."""

        def mixed(frame: pd.DataFrame) -> pd.DataFrame:
            if order_of_rows is None:
                return frame
            return frame.sample(frac=1, random_state=order_of_rows, ignore_index=True)

        said = pd.concat(predictions, ignore_index=True)
        said = mixed(said.assign(sequence=np.arange(1, len(said) + 1)))
        videos, known_days = mixed(self.videos), mixed(_known_days(as_of))
        seen = Knowledge.of(known_days, {}, "UTC").seen_since
        changes = mixed(changes_of(self.revisions))
        ages: dict[str, Any] = {"min_age_hours": 24, "max_age_days": 365, "default_zone": "UTC"}
        pairs = pair(said, videos, changes, {}, [as_of], known_days=known_days, **ages)
        asked = mixed(asked_windows(pairs, seen, evaluation_days=_EVALUATION_DAYS))
        days = mixed(window_days_of(asked, self.revisions))
        launched = launch_pairs(
            pairs,
            mixed(window_figures(asked, days, shares_of)),
            videos,
            {},
            known_days=known_days,
            evaluation_days=_EVALUATION_DAYS,
            default_zone="UTC",
        )
        scores = score(pd.concat([pairs, launched], ignore_index=True))
        oldest = self.launches.min() - timedelta(days=BASELINE_DAYS)
        judged = judge(
            scores,
            places=mixed(self.places),
            asked=asked,
            days=days,
            baselines=account_rates(scores, _account_days(self.revisions, oldest, as_of), seen),
            assumptions=Assumptions(order_value_cv=ORDER_VALUE_CV),
        )
        delivered = delivered_ads(
            videos,
            changes,
            {},
            [as_of],
            seen_since=seen,
            evaluation_days=_EVALUATION_DAYS,
            **ages,
        )
        return Scored(judged, score_models(judged, delivered))


def window_days_of(asked: pd.DataFrame, revisions: pd.DataFrame) -> pd.DataFrame:
    """The WINDOW_DAYS of windows of accounts that were seen from the start on."""
    windows = asked.drop_duplicates("reading")[["reading", *READ]]
    told = windows.merge(revisions, on=["account_id", "ad_id"])
    told = told[
        (told["report_date"] >= told["since"])
        & (told["report_date"] <= told["until"])
        & (told["as_of_date"] <= told["known_by"])
    ]
    newest = told.sort_values("as_of_date").drop_duplicates(["reading", "report_date"], keep="last")
    return conform(newest.rename(columns={"as_of_date": "known_on"}), WINDOW_DAYS).reset_index(
        drop=True
    )


def cents(amounts: npt.NDArray[Any]) -> pd.Series[Any]:
    """Whole cents as exact amounts of money."""
    return pd.Series([Decimal(int(each)).scaleb(-2) for each in amounts], dtype=object)


def _worth(rng: np.random.Generator, purchases: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What so many purchases are worth together, in whole cents."""
    sigma = np.sqrt(np.log(1 + ORDER_VALUE_CV**2))
    values = ORDER_VALUE * np.exp(rng.normal(-(sigma**2) / 2, sigma, int(purchases.sum())))
    cell = np.repeat(np.arange(purchases.size), purchases.ravel())
    sums = np.bincount(cell, np.rint(100 * values), purchases.size)
    return sums.reshape(purchases.shape)


def _told(days: pd.DataFrame, purchases: npt.NDArray[Any], worth: npt.NDArray[Any]) -> pd.DataFrame:
    """A revision of each day at every age at which more of its purchases is known."""
    known, value = purchases.cumsum(axis=1), worth.cumsum(axis=1)
    tellings = [
        days.assign(
            as_of_date=days["report_date"] + timedelta(days=age),
            conversions=known[:, step],
            revenue=cents(value[:, step]),
            spend=cents(days["cents"].to_numpy()),
        )[(purchases[:, step] > 0) | (age == 0)]
        for step, age in enumerate(KNOWN_AT_AGES)
    ]
    return pd.concat(tellings).assign(account_id=ACCOUNT, currency="EUR")


def _of_before() -> pd.DataFrame:
    """An old ad that shows what the account did before: 2 % and a ROAS of 3."""
    days = list(DayWindow(FIRST_LAUNCH - timedelta(days=40), FIRST_LAUNCH))
    return pd.DataFrame(
        {
            "account_id": ACCOUNT,
            "ad_id": "old",
            "report_date": days,
            "as_of_date": days,
            "currency": "EUR",
            "impressions": 200_000,
            "clicks": 4_000,
            "spend": Decimal(2000),
            "conversions": 600,
            "revenue": Decimal(6000),
        }
    )


def _known_days(as_of: date) -> pd.DataFrame:
    days = list(DayWindow.inclusive(FIRST_LAUNCH - timedelta(days=40), as_of))
    rows = {"account_id": ACCOUNT, "report_date": days, "known_since": days}
    return conform(pd.DataFrame(rows), KNOWN_DAYS)


def _account_days(revisions: pd.DataFrame, oldest: date, as_of: date) -> pd.DataFrame:
    """What was known of the account's days at the end of `as_of`."""
    told = revisions[(revisions["as_of_date"] <= as_of) & (revisions["report_date"] >= oldest)]
    newest = told.sort_values("as_of_date").drop_duplicates(
        ["account_id", "ad_id", "report_date"], keep="last"
    )
    key = ["account_id", "report_date"]
    sums = pd.concat([newest.groupby(key)[_COUNTS].sum(), exact_sums(newest, key, _MONEY)], axis=1)
    return conform(
        sums.reset_index().assign(is_reconstructed=False, known_on=as_of), KNOWN_ACCOUNT_DAYS
    )
