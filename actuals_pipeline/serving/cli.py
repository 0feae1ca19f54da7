"""The command line `actuals`.

Answers go to stdout (`--json` wherever something is printed), everything else to stderr.  Exit 0:
done; 2: something you can fix, said in one sentence; 1: we failed; 130: interrupted.  Days are
inclusive ISO days.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from actuals_pipeline.errors import (
    ActualsError,
    AdNotFound,
    InputError,
    MetaRefused,
    WarehouseError,
)
from actuals_pipeline.report_days import (
    MOST_DAYS_BACK,
    MOST_RETENTION_MONTHS,
    DayWindow,
    parse_day,
    report_day,
)

logger = logging.getLogger(__name__)

SYNC_DAYS = 7
"""Trailing days that `sync` refreshes without dates (the specification's default)."""

DEFAULT_PORT = 3000
DEFAULT_HTTP_PORT = 8003

_HASH_BYTES = 32
"""Of a SHA-256."""

_INTERRUPTED = 130
"""Exit code of a command that SIGINT ended, as shells have it."""

_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
"""Far from the ends of the calendar, where counting days overflows."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Why a file or a device takes no more."""

_YOURS_TO_FIX = (InputError, MetaRefused, AdNotFound, WarehouseError)


class _Commands(click.Group):
    """A group whose errors become one sentence and an exit code."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        with _told_in_a_sentence(context):
            return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        with _told_in_a_sentence(context):
            answer = super().invoke(context)
            # A full disk is noticed here, and not by Python when it has nobody to tell any more.
            sys.stdout.flush()
            return answer


@contextmanager
def _told_in_a_sentence(context: click.Context) -> Iterator[None]:
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        # Not an error to be told but the help to be shown.
        raise
    except click.UsageError as error:
        _complain(_usage(error))
        context.exit(2)
    except _YOURS_TO_FIX as error:
        _complain(error)
        context.exit(2)
    except ActualsError as error:
        _complain(error)
        context.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _complain(f"the answer cannot be written: {error.strerror}.")
        _forget_the_answer()
        context.exit(1)
    except KeyboardInterrupt:
        _complain("interrupted; each day is wholly old or wholly new: run it again to go on.")
        context.exit(_INTERRUPTED)


def _forget_the_answer() -> None:
    """What could not be written is not tried again at the end of the process."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: click.UsageError) -> str:
    """What is wrong with a command, and where to read how it is written, unless that is said."""
    told = error.format_message()
    is_a_value = isinstance(error, click.BadParameter) and not isinstance(
        error, click.MissingParameter
    )
    if is_a_value or error.ctx is None or "Did you mean" in told:
        return told
    return f"{told.rstrip('.')}; see `{error.ctx.command_path} --help`."


def _complain(reason: object) -> None:
    from actuals_pipeline.serving.terminal import one_line

    click.echo(f"actuals: {one_line(str(reason))}", err=True)


class _Day(click.ParamType[date]):
    name = "day"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            day = value if isinstance(value, date) else parse_day(value)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if not _FIRST_DAY <= day <= _LAST_DAY:
            self.fail(f"there are no figures of {day}; give a day of our time.", param, ctx)
        return day


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _port_option(name: str, default: int, text: str) -> Callable[..., Any]:
    port = click.IntRange(1, 65535)
    return click.option(name, default=default, show_default=True, type=port, help=text)


_ui_port = _port_option("--port", DEFAULT_PORT, "Port of the UI.")
_http_port = _port_option(
    "--http-port", DEFAULT_HTTP_PORT, "Port of the HTTP interface and its page."
)


def _print(answer: Any, printer: Callable[[Any], None], *, as_json: bool) -> None:
    from actuals_pipeline.serving import answers

    if as_json:
        click.echo(answers.as_json(answer))
    else:
        printer(answer)


@click.group("actuals", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="actuals_pipeline")
@click.option("-v", "--verbose", is_flag=True, help="Log what is done to stderr.")
def main(*, verbose: bool) -> None:
    """What Meta ads really did, every cent reconciled, and how good the predictions were."""
    told = logging.StreamHandler(sys.stderr)
    # psycopg's logger has a level of its own, so that the root's is not enough.
    told.setLevel(logging.INFO if verbose else logging.ERROR)
    logging.basicConfig(
        handlers=[told],
        level=told.level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


@main.command()
@click.option("--keep", is_flag=True, help="Keep the Dagster UI and the page open until Ctrl-C.")
@click.option("--days", default=60, show_default=True, type=click.IntRange(1, 60))
@_ui_port
@_http_port
@_json_option
def demo(*, keep: bool, days: int, port: int, http_port: int, as_json: bool) -> None:
    """Backfill made-up data from a local Graph API and show what comes out; needs nothing."""
    from actuals_pipeline.serving import demo as demonstration
    from actuals_pipeline.serving.printing import print_summary

    with ExitStack() as stack:
        # A port that cannot be is said before the minute that the backfill takes.
        listeners = stack.enter_context(demonstration.listeners(port, http_port)) if keep else None
        shown = stack.enter_context(demonstration.world(days))
        _print(shown.answer, print_summary, as_json=as_json)
        if listeners:
            demonstration.keep_open(shown, listeners)
        elif not as_json:
            click.echo(demonstration.CLOSING)
            click.echo("See it in the Dagster UI: make up DEMO=1 (or: actuals demo --keep)")


@main.command()
@_ui_port
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_http_port
@click.option("--no-http", is_flag=True, help="Leave the HTTP interface out.")
@click.option("--read-only", is_flag=True, help="Let nobody launch or change anything in the UI.")
@click.pass_context
def up(
    context: click.Context, *, port: int, host: str, http_port: int, no_http: bool, read_only: bool
) -> None:
    """Run the Dagster UI, its daemon, the hourly schedule and the HTTP interface until Ctrl-C.

    Beyond this computer only with ACTUALS_UI_PASSWORD and ACTUALS_API_TOKEN.
    """
    from actuals_pipeline.alerts.channels import channels_of
    from actuals_pipeline.serving import installation, supervisor
    from actuals_pipeline.serving.listening import listening

    settings = installation.settings().require_meta()
    channels_of(settings.alert_urls.get_secret_value())
    password = settings.ui_password.get_secret_value()
    token = settings.api_token.get_secret_value()
    with ExitStack() as stack:
        here = stack.enter_context(installation.checked())
        # A port that cannot be is said before anything is started.
        ui = stack.enter_context(listening(host, port, password, "ACTUALS_UI_PASSWORD"))
        http = None
        if not no_http:
            wanted = listening(host, http_port, token, "ACTUALS_API_TOKEN", "--http-port")
            http = stack.enter_context(wanted)
        echo = bool(context.find_root().params["verbose"])
        supervisor.run(here, supervisor.Listeners(ui, http), read_only=read_only, echo=echo)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_HTTP_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--listener", type=int, hidden=True, help="The socket that `up` has bound.")
def serve(*, host: str, port: int, listener: int | None) -> None:
    """Answer over HTTP with JSON until Ctrl-C; beyond this computer only with ACTUALS_API_TOKEN."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving.http import server
    from actuals_pipeline.serving.listening import inherited, listening

    token = installation.settings().api_token.get_secret_value()
    # What cannot be is said before anything is started.
    bound = (
        listening(host, port, token, "ACTUALS_API_TOKEN")
        if listener is None
        else inherited(listener)
    )
    with bound as bound_socket, installation.checked() as here:
        server.serve(here, bound_socket)


@main.command()
@click.option("--since", type=_Day(), help="First day; default: six days before the last.")
@click.option("--until", type=_Day(), help="Last day; default: today.")
@click.option("--run-id", type=click.UUID, hidden=True, help="What to call the run.")
@_json_option
def sync(*, since: date | None, until: date | None, run_id: UUID | None, as_json: bool) -> None:
    """Refresh the trailing 7 days (or the days given) of every account."""
    _run(since, until, tier="sync", as_json=as_json, run_id=run_id)


@main.command()
@click.option("--since", type=_Day(), required=True, help="First day.")
@click.option("--until", type=_Day(), required=True, help="Last day.")
@_json_option
def backfill(*, since: date, until: date, as_json: bool) -> None:
    """Fetch and score historical days of every account."""
    _run(since, until, tier="backfill", as_json=as_json)


def _run(
    since: date | None,
    until: date | None,
    *,
    tier: str,
    as_json: bool,
    run_id: UUID | None = None,
) -> None:
    from actuals_pipeline.serving import answers, dagster_runs, installation
    from actuals_pipeline.serving.printing import print_sync

    # Refuse what cannot work before anything is started.
    settings, now = installation.settings().require_meta(), datetime.now(UTC)
    last = until or report_day(now, settings.zone)
    clipped = DayWindow.trailing(last, SYNC_DAYS).clipped(since=settings.start_date)
    # With nothing left of the trailing days, `runnable` says where the partitions begin.
    first = since or (clipped.since if clipped else last)
    window = dagster_runs.runnable(answers.asked_window(first, last), settings, now)
    with installation.checked() as here:
        name = str(run_id) if run_id else None
        answer = dagster_runs.run(here, window, tier=tier, run_id=name)
    _print(answer, print_sync, as_json=as_json)
    failed = [row for row in answer["accounts"] if row["outcome"] != "complete"]
    for row in failed:
        _complain(row["error_message"])
    if failed:
        sys.exit(2 if dagster_runs.are_yours_to_fix(failed) else 1)


@main.command()
@click.argument("ad_id")
@click.option("--video-id", help="Video to name in the answer; default: the ad's own.")
@click.option(
    "--days-back", default=SYNC_DAYS, show_default=True, type=click.IntRange(1, MOST_DAYS_BACK)
)
@_json_option
def fetch(*, ad_id: str, video_id: str | None, days_back: int, as_json: bool) -> None:
    """Fetch and store one ad's trailing days."""
    from actuals_pipeline.serving import installation, single_ad
    from actuals_pipeline.serving.printing import print_ad

    installation.settings().require_meta()
    with installation.checked() as here:
        answer = single_ad.fetch(
            here.warehouse, here.settings, ad_id, days_back=days_back, video_id=video_id
        )
    _print(answer, print_ad, as_json=as_json)


@main.command()
@_json_option
def status(*, as_json: bool) -> None:
    """Whether the hourly schedule runs, what the last run did, and which alerts hold.

    Exit code 1 when it is unhealthy, so that cron or systemd can watch it.
    """
    from actuals_pipeline.serving import answers, installation, up_state
    from actuals_pipeline.serving.printing import print_status

    with installation.checked() as here:
        answer = answers.scheduler_status(here.warehouse, here.settings, datetime.now(UTC))
        answer["processes"] = up_state.processes_of(here.settings.home)
    _print(answer, print_status, as_json=as_json)
    if answer["problems"]:
        sys.exit(1)


@main.group(invoke_without_command=True)
@_json_option
@click.pass_context
def alerts(context: click.Context, *, as_json: bool) -> None:
    """The alerts that are open, and whether they reach anybody; see ALERT_URLS."""
    from actuals_pipeline.serving import alerting, installation
    from actuals_pipeline.serving.printing import print_alerts

    if context.invoked_subcommand is not None:
        return
    with installation.checked() as here:
        answer = alerting.listed(here.warehouse, here.settings)
    _print(answer, print_alerts, as_json=as_json)


@alerts.command("test")
@_json_option
def test_alerts(*, as_json: bool) -> None:
    """Send a test message to each channel; exit code 1 when one did not take it."""
    from actuals_pipeline.serving import alerting, installation
    from actuals_pipeline.serving.printing import print_channels

    answer = alerting.tested(installation.settings())
    _print(answer, print_channels, as_json=as_json)
    if not all(each["is_taken"] for each in answer["channels"]):
        sys.exit(1)


@alerts.command("check")
@_json_option
def check_alerts(*, as_json: bool) -> None:
    """Look once and send what is to be told, as the daemon does every minute; for cron."""
    from actuals_pipeline.serving import alerting, installation
    from actuals_pipeline.serving.printing import print_alerts

    with installation.checked() as here:
        answer = alerting.looked(here.warehouse, here.settings)
    _print(answer, print_alerts, as_json=as_json)


@main.command()
@click.option("--deep", is_flag=True, help="Measure on an account what is assumed of Meta.")
@click.option("--account", help="Account to measure, such as act_42; default: the first one.")
@_json_option
def doctor(*, deep: bool, account: str | None, as_json: bool) -> None:
    """Check token, accounts, clock, database, disk and schedule: ok, or what to do.

    Exit code 2 when something is a problem.  With --deep it also asks Meta, read-only and in at
    most 24 calls, what its documentation leaves open, and says which setting to change.
    """
    from actuals_pipeline.serving import doctor as examination
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving.printing import print_doctor

    settings = installation.settings()
    measured = examination.account_to_measure(settings, account) if deep or account else None
    answer = examination.examined(settings, measured)
    _print(answer, print_doctor, as_json=as_json)
    if answer["status"] == "problem":
        sys.exit(2)


@main.command()
@_json_option
def stats(*, as_json: bool) -> None:
    """Counts over every fetch."""
    from actuals_pipeline.serving import answers, installation
    from actuals_pipeline.serving.printing import print_stats

    with installation.checked() as here:
        answer = answers.stats(here.warehouse, here.settings)
    _print(answer, print_stats, as_json=as_json)


@main.command()
@click.option("--since", type=_Day(), help="First day; default: the first day ever fetched.")
@click.option("--until", type=_Day(), help="Last day; default: the last day ever fetched.")
@click.option("--as-of", type=_Day(), help="Show what was known at the end of this day.")
@_json_option
def summary(*, since: date | None, until: date | None, as_of: date | None, as_json: bool) -> None:
    """Spend, revenue, ROAS, conversions, CPA, the investment and each model's accuracy."""
    from actuals_pipeline.serving import answers, installation
    from actuals_pipeline.serving.printing import print_summary, print_summary_as_of

    with installation.checked() as here:
        answer = answers.asked_summary(
            here.warehouse, here.settings, datetime.now(UTC), since=since, until=until, as_of=as_of
        )
    _print(answer, print_summary if as_of is None else print_summary_as_of, as_json=as_json)


@main.command()
@click.option("--since", type=_Day(), help="First day; default: 90 days before the last.")
@click.option("--until", type=_Day(), help="Last day; default: the last day ever fetched.")
@click.option("--ad", "ads", multiple=True, help="An ad whose whole story the file shall hold.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="actuals_report.html",
    show_default=True,
    help="File to write.",
)
@_json_option
def report(
    *, since: date | None, until: date | None, ads: tuple[str, ...], out: Path, as_json: bool
) -> None:
    """Write the whole picture as one HTML page that needs no network."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving.report import file

    with installation.checked() as here:
        answer = file.write(here, out, since=since, until=until, ads=ads)
    _print(answer, lambda _: click.echo(f"Wrote {out}: open it in a browser."), as_json=as_json)


@main.group()
def videos() -> None:
    """The product's videos."""


@main.group()
def predictions() -> None:
    """The product's predictions."""


@main.group()
def budgets() -> None:
    """Planned budgets, and how they and Meta's are spent."""


@main.group()
def rates() -> None:
    """Exchange rates, for totals over accounts of several currencies."""


@videos.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
def import_videos(*, file: Path, as_json: bool) -> None:
    """Load videos from a CSV file: title, meta_platform_id, created_at."""
    from actuals_pipeline.serving import csv_import, installation

    with installation.checked() as here:
        report = csv_import.import_videos(here.warehouse, file)
    _print_import(report, as_json=as_json)


@predictions.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--ctr-unit",
    type=click.Choice(["fraction", "percent"]),
    required=True,
    help="Whether a predicted CTR of two in a hundred is written 0.02 or 2.",
)
@_json_option
def import_predictions(*, file: Path, ctr_unit: Any, as_json: bool) -> None:
    """Load predictions from a CSV file: video_id or ad_id, predicted_ctr, predicted_roas."""
    from actuals_pipeline.serving import csv_import, installation

    with installation.checked() as here:
        now = datetime.now(UTC)
        report = csv_import.import_predictions(here.warehouse, file, now, ctr_unit=ctr_unit)
    _print_import(report, as_json=as_json, dated=True)


@predictions.command("verify")
@click.option(
    "--expect",
    multiple=True,
    metavar="HASH",
    help="A last hash of earlier: prove it is still there. May be given several times.",
)
@_json_option
def verify_predictions(*, expect: tuple[str, ...], as_json: bool) -> None:
    """Prove that nothing logged of predictions and videos was changed, removed or dated back.

    Exit 2 if something was.
    """
    from actuals_pipeline.serving import answers, installation
    from actuals_pipeline.serving.printing import print_chains
    from actuals_pipeline.warehouse import sealed_logs

    expected = [_hash(each) for each in expect]
    with installation.checked() as here:
        verification = sealed_logs.verify(here.warehouse, expected)
    answer = answers.verified(verification, expected)
    _print(answer, print_chains, as_json=as_json)
    for problem in answer["problems"]:
        _complain(problem)
    if answer["problems"]:
        sys.exit(2)


def _hash(text: str) -> bytes:
    """The 32 bytes of a SHA-256 in hexadecimal digits."""
    try:
        given = bytes.fromhex(text)
    except ValueError:
        given = b""
    if len(given) != _HASH_BYTES:
        raise InputError(
            f"{text!r} is no hash of the log: give the 64 digits that `actuals predictions "
            "verify` printed."
        )
    return given


def _print_import(report: Any, *, as_json: bool, dated: bool = False) -> None:
    """Say what was kept and which lines were not; exit 2 when some were not.

    With `dated` also how many of the new rows the database dated itself.
    """
    counts = {
        "inserted": report.inserted,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "bad": len(report.bad),
    }
    answer = {**counts, "bad_rows": [{"line": line, "reason": why} for line, why in report.bad]}
    if dated:
        attested = report.inserted - report.unattested
        answer |= {"attested": attested, "unattested": report.unattested}
    _print(
        answer,
        lambda _: click.echo(", ".join(f"{n} {name}" for name, n in counts.items())),
        as_json=as_json,
    )
    if report.unattested and not as_json:
        click.echo(
            f"{report.inserted - report.unattested} of the inserted are attested: dated by the "
            f"database, now. {report.unattested} bring their own logged_at and are unattested: "
            "nothing proves when they were made, so their scores are reported apart."
        )
    for line, why in report.bad:
        _complain(f"line {line}: {why}")
    if report.bad:
        sys.exit(2)


@budgets.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
def import_budgets(*, file: Path, as_json: bool) -> None:
    """Load planned budgets from a CSV file: currency, amount, start_date, end_date."""
    from actuals_pipeline.serving import csv_import, installation

    with installation.checked() as here:
        report = csv_import.import_budgets(here.warehouse, file)
    _print_import(report, as_json=as_json)


@budgets.command("list")
@click.option("--as-of", type=_Day(), help="Show how they stood at the end of this day.")
@_json_option
def list_budgets(*, as_of: date | None, as_json: bool) -> None:
    """Every budget, Meta's and planned, and how it is spent."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving import pacing as paced
    from actuals_pipeline.serving.printing import print_budgets

    with installation.checked() as here:
        answer = paced.all_budgets(here.warehouse, as_of)
    _print(answer, print_budgets, as_json=as_json)


@rates.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
def import_rates(*, file: Path, as_json: bool) -> None:
    """Load exchange rates from a CSV file: date, from, to, rate; all of it or nothing."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving import rates as exchange

    with installation.checked() as here:
        counts = exchange.import_rates(here.warehouse, file, datetime.now(UTC))._asdict()
    _print(
        counts,
        lambda _: click.echo(", ".join(f"{n} {name}" for name, n in counts.items())),
        as_json=as_json,
    )


@rates.command("list")
@_json_option
def list_rates(*, as_json: bool) -> None:
    """Every exchange rate that was imported."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving import rates as exchange
    from actuals_pipeline.serving.printing import print_rates

    with installation.checked() as here:
        answer = {"rates": exchange.listed(here.warehouse)}
    _print(answer, print_rates, as_json=as_json)


@main.group()
def db() -> None:
    """The database."""


@db.command()
@_json_option
def upgrade(*, as_json: bool) -> None:
    """Bring the database to this version's schema."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.warehouse import schema

    with installation.opened() as here:
        before, after = schema.upgrade(here.database_url)
    _print(
        {"before": before, "after": after},
        lambda _: click.echo(f"The schema is at revision {after} (was: {before or 'none'})."),
        as_json=as_json,
    )


@db.command()
@click.option(
    "--keep-months",
    type=click.IntRange(1, MOST_RETENTION_MONTHS),
    help="Months of payloads to keep; default: ACTUALS_RAW_RETENTION_MONTHS.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@_json_option
def prune(*, keep_months: int | None, dry_run: bool, as_json: bool) -> None:
    """Remove the payloads of months that are older than anybody needs; the figures stay."""
    from actuals_pipeline.serving import installation
    from actuals_pipeline.serving.printing import print_pruned
    from actuals_pipeline.warehouse import retention

    with installation.checked() as here:
        kept = keep_months or here.settings.raw_retention_months
        today = report_day(datetime.now(UTC), here.settings.zone)
        pruned = retention.prune(here.warehouse, kept, today, dry_run=dry_run)
    answer = {
        "months": [f"{month:%Y-%m}" for month in pruned.months],
        "rows": pruned.rows,
        "bytes": pruned.bytes,
        "keep_months": kept,
        "dry_run": dry_run,
    }
    _print(answer, print_pruned, as_json=as_json)


@db.command()
@click.option("--print", "only_print", is_flag=True, help="Print the SQL instead of running it.")
def roles(*, only_print: bool) -> None:
    """Give the roles actuals_writer and actuals_reader their rights; run it as the tables' owner.

    Both are groups without a login: make accounts in them, one for the pipeline and one for BI.
    """
    from actuals_pipeline.serving import dagster_runs, installation
    from actuals_pipeline.warehouse import roles as groups

    if only_print:
        click.echo(groups.script())
        return
    with installation.checked() as here:
        dagster_runs.make_tables(here)
        foreign = groups.make(here.warehouse)
    for name in foreign:
        click.echo(
            f"actuals: {name} is another's: have its owner run `GRANT SELECT ON {name} TO "
            f"{groups.WRITER}, {groups.READER}`.",
            err=True,
        )
    click.echo(
        f"{groups.WRITER} and {groups.READER} have their rights.  Accounts are made in them: "
        f"CREATE ROLE bi LOGIN IN ROLE {groups.READER};"
    )


@db.command()
def url() -> None:
    """Print the database's address, for psql and BI tools."""
    from actuals_pipeline.serving import installation

    with installation.opened() as here:
        if here.lock_fd is not None:
            installation.hold_for_the_shell(here)
        click.echo(here.database_url)


@main.command()
def env() -> None:
    """Print exports for plain Dagster: eval "$(actuals env)" && dagster dev -w workspace.yaml."""
    from actuals_pipeline.serving import installation

    with installation.checked() as here:
        if here.lock_fd is not None:
            installation.hold_for_the_shell(here)
        for name, value in here.dagster_variables().items():
            click.echo(f"export {name}={shlex.quote(value)}")
