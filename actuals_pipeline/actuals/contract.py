"""The frames of this package as data: columns, units, keys and the rules of their rows.

Days are the ad account's own calendar days.  Money is in the account's currency, major units,
with the digits that Meta sent.  CTR is a fraction here and everywhere but at the JSON edge.

`clicks` may exceed `impressions` and is not checked against them.  Conversions and revenue may be
negative: Meta restates refunds.

Source: Insights reference and best practices, API v26.0, read 2026-09-12.
"""

from __future__ import annotations

from actuals_pipeline.frames import (
    Column,
    Contract,
    Kind,
    Rule,
    at_least_zero,
    matching,
    one_of,
)

VERDICTS = ("exact", "within_tolerance", "gap")
"""How the ads' spend of an account-day stands against Meta's total."""

_MONEY = "account currency, major units"

_ACCOUNT_ID = Column("account_id", Kind.TEXT, "Ad account, digits without `act_`")
_AD_ID = Column("ad_id", Kind.TEXT, "Ad")
_REPORT_DATE = Column("report_date", Kind.DAY, "Report day", "day in the account's time zone")
_CURRENCY = Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217 code")
_FETCHED_AT = Column("fetched_at", Kind.INSTANT, "When Meta gave these figures", "UTC")

_NAMES = (
    Column("campaign_id", Kind.TEXT, "Campaign", nullable=True),
    Column("campaign_name", Kind.TEXT, "Campaign's name on the day of the fetch", nullable=True),
    Column("adset_id", Kind.TEXT, "Ad set", nullable=True),
    Column("adset_name", Kind.TEXT, "Ad set's name on the day of the fetch", nullable=True),
    Column("ad_name", Kind.TEXT, "Ad's name on the day of the fetch", nullable=True),
)
_ATTRIBUTION_SETTING = Column(
    "attribution_setting", Kind.TEXT, "Meta's attribution setting of the ad set", nullable=True
)
_PURCHASE_ACTION_TYPE = Column(
    "purchase_action_type", Kind.TEXT, "The one action type counted as a purchase"
)
_IMPRESSIONS = Column("impressions", Kind.COUNT, "Times shown", "impressions")
_CLICKS = Column("clicks", Kind.COUNT, "Clicks of any kind (Meta's clicks (all))", "clicks")
_LINK_CLICKS = Column("link_clicks", Kind.COUNT, "Clicks on the link", "clicks")
_REACH = Column(
    "reach", Kind.COUNT, "People reached, estimated; missing = unknown", "people", nullable=True
)
_SPEND = Column("spend", Kind.DECIMAL, "Money spent, as Meta estimates it", _MONEY)
_CONVERSIONS = Column("conversions", Kind.COUNT, "Purchases, refunds may be netted", "purchases")
_REVENUE = Column("revenue", Kind.DECIMAL, "Value of the purchases", _MONEY)

_RATES = (
    Column(
        "ctr", Kind.NUMBER, "clicks / impressions; missing = none shown", "fraction", nullable=True
    ),
    Column("roas", Kind.NUMBER, "revenue / spend; missing = no spend", "multiple", nullable=True),
    Column(
        "cpm",
        Kind.NUMBER,
        "1000 * spend / impressions; missing = none shown",
        _MONEY,
        nullable=True,
    ),
    Column("cpc", Kind.NUMBER, "spend / clicks; missing = no click", _MONEY, nullable=True),
    Column(
        "frequency",
        Kind.NUMBER,
        "impressions / reach; missing = nobody or unknown",
        "impressions per person",
        nullable=True,
    ),
)

_CURRENCY_RULE = matching("currency", "[A-Z]{3}", "is three capital letters")
_FIGURE_RULES: tuple[Rule, ...] = (
    _CURRENCY_RULE,
    *at_least_zero("impressions", "clicks", "reach", "spend"),
)

_AD_DAY = ("account_id", "ad_id", "report_date")
_AD_FIGURES = (
    *_NAMES,
    _CURRENCY,
    _ATTRIBUTION_SETTING,
    _PURCHASE_ACTION_TYPE,
    _IMPRESSIONS,
    _CLICKS,
    _LINK_CLICKS,
    _REACH,
    _SPEND,
    _CONVERSIONS,
    _REVENUE,
)

INSIGHTS = Contract(
    "insights",
    key=_AD_DAY,
    columns=(_ACCOUNT_ID, _AD_ID, _REPORT_DATE, *_AD_FIGURES, _FETCHED_AT),
    rules=(*_FIGURE_RULES, *at_least_zero("link_clicks")),
)
"""One ad and report day, as Meta reported it, parsed."""

AD_ACTUALS = Contract(
    "ad_actuals",
    key=_AD_DAY,
    columns=(
        _ACCOUNT_ID,
        _AD_ID,
        _REPORT_DATE,
        Column("video_id", Kind.TEXT, "The product's video that the ad shows", nullable=True),
        *_AD_FIGURES,
        *_RATES,
        Column("is_settled", Kind.FLAG, "Meta no longer restates this day"),
        _FETCHED_AT,
    ),
    rules=(
        *INSIGHTS.rules,
        *at_least_zero("ctr", "cpm", "cpc", "frequency"),
    ),
)
"""One ad and report day, with its video and its rates."""

TOTALS = Contract(
    "meta_account_totals",
    key=("account_id", "report_date"),
    columns=(
        _ACCOUNT_ID,
        _REPORT_DATE,
        Column("account_name", Kind.TEXT, "Account's name"),
        _CURRENCY,
        Column("time_zone", Kind.TEXT, "The account's time zone", "IANA name"),
        _IMPRESSIONS,
        _CLICKS,
        _REACH,
        _SPEND,
        _CONVERSIONS,
        _REVENUE,
        _PURCHASE_ACTION_TYPE,
        Column("is_reported", Kind.FLAG, "Meta gave a row; a fetched day without one is a zero"),
        _FETCHED_AT,
        *(
            Column(
                f"revenue_{days}d_click",
                Kind.DECIMAL,
                f"Value of purchases within {days} d of a click; missing = not kept",
                _MONEY,
                nullable=True,
            )
            for days in (1, 7, 28)
        ),
    ),
    rules=_FIGURE_RULES,
)
"""Meta's own total of one account and report day, deleted ads included."""

RECONCILIATION = Contract(
    "spend_reconciliation",
    key=("account_id", "report_date"),
    columns=(
        _ACCOUNT_ID,
        _REPORT_DATE,
        _CURRENCY,
        Column("n_ads", Kind.COUNT, "Ads with figures on the day", "ads"),
        Column("ads_spend", Kind.DECIMAL, "Sum of the ads' spend", _MONEY),
        Column("meta_spend", Kind.DECIMAL, "Meta's own total", _MONEY),
        Column("spend_difference", Kind.DECIMAL, "meta_spend - ads_spend", _MONEY),
        Column("ads_impressions", Kind.COUNT, "Sum of the ads' impressions", "impressions"),
        Column("meta_impressions", Kind.COUNT, "Meta's own total", "impressions"),
        Column(
            "impressions_difference",
            Kind.COUNT,
            "meta_impressions - ads_impressions",
            "impressions",
        ),
        Column(
            "tolerance_share",
            Kind.DECIMAL,
            "Share of meta_spend that the difference may reach",
            "fraction",
        ),
        Column("verdict", Kind.TEXT, "How the ads' spend stands against Meta's total"),
        _FETCHED_AT,
    ),
    rules=(
        _CURRENCY_RULE,
        *at_least_zero("n_ads", "ads_spend", "meta_spend", "tolerance_share"),
        one_of("verdict", VERDICTS),
    ),
)
"""One account and report day: the ads' sum against Meta's total."""
