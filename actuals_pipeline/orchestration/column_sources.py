"""From which columns upstream the columns of the main assets come, for the UI and for catalogs.

Rates come from what they are the rate of.  Dagster's open UI keeps column lineage to itself (it
can be asked for by GraphQL), so the columns say it in their descriptions as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import dagster as dg

_FEEDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "ad_actuals": {
            "raw_meta_insights.account_id": "account_id",
            "raw_meta_insights.ad_id": "ad_id",
            "raw_meta_insights.report_date": "report_date",
            "raw_meta_insights.fetched_at": "fetched_at",
            "raw_meta_insights.payload": (
                "campaign_id campaign_name adset_id adset_name ad_name currency "
                "attribution_setting impressions clicks link_clicks reach spend conversions "
                "revenue ctr roas cpm cpc frequency"
            ),
            "videos.id": "video_id",
            "videos.meta_platform_id": "video_id",
            "meta_account_totals.fetched_at": "is_settled",
            "meta_account_totals.time_zone": "is_settled",
        },
        "spend_reconciliation": {
            "meta_account_totals.account_id": "account_id",
            "meta_account_totals.report_date": "report_date",
            "meta_account_totals.currency": "currency",
            "meta_account_totals.fetched_at": "fetched_at",
            "meta_account_totals.spend": "meta_spend spend_difference verdict",
            "meta_account_totals.impressions": "meta_impressions impressions_difference",
            "ad_actuals.ad_id": "n_ads",
            "ad_actuals.spend": "ads_spend spend_difference verdict",
            "ad_actuals.impressions": "ads_impressions impressions_difference",
        },
        "prediction_accuracy": {
            "videos.id": "video_id",
            "videos.meta_platform_id": "ad_id",
            "videos.created_at": "status",
            "predictions.id": "prediction_id",
            "predictions.model_name": "model_name",
            "predictions.model_version": "model_version",
            "predictions.logged_at": "predicted_at days_since_prediction status",
            "predictions.predicted_ctr": (
                "predicted_ctr ctr_error ctr_accuracy ctr_accuracy_raw ctr_direction ctr_z "
                "ctr_verdict"
            ),
            "predictions.predicted_roas": (
                "predicted_roas roas_error roas_accuracy roas_accuracy_raw roas_direction roas_z "
                "roas_verdict"
            ),
            "ad_actuals.account_id": "account_id",
            "ad_actuals.campaign_id": "campaign_id",
            "ad_actuals.adset_id": "adset_id",
            "ad_actuals.currency": "currency",
            "ad_actuals.report_date": "first_delivery_on last_delivery_on matures_on",
            "ad_actuals.impressions": (
                "impressions actual_ctr ctr_error ctr_accuracy ctr_accuracy_raw ctr_direction "
                "ctr_low ctr_high ctr_z ctr_verdict"
            ),
            "ad_actuals.clicks": (
                "clicks actual_ctr ctr_error ctr_accuracy ctr_accuracy_raw ctr_direction ctr_low "
                "ctr_high ctr_z ctr_verdict"
            ),
            "ad_actuals.spend": (
                "spend actual_roas roas_error roas_accuracy roas_accuracy_raw roas_direction "
                "settled_spend_share"
            ),
            "ad_actuals.conversions": "conversions order_value",
            "ad_actuals.revenue": (
                "revenue actual_roas roas_error roas_accuracy roas_accuracy_raw roas_direction "
                "order_value"
            ),
            "ad_actuals.is_settled": "settled_spend_share",
            "revenue_development.revenue_share": "completeness actual_roas",
            "revenue_development.revenue_share_se": "completeness_se",
        },
        "model_accuracy": {
            "prediction_accuracy.as_of_date": "as_of_date",
            "prediction_accuracy.model_name": "model_name",
            "prediction_accuracy.model_version": "model_version",
            "prediction_accuracy.protocol": "protocol",
            "prediction_accuracy.predicted_ctr": "ctr_mae",
            "prediction_accuracy.actual_ctr": "ctr_mae",
            "prediction_accuracy.predicted_roas": "roas_mae",
            "prediction_accuracy.actual_roas": "roas_mae",
            "prediction_accuracy.ctr_accuracy": (
                "prediction_accuracy prediction_accuracy_low prediction_accuracy_high n_ctr n_pairs"
            ),
            "prediction_accuracy.roas_accuracy": (
                "prediction_accuracy prediction_accuracy_low prediction_accuracy_high n_roas "
                "n_pairs"
            ),
            "prediction_accuracy.status": (
                "n_predicted n_leaked n_no_delivery n_invalid n_too_young n_too_old n_immature "
                "n_incomplete_history n_ambiguous"
            ),
            "prediction_accuracy.campaign_id": "n_clusters",
            "prediction_accuracy.ctr_ceiling": "noise_ceiling accuracy_of_achievable",
            "prediction_accuracy.roas_ceiling": "noise_ceiling accuracy_of_achievable",
            "prediction_accuracy.baseline_ctr": "baseline_accuracy accuracy_of_achievable",
            "prediction_accuracy.baseline_roas": "baseline_accuracy accuracy_of_achievable",
            "prediction_accuracy.ctr_verdict": "unresolved_share",
            "prediction_accuracy.roas_verdict": "unresolved_share",
            "prediction_accuracy.settled_spend_share": "settled_spend_share",
            "prediction_accuracy.is_reconstructed": "n_reconstructed",
            "prediction_accuracy.is_attested": "n_unattested",
            "ad_actuals.ad_id": "coverage_ads n_no_prediction",
            "ad_actuals.spend": "coverage_spend",
            "videos.id": "n_unmatched",
        },
    }
)
"""By asset: a column upstream, and the columns that it feeds."""


def sources_of(asset: str) -> dict[str, list[str]]:
    """The columns upstream, as `asset.column`, of each column of which they are told."""
    found: dict[str, list[str]] = {}
    for source, columns in _FEEDS.get(asset, {}).items():
        for column in columns.split():
            found.setdefault(column, []).append(source)
    return found


def lineage_of(asset: str) -> dict[str, dg.TableColumnLineage]:
    """The same as metadata of an asset's definition; empty where nothing is told."""
    sources = sources_of(asset)
    if not sources:
        return {}
    deps = {
        column: [dg.TableColumnDep(*source.split(".")) for source in found]
        for column, found in sources.items()
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}
