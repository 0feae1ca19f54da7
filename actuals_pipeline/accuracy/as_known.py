"""What was known of each ad, and when: revisions turned into changes that can be summed.

`ad_actuals_revisions` says of each ad and report day what came to be known on which day.  Summing
by how much each revision differs from the one before it gives, up to any day, the totals as they
were known at that day's end.  The database does the same sums (`warehouse/history.py`), so that a
long past need not be read; this is their definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Positions, ordinals
from actuals_pipeline.accuracy.contract import KNOWN_CHANGES, KNOWN_DAYS, REVISIONS
from actuals_pipeline.frames import check_frame, conform, empty_frame
from actuals_pipeline.money import ZERO, exact_arithmetic
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS

_AD_DAY = ["account_id", "ad_id", "report_date"]
_KEY = list(KNOWN_CHANGES.key)
_COUNTS = ["impressions", "clicks", "conversions"]
_MONEY = ["spend", "revenue"]
_BECOMES_SETTLED = timedelta(days=SETTLED_AFTER_DAYS + 1)


def changes_of(
    revisions: pd.DataFrame, seen_since: Mapping[str, date] | None = None
) -> pd.DataFrame:
    """The KNOWN_CHANGES frame of a REVISIONS frame, by key.

    Two ledgers in one: what was known on each day, and, for the accounts of `seen_since`, the
    earliest known figures of each report day as if they had been known on that day itself, for
    as-of days before the account was first seen.  A day once shown counts as shown: Meta takes
    back some impressions of a day, not all.  `FrameMismatch` for a broken contract.
    """
    check_frame(revisions, REVISIONS, exact=False)
    ordered = revisions.sort_values([*_AD_DAY, "as_of_date"], ignore_index=True)
    earliest = ordered.drop_duplicates(_AD_DAY)
    earliest = earliest[earliest["account_id"].isin(list(seen_since or {}))]
    return pd.concat(
        [
            _ledger(_differences(ordered), "as_of_date", is_reconstructed=False),
            _ledger(earliest, "report_date", is_reconstructed=True),
        ],
        ignore_index=True,
    )


def _differences(ordered: pd.DataFrame) -> pd.DataFrame:
    """Each revision less the one before it of the same ad-day."""
    before = ordered.groupby(_AD_DAY)[[*_COUNTS, *_MONEY]].shift()
    with exact_arithmetic():
        return ordered.assign(
            **{name: ordered[name] - before[name].fillna(0).astype("int64") for name in _COUNTS},
            **{
                name: ordered[name] - before[name].where(before[name].notna(), ZERO)
                for name in _MONEY
            },
            is_shown=ordered["impressions"] > 0,
        )


def _ledger(changes: pd.DataFrame, known_on: str, *, is_reconstructed: bool) -> pd.DataFrame:
    """The changes of each ad by the day on which they are known, settling spend a row apart."""
    if changes.empty:
        return empty_frame(KNOWN_CHANGES)
    is_shown = changes.get("is_shown", changes["impressions"] > 0)
    shown_on = changes["report_date"].map(date.toordinal).astype("float64").where(is_shown)
    nothing = pd.Series([ZERO] * len(changes), index=changes.index, dtype=object)
    known = changes.assign(
        known_on=changes[known_on],
        settled_spend=nothing,
        first_shown_on=shown_on,
        last_shown_on=shown_on,
    )
    settles_on = changes["report_date"] + _BECOMES_SETTLED
    settling = known.assign(
        known_on=settles_on.where(settles_on > known["known_on"], known["known_on"]),
        settled_spend=changes["spend"],
        first_shown_on=np.nan,
        last_shown_on=np.nan,
        **dict.fromkeys(_COUNTS, 0),
        **dict.fromkeys(_MONEY, nothing),
    )
    rows = pd.concat([known, settling], ignore_index=True)
    rows = rows.assign(is_reconstructed=is_reconstructed)
    with exact_arithmetic():
        sums = rows.groupby(_KEY)[[*_COUNTS, *_MONEY, "settled_spend"]].sum()
    rest = rows.groupby(_KEY).agg(
        currency=("currency", "last"),
        first_shown_on=("first_shown_on", "min"),
        last_shown_on=("last_shown_on", "max"),
    )
    by_key = sums.join(rest).reset_index()
    days = {name: _days(by_key[name]) for name in ("first_shown_on", "last_shown_on")}
    return conform(by_key.assign(**days), KNOWN_CHANGES)


def _days(ordinals: pd.Series[float]) -> pd.Series[Any]:
    days = [None if np.isnan(each) else date.fromordinal(int(each)) for each in ordinals]
    return pd.Series(days, index=ordinals.index, dtype=object)


def _local_ordinals(instants: pd.Series[Any], zone: str) -> Positions:
    """The number of the day on which each instant falls in `zone`."""
    local = instants.dt.tz_convert(zone).dt.tz_localize(None).to_numpy()
    days: Positions = local.astype("datetime64[D]").astype(np.int64)
    return days + date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Which report days of each account are known whole, and since when."""

    by_account: Mapping[str, tuple[Positions, Positions]] | None
    """Report days and the days they are known since, both ordinals; None: all days, at once."""
    time_zones: Mapping[str, str]
    default_zone: str

    @classmethod
    def of(
        cls, known_days: pd.DataFrame | None, time_zones: Mapping[str, str], default_zone: str
    ) -> Knowledge:
        """The knowledge of a KNOWN_DAYS frame; of none, everything is known."""
        if known_days is None:
            return cls(None, time_zones, default_zone)
        check_frame(known_days, KNOWN_DAYS, exact=False)
        days = known_days.assign(
            report_date=ordinals(known_days["report_date"]),
            known_since=ordinals(known_days["known_since"]),
        ).sort_values(["account_id", "report_date"])
        by_account = {
            str(account_id): (part["report_date"].to_numpy(), part["known_since"].to_numpy())
            for account_id, part in days.groupby("account_id")
        }
        return cls(by_account, time_zones, default_zone)

    @property
    def seen_since(self) -> dict[str, date]:
        """The day on which each account was first seen."""
        return {
            account_id: date.fromordinal(int(since.min()))
            for account_id, (_, since) in (self.by_account or {}).items()
        }

    def is_whole(
        self, rows: pd.DataFrame, *, until: pd.Series[Any], known_by: pd.Series[Any]
    ) -> pd.Series[bool]:
        """Whether each day from a video's creation up to, not including, `until` was known.

        The as-of day itself may not have begun yet for an account in the west.
        """
        is_whole = np.ones(len(rows), dtype=bool)
        if self.by_account is None:
            return pd.Series(is_whole, index=rows.index, dtype=bool)
        by, end = ordinals(known_by), ordinals(until)
        for account_id, at in rows.groupby("account_id").indices.items():
            zone = self.time_zones.get(str(account_id), self.default_zone)
            created = _local_ordinals(rows["created_at"].iloc[at], zone)
            for day in np.unique(by[at]):
                known, these = self._known(str(account_id), day), by[at] == day
                first, last = created[these], end[at[these]]
                n_known = np.searchsorted(known, last) - np.searchsorted(known, first)
                is_whole[at[these]] = n_known >= last - first
        return pd.Series(is_whole, index=rows.index, dtype=bool)

    def _known(self, account_id: str, known_by: np.int64) -> Positions:
        """The days known by then; before the account was seen those that were learnt since."""
        none = np.empty(0, dtype=np.int64)
        days, since = (self.by_account or {}).get(account_id, (none, none))
        return days if len(since) and known_by < since.min() else days[since <= known_by]
