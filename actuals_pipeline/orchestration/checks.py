"""What must hold of the tables after a run, each check named as the sentence it proves."""

from contextlib import nullcontext
from functools import partial

import dagster as dg

from actuals_pipeline.accuracy.drift.decisions import decisions
from actuals_pipeline.errors import WarehouseError
from actuals_pipeline.findings import Finding, worst
from actuals_pipeline.meta import health
from actuals_pipeline.orchestration.accuracy_checks import ACCURACY_CHECKS
from actuals_pipeline.orchestration.asset_checks import Check, Verdict
from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.orchestration.partitions import window_of
from actuals_pipeline.orchestration.resources import MetaApi, WarehouseResource
from actuals_pipeline.orchestration.row_checks import RowCheck, days_of, found, listed
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import doctor
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts, product
from actuals_pipeline.warehouse.store import read
from actuals_pipeline.warehouse.tables import TABLES

HEALTH_CHECK = dg.AssetCheckKey(dg.AssetKey("raw_meta_insights"), "the_installation_is_healthy")
"""The one check that no run of the daily assets makes: a job of its own does, once a day."""

_FAILED_FETCHES = """
SELECT account_id, since, until, outcome, error_class, error_message
FROM (
    -- A step that waited for Meta and began again has fetched more than once.
    SELECT DISTINCT ON (account_id, since)
        account_id, since, until, outcome, error_class, error_message
    FROM actuals.fetch_log
    WHERE run_id = %(run_id)s
    ORDER BY account_id, since, id DESC
) AS latest
WHERE outcome <> 'complete'
ORDER BY account_id, since
"""

_UNRECONCILED = """
SELECT account_id, report_date, currency, ads_spend, meta_spend, spend_difference, verdict
FROM actuals.spend_reconciliation
WHERE report_date >= %(since)s AND report_date <= %(until)s AND verdict <> 'exact'
ORDER BY report_date DESC, account_id
"""

_OTHER_PURCHASES = """
SELECT account_id, action ->> 'action_type' AS action_type, count(*) AS ad_days
FROM actuals.raw_meta_insights AS raw
CROSS JOIN jsonb_array_elements(raw.payload -> 'actions') AS action
WHERE raw.report_date >= %(since)s AND raw.report_date <= %(until)s
  AND (action ->> 'action_type' LIKE '%%purchase%%' OR action ->> 'action_type' = ANY(%(chosen)s))
GROUP BY account_id, action_type
ORDER BY account_id, action_type
"""

_UNUSABLE_PREDICTIONS = """
SELECT DISTINCT ad_id, model_name, model_version, predicted_ctr, predicted_roas
FROM actuals.prediction_accuracy
WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
  AND ('invalid_prediction' IN (status, ctr_status, roas_status) OR status = 'ambiguous')
ORDER BY ad_id, model_name, model_version
"""

_PREDICTIONS_OF_NOTHING = """
SELECT prediction_id, model_name, model_version, logged_at
FROM actuals.prediction_log
WHERE video_id IS NULL
ORDER BY sequence
"""


_REVENUE_MATURES = RowCheck(
    "revenue_development",
    "revenue_matures_as_before",
    "The newest days of every account have grown like those before, as of the last day of "
    "the run.  WARN: the tracking may be broken, or Meta counts otherwise; until the curve "
    "has learnt it, young figures are off, and a model may look as if it had changed.",
    """
    SELECT
        now.account_id, now.as_of_date, now.age_days, now.source, now.revenue_share,
        before.revenue_share AS revenue_share_28_days_before
    FROM actuals.revenue_development AS now
    LEFT JOIN actuals.revenue_development AS before
        ON before.as_of_date = now.as_of_date - 28 AND before.account_id = now.account_id
        AND before.age_days = now.age_days
    WHERE now.as_of_date = %(until)s AND now.pace = 'changed' AND now.age_days IN (1, 3)
    ORDER BY now.account_id, now.age_days
    """,
)

_INVESTMENT_CHECKS = (
    RowCheck(
        "investment_summary",
        "no_currency_is_left_out_of_the_investment",
        "Every day on which another currency was spent or earned has an exchange rate; until "
        "then the totals are unknown.  `actuals rates import` brings rates in.",
        """
        SELECT as_of_date, overall.currency AS into_currency, missing.currency,
               days AS days_without_rate
        FROM actuals.investment_summary AS overall
        CROSS JOIN jsonb_each_text(unconverted) AS missing (currency, days)
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s AND scope = 'overall'
        ORDER BY as_of_date DESC, missing.currency
        """,
    ),
    RowCheck(
        "investment_summary",
        "the_investment_is_not_overspent",
        "What was spent to date is not more than ACTUALS_INVESTMENT_BUDGET.",
        """
        SELECT as_of_date, currency, spend_at_least, investment_total,
               spend_at_least - investment_total AS beyond
        FROM actuals.investment_summary
        WHERE as_of_date >= %(since)s AND as_of_date <= %(until)s
          AND spend_at_least > investment_total
        ORDER BY as_of_date DESC
        """,
    ),
)

_BUDGET_CHECKS = (
    RowCheck(
        "budget_snapshots",
        "every_accounts_budgets_were_read",
        "The budgets of every account that was fetched on the last day of the run were read "
        "that day; `ads_read` is all that takes.",
        """
        SELECT account_id, budgets_on, budgets_error
        FROM (
            SELECT DISTINCT ON (account_id) account_id, budgets_on, budgets, budgets_error
            FROM actuals.fetch_log
            WHERE kind = 'account' AND (budgets IS NOT NULL OR budgets_error IS NOT NULL)
              AND started_at >= %(until)s::date - interval '1 day'
            ORDER BY account_id, id DESC
        ) AS latest
        WHERE budgets IS NULL
        ORDER BY account_id
        """,
    ),
    RowCheck(
        "budget_pacing",
        "no_budget_is_overspent",
        "As of the last day of the run nothing was spent beyond Meta's own limits (1.75 budgets "
        "a day, the week's budgets together), and no plan is used up or surely going to be.",
        """
        SELECT level, budget_id, name, currency, budget, spend_limit, spend, projected_spend_low,
               highest_day_share, reason
        FROM actuals.budget_pacing
        WHERE as_of_date = %(until)s AND verdict = 'overspending'
        ORDER BY level, budget_id
        """,
    ),
)

_NOT_HANDED_OVER = """
SELECT request_key, action, requested_at, attempts, last_attempt_at, last_error
FROM actuals.retrain_requests
WHERE delivered_at IS NULL AND last_error IS NOT NULL
ORDER BY requested_at, request_key
"""


def checks_of(asset: str, settings: Settings) -> list[Check]:
    """The checks of one asset that its own step makes."""
    return [check for check in _checks(settings) if check.asset == asset]


def _checks(settings: Settings) -> list[Check]:
    return [
        Check(
            "raw_meta_insights",
            "every_account_was_fetched",
            "Each configured account's window was fetched whole; others keep their rows.",
            _accounts_fetched,
        ),
        Check(
            "raw_meta_insights",
            "the_purchase_action_type_occurs",
            "Accounts that report purchases report them under ACTUALS_PURCHASE_ACTION_TYPE; one "
            "that does not would show none.",
            partial(_purchases_counted, settings),
        ),
        Check(
            "spend_reconciliation",
            "ads_add_up_to_metas_total",
            "The ads' spend equals Meta's account total on every account-day; WARN inside the "
            "tolerance, ERROR outside.",
            partial(_spend_reconciled, settings),
        ),
        _REVENUE_MATURES.check(),
        Check(
            "prediction_accuracy",
            "every_prediction_is_usable",
            "No prediction is negative, not finite, a CTR above 1 (a percent?), without its "
            "video, or contradicted by another of the same instant; such are left out.",
            _predictions_usable,
        ),
        *(check.check() for check in ACCURACY_CHECKS),
        *(check.check() for check in _INVESTMENT_CHECKS),
        *(check.check() for check in _BUDGET_CHECKS),
        Check(
            "plan_snapshots",
            "every_planned_budget_is_usable",
            "`public.budgets` can be read, and each row has a currency of three capitals, an "
            "amount and an end that is not before its start; others are left out.",
            _plans_usable,
        ),
        Check(
            "model_drift",
            "no_model_has_drifted",
            "No model version is surely off by more than is tolerated, or has surely changed; if "
            "one is, since when, and what to do.",
            _models_watched,
        ),
        Check(
            "retrain_states",
            "every_retrain_request_was_handed_over",
            "Whoever receives ACTUALS_RETRAIN_WEBHOOK has taken every request; what was not is "
            "tried again for about a week, and stays in `retrain_requests`.",
            _requests_handed_over,
        ),
    ]


def _accounts_fetched(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Verdict:
    failed = found(postgres, _FAILED_FETCHES, {"run_id": context.run.run_id})
    return Verdict(not failed, dg.AssetCheckSeverity.ERROR, listed(failed))


def _purchases_counted(
    settings: Settings, context: dg.AssetExecutionContext, postgres: WarehouseResource
) -> Verdict:
    chosen = [settings.purchase_action_type_of(each) for each in settings.meta_ad_account_ids]
    seen = found(postgres, _OTHER_PURCHASES, {**days_of(context), "chosen": chosen})
    counted = {
        row["account_id"]
        for row in seen
        if row["action_type"] == settings.purchase_action_type_of(row["account_id"])
    }
    others = [row for row in seen if row["account_id"] not in counted]
    return Verdict(not others, dg.AssetCheckSeverity.WARN, listed(others))


def _spend_reconciled(
    settings: Settings, context: dg.AssetExecutionContext, postgres: WarehouseResource
) -> Verdict:
    unequal = found(postgres, _UNRECONCILED, days_of(context))
    is_gap = any(row["verdict"] == "gap" for row in unequal)
    metadata = listed(unequal)
    if unequal:
        metadata["advice"] = dg.MetadataValue.text(settings.advice_on_gap)
    severity = dg.AssetCheckSeverity
    return Verdict(not unequal, severity.ERROR if is_gap else severity.WARN, metadata)


def _predictions_usable(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Verdict:
    unusable = found(postgres, _UNUSABLE_PREDICTIONS, days_of(context))
    unusable += found(postgres, _PREDICTIONS_OF_NOTHING, {})
    return Verdict(not unusable, dg.AssetCheckSeverity.ERROR, listed(unusable))


def _plans_usable(_context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Verdict:
    try:
        unusable = product.unusable_budgets(postgres.warehouse())
    except WarehouseError as error:
        told = {"problem": dg.MetadataValue.text(str(error))}
        return Verdict(passed=False, severity=dg.AssetCheckSeverity.WARN, metadata=told)
    return Verdict(not unusable, dg.AssetCheckSeverity.WARN, listed(unusable))


def _models_watched(context: dg.AssetExecutionContext, postgres: WarehouseResource) -> Verdict:
    as_of = window_of(context.partition_keys).until
    table, day = TABLES["model_drift"], DayWindow.inclusive(as_of, as_of)
    drifted = [
        {
            "model_name": each.model_name,
            "model_version": each.model_version,
            "metric": each.metric,
            "state": each.standing.state.value,
            "breach_start": each.standing.breach_start,
            "action": each.action.value,
            "reason": each.reason,
        }
        for each in decisions(read(postgres.warehouse(), table, day)).metrics
        if each.standing.breach_start is not None
    ]
    return Verdict(not drifted, dg.AssetCheckSeverity.WARN, listed(drifted))


def _requests_handed_over(
    _context: dg.AssetExecutionContext, postgres: WarehouseResource
) -> Verdict:
    failed = found(postgres, _NOT_HANDED_OVER, {})
    return Verdict(not failed, dg.AssetCheckSeverity.WARN, listed(failed))


def health_check(settings: Settings) -> dg.AssetChecksDefinition:
    """The check of a job of its own, whose step it is."""

    @dg.asset_check(
        asset=HEALTH_CHECK.asset_key,
        name=HEALTH_CHECK.name,
        description=(
            "What `actuals doctor` checks, once a day: token, accounts, API version, clock, "
            "database, disk, schedule.  ERROR on a problem, WARN on what needs a look."
        ),
        pool=META_POOL,
    )
    def the_installation_is_healthy(
        meta: MetaApi, postgres: WarehouseResource
    ) -> dg.AssetCheckResult:
        findings = [
            *health.examine(meta.access(), clock=meta.clock),
            *doctor.installed(settings, lambda: nullcontext(postgres.database_url)),
        ]
        # For the alert of a token that ends, which is raised without asking Meta.
        try:
            alerts.keep_findings(postgres.warehouse(), findings, postgres.clock())
        except WarehouseError as error:
            findings.append(Finding.of_error("health_findings", error))
        verdict = worst(findings)
        severity = dg.AssetCheckSeverity
        return dg.AssetCheckResult(
            passed=verdict == "ok",
            severity=severity.ERROR if verdict == "problem" else severity.WARN,
            metadata=listed(doctor.as_rows([each for each in findings if each.verdict != "ok"]))
            | {"checks": dg.MetadataValue.int(len(findings))},
        )

    return the_installation_is_healthy
