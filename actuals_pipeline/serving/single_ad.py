"""Fetch and store one ad's days in one go, without Dagster.

Three outcomes have their own words: no such ad (`AdNotFound`), an ad that never delivered, and one
that delivered outside of the window asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pandas as pd

from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.errors import AdNotFound, InputError
from actuals_pipeline.meta.accounts import AccountFetch, fetch_ad, raw_frame
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.parse import parse_insights, parse_reach
from actuals_pipeline.serving.json_numbers import RATE, number, rounded
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import product
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.fetch_memory import StoredFetchMemory
from actuals_pipeline.warehouse.store import CoveredRows, Slice, append, hold, replace
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    fetch_log,
    raw_meta_insights,
    spend_reconciliation,
)

_FORGET_VERDICTS = """
DELETE FROM actuals.spend_reconciliation AS verdict
USING actuals.meta_account_totals AS total
WHERE verdict.account_id = %s
  AND total.account_id = verdict.account_id AND total.report_date = verdict.report_date
  AND EXISTS (
      SELECT FROM actuals.ad_actuals AS ad
      WHERE ad.account_id = total.account_id AND ad.report_date = total.report_date
        AND ad.fetched_at > total.fetched_at
  )
"""
"""An ad's new figures are not in its account's total yet: whether the day adds up is unknown until
the account is fetched again."""


def fetch(
    warehouse: Warehouse,
    settings: Settings,
    ad_id: str,
    *,
    days_back: int,
    video_id: str | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Fetch the ad's trailing days, store them, and answer with the specification's keys.

    `limits` says how long Meta's limits are waited for.  `status` is `success`, `no_delivery`
    (nothing in 37 months) or `outside_window`; the last two say in `message` what to do.  Raises
    `AdNotFound` for an ad that is not of these accounts, `InputError` for a video that the product
    says runs as another ad.
    """
    if video_id is not None:
        _refuse_video_of_another_ad(warehouse, ad_id, video_id)
    credentials = MetaCredentials(
        settings.meta_access_token.get_secret_value(),
        settings.meta_app_id,
        settings.meta_app_secret.get_secret_value(),
    )
    with InsightsClient(
        credentials,
        graph_url=settings.meta_graph_url,
        api_version=settings.meta_api_version,
        limits=limits,
        memory=StoredFetchMemory(warehouse),
    ) as client:
        account_id = client.ad_account_id(ad_id)
        if account_id not in settings.meta_ad_account_ids:
            raise AdNotFound(
                f"Ad {ad_id} belongs to account act_{account_id}, which META_AD_ACCOUNT_ID does "
                "not name: add it there, or check the id."
            )
        fetched = fetch_ad(
            ad_id, account_id, days_back, client, expects_stand_in=settings.is_stand_in
        )
        run_id = f"fetch-{uuid4()}"
        if fetched.error is not None:
            with warehouse.transaction() as connection:
                append(connection, fetch_log, fetched.log_row(run_id))
            raise fetched.error
        actuals = _store(warehouse, settings, fetched, run_id)
        is_stand_in = fetched.account is not None and fetched.account.is_stand_in
        answer = {
            "source": "stand-in" if is_stand_in else "meta",
            "ad_id": ad_id,
            "video_id": video_id or _video_id(actuals),
            "saved_to_db": len(actuals) > 0,
            "fetched_at": fetched.started_at.isoformat(),
            "window": {
                "since": fetched.window.since.isoformat(),
                "until": fetched.window.until.isoformat(),
            },
        }
        if len(actuals):
            figures = _figures(actuals, parse_reach(fetched.totals))
            return {"status": "success", **answer, "actuals": figures}
        return {**answer, "actuals": None, **_explained_absence(client, ad_id, fetched)}


def _refuse_video_of_another_ad(warehouse: Warehouse, ad_id: str, video_id: str) -> None:
    """A video that the product does not know (yet) is the caller's to name."""
    videos = product.videos(warehouse)
    ads = videos.loc[videos["video_id"].eq(video_id), "ad_id"].tolist()
    if ads and ad_id not in ads:
        raise InputError(
            f"Video {video_id} runs as ad {ads[-1]}, not as {ad_id}: name that ad, or the video "
            f"of this one."
        )


def _store(
    warehouse: Warehouse, settings: Settings, fetched: AccountFetch, run_id: str
) -> pd.DataFrame:
    """Replace the ad's days in both tables and log it, in one transaction; returns the figures."""
    raw = raw_frame([fetched], run_id=run_id, api_version=settings.meta_api_version)
    insights = parse_insights(
        fetched.rows,
        purchase_action_type=settings.purchase_action_type_of,
        fetched_at=fetched.started_at,
    )
    today = fetched.window.until
    fetched_on = {(fetched.account_id, day): today for day in fetched.window}
    actuals = normalize(insights, product.videos(warehouse), fetched_on)
    covered = (Slice(fetched.window, fetched.account_id, fetched.ad_id, fetched.started_at, today),)
    with warehouse.transaction() as connection:
        counts = replace(connection, raw_meta_insights, CoveredRows(raw, covered))
        replace(connection, ad_actuals, CoveredRows(actuals, covered))
        hold(connection, spend_reconciliation, [fetched.window])
        connection.execute(_FORGET_VERDICTS, [fetched.account_id])
        append(connection, fetch_log, fetched.log_row(run_id) | counts.log_row())
    return actuals


def _figures(actuals: pd.DataFrame, reach: int | None) -> dict[str, Any]:
    """The window's figures with the specification's keys: `ctr` in percent, money in `currency`."""
    impressions, clicks = int(actuals["impressions"].sum()), int(actuals["clicks"].sum())
    spend, revenue = sum(actuals["spend"], Decimal(0)), sum(actuals["revenue"], Decimal(0))
    return {
        "impressions": impressions,
        "clicks": clicks,
        "ctr": rounded(Decimal(100 * clicks) / impressions if impressions else None, RATE),
        "spend": number(spend),
        "conversions": int(actuals["conversions"].sum()),
        "roas": rounded(revenue / spend if spend else None, RATE),
        "revenue": number(revenue),
        "reach": reach,
        "cpm": rounded(1000 * spend / impressions if impressions else None, RATE),
        "cpc": rounded(spend / clicks if clicks else None, RATE),
        "frequency": rounded(Decimal(impressions) / reach if reach else None, RATE),
        "currency": str(actuals["currency"].iloc[0]),
    }


def _video_id(actuals: pd.DataFrame) -> str | None:
    known = actuals["video_id"].dropna()
    return str(known.iloc[-1]) if len(known) else None


def _explained_absence(client: InsightsClient, ad_id: str, fetched: AccountFetch) -> dict[str, str]:
    """Why a window holds nothing: the ad never delivered, or on other days."""
    lifetime = client.ad_lifetime(ad_id)
    if lifetime is None:
        return {"status": "no_delivery", "message": f"Ad {ad_id} has not delivered yet."}
    first, last = lifetime
    return {
        "status": "outside_window",
        "message": (
            f"Ad {ad_id} has figures from {first} to {last}, none in {fetched.window}: ask for "
            "more days back."
        ),
    }
