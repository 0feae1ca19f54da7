"""Run the Dagster job over a window from the command line, with progress.

Days are committed as they come, so a backfill that stops goes on where it was when it is started
again.
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from actuals_pipeline.errors import ActualsError, InputError, WarehouseError
from actuals_pipeline.report_days import DayWindow, report_day, retention_floor
from actuals_pipeline.serving import answers, queries
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.terminal import progress_bar
from actuals_pipeline.settings import Settings

_YOURS_TO_FIX = {"InputError", "SettingsError", "MetaRefused", "AdNotFound"}
"""Errors of a fetch that the person at the command line can mend."""

_OF_THE_DATABASE = {"WarehouseUnavailable", "WarehouseHindered", "SchemaOutOfDate"}
"""Errors of a run that whoever runs the database can mend."""


def run(
    installation: Installation,
    window: DayWindow,
    *,
    tier: str,
    run_id: str | None = None,
    assets: Collection[str] | None = None,
) -> dict[str, Any]:
    """Fetch, normalize, reconcile and score `window`; returns the specification's sync answer.

    The run is called `run_id`, a new UUID, where one is given; with `assets` it makes these alone.

    Raises `InputError` when every account failed for a reason that a person can mend,
    `WarehouseError` when the database was in the way, `ActualsError` when a run failed otherwise.
    """
    started = time.monotonic()
    with progress_bar(tier, len(window)) as advance:
        result = _run(installation, window, tier, advance, run_id=run_id, assets=assets)
    if not result.succeeded:
        _raise_failure(installation, result)
    return answers.sync(
        installation.warehouse,
        window,
        [result.run_id],
        installation.settings,
        now=datetime.now(UTC),
        duration_seconds=time.monotonic() - started,
    )


def runnable(window: DayWindow, settings: Settings, now: datetime) -> DayWindow:
    """`window` if its days are partitions that Meta still answers for; else `InputError`."""
    today = report_day(now, settings.zone)
    floor = retention_floor(today)
    if window.since < floor:
        raise InputError(
            f"{window.since} lies beyond the 37 months that Meta keeps: start on {floor} or later."
        )
    if window.since < settings.start_date:
        raise InputError(
            f"{window.since} lies before the first partition, {settings.start_date}: start there, "
            "or set ACTUALS_START_DATE to an earlier day."
        )
    if window.until > today:
        raise InputError(f"{window.until} lies in the future: end on {today} or earlier.")
    return window


def make_tables(installation: Installation) -> None:
    """Have Dagster make its own tables, or bring them to the installed version.

    It does so by itself when it first connects; an account that may create nothing cannot.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "dagster", "instance", "migrate"],
        env=installation.child_environment({"DATABASE_URL"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ActualsError(f"Dagster could not make its tables: {told[-1] if told else 'no word'}.")


def _run(
    installation: Installation, window: DayWindow, tier: str, advance: Any, **chosen: Any
) -> Any:
    """The result of the run, chosen as `run_window` has it; Dagster is imported only here."""
    installation.enter_dagster()
    with warnings.catch_warnings():
        # Dagster announces betas and successors on import; they tell a reader nothing.
        warnings.simplefilter("ignore")
        from actuals_pipeline.orchestration.fetching import days_stored  # noqa: PLC0415
        from actuals_pipeline.orchestration.runs import run_window  # noqa: PLC0415

        def on_progress(done: float, step: str) -> None:
            advance(len(window) * done, step)

        def on_resumption(run_ids: Collection[str]) -> None:
            accounts = installation.settings.meta_ad_account_ids
            stored = days_stored(installation.warehouse, run_ids, window, accounts)
            if stored:
                click.echo(
                    f"actuals: going on where an earlier run over these days ended; {stored} of "
                    f"{len(window)} days are stored already.",
                    err=True,
                )

        return run_window(
            installation.settings,
            window,
            tier=tier,
            on_progress=on_progress,
            on_resumption=on_resumption,
            **chosen,
        )


def _raise_failure(installation: Installation, result: Any) -> None:
    """Say why a run failed: in the words of the accounts' fetches where those failed."""
    accounts = queries.account_outcomes(installation.warehouse, [result.run_id])
    failed = [row for row in accounts if row["outcome"] != "complete"]
    if failed and len(failed) == len(accounts):
        reason = _first_of(dict.fromkeys(row["error_message"] for row in failed))
        if are_yours_to_fix(failed):
            raise InputError(reason)
        raise ActualsError(reason)
    sentences = [failure.sentence for failure in result.failures]
    reason = " ".join(sentences) or f"Run {result.run_id} failed."
    if any(failure.error_class in _OF_THE_DATABASE for failure in result.failures):
        raise WarehouseError(reason)
    raise ActualsError(reason)


def are_yours_to_fix(failed: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a person can mend every one of some accounts' failures."""
    return all(row["error_class"] in _YOURS_TO_FIX for row in failed)


def _first_of(reasons: Iterable[str]) -> str:
    """The first reason, and how many others `actuals status` would tell."""
    first, *others = reasons
    return f"{first} ({len(others)} more: `actuals status`.)" if others else first
