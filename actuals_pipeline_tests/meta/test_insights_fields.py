from __future__ import annotations

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.campaign import Campaign

from actuals_pipeline.meta import fields


def _values(enumeration: type) -> set[str]:
    return {value for name, value in vars(enumeration).items() if not name.startswith("_")}


@pytest.mark.parametrize(
    ("asked", "enumeration"),
    [
        (fields.AD_FIELDS, AdsInsights.Field),
        (fields.ACCOUNT_FIELDS, AdsInsights.Field),
        (fields.LIFETIME_FIELDS, AdsInsights.Field),
        (fields.ATTRIBUTION_WINDOWS, AdsInsights.ActionAttributionWindows),
        ((fields.LEVEL_AD, fields.LEVEL_ACCOUNT), AdsInsights.Level),
        ((fields.DATE_PRESET_MAXIMUM,), AdsInsights.DatePreset),
        (fields.ACCOUNT_NODE_FIELDS, AdAccount.Field),
        (fields.AD_NODE_FIELDS, Ad.Field),
        (fields.REPORT_RUN_FIELDS, AdReportRun.Field),
        (fields.CAMPAIGN_FIELDS, Campaign.Field),
        (fields.AD_SET_FIELDS, AdSet.Field),
    ],
)
def test_every_word_we_send_is_one_of_the_sdks(asked: tuple[str, ...], enumeration: type) -> None:
    assert set(asked) <= _values(enumeration)
    assert len(set(asked)) == len(asked)


def test_the_status_filter_names_every_status_of_an_ad() -> None:
    (only_filter,) = fields.ALL_STATUSES_FILTER
    assert set(only_filter["value"]) == _values(Ad.EffectiveStatus)


def test_no_ratio_of_metas_is_asked_for() -> None:
    ratios = {"ctr", "cpc", "cpm", "cpp", "frequency", "purchase_roas", "website_purchase_roas"}
    assert not ratios & {*fields.AD_FIELDS, *fields.ACCOUNT_FIELDS}


def test_windows_that_meta_no_longer_answers_are_not_asked_for() -> None:
    assert not {"7d_view", "28d_view"} & set(fields.ATTRIBUTION_WINDOWS)
