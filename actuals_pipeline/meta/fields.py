"""What we ask Meta's Insights for, in Meta's own words.

Every name here is checked against the SDK's enumerations by a test.
Source: `AdsInsights`, `Ad`, `AdAccount` and `AdReportRun` of facebook-business 26.0.3, Insights
parameters and best practices (Marketing API v26.0, read 2026-11-22).
"""

from __future__ import annotations

import re
from typing import Final

_ID: Final = re.compile(r"[0-9A-Za-z_]{1,64}")

LEVEL_AD: Final = "ad"
LEVEL_ACCOUNT: Final = "account"

DAILY: Final = 1
"""`time_increment` that gives one row per report day; the default is one for all days."""

DATE_PRESET_MAXIMUM: Final = "maximum"
"""The 37 months that Meta keeps."""

_MEASURES: Final = (
    "spend",
    "impressions",
    "reach",
    "clicks",
    "inline_link_clicks",
    "actions",
    "action_values",
)

KEY_FIELDS: Final = ("account_id", "ad_id", "date_start", "date_stop")
"""What tells one row of insights from another."""

AD_FIELDS: Final = (
    "account_id",
    "account_currency",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
    "attribution_setting",
    "date_start",
    "date_stop",
    *_MEASURES,
)
"""Fields of one ad's day.

Ratios (`ctr`, `cpm`, `frequency`, `purchase_roas`, ...) are left out: they are recomputed from
counts, because Meta's are rounded and cannot be added up.
"""

ACCOUNT_FIELDS: Final = (
    "account_id",
    "account_currency",
    "date_start",
    "date_stop",
    *_MEASURES,
)
"""Fields of one account's day: the control total of the ads' days."""

REACH_FIELDS: Final = (*KEY_FIELDS, "reach")
"""Fields of one ad over several days at once: people reached cannot be added up over days."""

LIFETIME_FIELDS: Final = (*KEY_FIELDS, "impressions")

ACCOUNT_NODE_FIELDS: Final = ("account_id", "name", "currency", "timezone_name")
"""`timezone_name` is an IANA name; `timezone_offset_hours_utc` knows no summer time."""

AD_NODE_FIELDS: Final = ("account_id", "adset_id")
"""`adset_id` makes Meta refuse the id of a campaign or an ad set, which have an account too."""

ATTRIBUTION_WINDOWS: Final = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev")
"""Attribution windows, always sent: the GET and the POST page document different defaults.

`7d_view` and `28d_view` are answered with silence since 2026-01-12 (developers' blog, 2025-10-16).
"""

CLICK_WINDOWS: Final = ("1d_click", "7d_click", "28d_click")
"""The click windows among them, shortest first: each holds the ones before it."""

CAMPAIGN_FIELDS: Final = (
    "id",
    "name",
    "effective_status",
    "daily_budget",
    "lifetime_budget",
    "start_time",
    "stop_time",
)
"""Fields of a campaign that say what it may spend; money is in minor units."""

AD_SET_FIELDS: Final = (
    "id",
    "campaign_id",
    "name",
    "effective_status",
    "daily_budget",
    "lifetime_budget",
    "start_time",
    "end_time",
)
"""The same of an ad set."""

END_OF_LEVEL: Final = {"campaign": "stop_time", "adset": "end_time"}
"""The field that holds the instant at which it stops."""

AD_STATUSES: Final = (
    "ACTIVE",
    "ADSET_PAUSED",
    "ARCHIVED",
    "CAMPAIGN_PAUSED",
    "DELETED",
    "DISAPPROVED",
    "IN_PROCESS",
    "PAUSED",
    "PENDING_BILLING_INFO",
    "PENDING_REVIEW",
    "PREAPPROVED",
    "WITH_ISSUES",
)
"""All effective statuses of an ad.

Without a filter that names them, ARCHIVED and DELETED ads are missing from an account's ad-level
insights although its totals include them (Manage your ad object's status, 2026-09-12).
"""

ALL_STATUSES_FILTER: Final = (
    {"field": "ad.effective_status", "operator": "IN", "value": list(AD_STATUSES)},
)
"""The filter that brings archived and deleted ads back.

No filter on impressions: web purchases are dated by conversion, so a day without delivery can
still carry revenue.
"""

PURCHASE_ACTION_TYPES: Final = (
    "omni_purchase",
    "purchase",
    "offsite_conversion.fb_pixel_purchase",
    "onsite_web_purchase",
    "onsite_web_app_purchase",
    "web_in_store_purchase",
    "web_app_in_store_purchase",
    "app_custom_event.fb_mobile_purchase",
    "onsite_conversion.purchase",
    "offline_conversion.purchase",
    "offsite_purchase_add_20_s_calls",
)
"""Action types under which Meta repeats one and the same set of purchases.

They are aliases and roll-ups of each other, never parts: one of them is counted, none are added.
`omni_purchase` is the de-duplicated total that Ads Manager shows as "Purchases".  Meta documents
no list; this one comes from payloads seen in public repositories (2025-12).
"""

REPORT_RUN_FIELDS: Final = (
    "async_status",
    "async_percent_completion",
    "error_code",
    "error_subcode",
    "error_message",
    "error_user_title",
    "error_user_msg",
)

JOB_COMPLETED: Final = "Job Completed"
JOB_FAILED: Final = "Job Failed"
JOB_SKIPPED: Final = "Job Skipped"
"""The run expired before it started; to be submitted again unchanged (Insights best practices)."""

ACCOUNT_HEALTH_FIELDS: Final = (*ACCOUNT_NODE_FIELDS, "account_status")

READING_SCOPE: Final = "ads_read"
"""All that reading insights needs; `ads_management` is for changing ads (insights overview)."""

ACCOUNT_STATUSES: Final = {
    1: "ACTIVE",
    2: "DISABLED",
    3: "UNSETTLED",
    7: "PENDING_RISK_REVIEW",
    8: "PENDING_SETTLEMENT",
    9: "IN_GRACE_PERIOD",
    100: "PENDING_CLOSURE",
    101: "CLOSED",
}
"""`account_status` of an ad account (AdAccount reference, quoted by third parties)."""

SILENT_WINDOWS: Final = ("7d_view", "28d_view")
"""Attribution windows that are accepted and no longer answered since 2026-01-12."""


def is_number(value: object) -> bool:
    """Whether `value` is an id as people may write it: digits and nothing else."""
    return is_id(value) and str(value).isdigit()


def is_id(value: object) -> bool:
    """Whether `value` may be the id of an object: text that is safe in a path and as a key.

    Meta's are digits, but it promises no form, and an id is never a number here.
    """
    return isinstance(value, str) and _ID.fullmatch(value) is not None
