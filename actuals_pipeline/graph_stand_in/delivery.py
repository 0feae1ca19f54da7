"""One invented ad's life: what it delivered each day, and which purchases followed.

A purchase happens up to 28 days after its click and is reported up to another 28 days later, so a
past day goes on changing until it is 28 days old, as at Meta.  Web purchases belong to the day of
the purchase, purchases on Meta itself to the day of the click.

Everything is a pure function of the ad's rates, its random generator and the instant asked about.
Money is held in whole minor units of the account's currency.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow, day_start, report_day

Channel = Literal["web", "on_meta"]

VIDEO_SHARES = MappingProxyType(
    {
        "video_play_actions": 0.82,
        "video_view": 0.38,
        "video_continuous_2_sec_watched_actions": 0.45,
        "video_p25_watched_actions": 0.30,
        "video_p50_watched_actions": 0.19,
        "video_p75_watched_actions": 0.12,
        "video_p95_watched_actions": 0.08,
        "video_p100_watched_actions": 0.07,
        "video_thruplay_watched_actions": 0.11,
        "video_30_sec_watched_actions": 0.06,
    }
)
"""Share of impressions that reach each step of a video; chosen, not measured."""

AD_SET_SETTING = ("7d_click", "1d_view")
"""The attribution setting of every ad set here; a purchase in neither has no `value`."""

ATTRIBUTED_SHARE = 0.89
"""Expected share of purchases inside `AD_SET_SETTING`, given the delays of `_delay`."""


@dataclass(frozen=True, slots=True)
class AdRates:
    """The true rates behind an ad, which its daily figures scatter around.

    `click_rate`, `link_share` and `purchase_rate` are fractions (of impressions, of clicks, of
    link clicks); `order_value` and `cpm` are in minor units, `frequency` in impressions a person.
    """

    daily_impressions: float
    click_rate: float
    link_share: float
    purchase_rate: float
    order_value: float
    cpm: float
    frequency: float

    @property
    def roas(self) -> float:
        """Expected attributed revenue per unit of spend, once every purchase is known."""
        purchases = self.click_rate * self.link_share * self.purchase_rate * ATTRIBUTED_SHARE
        return 1000 * purchases * self.order_value / self.cpm


class Purchase(NamedTuple):
    """One purchase that some click or view led to.

    `windows` are the attribution windows that hold it, and `value` when the ad set's own setting
    does; `known_at` is when the API first counts it.
    """

    known_at: datetime
    minor: int
    channel: Channel
    windows: tuple[str, ...]


class Tally(NamedTuple):
    """A number of purchases and their value in minor units."""

    n: int
    minor: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What one ad, or several together, show for one day or several."""

    impressions: int = 0
    clicks: int = 0
    link_clicks: int = 0
    spend_minor: int = 0
    reach_sum: int = 0
    reach_most: int = 0
    video: tuple[int, ...] = (0,) * len(VIDEO_SHARES)
    purchases: Mapping[tuple[Channel, str], Tally] = field(default_factory=dict)

    def __add__(self, other: Figures) -> Figures:
        purchases = dict(self.purchases)
        for key, tally in other.purchases.items():
            known = purchases.get(key, Tally(0, 0))
            purchases[key] = Tally(known.n + tally.n, known.minor + tally.minor)
        return Figures(
            self.impressions + other.impressions,
            self.clicks + other.clicks,
            self.link_clicks + other.link_clicks,
            self.spend_minor + other.spend_minor,
            self.reach_sum + other.reach_sum,
            max(self.reach_most, other.reach_most),
            tuple(map(int.__add__, self.video, other.video)),
            purchases,
        )

    @property
    def reach(self) -> int:
        """People reached, each counted once: never more than the parts' sum, never less than one.

        The overlap is a fixed 40 % of all but the largest part; Meta's is unknown.
        """
        return self.reach_most + (self.reach_sum - self.reach_most) * 6 // 10

    def purchased(self, window: str, channels: tuple[Channel, ...] = ("web", "on_meta")) -> Tally:
        """Purchases inside `window` (or `value`), on `channels`."""
        n = minor = 0
        for channel in channels:
            tally = self.purchases.get((channel, window))
            if tally:
                n, minor = n + tally.n, minor + tally.minor
        return Tally(n, minor)

    def shows(self, windows: tuple[str, ...]) -> bool:
        """Whether Meta would give a row to somebody who asked for `windows`."""
        if self.impressions or self.spend_minor or self.clicks:
            return True
        return any(window in windows or window == "value" for _, window in self.purchases)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What an ad delivers on one day by the time the day is over."""

    begins: datetime
    ends: datetime
    impressions: int
    clicks: int
    link_clicks: int
    reach: int
    spend_minor: int

    def by(self, as_of: datetime) -> Figures:
        """The part delivered by `as_of`: the elapsed share of the day, rounded down."""
        length = int((self.ends - self.begins).total_seconds())
        elapsed = min(max(int((as_of - self.begins).total_seconds()), 0), length)
        impressions = self.impressions * elapsed // length
        reach = self.reach * elapsed // length
        return Figures(
            impressions,
            self.clicks * elapsed // length,
            self.link_clicks * elapsed // length,
            self.spend_minor * elapsed // length,
            reach,
            reach,
            tuple(int(impressions * share) for share in VIDEO_SHARES.values()),
        )


class History:
    """The days of one ad, built in order when they are first asked for and then kept."""

    def __init__(
        self, rates: AdRates, *, first_day: date, n_days: int, zone: ZoneInfo, random: Random
    ) -> None:
        self._rates = rates
        self._zone = zone
        self._random = random
        self._first_day = first_day
        self._next_day = first_day
        self._end = first_day + timedelta(days=n_days)
        self._deliveries: dict[date, _Delivery] = {}
        self._purchases: dict[date, list[Purchase]] = {}
        # A day's last word and the instant from which it holds; an earlier `as_of` must not see it.
        self._finished: dict[date, tuple[datetime, Figures]] = {}

    def days(self, window: DayWindow, as_of: datetime) -> Iterator[tuple[date, Figures]]:
        """The days of `window` with anything to report as of `as_of`, in order."""
        last = min(window.until, report_day(as_of, self._zone))
        self._build(last)
        day = max(window.since, self._first_day)
        while day <= last:
            finished_at, figures = self._finished.get(day, (None, None))
            if finished_at is None or as_of < finished_at:
                figures = self._figures(day, as_of)
            if figures:
                yield day, figures
            day += timedelta(days=1)

    def _figures(self, day: date, as_of: datetime) -> Figures | None:
        delivery, purchases = self._deliveries.get(day), self._purchases.get(day, ())
        if not delivery and not purchases:
            return None
        known = [purchase for purchase in purchases if purchase.known_at <= as_of]
        delivered = delivery.by(as_of) if delivery else Figures()
        figures = delivered + Figures(purchases=_tallied(known)) if known else delivered
        ends = [delivery.ends] if delivery else []
        finished_at = max(ends + [purchase.known_at for purchase in purchases])
        if as_of >= finished_at:
            self._finished[day] = finished_at, figures
        return figures if figures.impressions or figures.spend_minor or known else None

    def _build(self, last: date) -> None:
        while self._next_day <= last and self._next_day < self._end:
            self._build_day(self._next_day)
            self._next_day += timedelta(days=1)

    def _build_day(self, day: date) -> None:
        random, rates = self._random, self._rates
        # One day in twelve the auction gives nothing, but never the first: it is the launch.
        if day != self._first_day and random.random() < 1 / 12:
            return
        impressions = max(200, round(rates.daily_impressions * random.lognormvariate(0, 0.25)))
        clicks = _binomial(random, impressions, rates.click_rate * random.lognormvariate(0, 0.06))
        link_clicks = _binomial(random, clicks, rates.link_share)
        delivery = _Delivery(
            begins=day_start(day, self._zone),
            ends=day_start(day + timedelta(days=1), self._zone),
            impressions=impressions,
            clicks=clicks,
            link_clicks=link_clicks,
            reach=round(impressions / (rates.frequency * random.uniform(1, 1.15))),
            spend_minor=round(impressions * rates.cpm * random.lognormvariate(0, 0.08) / 1000),
        )
        self._deliveries[day] = delivery
        for _ in range(_poisson(random, link_clicks * rates.purchase_rate)):
            self._purchase(day, delivery)

    def _purchase(self, click_day: date, delivery: _Delivery) -> None:
        random = self._random
        channel: Channel = "on_meta" if random.random() < 0.08 else "web"
        delay, windows = _delay(random, channel)
        converted_at = delivery.begins + random.random() * (delivery.ends - delivery.begins) + delay
        day = report_day(converted_at, self._zone) if channel == "web" else click_day
        settled_at = day_start(day, self._zone) + timedelta(days=SETTLED_AFTER_DAYS)
        known_at = min(converted_at + _reporting_lag(random), settled_at)
        minor = max(1, round(self._rates.order_value * random.lognormvariate(-0.08, 0.4)))
        purchase = Purchase(known_at.astimezone(UTC), minor, channel, windows)
        self._purchases.setdefault(day, []).append(purchase)


def _delay(random: Random, channel: Channel) -> tuple[timedelta, tuple[str, ...]]:
    """How long after the click (or view) somebody buys, and the windows that hold it."""
    chance = random.random()
    within_a_day = timedelta(hours=24 * random.random())
    if chance < 0.08:
        return within_a_day, ("value", "1d_view")
    if chance < 0.10:
        return within_a_day, ("1d_ev",)
    if chance < 0.55 or channel == "on_meta":
        return within_a_day, ("value", "1d_click", "7d_click", "28d_click")
    if chance < 0.91:
        return timedelta(days=random.uniform(1, 7)), ("value", "7d_click", "28d_click")
    return timedelta(days=random.uniform(7, 28)), ("28d_click",)


def _reporting_lag(random: Random) -> timedelta:
    chance = random.random()
    if chance < 0.70:
        return timedelta(hours=random.uniform(0.2, 24))
    if chance < 0.92:
        return timedelta(hours=random.uniform(24, 72))
    return timedelta(days=random.uniform(3, 28))


def _tallied(purchases: list[Purchase]) -> dict[tuple[Channel, str], Tally]:
    tallies: dict[tuple[Channel, str], Tally] = {}
    for purchase in purchases:
        for window in purchase.windows:
            count, minor = tallies.get((purchase.channel, window), (0, 0))
            tallies[purchase.channel, window] = Tally(count + 1, minor + purchase.minor)
    return tallies


def _binomial(random: Random, n: int, share: float) -> int:
    """About binomial: the normal approximation, which is exact enough at thousands of trials."""
    spread = math.sqrt(n * share * (1 - share))
    return min(n, max(0, round(random.gauss(n * share, spread))))


def _poisson(random: Random, mean: float) -> int:
    """Poisson by counting (Knuth); `mean` stays small here, so the loop stays short."""
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count
