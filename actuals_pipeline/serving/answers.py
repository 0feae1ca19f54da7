"""The JSON of the command line, with the specification's keys and units.

Numbers are JSON numbers, as the specification's examples have them; money is exact, because it is
written with the digits it has.  What is unknown is null, never zero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from actuals_pipeline.accuracy.protocols import (
    HEADLINE,
    HEADLINE_UNATTESTED,
    LAUNCH_D7,
    LAUNCH_LTD28,
    LAUNCH_TO_DATE,
)
from actuals_pipeline.accuracy.rounding import at_the_edge
from actuals_pipeline.alerts.rules import OpenAlert
from actuals_pipeline.errors import InputError
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import investment, pacing, queries
from actuals_pipeline.serving.investment import Overall
from actuals_pipeline.serving.json_numbers import CENTS, RATE, Number, number, rounded
from actuals_pipeline.serving.queries import DayOfMoney, Money
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import alerts, meta_events
from actuals_pipeline.warehouse.alert_measures import Watched
from actuals_pipeline.warehouse.connection import Warehouse

if TYPE_CHECKING:
    # Reading the logs takes pandas, which takes longer to load than most answers.
    from actuals_pipeline.warehouse.sealed_logs import Chain, Verification

SCHEDULE = "hourly_actuals"
JOB = "actuals_job"
INTERVAL_HOURS = 1


_EASTERNMOST = timedelta(hours=14)
"""How far the clocks of an account may be ahead of UTC: its day may have begun already."""


def asked_window(since: date, until: date) -> DayWindow:
    """The inclusive window of two options."""
    if until < since:
        raise InputError(
            f"The window ends ({until}) before it starts ({since}): give an earlier `since` or a "
            "later `until`."
        )
    return DayWindow.inclusive(since, until)


def asked_summary(
    warehouse: Warehouse,
    settings: Settings,
    now: datetime,
    *,
    since: date | None,
    until: date | None,
    as_of: date | None,
) -> dict[str, Any]:
    """The summary of the days asked for, of all that are known where none is given.

    With `as_of` as it was known at the end of that day.  `InputError` for days that cannot be.
    """
    if as_of is not None and as_of > (now + _EASTERNMOST).date():
        raise InputError(f"{as_of} lies in the future: give today or an earlier day.")
    window = queries.known_window(warehouse)
    if window is not None and as_of is not None:
        window = window.clipped(until=as_of)
    if since is not None and until is not None:
        window = asked_window(since, until)
    elif window is not None:
        _refuse_unknown(window, since, until)
        window = asked_window(since or window.since, until or window.until)
    if as_of is None:
        return summary(warehouse, window, settings, now)
    return summary_as_of(warehouse, window, settings, as_of)


def _refuse_unknown(known: DayWindow, since: date | None, until: date | None) -> None:
    """Say so where the one option that was given leaves nothing of the days that are known."""
    if since is not None and since > known.until:
        raise InputError(
            f"Nothing after {known.until} is known: give an earlier `since`, or run `actuals sync` "
            "first."
        )
    if until is not None and until < known.since:
        raise InputError(
            f"Nothing before {known.since} is known: give a later `until`, or run `actuals "
            "backfill` first."
        )


def summary(
    warehouse: Warehouse, window: DayWindow | None, settings: Settings, now: datetime
) -> dict[str, Any]:
    """The dashboard: money of the window, and each model's accuracy as of its last day.

    `status` is `empty`, and every total unknown, when nothing of the window was ever fetched, and
    `partial` when some days of an account (a configured one, or one known from earlier) were not.
    `advice` says what to do where `reconciliation` has a verdict other than `exact`.  `overall` and
    the totals of several currencies are in the investment's, at the rates that were imported;
    `investment` and `budgets` are as of the last day of the window that was summed up.
    """
    source = queries.source(warehouse, window) if window else None
    found = queries.money(warehouse, window) if window else []
    days = queries.money_by_day(warehouse, window) if window else []
    overall = investment.overall(warehouse, days, settings)
    scored = (
        [_ml_accuracy(row, settings) for row in queries.models(warehouse, window.until)]
        if window
        else []
    )
    is_known = bool(source or found)
    account_ids = settings.meta_ad_account_ids
    missing = queries.missing_days(warehouse, window, account_ids, now) if window else []
    reconciled = queries.reconciliation(warehouse, window) if window else []
    return {
        "status": ("partial" if missing else "success") if is_known else "empty",
        "as_of": None,
        "source": source,
        "window": _window(window) if window else None,
        "missing": missing,
        **_totals(found, overall, is_known=is_known),
        "by_currency": [_amounts(part) for part in found],
        "overall": _overall(overall) if overall else None,
        "daily": [_day(day) for day in days],
        "investment": investment.investment(warehouse, window.until) if window else None,
        "budgets": pacing.budgets(warehouse, window.until) if window else None,
        "provisional": _provisional(queries.provisional(warehouse, window) if window else []),
        "ml_accuracy": scored[0] if scored else None,
        "models": scored,
        "reconciliation": [
            {**row, "spend_difference": number(row["spend_difference"])} for row in reconciled
        ],
        "advice": (
            settings.advice_on_gap if any(row["verdict"] != "exact" for row in reconciled) else None
        ),
    }


def summary_as_of(
    warehouse: Warehouse, window: DayWindow | None, settings: Settings, as_of: date
) -> dict[str, Any]:
    """The money of the window as it was known at the end of `as_of`, with the keys of `summary`.

    `status` is `empty` when nothing of the window was known then; `known_since` says on which day
    the first figures came.  What is not kept as it was known is left out: accuracy, reconciliation
    and what was expected of provisional days.
    """
    known = queries.days_known(warehouse, window, as_of) if window else {}
    begun = len(window.clipped(until=as_of) or window) if window else 0
    missing = [
        {"account_id": each, "days": begun - known.get(each, 0), "of_days": begun}
        for each in dict.fromkeys((*settings.meta_ad_account_ids, *known))
        if known.get(each, 0) < begun
    ]
    is_known = any(known.values())
    found = queries.money(warehouse, window, as_of) if window and is_known else []
    days = queries.money_by_day(warehouse, window, as_of) if window and is_known else []
    overall = investment.overall(warehouse, days, settings)
    return {
        "status": ("partial" if missing else "success") if is_known else "empty",
        "as_of": as_of,
        "known_since": queries.first_fetch(warehouse),
        "source": queries.source(warehouse, window) if window and is_known else None,
        "window": _window(window) if window else None,
        "missing": missing,
        **_totals(found, overall, is_known=is_known),
        "by_currency": [_amounts(part) for part in found],
        "overall": _overall(overall) if overall else None,
        "daily": [_day(day) for day in days],
        "investment": investment.investment(warehouse, as_of) if window else None,
        "budgets": pacing.budgets(warehouse, as_of) if window else None,
        "provisional": [],
        "ml_accuracy": None,
        "models": [],
        "reconciliation": [],
        "advice": None,
    }


def sync(
    warehouse: Warehouse,
    window: DayWindow,
    run_ids: Sequence[str],
    settings: Settings,
    *,
    now: datetime,
    duration_seconds: float,
) -> dict[str, Any]:
    """What runs over `window` brought: the specification's sync answer.

    Totals of several currencies are in the investment's, as those of `summary`.
    """
    accounts = queries.account_outcomes(warehouse, run_ids)
    complete = sum(row["outcome"] == "complete" for row in accounts)
    found = queries.money(warehouse, window)
    source = queries.source(warehouse, window)
    totals = _totals(
        found, _converted(warehouse, window, found, settings), is_known=bool(source or found)
    )
    status = "success" if complete == len(accounts) else "partial" if complete else "failed"
    return {
        "status": status,
        "summary": {
            **queries.ad_outcomes(warehouse, window, run_ids, settings, now),
            **{name: totals[name] for name in _TOTALS_OF_A_SYNC},
            "duration_seconds": round(duration_seconds, 2),
            "timestamp": now.isoformat(),
        },
        "source": source,
        "window": _window(window),
        "by_currency": [_amounts(part) for part in found],
        "accounts": accounts,
        "run_ids": list(run_ids),
    }


def scheduler_status(warehouse: Warehouse, settings: Settings, now: datetime) -> dict[str, Any]:
    """Whether the schedule runs, what the last run did, and the fetcher's counts.

    `problems` has a sentence for each thing that makes it unhealthy, and what to do; `alerts` what
    is beyond a limit now, of which what is merely to be looked at is no problem.
    """
    run = queries.last_run(warehouse)
    last = None
    if run is not None:
        last = sync(
            warehouse,
            DayWindow.inclusive(run["since"], run["until"]),
            [run["run_id"]],
            settings,
            now=run["finished_at"],
            duration_seconds=(run["finished_at"] - run["started_at"]).total_seconds(),
        )
    state = queries.schedule_state(warehouse, SCHEDULE, now)
    # Looked at now, for who raises alerts may itself be what stopped.
    found = alerts.look(warehouse, Watched.of(settings, SCHEDULE), now)
    problems = [
        *SCHEDULE_PROBLEMS[state],
        *_fetch_problems(warehouse, settings),
        *(
            f"{each.message} {each.advice}"
            for each in found
            if each.severity == "critical"
            and not (each.rule == "scheduler_stopped" and SCHEDULE_PROBLEMS[state])
        ),
    ]
    return {
        "status": "unhealthy" if problems else "healthy",
        "problems": problems,
        "alerts": [{name: getattr(each, name) for name in _OF_AN_ALERT_NOW} for each in found],
        "source": last["source"] if last else None,
        "scheduler": {
            "is_running": state == "running",
            "interval_hours": INTERVAL_HOURS,
            "last_run": run["finished_at"].isoformat() if run else None,
            "last_summary": last["summary"] if last else None,
            "fetcher_stats": _fetcher_stats(warehouse, settings),
        },
        "meta_events": _meta_events(warehouse, now),
    }


def _meta_events(warehouse: Warehouse, now: datetime) -> dict[str, Any]:
    """What Meta told by webhook within a day."""
    count, newest = meta_events.recent(warehouse, now - _EVENTS_SHOWN_FOR, _EVENTS_SHOWN)
    return {"last_24_hours": count, "newest": newest}


_EVENTS_SHOWN_FOR = timedelta(hours=24)
_EVENTS_SHOWN = 10


_OF_AN_ALERT_NOW = ("rule", "subject", "severity", "message", "advice")
"""Not since when: nobody may have raised it yet."""


def alert_rows(found: Sequence[OpenAlert]) -> list[dict[str, Any]]:
    """Alerts as JSON has them."""
    return [
        {
            **each._asdict(),
            "opened_at": each.opened_at.isoformat(),
            "last_sent_at": each.last_sent_at.isoformat(),
        }
        for each in found
    ]


SCHEDULE_PROBLEMS: Mapping[queries.ScheduleState, tuple[str, ...]] = {
    "running": (),
    "no_daemon": ("No Dagster daemon is running: start it with `make up`.",),
    "switched_off": (f"The schedule {SCHEDULE} is switched off: switch it on in the Dagster UI.",),
}


def _fetch_problems(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Why a configured account's latest fetch, or else the latest run, failed: sentences."""
    accounts = queries.last_outcomes(warehouse, settings.meta_ad_account_ids)
    if not settings.meta_ad_account_ids:
        return ["META_AD_ACCOUNT_ID is not set: put your ad accounts in .env or the environment."]
    if not accounts:
        return ["Nothing was fetched yet: run `actuals sync`."]
    fetched = {row["account_id"] for row in accounts}
    never = [
        f"Account act_{account_id} was never fetched: run `actuals sync`."
        for account_id in settings.meta_ad_account_ids
        if account_id not in fetched
    ]
    failed = [row["error_message"] for row in accounts if row["outcome"] != "complete"]
    run_id = queries.failed_run(warehouse, JOB)
    # A run in which every account was refused says no more than the accounts do.
    unfinished = [f"Run {run_id} failed: open it in the Dagster UI."] if run_id else []
    return list(dict.fromkeys([*never, *(failed or unfinished)]))


def stats(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    """Counts over every fetch, with the money of every report day counted once."""
    configured = bool(
        settings.meta_access_token.get_secret_value() and settings.meta_ad_account_ids
    )
    window = queries.known_window(warehouse)
    return {
        "status": "success",
        "source": queries.source(warehouse, window) if window else None,
        "stats": {**_fetcher_stats(warehouse, settings), "meta_api_configured": configured},
    }


def model_rows(warehouse: Warehouse, settings: Settings, model_name: str) -> list[dict[str, Any]]:
    """The rows of the summary's `models` that are of one model, as of the last day known."""
    window = queries.known_window(warehouse)
    rows = queries.models(warehouse, window.until) if window else []
    return [_ml_accuracy(row, settings) for row in rows if row["model_name"] == model_name]


def as_json(answer: object) -> str:
    """`answer` as indented JSON; days and instants in ISO form, Decimals with all their digits."""
    # The json module writes no exact number but int, so each Decimal takes the place of a mark.
    decimals: list[Decimal] = []
    mark = uuid4().hex

    def plain(value: object) -> object:
        if isinstance(value, Decimal):
            decimals.append(value)
            return f"{mark}{len(decimals) - 1}"
        return _plain(value)

    text = json.dumps(answer, indent=2, ensure_ascii=False, default=plain, allow_nan=False)
    return re.sub(rf'"{mark}(\d+)"', lambda found: f"{decimals[int(found[1])]:f}", text)


def _fetcher_stats(warehouse: Warehouse, settings: Settings) -> dict[str, Any]:
    window = queries.known_window(warehouse)
    found = queries.money(warehouse, window) if window else []
    overall = _converted(warehouse, window, found, settings) if window else None
    totals = _totals(found, overall, is_known=True)
    return {
        **queries.fetch_stats(warehouse),
        "currency": totals["currency"],
        "total_spend_tracked": totals["total_spend"],
        "total_conversions_tracked": totals["total_conversions"],
        "spend_tracked_by_currency": {part.currency: number(part.spend) for part in found},
    }


def _converted(
    warehouse: Warehouse, window: DayWindow, found: Sequence[Money], settings: Settings
) -> Overall | None:
    """The money of several currencies in the investment's; one alone needs no rates."""
    if len(found) < 2:
        return None
    return investment.overall(warehouse, queries.money_by_day(warehouse, window), settings)


def _provisional(rows: Sequence[queries.Row]) -> list[dict[str, Any]]:
    """By account: its days that may still change, and how complete they should be by now."""
    by_account: dict[str, list[queries.Row]] = {}
    for row in rows:
        by_account.setdefault(row["account_id"], []).append(row)
    return [
        {
            "account_id": account_id,
            "days": len(days),
            "revenue_completeness": _completeness(days, "revenue"),
            "conversions_completeness": _completeness(days, "conversions"),
            "by_day": [
                {
                    "report_date": row["report_date"],
                    "age_days": row["age_days"],
                    "revenue_completeness": row["revenue_share"],
                    "conversions_completeness": row["conversions_share"],
                }
                for row in days
            ],
        }
        for account_id, days in by_account.items()
    ]


def _completeness(days: Sequence[queries.Row], figure: str) -> Number | None:
    """What is known of a figure / what it should become, over the days of which that is known.

    None where it is known of none, or there is nothing of the figure yet.
    """
    expected = [(Decimal(row[figure]), row[f"{figure}_share"]) for row in days]
    known = sum((value for value, share in expected if share), Decimal(0))
    final = sum((value / Decimal(share) for value, share in expected if share), Decimal(0))
    return rounded(known / final, RATE) if final else None


def _totals(found: Sequence[Money], overall: Overall | None, *, is_known: bool) -> dict[str, Any]:
    """The single totals: in the only currency, or in the investment's where rates cover it all."""
    if not is_known:
        return dict.fromkeys(_TOTALS)
    only = found[0] if len(found) == 1 else overall.whole if overall else None
    if len(found) > 1 and only:
        found = [_to_the_cent(only)]
    return {
        "currency": only.currency if only else None,
        "total_spend": _single(found, "spend"),
        "total_revenue": _single(found, "revenue"),
        "overall_roas": rounded(only.roas, CENTS) if only else None,
        "total_conversions": sum(part.conversions for part in found),
        "avg_cpa": rounded(only.cpa, CENTS) if only else None,
        "conversion_rate": rounded(_conversion_rate(found), RATE),
    }


_TOTALS = (
    "currency",
    "total_spend",
    "total_revenue",
    "overall_roas",
    "total_conversions",
    "avg_cpa",
    "conversion_rate",
)

_TOTALS_OF_A_SYNC = ("currency", "total_spend", "total_conversions", "total_revenue")


def _conversion_rate(found: Sequence[Money]) -> Decimal | None:
    """Conversions / clicks over all currencies, which counts do not have; None without clicks."""
    clicks = sum(part.clicks for part in found)
    return Decimal(sum(part.conversions for part in found)) / clicks if clicks else None


def _to_the_cent(money: Money) -> Money:
    """`money` without the digits that only a conversion makes."""
    amounts = {name: getattr(money, name) for name in ("spend", "revenue", "settled_spend")}
    return replace(money, **{name: each.quantize(CENTS) for name, each in amounts.items()})


def _overall(overall: Overall) -> dict[str, Any]:
    """The amounts over all currencies; those of money unknown where a rate is missing."""
    amounts = _amounts(_to_the_cent(overall.money))
    if overall.whole is None:
        amounts |= dict.fromkeys(("spend", "revenue", "roas", "cpa", "settled_spend_share"))
    return {**amounts, "unconverted": investment.days_by_currency(overall.unconverted)}


def _day(day: DayOfMoney) -> dict[str, Any]:
    """One point of the daily trend."""
    names = ("currency", "spend", "revenue", "roas", "conversions", "cpa", "conversion_rate")
    amounts = _amounts(day.money)
    return {"report_date": day.report_date, **{name: amounts[name] for name in names}}


def _amounts(part: Money) -> dict[str, Any]:
    return {
        "currency": part.currency,
        "spend": number(part.spend),
        "revenue": number(part.revenue),
        "roas": rounded(part.roas, CENTS),
        "conversions": part.conversions,
        "cpa": rounded(part.cpa, CENTS),
        "conversion_rate": rounded(part.conversion_rate, RATE),
        "impressions": part.impressions,
        "clicks": part.clicks,
        "ctr_percent": rounded(100 * part.ctr if part.ctr is not None else None, CENTS),
        "settled_spend_share": rounded(part.settled_share, Decimal("0.0001")),
    }


def _ml_accuracy(row: queries.Row, settings: Settings) -> dict[str, Any]:
    """One model version under one protocol: the dashboard's numbers with what they rest on.

    `protocol` names what each metric is compared with; `is_provisional` says that the figures may
    still change, `is_attested` whether the database dated the predictions (null: some of both, of
    which `n_unattested` were imported, or none).  `leaky_accuracy` is what the predictions made
    after their launch would have scored; they are in no other figure.
    `window` has the first and last day on which a compared ad may have been launched, or, of
    `launch_to_date`, its video made; `attribution` is what counts as a purchase there.
    """
    protocol = row["protocol"]
    is_final = protocol != LAUNCH_TO_DATE
    compared = (LAUNCH_D7.name, LAUNCH_LTD28.name) if is_final else (protocol, protocol)
    days = settings.evaluation_days if is_final else settings.max_age_days
    return {
        "model_name": row["model_name"],
        "model_version": row["model_version"],
        "ctr_mae": row["ctr_mae"],
        "roas_mae": row["roas_mae"],
        "prediction_accuracy": _percent(row["prediction_accuracy"]),
        "prediction_accuracy_ci95": _interval(row),
        "noise_ceiling": _percent(row["noise_ceiling"]),
        "baseline_accuracy": _percent(row["baseline_accuracy"]),
        "accuracy_of_achievable": row["accuracy_of_achievable"],
        "basis": "relative_to_predicted",
        "weighting": "equal_per_pair",
        "protocol": dict(zip(("ctr", "roas"), compared, strict=True)),
        "is_provisional": not is_final,
        "is_attested": _is_attested(row),
        "attribution": row["attribution"],
        "as_of": row["as_of_date"],
        "window": [row["as_of_date"] - timedelta(days=days), row["as_of_date"]],
        "n_ads": row["n_pairs"],
        "n_ctr": row["n_ctr"],
        "n_roas": row["n_roas"],
        "n_predicted": row["n_predicted"],
        "n_clusters": row["n_clusters"],
        "n_reconstructed": row["n_reconstructed"],
        "n_unattested": row["n_unattested"],
        "coverage_ads": row["coverage_ads"],
        "coverage_spend": row["coverage_spend"],
        "matured_share_spend": row["settled_spend_share"],
        "unresolved_share": row["unresolved_share"],
        "ctr_calibration": row["ctr_calibration"],
        "leaky_accuracy": _percent(row["leaked_accuracy"]),
        "excluded": {
            "leaky": row["n_leaked"],
            "no_prediction": row["n_no_prediction"],
            "no_delivery": row["n_no_delivery"],
            "ambiguous": row["n_ambiguous"],
            "invalid": row["n_invalid"],
            "immature": row["n_immature"],
            "too_young": row["n_too_young"],
            "too_old": row["n_too_old"],
            "incomplete_history": row["n_incomplete_history"],
            "unscored": row["n_unscored"],
            "unmatched": row["n_unmatched"],
        },
    }


def _is_attested(row: queries.Row) -> bool | None:
    told = {HEADLINE: True, HEADLINE_UNATTESTED: False}.get(row["protocol"])
    if told is None and row["n_unattested"] in {0, row["n_pairs"]} and row["n_pairs"]:
        return bool(row["n_unattested"] == 0)
    return told


def _percent(value: float | None) -> float | None:
    """With one decimal, as the dashboard has it."""
    return None if value is None else float(at_the_edge(value) or 0)


def _interval(row: queries.Row) -> list[float | None] | None:
    ends = [_percent(row[f"prediction_accuracy_{end}"]) for end in ("low", "high")]
    return None if None in ends else ends


def verified(verification: Verification, expect: Sequence[bytes]) -> dict[str, Any]:
    """The state of both logs, and the sentences that say what is wrong with them."""
    predictions, videos = verification.predictions, verification.videos
    problems = [*_broken(predictions, "prediction"), *_broken(videos, "video")]
    problems += [
        f"No row of the logs has the hash {each.hex()}: what came before it was changed or removed "
        "since, or this is another database."
        for each in expect
        if each not in predictions.expected and each not in videos.expected
    ]
    return {
        "is_intact": not problems,
        **_extent(predictions),
        "differing": [
            {"row": row.sequence, "prediction_id": row.subject, "since": row.finding}
            for row in verification.differing
        ],
        "videos": _extent(videos),
        "problems": problems,
    }


def _extent(chain: Chain) -> dict[str, Any]:
    """What a log holds, and the newest of its rows whose hash was asked for."""
    return {
        "rows": chain.rows,
        "attested": chain.attested,
        "unattested": chain.rows - chain.attested,
        "first_logged_at": chain.first_logged_at,
        "last_logged_at": chain.last_logged_at,
        "last_hash": chain.last_hash,
        "expected_at_row": max(chain.expected.values(), default=None),
    }


def _broken(chain: Chain, subject: str) -> list[str]:
    """What is wrong with the log of `subject`s."""
    problems = []
    if chain.broken:
        problems.append(
            f"The log of {subject}s is broken at row {chain.broken.sequence} ({subject} "
            f"{chain.broken.subject}): {chain.broken.finding}. Restore the database from before "
            "that, or quote no score that rests on this row or a later one."
        )
    if chain.is_ahead_of_the_clock:
        problems.append(
            f"The last row of the log of {subject}s is dated {chain.last_logged_at}, which lies "
            "ahead: set the clock of the database's machine right."
        )
    return problems


def _single(found: Sequence[Money], name: str) -> Number | None:
    """The amount of the only currency; 0 when nothing was found, None when currencies differ."""
    if not found:
        return 0
    return number(getattr(found[0], name)) if len(found) == 1 else None


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _window(window: DayWindow) -> dict[str, str]:
    return {"since": window.since.isoformat(), "until": window.until.isoformat()}
