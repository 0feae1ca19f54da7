"""The asset that shows the report in Dagster's UI: its sentence, its charts, and where it is."""

import base64
from datetime import timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; dagster does not export it
)

from actuals_pipeline.orchestration.descriptions import (
    OWNERS,
    STAND_IN_NOTICE,
    source_kinds,
    source_tags,
)
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.settings import Settings

REPORT_JOB_NAME = "report_job"
REPORT_SCHEDULE_NAME = "regular_report"

REPORT_CRON = "27 */6 * * *"
"""Twenty minutes after the figures; four times a day, for Dagster keeps each picture."""

_MADE_OF = (
    "ad_actuals",
    "budget_pacing",
    "investment_summary",
    "meta_account_totals",
    "model_accuracy",
    "model_drift",
    "prediction_accuracy",
    "retrain_states",
    "revenue_development",
    "spend_reconciliation",
    "winners",
)
"""The assets whose tables the page reads."""


def reported(settings: Settings) -> dg.AssetsDefinition:
    """The report as of now, in the metadata of each materialization; the page itself is live."""
    notice, page = STAND_IN_NOTICE if settings.is_stand_in else "", settings.report_url

    @dg.asset(
        name="accuracy_report",
        deps=[*_MADE_OF],
        description=(
            "How good the model is, where the money went, and whether every cent is accounted "
            f"for, on one page.\n\n{notice}Live at [{page}]({page}) while `actuals up` or "
            "`actuals serve` runs; `actuals report --out FILE` writes it as a file."
        ),
        group_name="report",
        kinds={"altair", *source_kinds(settings)},
        owners=OWNERS,
        tags=source_tags(settings),
        # Two reports missed are worth a look, three an alarm.
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(hours=19), warn_window=timedelta(hours=13)
        ),
    )
    def accuracy_report(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> None:
        # The charts' libraries load when they are needed: every process loads this module.
        from actuals_pipeline.serving.report import pictures, reading
        from actuals_pipeline.serving.report.contents import contents_of
        from actuals_pipeline.serving.report.money import money_by_currency

        read = reading.read(postgres.warehouse())
        contents = contents_of(read)
        currency = next(iter(money_by_currency(read["days"])), "")
        shown = {
            "accuracy over time": pictures.accuracy_svg(read),
            f"spend in {currency}": pictures.spend_svg(read, currency),
        }
        # Of the materialization alone: what is returned is stored with the step's output as well.
        context.add_asset_metadata(
            {
                "page": dg.MetadataValue.url(page),
                "says": contents.headline.sentence,
                "days": contents.window,
                **{tile.label: "; ".join(tile.values) for tile in contents.tiles},
                **{name: _picture(svg) for name, svg in shown.items() if svg},
            }
        )

    return accuracy_report


def report_job(settings: Settings) -> UnresolvedAssetJobDefinition:
    """Make the report anew; apart from the figures, which need no picture to be right."""
    return dg.define_asset_job(
        REPORT_JOB_NAME,
        selection=dg.AssetSelection.groups("report"),
        description="Draw the report of what is in the tables.",
        tags={"dagster/max_runtime": "600", **source_tags(settings)},
    )


def regular_report(settings: Settings, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The schedule `regular_report`, running from the start."""
    return dg.ScheduleDefinition(
        name=REPORT_SCHEDULE_NAME,
        cron_schedule=REPORT_CRON,
        job=job,
        execution_timezone=settings.time_zone_name,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Four times a day, after the figures: the report of what is in the tables.",
    )


def _picture(svg: str) -> dg.MarkdownMetadataValue:
    """The picture as Markdown; a browser runs nothing in an image, and fetches nothing for it.

    Each report's are kept until they are pruned: 40 kB of both, where PNGs took 310 kB.
    """
    coded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![chart](data:image/svg+xml;base64,{coded})")
