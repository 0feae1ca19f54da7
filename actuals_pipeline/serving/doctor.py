"""Whether the installation is healthy: Meta's side (`meta.health`) and our own, each check apart.

Used by `actuals doctor` and by the daily asset check.  A check that cannot be made is a problem
and stops no other; where nobody answers, only that is said.  Nothing is waited for without end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from actuals_pipeline.errors import InputError
from actuals_pipeline.findings import Finding, apart, each_apart, ok, problem, warning, worst
from actuals_pipeline.meta import health, probes
from actuals_pipeline.meta.graph import MetaCredentials
from actuals_pipeline.serving import answers, installation, queries
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.embedded_place import check_version, data_directory
from actuals_pipeline.warehouse.urls import without_password

POSTGRES_VERSIONS: Final = range(14, 19)
"""Major versions that the SQL here is written for."""

GIGABYTE: Final = 10**9
DISK_WARNING_BYTES: Final = 5 * GIGABYTE
"""Chosen: some months of payloads, at 30 MB a day for 10,000 ads, and Dagster's events."""

DISK_PROBLEM_BYTES: Final = 1 * GIGABYTE
"""Postgres keeps up to this much write-ahead log (`max_wal_size`) and stops when it has no room."""

TICK_LATE: Final = timedelta(hours=2)
"""Two ticks missed, as in the freshness of the assets."""

ANSWER_SECONDS: Final = 20.0
"""Longest wait for the database in one check.  Chosen: the questions take milliseconds."""

Clock = Callable[[], datetime]
OpenDatabase = Callable[[], AbstractContextManager[str]]
"""Gives the database's address and keeps its server up for the block."""


def examined(settings: Settings, account_id: str | None = None) -> dict[str, Any]:
    """The answer of `actuals doctor`; with an account, what is assumed of Meta is measured on it.

    `status` is the gravest verdict.
    """
    access = access_of(settings)
    findings = [
        *apart("graph_api", lambda: health.examine(access)),
        *installed(settings, _opened),
    ]
    deep = _measured(settings, access, account_id) if account_id else None
    return {
        "status": worst(findings),
        "source": "stand-in" if settings.is_stand_in else "meta",
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "findings": as_rows(findings),
        "deep": deep,
    }


def access_of(settings: Settings) -> health.MetaAccess:
    """Whom the settings say to ask, and about which accounts."""
    return health.MetaAccess(
        MetaCredentials(
            settings.meta_access_token.get_secret_value(),
            settings.meta_app_id,
            settings.meta_app_secret.get_secret_value(),
        ),
        settings.meta_ad_account_ids,
        settings.meta_graph_url,
        settings.meta_api_version,
        settings.is_stand_in,
    )


def account_to_measure(settings: Settings, chosen: str | None) -> str:
    """The account to measure: the chosen one of the configured, or the first of them."""
    configured = settings.require_meta().meta_ad_account_ids
    if chosen is None:
        return configured[0]
    account_id = chosen.removeprefix("act_")
    if account_id not in configured:
        raise InputError(f"{chosen!r} is no account of META_AD_ACCOUNT_ID: name one of those.")
    return account_id


def installed(
    settings: Settings,
    open_database: OpenDatabase,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    answer_seconds: float = ANSWER_SECONDS,
) -> list[Finding]:
    """Every finding about this side: database, schema, schedule, disk, embedded data.

    In each check the database has `answer_seconds`.
    """
    return [
        *apart("database", lambda: _database_checks(open_database, clock, answer_seconds)),
        *each_apart(
            (
                ("disk", lambda: disk_found(settings, free_bytes)),
                ("embedded_data", lambda: embedded_data_found(settings)),
            )
        ),
    ]


def as_rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """The findings as JSON has them."""
    return [asdict(finding) for finding in findings]


def version_found(server_version: int) -> Finding:
    """Whether this major version of Postgres is one that we know, from libpq's number for it."""
    major = server_version // 10_000
    known = f"{POSTGRES_VERSIONS[0]} to {POSTGRES_VERSIONS[-1]}"
    if major in POSTGRES_VERSIONS:
        return ok("postgres_version", str(major))
    if major > POSTGRES_VERSIONS[-1]:
        advice = f"Nothing if all works; this version is written for {known}."
        return warning("postgres_version", f"{major}, newer than what was tested", advice)
    return problem("postgres_version", f"{major} is too old", f"Use Postgres {known}.")


def schedule_found(
    state: queries.ScheduleState, last_tick: Mapping[str, Any] | None, now: datetime
) -> Finding:
    """Whether the schedule is on, and when it last ticked.

    One that nobody started is a warning: a new installation is not broken.
    """
    ticked = "it has not ticked yet"
    if last_tick is not None:
        age = now - last_tick["ticked_at"]
        ticked = f"last tick {_duration(age)} ago ({last_tick['status'].lower()})"
    if state != "running":
        word = "switched off" if state == "switched_off" else "not running"
        (advice,) = answers.SCHEDULE_PROBLEMS[state]
        return warning("schedule", f"{word}; {ticked}", advice)
    look = f"Look at the schedule {answers.SCHEDULE} in the Dagster UI."
    if last_tick is not None and last_tick["status"] == "FAILURE":
        return problem("schedule", f"on; {ticked}", look)
    if last_tick is not None and age > TICK_LATE:
        return warning("schedule", f"on, but {ticked}", look)
    return ok("schedule", f"on; {ticked}")


def disk_found(settings: Settings, free_bytes: Callable[[Path], int]) -> Finding:
    """The least free space of the disks that hold ACTUALS_HOME and the embedded data."""
    folders = {settings.home, data_directory(settings.home)}
    free, folder = min((free_bytes(_existing(each)), str(each)) for each in folders)
    seen = f"{free / GIGABYTE:,.1f} GB free for {folder}"
    advice = "Free some space, or move ACTUALS_HOME to a larger disk."
    if free < DISK_PROBLEM_BYTES:
        return problem("disk", seen, advice)
    return warning("disk", seen, advice) if free < DISK_WARNING_BYTES else ok("disk", seen)


def embedded_data_found(settings: Settings) -> Finding:
    """Where the embedded server's data are, and whether its programs can read them."""
    data = data_directory(settings.home)
    if (data / "PG_VERSION").exists():
        check_version(data)
        return ok("embedded_data", f"in {data}")
    is_own = bool(settings.database_url.get_secret_value())
    return ok("embedded_data", "none: DATABASE_URL is set" if is_own else f"none yet in {data}")


def _database_checks(
    open_database: OpenDatabase, clock: Clock, answer_seconds: float
) -> list[Finding]:
    with open_database() as url:
        warehouse = Warehouse(url, most_seconds=answer_seconds)
        with warehouse.transaction() as connection:
            version = connection.info.server_version
        checks = (
            ("postgres_version", lambda: version_found(version)),
            ("schema", lambda: _schema_found(warehouse)),
            ("schedule", lambda: _schedule_found(warehouse, clock())),
        )
        answering = ok("database", f"{without_password(url)} answers")
        return [answering, *each_apart(checks)]


def _schema_found(warehouse: Warehouse) -> Finding:
    schema.check_in(warehouse)
    return ok("schema", f"at revision {schema.revisions()[-1]}, this version's")


def _schedule_found(warehouse: Warehouse, now: datetime) -> Finding:
    state = queries.schedule_state(warehouse, answers.SCHEDULE, now)
    return schedule_found(state, queries.last_tick(warehouse, answers.SCHEDULE), now)


@contextmanager
def _opened() -> Iterator[str]:
    with installation.opened() as here:
        yield here.database_url


def _measured(settings: Settings, access: health.MetaAccess, account_id: str) -> dict[str, Any]:
    assumptions = probes.Assumptions(settings.purchase_action_type_of(account_id))
    measurements, calls = probes.measure(access, account_id, assumptions, datetime.now(UTC))
    return {
        "account": f"act_{account_id}",
        "calls": calls,
        "max_calls": probes.MAX_CALLS,
        "measurements": [asdict(each) for each in measurements],
    }


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _duration(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
