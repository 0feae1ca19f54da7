"""What somebody without a model would have predicted: the account's rates before the launch.

A model earns its keep only against what costs nothing.  For each ad that is the CTR and the ROAS
of its account over the 28 days before the ad's first delivery, as known on the as-of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Floats, ordinals
from actuals_pipeline.accuracy.contract import KNOWN_ACCOUNT_DAYS
from actuals_pipeline.frames import check_frame
from actuals_pipeline.money import exact_arithmetic, exact_sums, ratio

BASELINE_DAYS = 28
"""Days before a launch that the account's rates are taken from."""

_COUNTS = ["impressions", "clicks"]
_MONEY = ["spend", "revenue"]


def account_rates(
    pairs: pd.DataFrame, account_days: pd.DataFrame, seen_since: Mapping[str, date]
) -> pd.DataFrame:
    """`baseline_ctr` (fraction) and `baseline_roas` (multiple) of each row of `pairs`, its index.

    `pairs` has `as_of_date`, `account_id` and `first_delivery_on`; `account_days` is a
    KNOWN_ACCOUNT_DAYS frame that reaches `BASELINE_DAYS` before the first launch.  NaN before any
    launch, and where nothing of the account is known of those days.
    """
    check_frame(account_days, KNOWN_ACCOUNT_DAYS, exact=False)
    rates = pd.DataFrame(np.nan, index=pairs.index, columns=["baseline_ctr", "baseline_roas"])
    days = account_days.assign(day=ordinals(account_days["report_date"]))
    by_account = {str(account_id): part for account_id, part in days.groupby("account_id")}
    launched = pairs[pairs["first_delivery_on"].notna()]
    for (account_id, _), part in launched.groupby(["account_id", "as_of_date"]):
        known, as_of = by_account.get(str(account_id)), part["as_of_date"].iloc[0]
        if known is not None:
            is_unseen = as_of < seen_since.get(str(account_id), as_of)
            known = known[(known["is_reconstructed"] == is_unseen) & (known["known_on"] <= as_of)]
            rates.loc[part.index] = _trailing(known, part["first_delivery_on"])
    return rates


def _trailing(known: pd.DataFrame, launches: pd.Series[Any]) -> Floats:
    """The two rates of the days before each launch, shape `(n, 2)`; of a launch day but once.

    Added up exactly: what is known of a day comes in other parts when other as-of days are asked
    for beside it, and floats would end in other last digits then.
    """
    sums = known.groupby("day")[_COUNTS].sum().join(exact_sums(known, ["day"], _MONEY))
    days = sums.index.to_numpy()
    end, of_launch = np.unique(ordinals(launches), return_inverse=True)
    until, since = np.searchsorted(days, end), np.searchsorted(days, end - BASELINE_DAYS)
    trailing = {}
    with exact_arithmetic():
        for name in (*_COUNTS, *_MONEY):
            totals = np.array([0, *np.cumsum(sums[name].to_numpy(dtype=object))], dtype=object)
            trailing[name] = pd.Series(totals[until] - totals[since])
    rates: Floats = np.column_stack(
        [
            ratio(trailing["clicks"], trailing["impressions"]),
            ratio(trailing["revenue"], trailing["spend"]),
        ]
    )
    return rates[of_launch]
