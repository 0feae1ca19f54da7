"""The assets: each loads frames, calls one plain function and says which slices it covers.

    Meta -> raw_meta_insights -> ad_actuals -> revenue_development -> prediction_accuracy
        |                                                                 |-> model_accuracy
        |                                                                 `-> model_statistics
        |-> meta_account_totals -> spend_reconciliation, investment_summary
        `-> budget_snapshots, plan_snapshots -> budget_pacing

From ad_actuals and revenue_development come winners and budget_advice, which are advice: nothing
of this pipeline writes to Meta.

A run covers a range of partitions; an hour, a day and a backfill are the same code path.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from actuals_pipeline.accuracy.account_curves import AccountHistory, cohorts_of, develop
from actuals_pipeline.accuracy.budget_advice import budget_advice as best_spend
from actuals_pipeline.accuracy.model_statistics import model_statistics as statistics_of
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.accuracy.winners import winners as best_ads
from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.actuals.reconcile import of_one_fetch, reconcile
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.orchestration.advice import Advice
from actuals_pipeline.orchestration.asset_checks import results
from actuals_pipeline.orchestration.checks import checks_of
from actuals_pipeline.orchestration.descriptions import (
    META_POOL,
    OWNERS,
    column_schema,
    described,
    description,
    source_tags,
)
from actuals_pipeline.orchestration.fetching import RunOfFetches
from actuals_pipeline.orchestration.figures import (
    fetches_by_day,
    figures_by_day,
    investment_by_day,
    scores_by_day,
)
from actuals_pipeline.orchestration.launches import Launches
from actuals_pipeline.orchestration.pacing import Pacing, plans_today
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.reactions import reacting_to_errors
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.report_days import DayWindow, report_day, time_zone
from actuals_pipeline.settings import Settings
from actuals_pipeline.spend.exchange import ExchangeRates, Rate
from actuals_pipeline.spend.investment import Account, Terms
from actuals_pipeline.spend.investment import investment_summary as summarize
from actuals_pipeline.spend.ledger import Change, Figures, FirstKnown, Ledger
from actuals_pipeline.warehouse import (
    exchange_rates,
    history,
    money_by_day,
    prediction_log,
    product,
    retention,
    tables,
    video_log,
)
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import (
    PART_ROWS,
    CoveredRows,
    Parts,
    Slice,
    StoredDays,
    Tally,
    on_account_days,
    read,
    slices_of,
)
from actuals_pipeline.warehouse.tables import TABLES

Daily = dict[str, Any]
"""What every daily asset shares: the one partitions definition and backfill policy."""


def product_tables(settings: Settings) -> list[dg.AssetSpec]:
    """The product's tables, where lineage starts; this pipeline only reads them."""
    return [
        dg.AssetSpec(
            table.name,
            description=description(table),
            group_name="product",
            kinds={"postgres"},
            owners=OWNERS,
            tags=source_tags(settings),
            metadata={
                "dagster/table_name": table.fullname,
                "dagster/column_schema": column_schema(table),
            },
        )
        for table in (tables.videos, tables.predictions, tables.budgets)
    ]


def meta_fetch(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """The tables that come straight from Meta: rows and totals in one go, so that they compare.

    Budgets are read along with the first fetch of an account's day.  Whichever of them is asked
    for, all are written: one without the others would not compare.
    """
    names = ("raw_meta_insights", "meta_account_totals", "budget_snapshots")
    checks = [check for name in names for check in checks_of(name, settings)]

    @dg.multi_asset(
        name="meta_insights_fetch",
        outs={
            name: dg.AssetOut.from_spec(
                dg.AssetSpec(name, **described(name, settings, group="meta", kinds={"meta"})),
                dagster_type=dg.Any,
                is_required=False,
            )
            for name in names
        },
        check_specs=[check.spec for check in checks],
        pool=META_POOL,
        can_subset=True,
        **daily,
    )
    def meta_insights_fetch(
        context: dg.AssetExecutionContext, meta: MetaApi, postgres: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Tally] | dg.AssetCheckResult]:
        fetching = RunOfFetches(context, settings, meta, postgres)
        with reacting_to_errors(context):
            fetching.fetch()
        written = {
            "raw_meta_insights": fetching.raw,
            "meta_account_totals": fetching.totals,
            "budget_snapshots": fetching.budgets,
        }
        asked = [name for name in written if dg.AssetKey(name) in context.selected_asset_keys]
        if "raw_meta_insights" in asked:
            fetches_by_day(context, fetching.log)
        if "meta_account_totals" in asked:
            days = window_of(context.partition_keys)
            totals = read(postgres.warehouse(), TABLES["meta_account_totals"], days)
            figures_by_day(context, totals, asset="meta_account_totals")
        for name in asked:
            yield dg.MaterializeResult(asset_key=name, value=written[name])
        yield from results(checks, context, postgres)

    return meta_insights_fetch


def normalized(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """Typed daily figures of every ad."""

    @daily_asset("ad_actuals", settings, daily, group="actuals", deps=["videos"])
    def ad_actuals(
        context: dg.AssetExecutionContext,
        raw_meta_insights: StoredDays,
        meta_account_totals: StoredDays,
        postgres: WarehouseResource,
    ) -> Parts:
        videos = product.videos(postgres.warehouse())

        def normalized_rows(days: DayWindow) -> CoveredRows:
            all_totals, all_raw = meta_account_totals.read(days), raw_meta_insights.read(days)
            # Of an account-day whose payloads were pruned, the figures stay as they are.
            totals = retention.with_payloads(postgres.warehouse(), all_totals)
            raw = on_account_days(all_raw, totals)
            insights = parse_insights(
                map(json.loads, raw["payload"]),
                purchase_action_type=settings.purchase_action_type_of,
                fetched_at=raw["fetched_at"],
            )
            actuals = normalize(insights, videos, _days_of_fetch(totals))
            figures_by_day(context, actuals)
            return CoveredRows(actuals, slices_of(totals, postgres.clock()))

        return Parts(raw_meta_insights.parts(), normalized_rows)

    return ad_actuals


def reconciled(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """The ads' spend against Meta's own totals."""

    @daily_asset("spend_reconciliation", settings, daily, group="actuals")
    def spend_reconciliation(
        ad_actuals: StoredDays, meta_account_totals: StoredDays, postgres: WarehouseResource
    ) -> Parts:
        def compared_days(days: DayWindow) -> CoveredRows:
            all_totals, all_actuals = meta_account_totals.read(days), ad_actuals.read(days)
            totals = of_one_fetch(all_totals, all_actuals)
            actuals = on_account_days(all_actuals, totals)
            compared = reconcile(actuals, totals, settings.reconciliation_tolerance)
            return CoveredRows(compared, slices_of(all_totals, postgres.clock()))

        return Parts(ad_actuals.parts(), compared_days)

    return spend_reconciliation


PROTOCOLS = 3
"""Ways in which each prediction is compared, a row each."""

CURVE_DAYS = 28
"""As-of days whose curves are made at once: of all accounts together, a few megabytes."""


def matured(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """How much of a day's revenue is known at each age, as of each day."""

    @daily_asset("revenue_development", settings, daily, group="accuracy", deps=["ad_actuals"])
    def revenue_development(
        context: dg.AssetExecutionContext, postgres: WarehouseResource
    ) -> Parts:
        window, warehouse = window_of(context.partition_keys), postgres.warehouse()
        time_zones = history.account_time_zones(warehouse)

        def developed(days: DayWindow) -> CoveredRows:
            lasting = history.lasting_curves(warehouse, time_zones, days)
            kept = read(warehouse, TABLES["revenue_development"], days)
            rows = [kept[kept["as_of_date"].isin(lasting)]]
            for changing in DayWindow.adjoining(set(days) - lasting):
                report_days = cohorts_of(changing)
                settled = history.click_windows(warehouse, report_days)
                cohorts = history.cohorts(warehouse, report_days, known_before=changing.until)
                histories = {
                    name: AccountHistory.of(grown, settled.get(name, ()))
                    for name, grown in cohorts.items()
                }
                computed = develop(histories, time_zones, changing)
                rows.append(computed.assign(computed_at=postgres.clock()))
            return CoveredRows(pd.concat(rows, ignore_index=True), (Slice(days),))

        return Parts(window.pieces(CURVE_DAYS), developed)

    return revenue_development


def scored(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """Predictions against what the ads did, as of each day."""

    @daily_asset(
        "prediction_accuracy",
        settings,
        daily,
        group="accuracy",
        deps=["ad_actuals", "revenue_development", "videos", "predictions"],
    )
    def prediction_accuracy(
        context: dg.AssetExecutionContext, postgres: WarehouseResource
    ) -> Parts:
        window, warehouse = window_of(context.partition_keys), postgres.warehouse()
        _log_what_was_unseen(context, warehouse)
        predictions = prediction_log.predictions(warehouse)
        launches = Launches(warehouse, settings, window)

        def scored_pairs(days: DayWindow) -> CoveredRows:
            pairs = launches.judged_pairs(predictions, days)
            return CoveredRows(pairs, (Slice(days),))

        return Parts(_as_of_parts(window, PROTOCOLS * len(predictions)), scored_pairs)

    return prediction_accuracy


def judged(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """How good each model version was, as of each day."""

    @daily_asset("model_accuracy", settings, daily, group="accuracy", deps=["ad_actuals", "videos"])
    def model_accuracy(
        context: dg.AssetExecutionContext,
        prediction_accuracy: StoredDays,
        postgres: WarehouseResource,
    ) -> Parts:
        window, warehouse = window_of(context.partition_keys), postgres.warehouse()
        launches = Launches(warehouse, settings, window)
        predictions = prediction_log.predictions(warehouse)

        def judged_models(days: DayWindow) -> CoveredRows:
            models = score_models(
                prediction_accuracy.read(days),
                launches.delivered(days),
                launches.unmatched(predictions, days),
            )
            scores_by_day(context, models)
            return CoveredRows(models, (Slice(days),))

        return Parts(_as_of_parts(window, PROTOCOLS * len(predictions)), judged_models)

    return model_accuracy


def described_models(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """Everything else that is said of a model version's final comparisons, as of each day."""

    @daily_asset("model_statistics", settings, daily, group="accuracy")
    def model_statistics(prediction_accuracy: StoredDays) -> Parts:
        return Parts(
            prediction_accuracy.parts(),
            lambda days: CoveredRows(statistics_of(prediction_accuracy.read(days)), (Slice(days),)),
        )

    return model_statistics


def invested(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """What an investment has spent and earned, and until when it lasts, as of each day."""

    @daily_asset(
        "investment_summary",
        settings,
        daily,
        group="investment",
        deps=["ad_actuals", "meta_account_totals"],
    )
    def investment_summary(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Parts:
        window, warehouse = window_of(context.partition_keys), postgres.warehouse()
        known = money_by_day.money_by_day(warehouse, window.since, window.until)
        ledger = Ledger(
            (Figures(*row) for row in known.current),
            (Change(known_on, Figures(*row)) for known_on, *row in known.changes),
            (FirstKnown(*row) for row in known.first_known),
        )
        accounts = [Account(*row) for row in money_by_day.accounts(warehouse)]
        rates = ExchangeRates(
            (Rate(*row[:4]) for row in exchange_rates.stored(warehouse)),
            most_days_old=settings.exchange_rate_days,
        )

        def summed_up(days: DayWindow) -> CoveredRows:
            summary = summarize(ledger, accounts, days, _terms(settings), rates)
            investment_by_day(context, summary)
            return CoveredRows(summary, (Slice(days),))

        return Parts(_as_of_parts(window, len(accounts) + 1), summed_up)

    return investment_summary


def planned(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """The planned budgets, kept as they stand each day, because the product may change them."""

    @daily_asset("plan_snapshots", settings, daily, group="investment", deps=["budgets"])
    def plan_snapshots(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Parts:
        return plans_today(context, window_of(context.partition_keys), settings, postgres)

    return plan_snapshots


def paced(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """How each budget, Meta's or planned, is spent, as of each day."""

    @daily_asset(
        "budget_pacing",
        settings,
        daily,
        group="investment",
        deps=["ad_actuals", "meta_account_totals", "budget_snapshots", "plan_snapshots"],
    )
    def budget_pacing(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Parts:
        window = window_of(context.partition_keys)
        pacing = Pacing(postgres.warehouse(), settings, window)
        return Parts(_as_of_parts(window, pacing.budgets_a_day), pacing.on)

    return budget_pacing


ADVICE_DAYS = 7
"""As-of days whose advice is written at once."""


def won(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """Which ads are the best of their ad sets, as of each day; advice."""

    @daily_asset("winners", settings, daily, group="advice", deps=["ad_actuals"])
    def winners(
        context: dg.AssetExecutionContext,
        revenue_development: StoredDays,
        postgres: WarehouseResource,
    ) -> Parts:
        window = window_of(context.partition_keys)
        advice = Advice("winners", best_ads, postgres.warehouse(), settings, postgres.clock)
        return Parts(
            window.pieces(ADVICE_DAYS), lambda days: advice.on(days, revenue_development.read(days))
        )

    return winners


def budgeted(settings: Settings, daily: Daily) -> dg.AssetsDefinition:
    """What might be spent on each ad set next, as of each day; advice."""

    @daily_asset("budget_advice", settings, daily, group="advice", deps=["ad_actuals"])
    def budget_advice(
        context: dg.AssetExecutionContext,
        revenue_development: StoredDays,
        postgres: WarehouseResource,
    ) -> Parts:
        window = window_of(context.partition_keys)
        advice = Advice("budget_advice", best_spend, postgres.warehouse(), settings, postgres.clock)
        return Parts(
            window.pieces(ADVICE_DAYS), lambda days: advice.on(days, revenue_development.read(days))
        )

    return budget_advice


def _terms(settings: Settings) -> Terms:
    budget = settings.investment_budget
    return Terms(
        budget.currency if budget else None,
        budget.amount if budget else None,
        settings.investment_start,
        settings.meta_ad_account_ids,
    )


def _log_what_was_unseen(context: dg.AssetExecutionContext, warehouse: Warehouse) -> None:
    """Log what the product said while nobody watched, and watch from now on."""
    for name, log in (("Predictions", prediction_log), ("Videos", video_log)):
        unwatched = log.watch(warehouse)
        if unwatched:
            context.log.warning("%s are logged once an hour, unattested: %s.", name, unwatched)
        n_rows = log.catch_up(warehouse)
        if n_rows:
            context.log.info("%s: logged %d that no trigger saw, unattested.", name, n_rows)


def _as_of_parts(window: DayWindow, rows_a_day: int) -> list[DayWindow]:
    return window.parts(lambda _: rows_a_day, PART_ROWS)


def daily_asset(
    name: str, settings: Settings, daily: Daily, *, group: str, deps: Sequence[str] = ()
) -> Callable[[Callable[..., Parts]], dg.AssetsDefinition]:
    """The decorator of an asset that computes the table called `name`, day by day.

    What it decorates takes what it names of these: the run's `context`, the database as
    `postgres`, and the stored days of other assets under their names, which are read when they
    are wanted.
    """
    checks = checks_of(name, settings)
    look = described(name, settings, group=group, kinds={"pandas"})

    def decorate(compute: Callable[..., Parts]) -> dg.AssetsDefinition:
        wanted = inspect.signature(compute).parameters.keys()
        upstream = sorted(wanted - {"context", "postgres"})

        def computed_and_checked(
            context: dg.AssetExecutionContext, postgres: WarehouseResource
        ) -> Iterator[dg.MaterializeResult[Parts] | dg.AssetCheckResult]:
            warehouse, window = postgres.warehouse(), window_of(context.partition_keys)
            stored = {each: StoredDays(warehouse, TABLES[each], window) for each in upstream}
            given = {"context": context, "postgres": postgres, **stored}
            yield dg.MaterializeResult(value=compute(**{each: given[each] for each in wanted}))
            # By now the IO manager has written it.
            yield from results(checks, context, postgres)

        asset: dg.AssetsDefinition = dg.asset(
            name=name,
            deps=[*deps, *upstream],
            check_specs=[check.spec for check in checks],
            **daily,
            **look,
        )(computed_and_checked)
        return asset

    return decorate


def _days_of_fetch(totals: pd.DataFrame) -> dict[tuple[str, date], date]:
    """For each account and report day, the account-local day on which it was last fetched."""
    columns = totals[["account_id", "report_date", "fetched_at", "time_zone"]]
    return {
        (account_id, day): report_day(fetched_at.to_pydatetime(), time_zone(zone))
        for account_id, day, fetched_at, zone in columns.itertuples(index=False, name=None)
    }
