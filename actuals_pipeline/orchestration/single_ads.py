"""The job `single_ad_job`: `actuals fetch` from the launchpad, one ad's trailing days."""

from typing import Any

import dagster as dg
from pydantic import Field

from actuals_pipeline.orchestration.descriptions import META_POOL, source_tags
from actuals_pipeline.orchestration.jobs import BY_HAND, MAX_RUNTIME_TAG, TIER_TAG
from actuals_pipeline.orchestration.reactions import reacting_to_errors
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import MOST_DAYS_BACK
from actuals_pipeline.serving import single_ad
from actuals_pipeline.settings import Settings

SINGLE_AD_JOB_NAME = "single_ad_job"
OP_NAME = "fetch_one_ad"

_RUN_SECONDS = 900


class OneAd(dg.Config):
    """Which ad is fetched, and how far back."""

    ad_id: str = Field(description="Meta ad, digits.", pattern=r"^[0-9]{1,25}$")
    days_back: int = Field(
        default=7, ge=1, le=MOST_DAYS_BACK, description="Trailing days, today included."
    )


def single_ad_job(settings: Settings) -> dg.JobDefinition:
    """The job that fetches and stores the days of the ad that its configuration names."""

    @dg.op(
        name=OP_NAME,
        description="Fetch and store the ad's days; its figures are the output's metadata.",
        pool=META_POOL,
        out=dg.Out(dg.Nothing),
    )
    def fetch_one_ad(
        context: dg.OpExecutionContext, config: OneAd, postgres: WarehouseResource
    ) -> None:
        with reacting_to_errors(context):
            answer = single_ad.fetch(
                postgres.warehouse(),
                settings.require_meta(),
                config.ad_id,
                days_back=config.days_back,
            )
        context.add_output_metadata(_shown(answer))

    @dg.job(
        name=SINGLE_AD_JOB_NAME,
        description=(
            "Fetch one ad now: its trailing days from Meta into raw_meta_insights and ad_actuals, "
            "as `actuals fetch AD_ID` does. The launchpad asks for the ad's id."
        ),
        tags={MAX_RUNTIME_TAG: str(_RUN_SECONDS), TIER_TAG: BY_HAND, **source_tags(settings)},
    )
    def fetch_ad() -> None:
        fetch_one_ad()

    return fetch_ad


def _shown(answer: dict[str, Any]) -> dict[str, str | int | float]:
    """Whether there are figures, of which days, and the figures; nothing that is unknown."""
    window = answer["window"]
    told = {
        "status": answer["status"],
        "days": f"{window['since']} to {window['until']}",
        "message": answer.get("message"),
        **(answer["actuals"] or {}),
    }
    return {
        name: value if isinstance(value, str | int) else float(value)
        for name, value in told.items()
        if value is not None
    }
