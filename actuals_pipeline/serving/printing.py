"""Answers as tables for a terminal; plain text when piped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

STAND_IN_NOTICE = "STAND-IN DATA: made up by the local Graph API stand-in, not by Meta."


def print_summary(answer: Mapping[str, Any]) -> None:
    """Money by currency, the accuracy of each model version, and whether spend reconciles."""
    console = _console()
    if answer["source"] == "stand-in":
        console.print(Text(STAND_IN_NOTICE, style="bold yellow"))
    if answer["window"] is None:
        console.print("Nothing was fetched yet: run `actuals sync` or `actuals backfill`.")
        return
    days = f"{answer['window']['since']} to {answer['window']['until']}"
    console.print(_money_table(f"Actuals, {days}", answer["by_currency"]))
    if answer["models"]:
        console.print(_models_table(answer["models"]))
        for model in answer["models"]:
            console.print(_left_out(model))
    console.print(_reconciliation(answer["reconciliation"]))


def print_sync(answer: Mapping[str, Any]) -> None:
    """What a sync or backfill brought."""
    console, counts = _console(), answer["summary"]
    days = f"{answer['window']['since']} to {answer['window']['until']}"
    console.print(_money_table(f"Synced, {days}", answer["by_currency"]))
    console.print(
        f"{counts['total_ads']} ads of eligible videos: {counts['successful']} with figures, "
        f"{counts['no_data']} without delivery, {counts['rate_limited']} rate limited, "
        f"{counts['failed']} failed; {counts['duration_seconds']} s."
    )


def print_pairs(title: str, pairs: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in pairs.items():
        if isinstance(value, Mapping):
            continue
        table.add_row(name.replace("_", " "), Text("unknown" if value is None else str(value)))
    _console().print(table)


@contextmanager
def progress_bar(title: str, total_days: int) -> Iterator[Any]:
    """A bar on stderr, where stderr is a terminal; yields `advance(days_done, description)`."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} days"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=total_days)

        def advance(days_done: float, description: str) -> None:
            shown = f"{title}: {description}" if description else title
            bar.update(task, completed=days_done, description=shown)

        yield advance


def _console() -> Console:
    return Console(highlight=False, soft_wrap=False)


def _money_table(title: str, found: Sequence[Mapping[str, Any]]) -> Table:
    table = _table(title, "", "spend", "revenue", "ROAS", "conv.", "CPA", "CTR", "settled")
    for part in found:
        table.add_row(
            part["currency"],
            _amount(part["spend"]),
            _amount(part["revenue"]),
            _shown(part["roas"], "{:.2f}x"),
            f"{part['conversions']:,}",
            _shown(part["cpa"], "{:,.2f}"),
            _shown(part["ctr_percent"], "{:.2f} %"),
            _shown(part["settled_spend_share"], "{:.0%}"),
        )
    if not found:
        table.add_row("no delivery")
    return table


def _models_table(models: Sequence[Mapping[str, Any]]) -> Table:
    title = f"Prediction accuracy as of {models[0]['as_of']}"
    table = _table(title, "model", "accuracy", "CTR MAE", "ROAS MAE", "ads", "coverage")
    for model in models:
        table.add_row(
            Text(f"{model['model_name']} {model['model_version']}"),
            _shown(model["prediction_accuracy"], "{:.1f} %"),
            _shown(model["ctr_mae"], "{:.3f} pp"),
            _shown(model["roas_mae"], "{:.2f}x"),
            str(model["n_ads"]),
            _shown(model["coverage_ads"], "{:.0%}"),
        )
    return table


def _left_out(model: Mapping[str, Any]) -> str:
    """Which predictions of a model version do not count, and why."""
    reasons = ", ".join(
        f"{count} {reason.replace('_', ' ')}"
        for reason, count in model["excluded"].items()
        if count
    )
    return f"{model['model_name']} {model['model_version']} leaves out: {reasons or 'none'}."


def _table(title: str, first: str, *others: str) -> Table:
    """A table without rules between columns, so that it fits into 80 characters."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _reconciliation(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Spend is not reconciled yet."
    days = sum(row["account_days"] for row in rows)
    unequal = [row for row in rows if row["verdict"] != "exact"]
    if not unequal:
        return f"Spend reconciles with Meta's own totals to the cent on all {days} account-days."
    gaps = "; ".join(
        f"{row['account_days']} {row['verdict'].replace('_', ' ')}, difference "
        f"{_amount(row['spend_difference'])} {row['currency']}"
        for row in unequal
    )
    return f"Spend differs from Meta's own totals on some of {days} account-days: {gaps}."


def _amount(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _shown(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
