"""The declared schema: every table, column, unit and constraint of the warehouse.

Migrations build the same schema step by step; a guard test builds one database from each and
demands that their dumps do not differ.

`Table.info` tells the store how to replace slices of a table: `day` is its report-day (or as-of
day) column, `by_month` says that it is partitioned by the months of that column (`months.py`
makes them), `revisions` is the table that remembers its `figures`.  `Column.info["provenance"]`
marks columns that say where a row came from and do not
count when two versions of a row are compared: an unchanged row keeps its `first` provenance, or
shows the `latest`.

Money is `numeric`, exact to the last digit that Meta sent, in major units of `currency`.  Counts
are `bigint`, ids `text` (Meta's exceed what a JavaScript number can hold), click-through rates
fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem

SCHEMA = "actuals"
"""Schema of the warehouse's own tables."""

NAMING = {
    "pk": "%(table_name)s_pkey",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}

warehouse = MetaData(schema=SCHEMA, naming_convention=NAMING)
product = MetaData(schema="public", naming_convention=NAMING)
"""The product's tables; created by our migrations only where they are missing."""


_INSTANT = DateTime(timezone=True)
_BY_MONTH = "RANGE (report_date)"


def _currency() -> Column[str]:
    return Column("currency", Text, nullable=False, comment="ISO 4217 code of the money columns.")


def _currency_code() -> CheckConstraint:
    return CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency")


def _key(name: str, comment: str) -> Column[str]:
    return Column(name, Text, nullable=False, primary_key=True, comment=comment)


def _account_key() -> Column[str]:
    return _key("account_id", "Meta ad account, digits without act_.")


def _ad_key() -> Column[str]:
    return _key("ad_id", "Meta ad.")


def _report_day() -> Column[object]:
    return Column(
        "report_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Calendar day in the ad account's own time zone.",
    )


def _fetched_at() -> Column[object]:
    return Column(
        "fetched_at",
        DateTime(timezone=True),
        nullable=False,
        comment="When these figures were first fetched from Meta as they stand.",
        info={"provenance": "first"},
    )


def _count(name: str, comment: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, comment=comment)


def _money(name: str, comment: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Numeric, nullable=nullable, comment=comment)


def _rate(name: str, comment: str) -> Column[float]:
    return Column(name, Double, nullable=True, comment=comment)


def _tallied(name: str, comment: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"), comment=comment)


def _flagged(name: str, comment: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"), comment=comment)


def _tally(name: str, comment: str) -> Column[object]:
    """Counts by name, those that are zero left out."""
    return Column(name, JSONB, nullable=False, server_default=text("'{}'::jsonb"), comment=comment)


def _not_negative(*columns: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"{name} >= 0", name=name) for name in columns]


def _finite(*columns: str) -> list[CheckConstraint]:
    """`numeric` takes NaN and infinities; money may be neither."""
    return [
        CheckConstraint(f"{name} > '-Infinity' AND {name} < 'Infinity'", name=f"{name}_finite")
        for name in columns
    ]


raw_meta_insights = Table(
    "raw_meta_insights",
    warehouse,
    _account_key(),
    _ad_key(),
    _report_day(),
    Column(
        "payload", JSONB, nullable=False, comment="The insights row exactly as Meta answered it."
    ),
    Column(
        "api_version",
        Text,
        nullable=False,
        comment="Marketing API version of the answer.",
        info={"provenance": "first"},
    ),
    Column(
        "run_id",
        Text,
        nullable=False,
        comment="Run that fetched the row as it stands.",
        info={"provenance": "first"},
    ),
    _fetched_at(),
    Index(None, "report_date"),
    comment="One row is one ad's insights for one report day, verbatim.",
    info={"day": "report_date", "by_month": True},
    postgresql_partition_by=_BY_MONTH,
)

meta_account_totals = Table(
    "meta_account_totals",
    warehouse,
    _account_key(),
    _report_day(),
    Column("account_name", Text, nullable=False, comment="Name of the account when fetched."),
    _currency(),
    Column("time_zone", Text, nullable=False, comment="IANA time zone of the account's days."),
    _count("impressions", "Meta's own total of impressions."),
    _count("clicks", "Meta's own total of clicks (all)."),
    _count(
        "reach", "People reached that day, de-duplicated by Meta; unknown when null.", nullable=True
    ),
    _money("spend", "Meta's own total spend, major units of currency."),
    _count("conversions", "Purchases of purchase_action_type."),
    _money("revenue", "Value of those purchases, major units of currency."),
    Column("purchase_action_type", Text, nullable=False, comment="Action type that counts."),
    Column(
        "is_reported",
        Boolean,
        nullable=False,
        comment="Whether Meta gave a row; a fetched day without one is a known zero.",
    ),
    Column(
        "is_stand_in",
        Boolean,
        nullable=False,
        comment="Whether the local stand-in answered.",
        info={"provenance": "latest"},
    ),
    Column(
        "api_version",
        Text,
        nullable=False,
        comment="Marketing API version of the answer.",
        info={"provenance": "latest"},
    ),
    Column(
        "run_id",
        Text,
        nullable=False,
        comment="Run that last fetched this account-day whole.",
        info={"provenance": "latest"},
    ),
    Column(
        "fetched_at",
        DateTime(timezone=True),
        nullable=False,
        comment="When this account-day was last fetched whole.",
        info={"provenance": "latest"},
    ),
    *(
        _money(
            f"revenue_{days}d_click",
            f"Value of purchases within {days} d of a click, in revenue or not; null: not kept.",
            nullable=True,
        )
        for days in (1, 7, 28)
    ),
    _currency_code(),
    *_not_negative("impressions", "clicks", "reach", "spend"),
    *_finite("spend", "revenue", "revenue_1d_click", "revenue_7d_click", "revenue_28d_click"),
    comment="One row is Meta's own account-level total for one fetched report day.",
    info={"day": "report_date"},
)

ad_actuals_revisions = Table(
    "ad_actuals_revisions",
    warehouse,
    _account_key(),
    _ad_key(),
    _report_day(),
    Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Account-local day from whose end on this is what was known.",
    ),
    Column(
        "is_listed",
        Boolean,
        nullable=False,
        comment="Whether Meta had a row; false with null figures once it listed the ad no more.",
    ),
    Column("currency", Text, comment="ISO 4217 code of the money columns."),
    Column("attribution_setting", Text, comment="The ad set's own attribution setting."),
    Column("purchase_action_type", Text, comment="The one action type counted as a purchase."),
    _count("impressions", "Times the ad was shown.", nullable=True),
    _count("clicks", "Clicks (all).", nullable=True),
    _count("link_clicks", "Clicks on the link (inline_link_clicks).", nullable=True),
    _count("reach", "People reached that day; unknown when null.", nullable=True),
    _money("spend", "Spend by day of delivery, major units of currency.", nullable=True),
    _count("conversions", "Purchases of purchase_action_type.", nullable=True),
    _money("revenue", "Value of those purchases, major units of currency.", nullable=True),
    Column("fetched_at", _INSTANT, comment="When these figures were first fetched from Meta."),
    _currency_code(),
    CheckConstraint(
        "is_listed = (spend IS NOT NULL AND impressions IS NOT NULL AND currency IS NOT NULL)",
        name="is_listed",
    ),
    *_not_negative("impressions", "clicks", "link_clicks", "reach", "spend"),
    *_finite("spend", "revenue"),
    Index(None, "as_of_date"),
    comment=(
        "One row is what came to be known of one ad's report day on one day; the newest row up to "
        "a day is what was known then."
    ),
    info={"day": "report_date", "by_month": True},
    postgresql_partition_by=_BY_MONTH,
)

ad_actuals = Table(
    "ad_actuals",
    warehouse,
    _account_key(),
    _ad_key(),
    _report_day(),
    Column("video_id", Text, comment="public.videos.id whose meta_platform_id is this ad."),
    Column("campaign_id", Text, comment="Campaign of the ad on that day."),
    Column("campaign_name", Text, comment="Its name when fetched."),
    Column("adset_id", Text, comment="Ad set of the ad on that day."),
    Column("adset_name", Text, comment="Its name when fetched."),
    Column("ad_name", Text, comment="Name of the ad when fetched."),
    _currency(),
    Column("attribution_setting", Text, comment="The ad set's own attribution setting."),
    Column(
        "purchase_action_type",
        Text,
        nullable=False,
        comment="The one action type counted in conversions and revenue.",
    ),
    _count("impressions", "Times the ad was shown."),
    _count("clicks", "Clicks (all), Meta's and the specification's word."),
    _count("link_clicks", "Clicks on the link (inline_link_clicks)."),
    _count("reach", "People reached that day; unknown when null; never sum it.", nullable=True),
    _money("spend", "Spend by day of delivery, major units of currency."),
    _count("conversions", "Purchases of purchase_action_type, by Meta's dating."),
    _money("revenue", "Value of those purchases, major units of currency."),
    _rate("ctr", "clicks / impressions, a fraction; null without impressions."),
    _rate("roas", "revenue / spend, a multiple; null without spend."),
    _rate("cpm", "1000 * spend / impressions, major units of currency."),
    _rate("cpc", "spend / clicks, major units of currency."),
    _rate("frequency", "impressions / reach, times a person."),
    Column(
        "is_settled",
        Boolean,
        nullable=False,
        comment="Whether Meta restates the day no more: it was over 28 days old when fetched.",
    ),
    _fetched_at(),
    _currency_code(),
    *_not_negative("impressions", "clicks", "link_clicks", "reach", "spend"),
    *_finite("spend", "revenue"),
    Index(None, "report_date"),
    Index(None, "ad_id"),
    comment="One row is one ad's figures for one report day.",
    info={
        "day": "report_date",
        "by_month": True,
        "revisions": ad_actuals_revisions,
        "figures": (
            "currency",
            "attribution_setting",
            "purchase_action_type",
            "impressions",
            "clicks",
            "link_clicks",
            "reach",
            "spend",
            "conversions",
            "revenue",
        ),
    },
    postgresql_partition_by=_BY_MONTH,
)

spend_reconciliation = Table(
    "spend_reconciliation",
    warehouse,
    _account_key(),
    _report_day(),
    _currency(),
    _count("n_ads", "Ads with a row in ad_actuals that day."),
    _money("ads_spend", "Sum of spend over those ads."),
    _money("meta_spend", "Meta's own account total."),
    _money("spend_difference", "meta_spend - ads_spend: what no listed ad explains."),
    _count("ads_impressions", "Sum of impressions over the ads."),
    _count("meta_impressions", "Meta's own account total."),
    _count("impressions_difference", "meta_impressions - ads_impressions."),
    Column(
        "tolerance_share",
        Numeric,
        nullable=False,
        comment="Share of meta_spend by which the two may differ.",
    ),
    Column(
        "verdict",
        Text,
        nullable=False,
        comment="exact: equal to the cent; within_tolerance; gap: beyond it.",
    ),
    _fetched_at(),
    _currency_code(),
    CheckConstraint("verdict IN ('exact', 'within_tolerance', 'gap')", name="verdict"),
    CheckConstraint("spend_difference = meta_spend - ads_spend", name="spend_difference"),
    *_not_negative("ads_spend", "meta_spend"),
    *_finite("ads_spend", "meta_spend"),
    comment="One row is one account and report day: the ads' spend against Meta's own total.",
    info={"day": "report_date"},
)


def _as_of_day() -> Column[object]:
    return Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="The comparison counts report days up to and including this one.",
    )


revenue_development = Table(
    "revenue_development",
    warehouse,
    Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="The day as of which this was known; what came in on it is not looked at yet.",
    ),
    _account_key(),
    Column(
        "age_days",
        BigInteger,
        nullable=False,
        primary_key=True,
        autoincrement=False,
        comment="Days from a report day to the one at whose end: 0 (the day itself) to 28.",
    ),
    Column(
        "revenue_share",
        Double,
        nullable=False,
        comment="Revenue that a report day's spend has by then / what it comes to; a fraction.",
    ),
    Column(
        "revenue_share_se",
        Double,
        nullable=False,
        comment="Standard error of revenue_share, a fraction.",
    ),
    _rate(
        "clicks_share",
        "Clicks (all) of a report day known by then / final ones; null where not measured.",
    ),
    Column(
        "source",
        Text,
        nullable=False,
        comment=(
            "How revenue_share is known: revisions (the account's days as they grew), "
            "click_windows (Meta's, of settled days), assumed."
        ),
    ),
    Column(
        "dating",
        Text,
        nullable=False,
        comment="Day of a purchase: impression, conversion; unknown is treated like conversion.",
    ),
    _count("n_cohorts", "Report days that revenue_share rests on; 0 when assumed."),
    Column(
        "computed_at",
        _INSTANT,
        nullable=False,
        comment="When this was last computed; not again once the day had begun everywhere.",
        info={"provenance": "latest"},
    ),
    Column(
        "pace",
        Text,
        nullable=False,
        comment="How the newest days mature against those before: as_before, changed, unknown.",
    ),
    CheckConstraint("age_days BETWEEN 0 AND 28", name="age_days"),
    CheckConstraint("revenue_share >= 0 AND revenue_share < 'Infinity'", name="revenue_share"),
    CheckConstraint(
        "revenue_share_se >= 0 AND revenue_share_se < 'Infinity'", name="revenue_share_se"
    ),
    CheckConstraint("clicks_share >= 0 AND clicks_share < 'Infinity'", name="clicks_share"),
    CheckConstraint("source IN ('revisions', 'click_windows', 'assumed')", name="source"),
    CheckConstraint("dating IN ('impression', 'conversion', 'unknown')", name="dating"),
    CheckConstraint("n_cohorts >= 0", name="n_cohorts"),
    CheckConstraint("pace IN ('as_before', 'changed', 'unknown')", name="pace"),
    comment="One row is one account and age: how much of a day's revenue is known by then.",
    info={"day": "as_of_date"},
)


def _model_keys(protocols: str) -> list[Column[str]]:
    return [
        _key("model_name", "Model that predicted."),
        _key("model_version", "Its version."),
        _key("protocol", f"Which days count: {protocols}."),
    ]


prediction_accuracy = Table(
    "prediction_accuracy",
    warehouse,
    _as_of_day(),
    _ad_key(),
    *_model_keys("launch_to_date, launch_d7 (CTR) or launch_ltd28 (ROAS)"),
    Column("account_id", Text, comment="Account of the ad; unknown before its first row."),
    Column("video_id", Text, nullable=False, comment="public.videos.id of the ad."),
    Column("prediction_id", Text, nullable=False, comment="public.predictions.id compared."),
    Column("currency", Text, comment="ISO 4217 code of the money columns."),
    Column(
        "status",
        Text,
        nullable=False,
        comment="eligible counts in the headline; otherwise the reason why not.",
    ),
    _rate("predicted_ctr", "Predicted click-through rate (all clicks), a fraction."),
    _rate("actual_ctr", "clicks / impressions, a fraction."),
    _rate("predicted_roas", "Predicted return on ad spend, a multiple."),
    _rate("actual_roas", "revenue / spend, a multiple."),
    _rate("ctr_error", "100 * (predicted - actual) / predicted, percent; + is overestimated."),
    _rate("roas_error", "100 * (predicted - actual) / predicted, percent; + is overestimated."),
    _rate("ctr_accuracy", "1 - |predicted - actual| / predicted, clamped to 0..1."),
    _rate("roas_accuracy", "1 - |predicted - actual| / predicted, clamped to 0..1."),
    _rate("ctr_accuracy_raw", "The same before clamping; negative when actual > 2 * predicted."),
    _rate("roas_accuracy_raw", "The same before clamping; negative when actual > 2 * predicted."),
    Column("ctr_direction", Text, comment="over, under or exact: the prediction's side."),
    Column("roas_direction", Text, comment="over, under or exact: the prediction's side."),
    Column("ctr_status", Text, nullable=False, comment="ok, or why the CTR has no score."),
    Column("roas_status", Text, nullable=False, comment="ok, or why the ROAS has no score."),
    _count("impressions", "Launch to as_of_date."),
    _count("clicks", "Clicks (all), launch to as_of_date."),
    _money("spend", "Launch to as_of_date, major units of currency."),
    _count("conversions", "Purchases, launch to as_of_date."),
    _money("revenue", "Value of those purchases, major units of currency."),
    Column("first_delivery_on", Date, comment="First report day with impressions."),
    Column("last_delivery_on", Date, comment="Last report day with impressions."),
    Column(
        "predicted_at",
        DateTime(timezone=True),
        nullable=False,
        comment="When the prediction was logged; what it claims itself when not is_attested.",
    ),
    _count("days_since_prediction", "Whole days from predicted_at to the end of as_of_date."),
    _rate("settled_spend_share", "Share of spend on days that Meta restates no more."),
    Column(
        "is_attested",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Whether this database dated the prediction; false: its time is only claimed.",
    ),
    Column(
        "campaign_id",
        Text,
        comment="Campaign of the ad; its ads share budget, audience and weather.",
    ),
    Column("adset_id", Text, comment="Ad set of the ad."),
    Column(
        "matures_on",
        Date,
        comment="Day at whose end a launch window is final; else null.",
    ),
    _rate(
        "completeness",
        "Share of the final revenue that should be known, by spend; null: not asked.",
    ),
    _rate("completeness_se", "Standard error of completeness / completeness."),
    _flagged("is_provisional", "Whether the figures may still change by much; in no headline."),
    _flagged(
        "is_reconstructed",
        "Whether figures learnt later stand for those of a day without any.",
    ),
    _rate("dispersion", "Variance of the campaign's clicks / that of independent impressions."),
    _rate("order_value", "Mean value of a purchase, drawn to the account's; major units."),
    _rate("ctr_low", "Low end of the 95-percent interval of actual_ctr (Wilson), a fraction."),
    _rate("ctr_high", "High end of it, a fraction."),
    _rate("ctr_z", "Standard deviations that the clicks are off; + is more than predicted."),
    Column("ctr_verdict", Text, comment="within_tolerance, under, over or unresolved."),
    _flagged("ctr_is_discovery", "Whether it is off beyond chance; one in ten such is not."),
    _rate(
        "ctr_more_impressions",
        "Impressions more, about, until an unresolved CTR is told from chance.",
    ),
    _rate("ctr_ceiling", "Accuracy to expect of a prediction that is exactly true, a fraction."),
    _rate("roas_low", "Low end of the 95-percent interval of actual_roas, a multiple."),
    _rate("roas_high", "High end of it, a multiple."),
    _rate("roas_z", "Standard deviations that the revenue is off; + is more than predicted."),
    Column("roas_verdict", Text, comment="within_tolerance, under, over or unresolved."),
    _flagged(
        "roas_is_discovery",
        "Whether it is off beyond chance; one in ten such is not.",
    ),
    _rate(
        "roas_more_purchases",
        "Purchases more, about, until an unresolved ROAS is told from chance.",
    ),
    _rate("roas_ceiling", "Accuracy to expect of a prediction that is exactly true, a fraction."),
    _rate("roas_relative_se", "Standard error of actual_roas / actual_roas."),
    _rate("baseline_ctr", "CTR of the account in the 28 days before first delivery, a fraction."),
    _rate("baseline_roas", "ROAS of the account in the 28 days before first delivery."),
    CheckConstraint(
        "status IN ('eligible', 'leaked', 'no_delivery', 'ambiguous', 'invalid_prediction', "
        "'too_young', 'too_old', 'immature', 'incomplete_history')",
        name="status",
    ),
    CheckConstraint("ctr_accuracy BETWEEN 0 AND 1", name="ctr_accuracy"),
    CheckConstraint("roas_accuracy BETWEEN 0 AND 1", name="roas_accuracy"),
    *_not_negative("impressions", "clicks", "spend"),
    *_finite("spend", "revenue"),
    CheckConstraint(
        "ctr_verdict IN ('within_tolerance', 'under', 'over', 'unresolved')", name="ctr_verdict"
    ),
    CheckConstraint(
        "roas_verdict IN ('within_tolerance', 'under', 'over', 'unresolved')", name="roas_verdict"
    ),
    Index(None, "ad_id"),
    # Pairs that matured lately, by which models are watched: one in ten of what is stored.
    Index("prediction_accuracy_matured_idx", text("(as_of_date - matures_on)")),
    comment="One row is one ad, model version and protocol, as of a day.",
    info={"day": "as_of_date"},
)

model_accuracy = Table(
    "model_accuracy",
    warehouse,
    _as_of_day(),
    *_model_keys("launch_to_date, headline, or headline_unattested of imported predictions"),
    _rate("ctr_mae", "Mean |predicted - actual| CTR over eligible pairs, percentage points."),
    _rate("roas_mae", "Mean |predicted - actual| ROAS over eligible pairs, multiples."),
    _rate(
        "prediction_accuracy",
        "100 * mean over pairs of the mean of the available ctr_accuracy, roas_accuracy; percent.",
    ),
    _count("n_pairs", "Pairs in prediction_accuracy, the column."),
    _count("n_ctr", "Pairs with a CTR score."),
    _count("n_roas", "Pairs with a ROAS score."),
    _count("n_predicted", "Ads with a prediction of this version."),
    _count("n_leaked", "Left out: predicted only after first delivery."),
    _count("n_no_delivery", "Left out: not delivered yet."),
    _count("n_invalid", "Left out: not a usable prediction."),
    _count("n_too_young", "Left out: the video is younger than ACTUALS_MIN_AGE_HOURS."),
    _count("n_too_old", "Left out: the video is older than ACTUALS_MAX_AGE_DAYS."),
    _count("n_unscored", "Left out: eligible, but neither metric can be compared."),
    _count("n_no_prediction", "Delivered ads of eligible age that this version never predicted."),
    _rate("coverage_ads", "Share of delivered ads of eligible age that have a scored pair."),
    _rate("coverage_spend", "The same by spend; null when currencies differ."),
    _rate("settled_spend_share", "Share of the pairs' spend that Meta restates no more."),
    _tallied("n_incomplete_history", "Left out: days since launch that were not fetched."),
    _tallied("n_ambiguous", "Left out: different predictions that claim the same instant."),
    _tallied(
        "n_unmatched",
        "Predicted videos that are unknown, run as no ad or have no date; not in n_predicted.",
    ),
    _rate(
        "prediction_accuracy_low",
        "Low end of its 95-percent interval, percent; null below ten campaigns.",
    ),
    _rate("prediction_accuracy_high", "High end of it, percent."),
    _tallied("n_clusters", "Campaigns of the pairs."),
    _rate("noise_ceiling", "Accuracy to expect of a perfect model on the same volumes, percent."),
    _rate(
        "baseline_accuracy",
        "Accuracy that the account's rates before each launch would have had, percent.",
    ),
    _rate("accuracy_of_achievable", "Where the accuracy lies from baseline (0) to ceiling (1)."),
    _rate("unresolved_share", "Share of the pairs' verdicts that need more data."),
    _tallied("n_immature", "Left out: the launch window is not final yet."),
    _tallied("n_reconstructed", "Of n_pairs: rest on figures learnt afterwards."),
    _tallied("n_unattested", "Of n_pairs: imported predictions, whose time nobody can prove."),
    _rate(
        "leaked_accuracy",
        "What the pairs of n_leaked would have scored, percent; in no other column.",
    ),
    CheckConstraint("prediction_accuracy BETWEEN 0 AND 100", name="prediction_accuracy"),
    CheckConstraint("leaked_accuracy BETWEEN 0 AND 100", name="leaked_accuracy"),
    comment="One row is one model version and protocol, as of a day.",
    info={"day": "as_of_date"},
)

_PERIODS = {
    "": "since the investment began",
    "_7d": "the 7 days before as_of_date",
    "_28d": "the 28 days before as_of_date",
}
"""Suffixes of the figures of an investment and the days that they are of."""


def _figures_of_period(suffix: str, days: str) -> list[Column[Any]]:
    return [
        _count(f"impressions{suffix}", f"Times ads were shown, {days}."),
        _count(f"clicks{suffix}", f"Clicks (all), {days}."),
        _count(f"link_clicks{suffix}", f"Clicks on the link, {days}."),
        _count(f"conversions{suffix}", f"Purchases, {days}."),
        _money(
            f"spend{suffix}",
            f"Spend, {days}, major units of currency; null where a rate is missing.",
            nullable=True,
        ),
        _money(
            f"revenue{suffix}",
            f"Value of the purchases, {days}, major units of currency; null likewise.",
            nullable=True,
        ),
        _rate(f"roas{suffix}", f"revenue / spend, {days}, a multiple; null without spend."),
        _rate(f"cpa{suffix}", f"spend / conversions, {days}, major units of currency."),
        _rate(f"conversion_rate{suffix}", f"conversions / clicks, {days}, a fraction."),
        _rate(f"link_conversion_rate{suffix}", f"conversions / link_clicks, {days}, a fraction."),
    ]


investment_summary = Table(
    "investment_summary",
    warehouse,
    Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Day at whose end this was known; its own figures count to date.",
    ),
    _key("scope", "currency: its accounts alone; overall: all accounts, converted into currency."),
    _key("currency", "ISO 4217 code of the money columns."),
    Column("since", Date, nullable=False, comment="First report day that counts."),
    *(column for suffix, days in _PERIODS.items() for column in _figures_of_period(suffix, days)),
    _money("spend_at_least", "Spend of which the rate is known: all of it where spend is."),
    _rate("settled_spend_share", "Share of spend_at_least that Meta restates no more."),
    _money(
        "investment_total", "ACTUALS_INVESTMENT_BUDGET; null where it is not set.", nullable=True
    ),
    _rate("spent_share", "spend / investment_total, a fraction; above 1 when overspent."),
    _rate("burn_per_day_7d", "Mean spend of the 7 days before as_of_date, major units a day."),
    _rate("burn_per_day_28d", "Mean spend of the 28 days before as_of_date, major units a day."),
    _rate("burn_per_day_settled", "Mean spend of the newest 28 settled days, major units a day."),
    Column(
        "outlook",
        Text,
        nullable=False,
        comment="projected, spent or never (at this burn); otherwise why nothing can be said.",
    ),
    Column(
        "projected_end",
        Date,
        comment="Day on which the total is spent; the actual one where outlook is spent.",
    ),
    Column(
        "projected_end_low", Date, comment="Earliest end, 95 percent interval; null if unknown."
    ),
    Column(
        "projected_end_high", Date, comment="Latest end, 95 percent interval; null: may never come."
    ),
    _count("n_accounts_covered", "Accounts of which every day up to as_of_date was fetched."),
    _tally("accounts_missing", "By account: days before as_of_date that were never fetched."),
    _tally("unconverted", "By currency: days with figures but no exchange rate."),
    Column(
        "is_reconstructed",
        Boolean,
        nullable=False,
        comment="Whether figures count that were first known after as_of_date.",
    ),
    CheckConstraint("scope IN ('currency', 'overall')", name="scope"),
    CheckConstraint(
        "outlook IN ('projected', 'spent', 'never', 'too_few_days', 'no_total', 'unconverted')",
        name="outlook",
    ),
    _currency_code(),
    *_not_negative("spend", "spend_at_least", "investment_total"),
    *_finite("spend", "revenue", "spend_at_least", "investment_total"),
    comment="One row is the investment in one currency, or overall, as of a day.",
    info={"day": "as_of_date"},
)

exchange_rates = Table(
    "exchange_rates",
    warehouse,
    Column("rate_date", Date, primary_key=True, nullable=False, comment="Day of the rate."),
    _key("from_currency", "ISO 4217 code of what is converted."),
    _key("to_currency", "ISO 4217 code of what it becomes."),
    Column(
        "rate",
        Numeric,
        nullable=False,
        comment="Units of to_currency that one unit of from_currency was worth.",
    ),
    Column("source", Text, comment="Who says so, as the file had it."),
    Column("imported_at", _INSTANT, nullable=False, comment="When it was imported as it stands."),
    CheckConstraint("rate > 0 AND rate < 'Infinity'", name="rate"),
    CheckConstraint(
        "from_currency ~ '^[A-Z]{3}$' AND to_currency ~ '^[A-Z]{3}$'", name="currencies"
    ),
    CheckConstraint("from_currency <> to_currency", name="differ"),
    comment="One row is one exchange rate of one day, as the user supplied it.",
)

_WEEK_STATES = "('ok', 'warn', 'breach', 'requested', 'cooldown')"
_RETRAIN_ACTIONS = "('wait', 'recalibrate', 'retrain', 'roll_back')"


def _metric_key() -> Column[str]:
    return _key("metric", "ctr (by launch_d7) or roas (by launch_ltd28).")


def _bounded(name: str, comment: str) -> list[Column[float]]:
    return [
        _rate(name, comment),
        _rate(f"{name}_lower", f"One-sided 95 percent bound of {name} below."),
        _rate(f"{name}_upper", f"One-sided 95 percent bound of {name} above."),
    ]


def _number(name: str, comment: str) -> Column[float]:
    return Column(name, Double, nullable=False, comment=comment)


def _whether(name: str, comment: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, comment=comment)


model_drift = Table(
    "model_drift",
    warehouse,
    Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Weeks that had ended by this day are looked at.",
    ),
    _key("model_name", "Model that predicted."),
    _key("model_version", "Its version."),
    _metric_key(),
    Column(
        "week",
        Date,
        nullable=False,
        primary_key=True,
        comment="Monday of the ISO week in which the pairs matured.",
    ),
    _count("n_pairs", "Pairs that matured in the week and count."),
    _count("clicks", "Clicks (all) of those pairs."),
    _count("purchases", "Purchases of those pairs."),
    _rate("coverage_spend", "Share of the week's matured spend that those pairs have, a fraction."),
    _rate("ln_calibration", "ln(predicted / observed): 0.095 is a tenth too much."),
    _rate("standard_error", "Standard error of ln_calibration."),
    _rate("lower", "One-sided 95 percent bound of ln_calibration below."),
    _rate("upper", "One-sided 95 percent bound of ln_calibration above."),
    *_bounded("skill", "1 - error / error of the account's own rate; below 0 is worse than it."),
    *_bounded("normalised_entropy", "Log loss over that of the account's own rate; CTR only."),
    *_bounded("wape_excess", "WAPE less that of a perfect model, a fraction; ROAS only."),
    _rate("rank_correlation", "Spearman's, of actual with predicted within the week, -1 to 1."),
    _whether("is_eligible", "Whether the week has enough in it to conclude from."),
    _rate(
        "z",
        "ln_calibration against the version's weeks before, standard deviations; "
        "+ = predicted more than before.",
    ),
    _number("cusum_up", "CUSUM towards too much, standard deviations."),
    _number("cusum_down", "CUSUM towards too little, standard deviations."),
    _number("cusum_limit", "Above it is an alarm; depends on how many charts are watched."),
    _number("ewma", "Moving average of z, standard deviations."),
    _number("ewma_lower", "Lower limit of ewma."),
    _number("ewma_upper", "Upper limit of ewma."),
    _whether("is_alarm", "Whether one of the CUSUMs is above its limit."),
    Column("changed_since", Date, comment="In an alarm: Monday of the week of the change."),
    Column(
        "state",
        Text,
        nullable=False,
        comment="ok, warn, breach, requested, cooldown: after the week.",
    ),
    Column("state_since", Date, nullable=False, comment="Monday of the week since when."),
    Column("causes", Text, comment="Why the state is not ok, comma-separated."),
    Column("breach_start", Date, comment="Monday of the week in which that breach began."),
    Column(
        "versus_previous",
        Text,
        comment="In a breach's last week: worse, better or unresolved against the version before.",
    ),
    _rate(
        "predicted_shift",
        "How else the week's predictions are spread than those of the weeks before: population "
        "stability index, 0 is alike; null below 30 pairs.",
    ),
    _rate("predicted_shift_chance", "Chance of such an index if nothing had changed, a fraction."),
    CheckConstraint("metric IN ('ctr', 'roas')", name="metric"),
    CheckConstraint("extract(isodow FROM week) = 1", name="week"),
    CheckConstraint(f"state IN {_WEEK_STATES}", name="state"),
    CheckConstraint("coverage_spend BETWEEN 0 AND 1", name="coverage_spend"),
    CheckConstraint("predicted_shift >= 0", name="predicted_shift"),
    CheckConstraint("predicted_shift_chance BETWEEN 0 AND 1", name="predicted_shift_chance"),
    CheckConstraint("versus_previous IN ('worse', 'better', 'unresolved')", name="versus_previous"),
    *_not_negative("n_pairs", "clicks", "purchases", "standard_error"),
    *_not_negative("cusum_up", "cusum_down", "cusum_limit"),
    comment="One row is one model version, metric and week, with its charts, as of a day.",
    info={"day": "as_of_date"},
)

retrain_states = Table(
    "retrain_states",
    warehouse,
    _key("model_name", "Model that predicted."),
    _key("model_version", "Its version."),
    _metric_key(),
    Column("as_of_date", Date, nullable=False, comment="Day as of which this is the state."),
    Column("week", Date, nullable=False, comment="Monday of the last closed week."),
    Column("state", Text, nullable=False, comment="ok, warn, breach, requested or cooldown."),
    Column("state_since", Date, nullable=False, comment="Monday of the week since when."),
    Column("breach_start", Date, comment="Monday of the week in which the breach began."),
    Column("causes", Text, comment="Why the state is not ok, comma-separated."),
    Column("action", Text, nullable=False, comment="wait, recalibrate, retrain or roll_back."),
    Column("reason", Text, nullable=False, comment="Why that, in a sentence."),
    Column("evidence", JSONB, nullable=False, comment="Its last weeks, as in model_drift."),
    Column("updated_at", _INSTANT, nullable=False, comment="When anything of it last changed."),
    CheckConstraint("metric IN ('ctr', 'roas')", name="metric"),
    CheckConstraint(f"state IN {_WEEK_STATES}", name="state"),
    CheckConstraint(f"action IN {_RETRAIN_ACTIONS}", name="action"),
    comment="One row is one model version and metric: what is thought of it now.",
    info={"day": "as_of_date"},
)

retrain_requests = Table(
    "retrain_requests",
    warehouse,
    _key("request_key", "model:version:breach_start; the same for the same breach for ever."),
    Column("model_name", Text, nullable=False, comment="Model that predicted."),
    Column("model_version", Text, nullable=False, comment="Its version."),
    Column("breach_start", Date, nullable=False, comment="Monday of the week it began in."),
    Column("week", Date, nullable=False, comment="Monday of the week after which it was asked."),
    Column("as_of_date", Date, nullable=False, comment="Day as of which it was asked."),
    Column("action", Text, nullable=False, comment="recalibrate, retrain or roll_back."),
    Column("reason", Text, nullable=False, comment="Why that, in sentences."),
    Column("evidence", JSONB, nullable=False, comment="The last weeks, as in model_drift."),
    Column("requested_at", _INSTANT, nullable=False, comment="When it was written down."),
    Column("delivered_at", _INSTANT, comment="When it was handed over; null until then."),
    _tallied("attempts", "Times that it was tried to hand it over."),
    Column("last_attempt_at", _INSTANT, comment="When that was tried last."),
    Column("last_error", Text, comment="Why that failed, without address and secret."),
    CheckConstraint(f"action IN {_RETRAIN_ACTIONS}", name="action"),
    CheckConstraint("request_key <> ''", name="request_key"),
    CheckConstraint("breach_start <= week", name="week"),
    *_not_negative("attempts"),
    Index(None, "model_name", "model_version"),
    comment="One row is one breach of a model version, and what was asked to be done about it.",
)


def _advised_as_of() -> Column[object]:
    return Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Whole days before this one count, as they were known at its end.",
    )


def _computed_at() -> Column[object]:
    return Column(
        "computed_at",
        _INSTANT,
        nullable=False,
        comment="When this was last computed; not again once the day was over everywhere.",
        info={"provenance": "latest"},
    )


winners = Table(
    "winners",
    warehouse,
    _advised_as_of(),
    _key("adset_id", "Ad set of the ads that are compared."),
    _key("metric", "ctr or roas."),
    _ad_key(),
    Column("account_id", Text, nullable=False, comment="Account of the ad set."),
    _count("n_days", "Whole days with delivery that count, of the last 56."),
    _rate("rate", "Expected CTR, a fraction, or ROAS, a multiple; null: nothing is known."),
    _rate("low", "Low end of its 95-percent interval, in its unit."),
    _rate("high", "High end of it."),
    _rate("p_best", "Chance that it is the best of the ad set's ads, a fraction."),
    _rate("expected_loss", "What choosing it gives away on average, in the unit of rate."),
    _rate(
        "always_valid_p",
        "Chance of such a lead over each other ad at any look, were both equal; null: alone.",
    ),
    Column("is_winner", Boolean, nullable=False, comment="Whether it may be called the best."),
    Column("missing", Text, comment="What is missing for that; null: nothing, it is a winner."),
    Column(
        "basis",
        Text,
        nullable=False,
        comment="observational: Meta chose who saw which ad; nobody was drawn by lot.",
    ),
    _computed_at(),
    CheckConstraint("metric IN ('ctr', 'roas')", name="metric"),
    CheckConstraint("basis IN ('observational')", name="basis"),
    CheckConstraint("p_best BETWEEN 0 AND 1", name="p_best"),
    CheckConstraint("always_valid_p BETWEEN 0 AND 1", name="always_valid_p"),
    CheckConstraint("is_winner = (missing IS NULL)", name="is_winner"),
    *_not_negative("n_days", "rate", "low", "expected_loss"),
    comment="One row is one ad that runs against the others of its ad set, as of a day; advice.",
    info={"day": "as_of_date"},
)

budget_advice = Table(
    "budget_advice",
    warehouse,
    _advised_as_of(),
    _account_key(),
    _key("adset_id", "Ad set that runs."),
    _currency(),
    _number("spend_per_day", "Mean spend of a day with spend of the last 7, major units."),
    _rate("roas", "revenue / spend of the last 28 days, late purchases allowed for."),
    _rate("marginal_roas", "What the next unit of spend a day brings; null: not known."),
    _rate("advised_spend_per_day", "What to spend a day next, major units; null: no advice."),
    _rate("exponent", "Percent by which revenue grows with one percent of spend, in the account."),
    _rate("exponent_low", "Low end of its 95-percent interval."),
    _rate("exponent_high", "High end of it."),
    Column("reason", Text, nullable=False, comment="Why that, or why there is no advice."),
    _computed_at(),
    _currency_code(),
    *_not_negative("spend_per_day", "roas", "marginal_roas", "advised_spend_per_day"),
    comment="One row is one ad set that runs and what might be spent on it next; advice.",
    info={"day": "as_of_date"},
)


def _known_by_day(what: str) -> Column[object]:
    return Column("snapshot_date", Date, nullable=False, primary_key=True, comment=what)


def _read_at(what: str) -> Column[object]:
    return Column("read_at", _INSTANT, nullable=False, comment=what, info={"provenance": "latest"})


budget_snapshots = Table(
    "budget_snapshots",
    warehouse,
    _account_key(),
    _known_by_day("Day in the account's own time zone on which the budget stood so."),
    _key("level", "campaign or adset: what the budget is of."),
    _key("budget_id", "Meta campaign or ad set."),
    Column("campaign_id", Text, nullable=False, comment="The campaign, or that of the ad set."),
    Column("name", Text, nullable=False, comment="Name of the campaign or ad set."),
    Column(
        "status",
        Text,
        nullable=False,
        comment="Meta's effective status; only ACTIVE spends.",
    ),
    _currency(),
    _money(
        "daily_budget", "Budget of a day, major units; null: it is for the life.", nullable=True
    ),
    _money("lifetime_budget", "Budget of all days, major units; null: by day.", nullable=True),
    Column("starts_on", Date, comment="First day on which it may spend; null: not said."),
    Column("ends_on", Date, comment="Last day on which it may spend; null: no end."),
    _read_at("When it was last read from Meta on that day."),
    CheckConstraint("level IN ('campaign', 'adset')", name="level"),
    CheckConstraint("(daily_budget IS NULL) <> (lifetime_budget IS NULL)", name="one_budget"),
    CheckConstraint("starts_on <= ends_on", name="ends_on"),
    _currency_code(),
    *_not_negative("daily_budget", "lifetime_budget"),
    *_finite("daily_budget", "lifetime_budget"),
    Index(None, "snapshot_date"),
    comment="One row is one budget at Meta as it stood on one day.",
    info={"day": "snapshot_date"},
)

plan_snapshots = Table(
    "plan_snapshots",
    warehouse,
    _known_by_day("Day, in ACTUALS_TIMEZONE, on which the plan stood so."),
    _key("plan_id", "public.budgets.id."),
    Column("name", Text, comment="Its name."),
    Column("account_id", Text, comment="Meta ad account that it is for; null: all of them."),
    Column("campaign_id", Text, comment="Meta campaign that it is for; null: all of them."),
    _currency(),
    _money("amount", "What may be spent from the first to the last day, major units."),
    Column("starts_on", Date, nullable=False, comment="First report day that counts."),
    Column("ends_on", Date, nullable=False, comment="Last report day that counts."),
    _read_at("When it was last read on that day."),
    CheckConstraint("starts_on <= ends_on", name="ends_on"),
    _currency_code(),
    *_not_negative("amount"),
    *_finite("amount"),
    comment="One row is one planned budget as it stood on one day.",
    info={"day": "snapshot_date"},
)

budget_pacing = Table(
    "budget_pacing",
    warehouse,
    Column(
        "as_of_date",
        Date,
        nullable=False,
        primary_key=True,
        comment="Day at whose end this was known; what is judged ends the day before.",
    ),
    _key("level", "campaign or adset: a budget at Meta; plan: one of public.budgets."),
    _key("budget_id", "Meta campaign, Meta ad set or public.budgets.id."),
    Column("account_id", Text, comment="Meta ad account; null: a plan for all of them."),
    Column("campaign_id", Text, comment="Meta campaign; null: a plan for all of them."),
    Column("name", Text, comment="Name of the campaign, ad set or plan."),
    Column("status", Text, comment="Meta's effective status; null: a plan."),
    _currency(),
    Column("kind", Text, nullable=False, comment="daily, lifetime or plan."),
    _money("daily_budget", "Budget of a day as it stands; null: not of that kind.", nullable=True),
    Column(
        "period_start",
        Date,
        nullable=False,
        comment="First report day that counts: of the calendar week (from Sunday) where daily.",
    ),
    Column("period_end", Date, comment="Last one; null: Meta named no end."),
    _money("budget", "Budget of the whole period; of days when it was not paused."),
    _money("spend_limit", "Most that may be spent in the period: by Meta's own rule, or planned."),
    _money(
        "spend", "Spend to date, the as-of day included; null: a rate is missing.", nullable=True
    ),
    _money("spend_whole_days", "Spend of the days before the as-of day.", nullable=True),
    _rate("expected_spend", "Share of budget that those days have; null: the period has no end."),
    _rate("projected_spend", "Spend at the end of the period if days go on as they did."),
    _rate("projected_spend_low", "Low end of its 95-percent interval; null: unknown."),
    _rate("projected_spend_high", "High end of it."),
    _rate("highest_day_share", "Most of a whole day's spend over its budget; 1.75 is allowed."),
    _count("days_missing", "Days before the as-of day that were never fetched."),
    Column(
        "verdict",
        Text,
        nullable=False,
        comment="on_track, underspending, overspending, paused or unknown.",
    ),
    Column("reason", Text, nullable=False, comment="What the verdict rests on."),
    _flagged("is_reconstructed", "Whether a later budget stands for days on which none was known."),
    CheckConstraint("level IN ('campaign', 'adset', 'plan')", name="level"),
    CheckConstraint("kind IN ('daily', 'lifetime', 'plan')", name="kind"),
    CheckConstraint(
        "verdict IN ('on_track', 'underspending', 'overspending', 'paused', 'unknown')",
        name="verdict",
    ),
    CheckConstraint(
        "reason IN ('as_planned', 'a_day_beyond_its_limit', 'beyond_the_limit', "
        "'projected_beyond', 'projected_below', 'ended_below', 'not_active', 'too_few_days', "
        "'days_missing', 'no_rate', 'no_end')",
        name="reason",
    ),
    CheckConstraint("period_start <= period_end", name="period_end"),
    _currency_code(),
    *_not_negative("daily_budget", "budget", "spend_limit", "days_missing"),
    *_finite("daily_budget", "budget", "spend_limit", "spend", "spend_whole_days"),
    comment="One row is one budget and what was spent of it, as of a day.",
    info={"day": "as_of_date"},
)


model_statistics = Table(
    "model_statistics",
    warehouse,
    _as_of_day(),
    _key("model_name", "Model that predicted."),
    _key("model_version", "Its version."),
    _key("protocol", "headline, or headline_unattested of imported predictions."),
    _key("statistic", "What is said, metric first, as ctr_calibration."),
    _key("segment", "Of which part of the pairs, as campaign 42; empty: all of them."),
    Column("value", Double, nullable=False, comment="The figure, in unit."),
    _rate("low", "Low end of its 95-percent interval; null where there is none."),
    _rate("high", "High end of it."),
    Column("unit", Text, nullable=False, comment="Unit of value, low and high."),
    _count("n_pairs", "Pairs that it rests on."),
    _count("n_clusters", "Campaigns of those pairs, or ad sets where the order is judged."),
    _flagged("is_off", "Whether a segment is off beyond chance, among all of its kind."),
    Column("verdict", Text, comment="Of accuracy_difference: better, worse or unresolved."),
    CheckConstraint("verdict IN ('better', 'worse', 'unresolved')", name="verdict"),
    comment="One row is one statistic of a model version's final pairs, as of a day.",
    info={"day": "as_of_date"},
)

fetch_log = Table(
    "fetch_log",
    warehouse,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of writing."),
    Column("run_id", Text, nullable=False, comment="Run that fetched."),
    Column("kind", Text, nullable=False, comment="account: a whole account; ad: a single ad."),
    Column("account_id", Text, comment="Account asked; null when it never became known."),
    Column("ad_id", Text, comment="Ad asked, when kind is ad."),
    Column("since", Date, nullable=False, comment="First report day asked."),
    Column("until", Date, nullable=False, comment="Last report day asked."),
    Column("started_at", DateTime(timezone=True), nullable=False, comment="Start of the fetch."),
    _rate("duration_seconds", "Time from start to outcome."),
    Column(
        "outcome",
        Text,
        nullable=False,
        comment="complete, rate_limited, refused or failed; only complete replaces days.",
    ),
    _count("calls", "Graph API calls."),
    _count("pages", "Pages of insights read."),
    _count("rows", "Insights rows read, the account total not counted."),
    _count("retries", "Calls repeated after a failure."),
    _count("rate_limits_hit", "Answers that asked us to wait."),
    _rate("throttled_seconds", "Time spent waiting for quota."),
    Column("error_class", Text, comment="Class of the error that ended the fetch."),
    Column("error_message", Text, comment="Its message, without secrets."),
    Column("is_stand_in", Boolean, nullable=False, comment="Whether the stand-in answered."),
    _tally("calls_by_kind", "Graph API calls by what was asked for."),
    _tallied("bytes", "Bytes of answers, as decompressed."),
    _tallied("missing_ads", "Ads asked for by id because the account's listing lacked some."),
    _tally("retries_by_class", "Calls repeated, by the class of the error."),
    _tally("splits", "Times that requests were made smaller, by lever."),
    Column("page_size", BigInteger, comment="Rows in a page with which Meta answered."),
    Column("days_per_request", BigInteger, comment="Most days in a request; null: all of them."),
    Column("as_report", Boolean, comment="Whether only asynchronous reports went through."),
    _rate("account_quota_percent", "Share of the account's call limit used up, in percent."),
    _rate("app_quota_percent", "Share of the app's call limit used up, in percent."),
    Column("account_rests_until", _INSTANT, comment="When the account may be asked again."),
    Column("app_rests_until", _INSTANT, comment="When the app may ask again."),
    _count("rows_inserted", "Rows new to raw_meta_insights.", nullable=True),
    _count("rows_updated", "Rows of it that Meta restated.", nullable=True),
    _count("rows_unchanged", "Rows of it that stayed as they were.", nullable=True),
    _count("rows_deleted", "Rows of it that Meta lists no more.", nullable=True),
    _count("rows_superseded", "Rows left aside: a newer fetch was stored first.", nullable=True),
    _rate("backoff_seconds", "Time spent waiting before calls were repeated after a failure."),
    _rate("polling_seconds", "Time spent waiting for reports that Meta computed."),
    Column(
        "budgets_on",
        Date,
        comment="Account-local day of which no budgets need be read any more; null: not looked at.",
    ),
    _count("budgets", "Budgets of campaigns and ad sets read; null: none were.", nullable=True),
    Column("budgets_error", Text, comment="Why they could not be read, without secrets."),
    CheckConstraint("outcome IN ('complete', 'rate_limited', 'refused', 'failed')", name="outcome"),
    CheckConstraint("kind IN ('account', 'ad')", name="kind"),
    CheckConstraint("budgets IS NULL OR budgets_on IS NOT NULL", name="budgets"),
    Index(None, "started_at"),
    Index(None, "run_id"),
    Index(
        "fetch_log_budgets_idx",
        "account_id",
        "budgets_on",
        postgresql_where=text("budgets_on IS NOT NULL"),
    ),
    Index("fetch_log_ads_idx", "account_id", "started_at", postgresql_where=text("kind = 'ad'")),
    comment="One row is one account's (or one ad's) fetch in one run; append-only.",
)

alerts = Table(
    "alerts",
    warehouse,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of opening."),
    Column("rule", Text, nullable=False, comment="What is watched; docs/operations.md lists them."),
    Column(
        "subject",
        Text,
        nullable=False,
        comment="Account, day, model, budget or run it is about; empty: the installation.",
    ),
    Column("severity", Text, nullable=False, comment="critical or warning."),
    Column("message", Text, nullable=False, comment="What is so, as last looked."),
    Column("advice", Text, nullable=False, comment="What to do."),
    Column("opened_at", _INSTANT, nullable=False, comment="When it was first so."),
    Column("last_sent_at", _INSTANT, nullable=False, comment="When it was last told."),
    Column("cleared_at", _INSTANT, comment="When it was over; null while it is open."),
    CheckConstraint("severity IN ('critical', 'warning')", name="severity"),
    CheckConstraint("cleared_at >= opened_at", name="cleared_at"),
    Index(
        "alerts_open_idx",
        "rule",
        "subject",
        unique=True,
        postgresql_where=text("cleared_at IS NULL"),
    ),
    comment="One row is one alert: a rule and a subject, from when it was so until it was over.",
)

alert_messages = Table(
    "alert_messages",
    warehouse,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Its number."),
    Column("channel", Text, nullable=False, comment="Place and kind of the address; no secret."),
    Column("kind", Text, nullable=False, comment="failure, warning, success or info."),
    Column("title", Text, nullable=False, comment="Its title."),
    Column("body", Text, nullable=False, comment="Its text."),
    Column("created_at", _INSTANT, nullable=False, comment="When it was written."),
    _tallied("attempts", "Times that it was tried to send it."),
    Column("next_attempt_at", _INSTANT, nullable=False, comment="Not tried again before."),
    Column("last_error", Text, comment="Why the last try failed, without address and secret."),
    Column("delivered_at", _INSTANT, comment="When it was taken; null until then."),
    CheckConstraint("kind IN ('failure', 'warning', 'success', 'info')", name="kind"),
    *_not_negative("attempts"),
    Index(
        "alert_messages_waiting_idx",
        "channel",
        "id",
        postgresql_where=text("delivered_at IS NULL"),
    ),
    comment="One row is one message to one channel, sent or waiting.",
)

watched_since = Table(
    "watched_since",
    warehouse,
    _key("subject", "Account, digits without act_; empty: the schedule."),
    Column(
        "since", _INSTANT, nullable=False, comment="When it was first to be fetched, or to tick."
    ),
    comment="One row is something of which alerts are to be raised, and since when.",
)

heartbeats = Table(
    "heartbeats",
    warehouse,
    _key("run_id", "Good run of an hourly tick that was to be told."),
    Column("created_at", _INSTANT, nullable=False, comment="When that was first tried."),
    _tallied("attempts", "Times that ACTUALS_HEARTBEAT_URL was asked."),
    Column("next_attempt_at", _INSTANT, nullable=False, comment="Not tried again before."),
    Column("last_error", Text, comment="Why the last try failed, without the address."),
    Column("delivered_at", _INSTANT, comment="When it was taken; null until then."),
    *_not_negative("attempts"),
    Index(None, "created_at"),
    comment="One row is one good tick, and the ping that told of it.",
)

health_findings = Table(
    "health_findings",
    warehouse,
    _key("name", "The check, as `actuals doctor` calls it."),
    _key("subject", "Account that it is about; empty: the installation."),
    Column("verdict", Text, nullable=False, comment="ok, warning or problem."),
    Column("seen", Text, nullable=False, comment="What was found."),
    Column("advice", Text, nullable=False, comment="What to do; empty when ok."),
    Column("checked_at", _INSTANT, nullable=False, comment="When that was."),
    CheckConstraint("verdict IN ('ok', 'warning', 'problem')", name="verdict"),
    comment="One row is one check of the daily health check, as it last came out.",
)

open_reports = Table(
    "open_reports",
    warehouse,
    Column("account_id", Text, primary_key=True, comment="Account that the report is about."),
    Column("fingerprint", Text, primary_key=True, comment="SHA-256 of the request, days included."),
    Column("report_run_id", Text, nullable=False, comment="Meta's id of the report run."),
    Column("submitted_at", _INSTANT, nullable=False, comment="When it was submitted."),
    Index(None, "report_run_id"),
    comment="One row is one asynchronous report that Meta still holds and nobody has read.",
)

meta_events = Table(
    "meta_events",
    warehouse,
    Column(
        "event_key",
        Text,
        primary_key=True,
        comment="SHA-256 of account, instant, field and value: the same event has the same.",
    ),
    Column("account_id", Text, nullable=False, comment="Meta ad account, digits without act_."),
    Column("field", Text, nullable=False, comment="What was subscribed to, in Meta's words."),
    Column("object_level", Text, comment="campaign, adset, ad or creative, as Meta says."),
    Column("object_id", Text, comment="Meta's id of what changed; null where it names none."),
    Column("happened_at", _INSTANT, comment="When it happened, as Meta says."),
    Column(
        "received_at",
        _INSTANT,
        nullable=False,
        server_default=text("now()"),
        comment="When it was told for the first time.",
    ),
    Column("value", JSONB, nullable=False, comment="What Meta told, verbatim."),
    CheckConstraint("event_key ~ '^[0-9a-f]{64}$'", name="event_key"),
    CheckConstraint("field <> ''", name="field"),
    Index(None, "account_id", "received_at"),
    Index(None, "received_at"),
    comment="One row is one event that Meta told by webhook; append-only, and kept for 90 days.",
)

known_days = Table(
    "known_days",
    warehouse,
    _account_key(),
    _report_day(),
    Column(
        "known_since",
        Date,
        nullable=False,
        comment="Account-local day on which this report day was first fetched whole.",
    ),
    comment="One row is one account's report day, and since when it is known whole; append-only.",
)

fruitless_ads = Table(
    "fruitless_ads",
    warehouse,
    Column("account_id", Text, primary_key=True, comment="Account whose days did not add up."),
    Column("ad_id", Text, primary_key=True, comment="Ad that was asked for by id."),
    Column("since", Date, nullable=False, comment="First report day in which it had nothing."),
    Column("asked_at", _INSTANT, nullable=False, comment="When it was asked for the last time."),
    comment="One row is one ad that had nothing when it was asked for by id; it rests for a day.",
)

ads = Table(
    "ads",
    warehouse,
    Column("ad_id", Text, primary_key=True, comment="Meta ad."),
    Column("campaign_id", Text, nullable=False, comment="Its campaign; Meta moves no ad."),
    Column("adset_id", Text, comment="Its ad set."),
    comment="One row is one ad that was ever listed, and where it belongs; append-only.",
)

pruned_months = Table(
    "pruned_months",
    warehouse,
    _account_key(),
    Column("month", Date, primary_key=True, comment="First day of the month."),
    _count("rows", "Payloads that were removed the last time."),
    Column(
        "fetched_until",
        _INSTANT,
        nullable=False,
        comment="Payloads of days fetched whole up to this instant are gone.",
    ),
    Column("pruned_at", _INSTANT, nullable=False, comment="When they were removed."),
    comment="One row is one account's month whose payloads were pruned; its figures stay.",
)


def _sealed_by(function: str) -> tuple[SchemaItem, ...]:
    """What makes the rows of a log a chain."""
    return (
        Column(
            "previous_hash",
            LargeBinary,
            nullable=False,
            comment="hash of the row before; 32 zero bytes in the first.",
        ),
        Column(
            "hash",
            LargeBinary,
            nullable=False,
            comment=f"SHA-256 of previous_hash and all other columns ({function}).",
        ),
        CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32", name="hash"
        ),
    )


video_log = Table(
    "video_log",
    warehouse,
    Column(
        "sequence",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Order of receipt: 1, 2, 3 and so on without a gap.",
    ),
    Column(
        "video_id",
        Text,
        nullable=False,
        comment="public.videos.id; several rows when it was changed there.",
    ),
    Column(
        "ad_id", Text, comment="The Meta ad that runs the video from then on; null when none does."
    ),
    Column(
        "created_at",
        _INSTANT,
        comment="public.videos.created_at as said; null when it is not known.",
    ),
    Column("is_removed", Boolean, nullable=False, comment="Whether the video was deleted."),
    Column(
        "logged_at",
        _INSTANT,
        nullable=False,
        comment="When this database came to know it, by its own clock.",
    ),
    Column(
        "is_attested",
        Boolean,
        nullable=False,
        comment=(
            "Whether the product said so at logged_at; "
            "false: found later, it may have said so long before."
        ),
    ),
    *_sealed_by("actuals.video_log_hash"),
    CheckConstraint("sequence >= 1", name="sequence"),
    CheckConstraint("NOT is_removed OR ad_id IS NULL AND created_at IS NULL", name="is_removed"),
    Index(None, "video_id", "sequence"),
    comment=(
        "One row is what public.videos came to say of one video; "
        "append-only, each row seals the one before."
    ),
)

prediction_log = Table(
    "prediction_log",
    warehouse,
    Column(
        "sequence",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Order of receipt: 1, 2, 3 and so on without a gap.",
    ),
    Column(
        "prediction_id",
        Text,
        nullable=False,
        comment="public.predictions.id; several rows when it was changed there.",
    ),
    Column("video_id", Text, comment="public.videos.id as said; null when none was named."),
    Column("model_name", Text, nullable=False, comment="Model that predicted."),
    Column("model_version", Text, nullable=False, comment="Its version."),
    _rate(
        "predicted_ctr",
        "Click-through rate as said, meant as a fraction; NaN when it was no number.",
    ),
    _rate("predicted_roas", "Return on ad spend as said, a multiple; NaN when it was no number."),
    Column(
        "logged_at",
        _INSTANT,
        nullable=False,
        comment="When this database received it, by its own clock.",
    ),
    Column(
        "claimed_at",
        _INSTANT,
        comment="public.predictions.logged_at as it was then; anybody may have set it.",
    ),
    Column(
        "is_attested",
        Boolean,
        nullable=False,
        comment=(
            "Whether logged_at is when it was made known; false: history that only claims its time."
        ),
    ),
    *_sealed_by("actuals.prediction_log_hash"),
    CheckConstraint("sequence >= 1", name="sequence"),
    comment=(
        "One row is one prediction as it was received; append-only, each row seals the one before."
    ),
)

videos = Table(
    "videos",
    product,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("campaign_id", Uuid),
    Column("title", Text),
    Column("meta_platform_id", Text, comment="The Meta ad that runs this video."),
    Column("status", Text),
    Column("created_at", DateTime(timezone=False), nullable=False, server_default=text("now()")),
    Index(None, "meta_platform_id"),
    comment="One row is one video of the product.",
)

predictions = Table(
    "predictions",
    product,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("video_id", Uuid, nullable=False, comment="public.videos.id."),
    Column("model_name", Text, nullable=False, server_default=text("'default'")),
    Column("model_version", Text, nullable=False, server_default=text("'1'")),
    Column("predicted_ctr", Double, comment="Click-through rate (all clicks), a fraction 0..1."),
    Column("predicted_roas", Double, comment="Return on ad spend, a multiple."),
    Column(
        "logged_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("now()"),
        comment="When the prediction was made known to the database.",
    ),
    CheckConstraint("predicted_ctr BETWEEN 0 AND 1", name="predicted_ctr"),
    CheckConstraint("predicted_roas >= 0 AND predicted_roas < 'Infinity'", name="predicted_roas"),
    Index(None, "video_id"),
    comment="One row is one prediction of one model version for one video.",
)

budgets = Table(
    "budgets",
    product,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("name", Text),
    Column("meta_account_id", Text, comment="Ad account that it is for, digits; null: all."),
    Column("meta_campaign_id", Text, comment="Meta campaign that it is for; null: all."),
    Column("currency", Text, nullable=False, comment="ISO 4217 code of amount."),
    Column("amount", Numeric, nullable=False, comment="What may be spent, major units."),
    Column("start_date", Date, nullable=False, comment="First report day that counts."),
    Column("end_date", Date, nullable=False, comment="Last report day that counts."),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("amount >= 0 AND amount < 'Infinity'", name="amount"),
    CheckConstraint("start_date <= end_date", name="end_date"),
    comment="One row is one planned budget.",
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for table in warehouse.sorted_tables}
)
"""The warehouse's own tables by name (which is also the asset's name)."""
