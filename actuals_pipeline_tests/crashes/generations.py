"""What may be stored after a crash: for each account's day, what Meta said at one instant.

A generation is the truth of the world while its clock stood still; a fetch carries its clock's
instant, which names the generation: the newest that had begun by then.  `Generations.broken_laws`
looks at a database and says which account-days are not what they may be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, LiteralString

import psycopg

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow

AccountDay = tuple[str, date]
Facts = tuple[Any, ...]
ByAd = dict[str, Facts]

COUNTED = ("impressions", "clicks", "link_clicks", "spend", "conversions", "revenue")
"""The figures by which one generation is told from another, in the order of `Facts`."""

SUMMED = ("impressions", "clicks", "spend", "conversions", "revenue")

_RAW: LiteralString = """
SELECT account_id, report_date, ad_id,
    coalesce((payload ->> 'impressions')::bigint, 0), coalesce((payload ->> 'clicks')::bigint, 0),
    coalesce((payload ->> 'spend')::numeric, 0)
FROM actuals.raw_meta_insights
"""
_ACTUALS: LiteralString = """
SELECT account_id, report_date, ad_id,
    impressions, clicks, link_clicks, spend, conversions, revenue
FROM actuals.ad_actuals
"""
_TOTALS: LiteralString = """
SELECT account_id, report_date, fetched_at, impressions, clicks, spend, conversions, revenue
FROM actuals.meta_account_totals
"""
_VERDICTS: LiteralString = """
SELECT account_id, report_date, verdict, ads_spend, meta_spend, n_ads
FROM actuals.spend_reconciliation
"""
_NEWEST_REVISIONS_WITHOUT_ACTUAL: LiteralString = """
WITH known AS (SELECT * FROM actuals.ad_actuals_as_of('2999-01-01')),
revised AS (
    SELECT account_id, report_date, ad_id, currency, attribution_setting, purchase_action_type,
        impressions, clicks, link_clicks, reach, spend, conversions, revenue
    FROM known
),
stands AS (
    SELECT account_id, report_date, ad_id, currency, attribution_setting, purchase_action_type,
        impressions, clicks, link_clicks, reach, spend, conversions, revenue
    FROM actuals.ad_actuals
)
SELECT 'a revision without its actual', * FROM (TABLE revised EXCEPT TABLE stands) AS alone
UNION ALL
SELECT 'an actual without its revision', * FROM (TABLE stands EXCEPT TABLE revised) AS alone
"""
_LOGGED_BUT_NOT_STORED: LiteralString = """
SELECT log.account_id, day::date
FROM actuals.fetch_log AS log
CROSS JOIN generate_series(log.since, log.until, interval '1 day') AS day
LEFT JOIN actuals.meta_account_totals AS total
    ON total.account_id = log.account_id AND total.report_date = day::date
    AND total.fetched_at >= log.started_at
WHERE log.outcome = 'complete' AND total.account_id IS NULL
    -- Today here, tomorrow there: a day that had not begun was not fetched.
    AND day::date < (log.started_at AT TIME ZONE 'UTC')::date
"""


class Generations:
    """Every truth that `world` has had, on the days that somebody was told to fetch."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[datetime, dict[AccountDay, ByAd]] = {}
        # The generation at which each account's day stood in `ad_actuals` when last looked at.
        self._stood: dict[AccountDay, datetime] = {}
        self._fetched: dict[AccountDay, datetime] = {}
        self._believed: dict[tuple[str, date], str] = {}

    def remember(self, window: DayWindow) -> None:
        """Note what is true of `window` now; a run over it may be started after that."""
        known = self._known.setdefault(self._world.now, {})
        for account_id in self._world.account_ids:
            days = window.clipped(until=self._world.today(account_id))
            truth: dict[date, ByAd] = {day: {} for day in days or ()}
            for row in self._world.truth(account_id, window):
                truth[row["report_date"]][row["ad_id"]] = tuple(row[name] for name in COUNTED)
            known |= {(account_id, day): by_ad for day, by_ad in truth.items()}

    def broken_laws(self, database: str) -> list[str]:
        """A sentence for each account-day that is not what it may be after the last look."""
        with psycopg.connect(database) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            raw = _by_account_day(connection.execute(_RAW))
            actuals = _by_account_day(connection.execute(_ACTUALS))
            totals = {(row[0], row[1]): row[2:] for row in connection.execute(_TOTALS)}
            verdicts = {(row[0], row[1]): row[2:] for row in connection.execute(_VERDICTS)}
            return [
                *self._torn_fetches(raw, totals),
                *self._torn_actuals(actuals, totals),
                *self._wrong_verdicts(verdicts, totals),
                *(
                    " ".join(map(str, row))
                    for row in connection.execute(_NEWEST_REVISIONS_WITHOUT_ACTUAL)
                ),
                *(
                    f"{row}: logged as fetched, but not stored"
                    for row in connection.execute(_LOGGED_BUT_NOT_STORED)
                ),
            ]

    def behind(self, database: str, window: DayWindow) -> list[str]:
        """A sentence for each account-day of `window` that is not what is true now."""
        with psycopg.connect(database) as connection:
            actuals = _by_account_day(connection.execute(_ACTUALS))
            totals = {(row[0], row[1]): row[2] for row in connection.execute(_TOTALS)}
            verdicts = {(row[0], row[1]): row[2] for row in connection.execute(_VERDICTS)}
        truth = {
            account_day: by_ad
            for account_day, by_ad in self._known[self._world.now].items()
            if account_day[1] in window
        }
        assert truth
        return [
            f"{account_day}: {account_day in totals}, {verdicts.get(account_day)}"
            for account_day, by_ad in truth.items()
            if (actuals.get(account_day, {}), account_day in totals, verdicts.get(account_day))
            != (by_ad, True, "exact")
        ]

    def believe(self, database: str) -> None:
        """Note what is stored now as what is known at the end of this day, until called again."""
        with psycopg.connect(database) as connection:
            stored = _by_account(connection.execute(_ACTUALS))
        for account_id in self._world.account_ids:
            known_on = self._world.today(account_id)
            self._believed[account_id, known_on] = _digest(stored.get(account_id, []))

    def forgotten(self, database: str) -> list[str]:
        """The accounts and days of which `ad_actuals_as_of` does not say what was stored then."""
        query: LiteralString = """
            SELECT account_id, report_date, ad_id,
                impressions, clicks, link_clicks, spend, conversions, revenue
            FROM actuals.ad_actuals_as_of(%s)
        """
        wrong = []
        with psycopg.connect(database) as connection:
            for day in sorted({day for _, day in self._believed}):
                known = _by_account(connection.execute(query, [day]))
                wrong += [
                    f"{account_id} as of {day}"
                    for account_id in self._world.account_ids
                    if (account_id, day) in self._believed
                    and _digest(known.get(account_id, [])) != self._believed[account_id, day]
                ]
        return wrong

    def _torn_fetches(
        self, raw: dict[AccountDay, ByAd], totals: dict[AccountDay, Facts]
    ) -> Iterator[str]:
        """Rows and totals are both of the generation that the total was fetched at."""
        for account_day in raw.keys() - totals.keys():
            yield f"{account_day}: rows without a total"
        for account_day, (fetched_at, *told) in totals.items():
            by_ad = self._said(account_day, fetched_at)
            if by_ad is None:
                yield f"{account_day}: fetched at {fetched_at}, when nobody was told to"
                continue
            if fetched_at < self._fetched.get(account_day, fetched_at):
                yield f"{account_day}: fetched at {fetched_at}, but a newer fetch was stored before"
            self._fetched[account_day] = fetched_at
            if told != _sums(by_ad, SUMMED):
                yield f"{account_day}: its total is not what Meta said at {fetched_at}"
            if raw.get(account_day, {}) != _pick(by_ad, ("impressions", "clicks", "spend")):
                yield f"{account_day}: its rows are not what Meta said at {fetched_at}"

    def _said(self, account_day: AccountDay, instant: datetime) -> ByAd | None:
        """What Meta said of it at an instant; None if nobody was told to fetch it then."""
        begun = [since for since in self._known if since <= instant]
        return self._known[max(begun)].get(account_day) if begun else None

    def _torn_actuals(
        self, actuals: dict[AccountDay, ByAd], totals: dict[AccountDay, Facts]
    ) -> Iterator[str]:
        """The figures are of one generation, no older than before and no newer than fetched."""
        for account_day in actuals.keys() - totals.keys():
            yield f"{account_day}: figures of a day that was never fetched"
        # A day of which nothing stands any more is looked at too.
        for account_day in actuals.keys() | self._stood.keys():
            by_ad = actuals.get(account_day, {})
            instants = [
                instant for instant, truth in self._known.items() if truth.get(account_day) == by_ad
            ]
            if not instants:
                yield f"{account_day}: its figures are what Meta never said at one instant"
                continue
            newest = max(instants)
            if newest < self._stood.get(account_day, newest):
                yield f"{account_day}: older figures have come back"
            self._stood[account_day] = newest

    def _wrong_verdicts(
        self, verdicts: dict[AccountDay, Facts], totals: dict[AccountDay, Facts]
    ) -> Iterator[str]:
        """In this world every day adds up, so a verdict that says otherwise mixed generations."""
        for account_day, (verdict, ads_spend, meta_spend, n_ads) in verdicts.items():
            said = (ads_spend, meta_spend, n_ads)
            possible = [
                (*_sums(by_ad, ("spend",)) * 2, len(by_ad))
                for truth in self._known.values()
                if (by_ad := truth.get(account_day)) is not None
            ]
            if account_day not in totals or verdict != "exact" or said not in possible:
                yield f"{account_day}: {verdict}, {said}, of {len(possible)} generations"


def _by_account_day(rows: Iterable[Facts]) -> dict[AccountDay, ByAd]:
    found: dict[AccountDay, ByAd] = defaultdict(dict)
    for account_id, day, ad_id, *facts in rows:
        assert ad_id not in found[account_id, day], "a row comes twice"
        found[account_id, day][ad_id] = tuple(facts)
    return dict(found)


def _by_account(rows: Iterable[Facts]) -> dict[str, list[Facts]]:
    found: dict[str, list[Facts]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row[1:])
    return found


def _digest(rows: list[Facts]) -> str:
    """Short for the rows, whatever their order and the way in which their numbers are written."""
    plain = sorted(
        [str(value.normalize()) if isinstance(value, Decimal) else str(value) for value in row]
        for row in rows
    )
    return sha256(repr(plain).encode()).hexdigest()


def _pick(by_ad: ByAd, names: tuple[str, ...]) -> ByAd:
    places = [COUNTED.index(name) for name in names]
    return {ad_id: tuple(facts[place] for place in places) for ad_id, facts in by_ad.items()}


def _sums(by_ad: ByAd, names: tuple[str, ...]) -> list[Any]:
    picked = _pick(by_ad, names).values()
    return [sum((facts[place] for facts in picked), 0) for place in range(len(names))]
