"""An invented world of ad accounts, seeded, with a clock that only moves forward.

What the API answers is a function of the world and `World.now`.  `truth` gives the exact figures
behind the answers; `videos` and `predictions` give what the product would hold about the same ads.

Ads launch at a steady rate for as long as the clock runs, so that at any time most are younger
than a month.  Which ads exist on a calendar day depends on the seed and the plan only, so a world
made tomorrow tells the same story about last week.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from random import Random
from types import MappingProxyType
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from actuals_pipeline.graph_stand_in.delivery import AdRates, Figures, History
from actuals_pipeline.report_days import DayWindow, day_start, report_day, time_zone

CURRENCIES_WITHOUT_MINOR_UNIT = frozenset(
    {"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"}
)
"""Source: Marketing API, Currencies (offset 1; not ISO 4217), read 2026-09-12."""

UNITS_PER_EURO = {"EUR": 1.0, "USD": 1.1, "GBP": 0.85, "JPY": 165.0}
"""Rough sizes of amounts, so that they look natural; any other currency counts as 1."""

NodeKind = Literal["account", "campaign", "adset", "ad", "creative", "video"]


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """An ad account to invent; `ads` is how many launch per `history_days`."""

    account_id: str
    name: str
    currency: str
    time_zone: str
    ads: int


DEMO_ACCOUNTS = (
    AccountPlan("880000000000001", "Stand-in Berlin (EUR)", "EUR", "Europe/Berlin", 60),
    AccountPlan("880000000000002", "Stand-in New York (USD)", "USD", "America/New_York", 24),
    AccountPlan("880000000000003", "Stand-in Tokyo (JPY)", "JPY", "Asia/Tokyo", 12),
)


@dataclass(frozen=True, slots=True)
class InventedBudget:
    """What a campaign or an ad set may spend, in minor units; both None: not at that level."""

    daily_minor: int | None
    lifetime_minor: int | None
    starts_at: datetime
    ends_at: datetime | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class _Fate:
    """How many days an ad delivers, and its status from then on."""

    n_days: int
    status_after: str


_FATES = (
    _Fate(90, "PAUSED"),
    _Fate(45, "CAMPAIGN_PAUSED"),
    _Fate(9, "PAUSED"),
    _Fate(12, "DELETED"),
    _Fate(60, "ADSET_PAUSED"),
    _Fate(15, "ARCHIVED"),
    _Fate(90, "PAUSED"),
    _Fate(0, "DISAPPROVED"),
    _Fate(30, "PAUSED"),
    _Fate(5, "WITH_ISSUES"),
)
"""Fates by turns, so that any ten consecutive ads show all of them."""

_AD_NAMES = (
    "Hook A | 15s | warm",
    "Größenvergleich: Überraschung",
    "Robert'); DROP TABLE ad_actuals;--",
    "\N{FIRE} Sale \N{FIRE} 50 % off \N{SHOPPING TROLLEY}",
    "She said \"buy\", he said 'no'",
    "\u202eעברית / العربية\u202c",  # noqa: RUF001 - right to left, on purpose
    "<script>alert('ad')</script>",
    '=HYPERLINK("http://example.invalid","x")',
    "line one\nline two\tand a tab",
    "日本語の広告 \N{PARTY POPPER}",
    "  spaces kept  ",
    "back\\slash %s {braces} ${dollar}",
)


_LIFE_DAYS = 120
"""Days for which a campaign with a budget for its life runs."""


@dataclass(frozen=True, eq=False)
class Ad:
    """An ad with everything that never changes about it."""

    account_id: str
    ad_id: str
    name: str
    adset_id: str
    adset_name: str
    campaign_id: str
    campaign_name: str
    creative_id: str
    video_id: str
    rendition_id: str
    created_at: datetime
    launch_day: date
    fate: _Fate
    rates: AdRates
    history: History

    @cached_property
    def product_video_id(self) -> UUID:
        """The id under which the product knows the ad's video."""
        return uuid5(NAMESPACE_URL, f"graph-stand-in/ad/{self.ad_id}")

    def status(self, today: date) -> str:
        """Effective status on the account's calendar day `today`."""
        if self.fate.n_days == 0:
            return self.fate.status_after
        if today < self.launch_day:
            return "PENDING_REVIEW"
        is_over = today >= self.launch_day + timedelta(days=self.fate.n_days)
        return self.fate.status_after if is_over else "ACTIVE"


class AdAccount:
    """One account of the world and the ads in it, invented as the clock reaches them."""

    def __init__(self, plan: AccountPlan, *, seed: int, now: datetime, history_days: int) -> None:
        self.plan = plan
        self.zone: ZoneInfo = time_zone(plan.time_zone)
        self.minor_digits = 0 if plan.currency in CURRENCIES_WITHOUT_MINOR_UNIT else 2
        self._seed = seed
        self._history_days = history_days
        oldest = report_day(now, self.zone).toordinal() - history_days + 1
        self._next_index = (oldest - 1) * plan.ads // history_days + 1
        self._ads: list[Ad] = []
        digest = sha256(f"{seed}/{plan.account_id}".encode()).digest()
        self._id_digits = f"{int.from_bytes(digest[:6]) % 10**6:06d}"

    @property
    def account_id(self) -> str:
        """The account's id, bare digits."""
        return self.plan.account_id

    def money(self, minor: int) -> Decimal:
        """`minor` units as an amount in the account's currency."""
        return Decimal(minor).scaleb(-self.minor_digits)

    def ads(self, as_of: datetime) -> Sequence[Ad]:
        """The ads created by `as_of`, oldest first."""
        # An ad is created at most two days before it launches.
        horizon = report_day(as_of, self.zone) + timedelta(days=3)
        while self.plan.ads and self._launch_day(self._next_index) <= horizon:
            self._ads.append(self._invent(self._next_index))
            self._next_index += 1
        return [ad for ad in self._ads if ad.created_at <= as_of]

    def _launch_day(self, index: int) -> date:
        return date.fromordinal(-(-index * self._history_days // self.plan.ads))

    def _id(self, kind: int, index: int) -> str:
        # Eighteen digits, past the 2**53 up to which a float keeps an id whole.
        return f"12{kind:02d}{self._id_digits}{index:08d}"

    def _invent(self, index: int) -> Ad:
        random = Random(f"{self._seed}/{self.account_id}/{index}")  # noqa: S311 - invented data
        launch_day = self._launch_day(index)
        fate = _FATES[index % len(_FATES)]
        rates = self._rates(random)
        adset, campaign = index // 4, index // 8
        return Ad(
            account_id=self.account_id,
            ad_id=self._id(3, index),
            name=f"{_AD_NAMES[index % len(_AD_NAMES)]} #{index}",
            adset_id=self._id(2, adset),
            adset_name=f"Broad 25-54 / {adset}",
            campaign_id=self._id(1, campaign),
            campaign_name=f"Stand-in prospecting «{campaign}»",
            creative_id=self._id(4, index),
            video_id=self._id(5, index),
            # The published post's rendition is another video than the uploaded one for some ads.
            rendition_id=self._id(6 if index % 3 == 0 else 5, index),
            created_at=day_start(launch_day, self.zone)
            - timedelta(seconds=round(random.uniform(2, 40) * 3600)),
            launch_day=launch_day,
            fate=fate,
            rates=rates,
            history=History(
                rates, first_day=launch_day, n_days=fate.n_days, zone=self.zone, random=random
            ),
        )

    def _rates(self, random: Random) -> AdRates:
        euro = UNITS_PER_EURO.get(self.plan.currency, 1.0) * 10**self.minor_digits
        return AdRates(
            daily_impressions=4000 * random.lognormvariate(0, 0.5),
            click_rate=min(0.06, 0.016 * random.lognormvariate(0, 0.35)),
            link_share=random.uniform(0.6, 0.85),
            purchase_rate=random.uniform(0.02, 0.05),
            order_value=70 * euro * random.lognormvariate(0, 0.25),
            cpm=9 * euro * random.lognormvariate(0, 0.2),
            frequency=random.uniform(1.1, 1.9),
        )


class World:
    """Ad accounts with a past, a clock, and the truth about them.

    `now` must be aware and can only be moved forward.  `daily_budgets` sets those of some campaigns
    and ad sets, in minor units.  `deleted_in_lists` says whether a list of
    ads holds deleted ones when a filter names that status; Meta's own documentation says both.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        now: datetime,
        accounts: Sequence[AccountPlan] = DEMO_ACCOUNTS,
        history_days: int = 60,
        deleted_in_lists: bool = True,
    ) -> None:
        self._now = _aware(now)
        self._seed = seed
        self.daily_budgets: dict[str, int] = {}
        self.deleted_in_lists = deleted_in_lists
        self._accounts = {
            plan.account_id: AdAccount(plan, seed=seed, now=self._now, history_days=history_days)
            for plan in accounts
        }
        # Ads and days are invented on first use, from the server's thread and from the caller's.
        self._lock = threading.RLock()

    @property
    def now(self) -> datetime:
        """The world's clock, in UTC."""
        return self._now

    @now.setter
    def now(self, instant: datetime) -> None:
        if _aware(instant) < self._now:
            raise ValueError(f"the stand-in's clock cannot go back from {self._now} to {instant}")
        self._now = _aware(instant)

    @property
    def account_ids(self) -> tuple[str, ...]:
        """The ids of all accounts, bare digits."""
        return tuple(self._accounts)

    @property
    def accounts(self) -> Mapping[str, AdAccount]:
        """The accounts by id."""
        return MappingProxyType(self._accounts)

    def today(self, account_id: str, as_of: datetime | None = None) -> date:
        """The account's calendar day at `as_of` (now by default)."""
        return report_day(as_of or self._now, self._accounts[account_id].zone)

    def ads(self, account_id: str, as_of: datetime | None = None) -> Sequence[Ad]:
        """The account's ads created by `as_of` (now by default), deleted ones included."""
        with self._lock:
            return self._accounts[account_id].ads(as_of or self._now)

    def find(self, object_id: str) -> tuple[NodeKind, list[Ad]] | None:
        """What kind of thing `object_id` is and the ads that belong to it; None for unknown."""
        for account_id in self._accounts:
            ads = self.ads(account_id)
            for kind, ids_of in _NODE_IDS:
                found = [ad for ad in ads if object_id in ids_of(ad)]
                if found:
                    return kind, found
        return None

    def days(
        self, ad: Ad, window: DayWindow, as_of: datetime | None = None
    ) -> list[tuple[date, Figures]]:
        """The ad's days in `window` with anything to report, in order."""
        with self._lock:
            return list(ad.history.days(window, as_of or self._now))

    def truth(self, account_id: str, window: DayWindow) -> list[dict[str, Any]]:
        """Exact figures as of now, one row per ad and day that Meta has anything to say about.

        Archived and deleted ads and days with nothing but purchases are included, also a day whose
        only purchases lie outside the ad sets' attribution setting (0 conversions).  An account's
        total for a day is the sum of its rows, except for `reach`.
        """
        account = self._accounts[account_id]
        return [
            _truth_row(account, ad, day, figures)
            for ad in self.ads(account_id)
            for day, figures in self.days(ad, window)
        ]

    def budget(self, kind: NodeKind, ads: Sequence[Ad]) -> InventedBudget:
        """The budget of the campaign or ad set of these ads, such as they might need together.

        Every other campaign has one of its own, of which every other one is for its life; the ad
        sets of the others have one each.  One in seven is too small for what its ads spend.
        """
        account, first = self._accounts[ads[0].account_id], ads[0]
        number = int(getattr(first, f"{kind}_id")[-8:])
        is_whole = int(first.campaign_id[-8:]) % 2 == 0
        begins = day_start(min(ad.launch_day for ad in ads), account.zone)
        active = [ad for ad in ads if ad.status(self.today(first.account_id)) == "ACTIVE"]
        starts_and_runs = (begins, None, bool(active))
        object_id = getattr(first, f"{kind}_id")
        if object_id in self.daily_budgets:
            return InventedBudget(self.daily_budgets[object_id], None, *starts_and_runs)
        if is_whole != (kind == "campaign"):
            return InventedBudget(None, None, *starts_and_runs)
        share = 0.4 if number % 7 == 3 else 1.1
        day = share * sum(ad.rates.daily_impressions * ad.rates.cpm / 1000 for ad in active)
        unit = 5 * 10**account.minor_digits
        daily = math.ceil(day / unit) * unit or unit
        if is_whole and number % 4 == 2:
            ends = begins + timedelta(days=_LIFE_DAYS)
            return InventedBudget(None, daily * _LIFE_DAYS, begins, ends, bool(active))
        return InventedBudget(daily, None, *starts_and_runs)

    def videos(self) -> list[dict[str, Any]]:
        """The product's `videos` rows: one per ad, created shortly before its first delivery."""
        return [
            {
                "id": str(ad.product_video_id),
                "title": f"Stand-in video {ad.name}",
                "meta_platform_id": ad.ad_id,
                "created_at": ad.created_at,
                "campaign_id": str(uuid5(NAMESPACE_URL, f"graph-stand-in/{ad.campaign_id}")),
                "status": "published",
            }
            for ad in self._all_ads()
        ]

    def predictions(self) -> list[dict[str, Any]]:
        """The product's `predictions` rows logged by now: two model versions, the second better.

        `predicted_ctr` is a fraction.  One ad in nine has none; for one in eleven they were logged
        two days after the first delivery, when the model could have seen the outcome.
        """
        return [row for ad in self._all_ads() for row in self._predicted(ad)]

    def _predicted(self, ad: Ad) -> Iterator[dict[str, Any]]:
        index = int(ad.ad_id[-8:])
        if index % 9 == 4:
            return
        logged_at = ad.created_at + timedelta(minutes=7)
        if index % 11 == 6:
            noon = datetime.combine(ad.launch_day + timedelta(days=2), time(12), tzinfo=UTC)
            logged_at = noon
        if logged_at > self._now:
            return
        for version, spread in (("1", 0.22), ("2", 0.08)):
            random = Random(f"{self._seed}/{ad.ad_id}/{version}")  # noqa: S311 - invented data
            yield {
                "id": str(uuid5(ad.product_video_id, f"creative_ranker/{version}")),
                "video_id": str(ad.product_video_id),
                "model_name": "creative_ranker",
                "model_version": version,
                "predicted_ctr": round(ad.rates.click_rate * random.lognormvariate(0, spread), 6),
                "predicted_roas": round(ad.rates.roas * random.lognormvariate(0, 1.5 * spread), 4),
                "logged_at": logged_at,
            }

    def _all_ads(self) -> list[Ad]:
        return [ad for account_id in self._accounts for ad in self.ads(account_id)]


def _truth_row(account: AdAccount, ad: Ad, day: date, figures: Figures) -> dict[str, Any]:
    conversions, revenue = figures.purchased("value")
    return {
        "account_id": account.account_id,
        "ad_id": ad.ad_id,
        "report_date": day,
        "currency": account.plan.currency,
        "impressions": figures.impressions,
        "clicks": figures.clicks,
        "link_clicks": figures.link_clicks,
        "reach": figures.reach,
        "spend": account.money(figures.spend_minor),
        "conversions": conversions,
        "revenue": account.money(revenue),
    }


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("a naive datetime names no instant")
    return instant.astimezone(UTC)


_NODE_IDS: tuple[tuple[NodeKind, Callable[[Ad], tuple[str, ...]]], ...] = (
    ("ad", lambda ad: (ad.ad_id,)),
    ("adset", lambda ad: (ad.adset_id,)),
    ("campaign", lambda ad: (ad.campaign_id,)),
    ("creative", lambda ad: (ad.creative_id,)),
    ("video", lambda ad: (ad.video_id, ad.rendition_id)),
)
