"""Answers as tables for a terminal; plain text when piped.

Names come from elsewhere: they are printed as `one_line`, and never as a plain `str`, in which
Rich would read its markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from actuals_pipeline.serving.terminal import (
    Statement,
    new_table,
    one_line,
    say,
    screen,
    show,
    state,
)

_SOURCE_NOTICES = {
    "stand-in": "STAND-IN DATA: made up by the local Graph API stand-in, not by Meta.",
    "mixed": "PARTLY STAND-IN DATA: some of it was made up by the local Graph API stand-in.",
}

_UNITS = {"success_rate": " %", "ctr": " %", "interval_hours": " h", "duration_seconds": " s"}
"""Units of the numbers whose name does not say enough to a person."""

_MONEY = {"spend", "revenue", "cpm", "cpc"}
"""Names of an ad's figures that are in its currency."""

_INSTANTS = {"last_run", "timestamp"}
"""Names of the JSON whose values are instants."""

_LABELS = {
    "interval_hours": "runs every",
    "last_run": "last run ended",
    "total_ads": "ads of eligible videos",
    "successful": "with figures",
    "no_data": "without delivery",
    "duration_seconds": "took",
    "timestamp": "finished at",
    "total_fetches": "fetches of accounts and ads",
    "successful_fetches": "complete",
    "failed_fetches": "not complete",
    "rate_limits_hit": "answers that asked us to wait",
    "total_spend_tracked": "spend tracked",
    "total_conversions_tracked": "conversions tracked",
    "meta_api_configured": "token and accounts are set",
}
"""Names of the JSON that say too little to a person."""

_ACCOUNTS_SHOWN = 3
"""Accounts of which each has a sentence of its own; of more the extremes are told."""

_DIFFERING_SHOWN = 20
"""Predictions that the product changed since, told one a line; the rest is counted."""


def print_summary(answer: Mapping[str, Any]) -> None:
    """Money by currency, whether it reconciles and is final, and each model version's accuracy."""
    console = _console_about(answer)
    days = f"{answer['window']['since']} to {answer['window']['until']}" if answer["window"] else ""
    if answer["status"] == "empty":
        asked = f" of {days}" if days else " yet"
        say(console, f"Nothing was fetched{asked}: run `actuals sync` or `actuals backfill`.")
        return
    show(console, _money_table(f"Actuals, {days}", _with_overall(answer)))
    say(console, _reconciliation(answer["reconciliation"]))
    if answer["advice"]:
        say(console, answer["advice"])
    for sentence in _provisional(answer["provisional"]):
        say(console, sentence)
    for account in answer["missing"]:
        say(
            console,
            f"Not in these figures: {account['days']} of {account['of_days']} days of account "
            f"act_{account['account_id']}, which were never fetched (`actuals backfill`).",
        )
    console.print()
    _print_trend(console, answer)
    _print_models(console, answer["models"])


def _print_models(console: Console, models: Sequence[Mapping[str, Any]]) -> None:
    """How good each model version was: what is final first, and what that is worth.

    Of what may still change only the table is shown where something is final.
    """
    for place, (title, group) in enumerate(_by_protocol(models).items()):
        console.print()
        show(console, _models_table(f"{title}, as of {group[0]['as_of']}", group))
        if place == 0:
            for model in group:
                say(console, _beside_chance(model))
            for sentence in _left_out(group):
                say(console, sentence)
    if models and not any(map(_may_be_quoted, models)):
        say(console, "No accuracy may be quoted yet: none is both final and attested.")


def print_summary_as_of(answer: Mapping[str, Any]) -> None:
    """Money by currency as it was known at the end of a day, or that nothing was."""
    console = _console_about(answer)
    then = f"the end of {answer['as_of']}"
    days = f"{answer['window']['since']} to {answer['window']['until']}" if answer["window"] else ""
    if answer["status"] == "empty":
        since = answer["known_since"]
        came = f"the first figures came on {since}" if since else "nothing was ever fetched"
        say(console, f"Nothing was known at {then}{f' of {days}' if days else ''}: {came}.")
        return
    show(console, _money_table(f"Actuals, {days}, as known at {then}", _with_overall(answer)))
    _print_trend(console, answer)
    say(console, "Accuracy and reconciliation are not kept as they were known: left out.")
    for account in answer["missing"]:
        say(
            console,
            f"Not in these figures: {account['days']} of {account['of_days']} days of account "
            f"act_{account['account_id']}, of which nothing was known then.",
        )


def _with_overall(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The amounts of each currency and, where there are several, of all in one."""
    parts, overall = list(answer["by_currency"]), answer["overall"]
    if len(parts) > 1 and overall and not overall["unconverted"]:
        parts.append({**overall, "currency": f"all, in {overall['currency']}"})
    return parts


def _print_trend(console: Console, answer: Mapping[str, Any]) -> None:
    """Revenue of the last days, and how long the investment lasts."""
    days = sorted({each["report_date"] for each in answer["daily"]})[-_TREND_DAYS:]
    if days:
        currencies = [part["currency"] for part in answer["by_currency"]]
        known = {(each["report_date"], each["currency"]): each for each in answer["daily"]}
        table = new_table("Revenue a day", "", *currencies)
        for day in days:
            cells = (known.get((day, currency)) for currency in currencies)
            table.add_row(str(day), *(_amount(each["revenue"]) if each else "" for each in cells))
        show(console, table)
    overall = answer["overall"]
    if overall and overall["unconverted"]:
        say(console, f"No total in {overall['currency']}: {_without_rate(overall)}.")
    if answer["investment"]:
        for sentence in _investment(answer["investment"]):
            say(console, sentence)
    if answer["budgets"]:
        for sentence in _budgets(answer["budgets"]):
            say(console, sentence)


def _budgets(answer: Mapping[str, Any]) -> Iterator[str]:
    """How many budgets are spent how, and which are overspent."""
    counts = ", ".join(
        f"{n} {verdict.replace('_', ' ')}" for verdict, n in answer["verdicts"].items()
    )
    yield f"Budgets as of {answer['as_of']}: {counts}."
    overspent = [each for each in answer["listed"] if each["verdict"] == "overspending"]
    for each in overspent[:_BUDGETS_SHOWN]:
        yield f"Overspent: {_overspent(each)}."


def _overspent(budget: Mapping[str, Any]) -> str:
    level = _LEVELS[budget["level"]]
    name = one_line(budget["name"] or budget["id"])
    spent = f"{level} {name}, {budget['currency']} {_amount(budget['spent'])} spent"
    if budget["reason"] == "a_day_beyond_its_limit":
        share = _shown(budget["highest_day_share"], "{:.2f}")
        return f"{spent}, a day {share} times its budget where Meta allows 1.75"
    days = f"{budget['period']['since']} to {budget['period']['until'] or 'open end'}"
    if budget["reason"] == "projected_beyond":
        projected = _shown(budget["projected"], "{:,.2f}")
        return f"{spent}, {projected} projected of {_amount(budget['budget'])} for {days}"
    return f"{spent} where {_amount(budget['limit'])} are allowed for {days}"


_BUDGETS_SHOWN = 5
"""Overspent budgets that the summary names; the rest is counted."""

_LEVELS = {"campaign": "campaign", "adset": "ad set", "plan": "plan"}

_TREND_DAYS = 7


def _without_rate(answer: Mapping[str, Any]) -> str:
    missing = ", ".join(
        f"{each['currency']} on {each['days']} days" for each in answer["unconverted"]
    )
    return f"no exchange rate for {missing} (`actuals rates import`)"


def _investment(answer: Mapping[str, Any]) -> Iterator[str]:
    """What was spent of an investment, how fast, and until when it lasts."""
    currency, total = answer["currency"], answer["total"]
    if total is None:
        return
    of_total = f"Of the {currency} {_amount(total)} invested"
    if answer["spent"] is None:
        known = f"at least {_amount(answer['spent_at_least'])} were spent"
        yield f"{of_total} {known} by {answer['as_of']}: {_without_rate(answer)}."
    else:
        share = _shown(answer["spent_share"], "{:.1%}")
        burn = _shown(answer["burn_per_day"]["last_28_days"], "{:,.2f}")
        spent = f"{_amount(answer['spent'])} ({share}) were spent by {answer['as_of']}"
        yield f"{of_total} {spent}, {burn} a day over the last 28 days."
    yield _OUTLOOKS[answer["outlook"]].format(end=answer["projected_end"], **_ends(answer))
    for account in answer["accounts_missing"]:
        yield (
            f"Not in the investment: {account['days']} days of account "
            f"act_{account['account_id']}, which were never fetched."
        )
    if answer["is_reconstructed"]:
        yield "It counts figures that were first known later: nobody looked at that time."


_OUTLOOKS = {
    "projected": "It lasts until {end}{between}, if the coming days are like the last 28.",
    "spent": "It was spent on {end}.",
    "never": "At the burn of the last 28 days it never ends.",
    "too_few_days": "When it ends nobody can say yet: that takes a week of whole days.",
    "unconverted": "When it ends nobody can say without the exchange rates.",
}


def _ends(answer: Mapping[str, Any]) -> dict[str, str]:
    if not answer["projected_end_ci95"]:
        return {"between": ""}
    low, high = answer["projected_end_ci95"]
    return {"between": f" (95 %: {low} to {high or 'never'})"}


def _provisional(accounts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How complete the figures are that Meta may still change, where that is known.

    Of many accounts the least and the most complete are told.
    """
    unknown = 0
    known = [each for each in accounts if each["revenue_completeness"] is not None]
    if len(known) > _ACCOUNTS_SHOWN:
        shares = sorted(each["revenue_completeness"] for each in known)
        yield (
            f"{sum(each['days'] for each in known)} days of {len(known)} accounts may still "
            f"change: by now an expected {shares[0]:.0%} to {shares[-1]:.0%} of an account's final "
            "revenue is known (--json lists each)."
        )
        accounts = [each for each in accounts if each["revenue_completeness"] is None]
    for account in accounts:
        expected = [
            f"{share:.0%} of the final {figure}"
            for figure in ("revenue", "conversions")
            if (share := account[f"{figure}_completeness"]) is not None
        ]
        days = account["days"]
        if expected:
            yield (
                f"{days} day{'' if days == 1 else 's'} of account act_{account['account_id']} may "
                f"still change: by now an expected {' and '.join(expected)} is known."
            )
        else:
            unknown += days
    if unknown:
        yield (
            f"{unknown} account-day{'' if unknown == 1 else 's'} may still change: how complete "
            "their revenue and conversions are is unknown yet."
        )


def print_sync(answer: Mapping[str, Any]) -> None:
    """What a sync or backfill brought."""
    console, counts = _console_about(answer), answer["summary"]
    days = f"{answer['window']['since']} to {answer['window']['until']}"
    show(console, _money_table(f"Synced, {days}", answer["by_currency"]))
    say(
        console,
        f"{counts['total_ads']} ads of eligible videos: {counts['successful']} with figures, "
        f"{counts['no_data']} without delivery, {counts['rate_limited']} rate limited, "
        f"{counts['failed']} failed; {counts['duration_seconds']} s.",
    )


def print_ad(answer: Mapping[str, Any]) -> None:
    """One ad's figures, or why there are none."""
    console, window, figures = _console_about(answer), answer["window"], answer["actuals"]
    if figures is None:
        say(console, answer["message"])
        return
    title = f"Ad {answer['ad_id']}, {window['since']} to {window['until']}"
    money = {
        name: f"{_plain(value)} {figures['currency']}"
        for name, value in figures.items()
        if name in _MONEY and value is not None
    }
    show(console, _pairs_table(title, {**figures, **money}))


def print_status(answer: Mapping[str, Any]) -> None:
    """Whether the schedule runs, what is wrong if it is unhealthy, and what was fetched."""
    console, scheduler = _console_about(answer), dict(answer["scheduler"])
    summary, stats = scheduler.pop("last_summary"), scheduler.pop("fetcher_stats")
    show(console, _pairs_table(f"Scheduler: {answer['status']}", scheduler))
    if summary:
        show(console, _pairs_table("Last run", summary))
    show(console, _pairs_table("All fetches", stats))
    if answer["meta_events"]["newest"]:
        show(console, _events_table(answer["meta_events"]))
    for process in answer["processes"] or []:
        say(console, _process(process))
    for problem in answer["problems"]:
        say(console, problem)
    for alert in answer["alerts"]:
        # What is critical is among the problems.
        if alert["severity"] == "warning":
            say(console, f"Look at {alert['rule']}: {alert['message']} {alert['advice']}")


def _process(process: Mapping[str, Any]) -> str:
    """One of the processes of `actuals up`: whether it runs, since when, how often it died."""
    up = f"runs as process {process['pid']}" if process["pid"] else "is down"
    died = f", started again {process['restarts']} times" if process["restarts"] else ""
    return f"{process['name']} {up} since {_instant(process['since'])}{died}."


def _events_table(events: Mapping[str, Any]) -> Table:
    """What Meta told lately, the newest first."""
    table = new_table(
        f"Told by Meta in 24 hours: {events['last_24_hours']}", "at", "account", "what", "of"
    )
    for event in events["newest"]:
        about = " ".join(filter(None, (event["object_level"], event["object_id"])))
        table.add_row(
            f"{event['received_at']:%Y-%m-%d %H:%M}",
            f"act_{event['account_id']}",
            event["field"].replace("_", " "),
            Text(about or "the account"),
        )
    return table


def print_alerts(answer: Mapping[str, Any]) -> None:
    """Each open alert with what to do, and the channels that do not take them."""
    console = screen()
    statements = [
        Statement(
            alert["severity"].upper(),
            alert["rule"],
            f"{alert['message']} {alert['advice']} Since {_instant(alert['opened_at'])}.",
        )
        for alert in answer["open"]
    ]
    state(console, statements)
    if not answer["open"]:
        say(console, "No alert is open.")
    for row in answer["waiting"]:
        count = row["messages"]
        say(
            console,
            f"{count} message{' waits' if count == 1 else 's wait'} for the channel "
            f"{row['channel']}: {row['last_error'] or 'not tried yet'}.",
        )


def print_channels(answer: Mapping[str, Any]) -> None:
    """How each channel fared, one a line."""
    console = screen()
    for row in answer["channels"]:
        told = "took the message" if row["is_taken"] else f"did not take it: {row['error']}"
        say(console, f"{row['channel']}: {told}.")


def print_stats(answer: Mapping[str, Any]) -> None:
    """Counts over every fetch."""
    show(_console_about(answer), _pairs_table("All fetches", answer["stats"]))


def print_pruned(answer: Mapping[str, Any]) -> None:
    """One line: what was removed, or would be."""
    months, rows = answer["months"], answer["rows"]
    told = f"No payloads are older than {answer['keep_months']} months: nothing to remove."
    if months:
        which = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
        told = (
            f"{'Would remove' if answer['dry_run'] else 'Removed'} the payloads of {len(months)} "
            f"month{'' if len(months) == 1 else 's'} ({which}): {rows:,} "
            f"row{'' if rows == 1 else 's'}, {answer['bytes']:,} bytes; the figures stay."
        )
    say(screen(), told)


def print_chains(answer: Mapping[str, Any]) -> None:
    """What the logs of predictions and videos hold, and the lines to keep elsewhere."""
    console = screen()
    videos = answer["videos"]
    if not answer["rows"]:
        say(console, "No prediction was logged yet.")
    for log, what in ((answer, "predictions"), (videos, "changes of videos")):
        if log["rows"]:
            _say_extent(console, log, what)
    differing = answer["differing"]
    for row in differing[:_DIFFERING_SHOWN]:
        say(
            console,
            f"Row {row['row']}: prediction {one_line(row['prediction_id'])} was {row['since']} in "
            "public.predictions since; the log keeps what it said.",
        )
    if len(differing) > _DIFFERING_SHOWN:
        say(console, f"And {len(differing) - _DIFFERING_SHOWN:,} more; --json lists all.")
    kept = [log["last_hash"] for log in (answer, videos) if log["rows"]]
    if answer["is_intact"] and kept:
        say(console, "Both chains are whole.")
        say(
            console,
            "Keep what follows: with --expect, each line proves later that nothing before it "
            "changed.",
        )
        for each in kept:
            console.print(Text(each), soft_wrap=True)


def _say_extent(console: Console, log: Mapping[str, Any], what: str) -> None:
    say(
        console,
        f"{log['rows']:,} {what}, {log['attested']:,} of them attested, logged "
        f"{log['first_logged_at']:%Y-%m-%d %H:%M} to {log['last_logged_at']:%Y-%m-%d %H:%M} UTC.",
    )
    if log["expected_at_row"]:
        say(console, f"The hash that was expected is the one of row {log['expected_at_row']}.")


def print_budgets(answer: Mapping[str, Any]) -> None:
    """Each budget, those to look at first on top, or how to bring some in."""
    console = screen()
    if not answer["budgets"]:
        say(
            console,
            "No budget was judged yet: Meta's are read by `actuals sync`, planned ones come by "
            "`actuals budgets import`.",
        )
        return
    title = f"Budgets as of {answer['as_of']}"
    table = new_table(title, "", "until", "budget", "spent", "ends at", wide=("is",))
    for row in answer["budgets"]:
        table.add_row(
            Text(f"{_LEVELS[row['level']]} {one_line(row['name'] or row['id'])}"),
            str(row["period"]["until"] or "open"),
            f"{row['currency']} {_amount(row['budget'])}",
            _shown(row["spent"], "{:,.2f}"),
            _shown(row["projected"], "{:,.2f}"),
            f"{row['verdict']}: {row['reason']}".replace("_", " "),
        )
    show(console, table)


def print_rates(answer: Mapping[str, Any]) -> None:
    """Each rate, oldest first, or how to bring some in."""
    console = screen()
    if not answer["rates"]:
        say(console, "There are no exchange rates: bring some in with `actuals rates import`.")
        return
    table = new_table("Exchange rates", "day", "1 unit of", "is worth", "in", "source")
    for row in answer["rates"]:
        source = Text(one_line(row["source"] or "not said"))
        table.add_row(str(row["date"]), row["from"], f"{row['rate']:f}", row["to"], source)
    show(console, table)


def print_doctor(answer: Mapping[str, Any]) -> None:
    """One line a check, ok or what to do, and what was measured, if anything."""
    console, counts = _console_about(answer), {"problem": 0, "warning": 0}
    statements = []
    for found in answer["findings"]:
        verdict = found["verdict"]
        if verdict in counts:
            counts[verdict] += 1
        name = " ".join([*found["name"].split("_"), found["subject"]]).strip()
        told = f"{found['seen']}{'. ' if found['advice'] else ''}{found['advice']}"
        statements.append(Statement(verdict, name, told))
    state(console, statements)
    told = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts.items() if n)
    say(console, f"{len(answer['findings'])} checks: {told or 'all ok'}.")
    if answer["deep"]:
        _print_measured(console, answer["deep"])


def _print_measured(console: Console, deep: Mapping[str, Any]) -> None:
    title = (
        f"Measured on {deep['account']} with {deep['calls']} of at most {deep['max_calls']} calls"
    )
    table = new_table(title, "assumption", wide=("we assume", "found", "verdict", "to change"))
    for row in deep["measurements"]:
        cells = (row["assumed"], row["found"], row["verdict"], row["change"] or "nothing")
        table.add_row(row["assumption"], *(Text(one_line(cell)) for cell in cells))
    show(console, table)


def _console_about(answer: Mapping[str, Any]) -> Console:
    """A console that has said who made the answer's figures, where that is not Meta alone."""
    console = screen()
    notice = _SOURCE_NOTICES.get(answer["source"])
    if notice:
        say(console, notice, style="bold yellow")
    return console


def _pairs_table(title: str, pairs: Mapping[str, Any]) -> Table:
    """Names and values, one a line; what is known only by currency has a line a currency."""
    table = new_table(title, "", "", show_header=False)
    for name, value in pairs.items():
        shown = _LABELS.get(name, name.replace("_", " "))
        if isinstance(value, Mapping):
            for part, amount in value.items():
                table.add_row(shown, Text(f"{_amount(amount)} {part}"))
        elif value is None and name.startswith("total_"):
            # Amounts of different currencies have no total.
            continue
        else:
            unit = "" if value is None else _UNITS.get(name, "")
            told = _instant(value) if name in _INSTANTS and value else _plain(value)
            table.add_row(shown, Text(told + unit))
    return table


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        return f"{value:,}"
    return "unknown" if value is None else one_line(str(value))


def _instant(text: str) -> str:
    """An instant of the JSON, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _money_table(title: str, found: Sequence[Mapping[str, Any]]) -> Table:
    table = new_table(title, "", "spend", "revenue", "ROAS", "conv.", "CPA", "CTR", "settled")
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


def _may_be_quoted(model: Mapping[str, Any]) -> bool:
    return bool(model["is_attested"] and model["n_ads"] and not model["is_provisional"])


def _by_protocol(
    models: Sequence[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    """The rows by what they are compared with, in words: what is worth most comes first."""
    by_title: dict[str, list[Mapping[str, Any]]] = {
        "Prediction accuracy, final and attested": [],
        "Prediction accuracy of imported history, final but unattested": [],
        "Prediction accuracy since launch, provisional": [],
    }
    attested, unattested, provisional = by_title.values()
    for model in models:
        if model["is_provisional"]:
            provisional.append(model)
        elif model["n_ads"] or not model["is_attested"]:
            (attested if model["is_attested"] else unattested).append(model)
    return {title: group for title, group in by_title.items() if group}


def _models_table(title: str, models: Sequence[Mapping[str, Any]]) -> Table:
    table = new_table(title, "model", "accuracy", "CTR MAE", "ROAS MAE", "ads", "coverage")
    for model in models:
        table.add_row(
            Text(one_line(f"{model['model_name']} {model['model_version']}")),
            _shown(model["prediction_accuracy"], "{:.1f} %"),
            _shown(model["ctr_mae"], "{:.3f} pp"),
            _shown(model["roas_mae"], "{:.2f}x"),
            str(model["n_ads"]),
            _shown(model["coverage_ads"], "{:.0%}"),
        )
    return table


def _beside_chance(model: Mapping[str, Any]) -> str:
    """What an accuracy is worth: its interval, what costs nothing, and the best possible."""
    name = f"{model['model_name']} {model['model_version']}"
    if model["prediction_accuracy"] is None:
        return f"{name}: nothing can be said yet."
    ends = model["prediction_accuracy_ci95"]
    between = (
        f"95 %: {ends[0]:.1f} to {ends[1]:.1f}"
        if ends
        else f"no interval, which takes ten campaigns: these are {model['n_clusters']}"
    )
    covered, of_what = model["coverage_spend"], "spend"
    if covered is None:
        covered, of_what = model["coverage_ads"], "ads"
    kind = "provisional" if model["is_provisional"] else "final"
    n_ads = model["n_ads"]
    way = model["accuracy_of_achievable"]
    clicks = model["ctr_calibration"]
    return (
        f"{name}: on {n_ads} {kind} prediction{'' if n_ads == 1 else 's'} "
        f"({_shown(covered, '{:.0%}')} of the {of_what}) accuracy was "
        f"{model['prediction_accuracy']:.1f} % ({between}), against "
        f"{_shown(model['baseline_accuracy'], '{:.1f} %')} for the account's own rates without a "
        f"model and {_shown(model['noise_ceiling'], '{:.1f} %')} for a perfect forecaster at these "
        f"volumes{'' if way is None else f': {way:.0%} of the way'}."
        f"{'' if clicks is None else f' Predicted over observed clicks were {clicks:.2f}.'}"
    )


def _left_out(models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which predictions of some model versions do not count, and why; the same is said once."""
    by_reasons: dict[str, list[str]] = {}
    for model in models:
        reasons = ", ".join(
            f"{count} {_LEFT_OUT.get(reason, reason.replace('_', ' '))}"
            for reason, count in model["excluded"].items()
            if count
        )
        name = f"{model['model_name']} {model['model_version']}"
        by_reasons.setdefault(reasons or "none", []).append(name)
    for reasons, names in by_reasons.items():
        verb = "leaves out" if len(names) == 1 else "each leave out"
        yield f"{', '.join(names)} {verb}: {reasons}."


_LEFT_OUT = {
    "leaky": "predicted after the launch",
    "no_prediction": "never predicted",
    "no_delivery": "not shown yet",
    "invalid": "with an unusable prediction",
    "immature": "not final yet",
    "incomplete_history": "with days never fetched",
    "unscored": "with nothing to compare",
    "unmatched": "of unknown ads",
}
"""Reasons whose key says too little to a person."""


def _reconciliation(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Spend is not reconciled yet."
    days = sum(row["account_days"] for row in rows)
    unequal = [row for row in rows if row["verdict"] != "exact"]
    if not unequal:
        return f"Spend reconciles with Meta's own totals to the cent on {days} account-days."
    gaps = "; ".join(
        f"{row['account_days']} {row['verdict'].replace('_', ' ')}, difference "
        f"{_amount(row['spend_difference'])} {row['currency']}"
        for row in unequal
    )
    return f"Spend differs from Meta's own totals on some of {days} account-days: {gaps}."


def _amount(value: float | Decimal) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _shown(value: float | Decimal | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
