"""One installation: its settings, its database, and the environment its processes need.

Without DATABASE_URL the embedded Postgres under ACTUALS_HOME is started (or joined) and brought
to this version's schema; a database of your own is never migrated without being asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.settings import IN_FILE, PROJECT_ROOT, SECRETS, Settings
from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.urls import dagster_url, libpq_url

DATABASE = "actuals"
"""Database of the embedded server."""

OF_A_RUN = frozenset({"DATABASE_URL", "META_ACCESS_TOKEN", "META_APP_SECRET"})
"""The secrets that a run of the job needs."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Settings with a database that answers; `lock_fd` holds the embedded server, if any.

    What holds secrets is left out of the repr.
    """

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    database_url: str = field(repr=False)
    lock_fd: int | None

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse of this installation."""
        return Warehouse(self.database_url)

    def dagster_variables(self) -> dict[str, str]:
        """What `dagster.yaml` and the code location read, beyond the settings themselves."""
        return {
            **environment_with_database(self.environment, self.database_url),
            "DAGSTER_PG_URL": dagster_url(self.database_url),
            "DAGSTER_HOME": str(PROJECT_ROOT),
            "DAGSTER_STATE_DIR": str(self.settings.home / "dagster"),
            # Without it a range run writes one event a partition: 30 s instead of 1 s for a year.
            "DAGSTER_EVENT_BATCH_SIZE": "100",
        }

    def child_environment(self, secrets: Set[str]) -> dict[str, str]:
        """The environment of a process that runs Dagster, with these of the secrets alone."""
        whole = {**os.environ, **self.environment, **self.dagster_variables()}
        return environment_with_secrets(whole, secrets)

    def enter_dagster(self) -> None:
        """Give this process the environment that Dagster reads."""
        (self.settings.home / "dagster").mkdir(parents=True, exist_ok=True)
        os.environ.update(self.child_environment(SECRETS))


def environment_with_secrets(environment: Mapping[str, str], names: Set[str]) -> dict[str, str]:
    """The variables without those of the secrets that are not named."""
    hidden = SECRETS - names
    return {
        name: value
        for name, value in environment.items()
        if name.removesuffix(IN_FILE) not in hidden
    }


def environment_with_database(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """The variables after which `url` is the database, whatever `environment` says of it."""
    by_file = f"DATABASE_URL{IN_FILE}"
    return {"DATABASE_URL": url, **({by_file: ""} if environment.get(by_file) else {})}


def environment_with_dotenv() -> dict[str, str]:
    """The process's environment over the `.env` of the working directory."""
    path = Path.cwd() / ".env"
    try:
        written = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: write it as text in UTF-8.") from error
    return {name: value for name, value in written.items() if value is not None} | dict(os.environ)


def settings() -> Settings:
    """The settings of the process's environment and `.env`; nothing is started."""
    return Settings.from_environment(environment_with_dotenv())


@contextmanager
def opened(
    environment: Mapping[str, str] | None = None, *, database: str = DATABASE
) -> Iterator[Installation]:
    """The installation of `environment`, its database up until the block ends.

    Raises `SettingsError` for a malformed variable, `WarehouseUnavailable` for a database that
    does not answer; a database of one's own is not looked into (see `checked`).
    """
    given = environment_with_dotenv() if environment is None else environment
    chosen = Settings.from_environment(given)
    own = chosen.database_url.get_secret_value()
    if own:
        yield Installation(chosen, given, libpq_url(own), None)
        return
    with embedded.hold(chosen.home) as server:
        embedded.ensure_database(server, database)
        url = server.url(database)
        if schema.is_older(url):
            schema.upgrade(url)
        yield Installation(chosen, given, url, server.lock_fd)


@contextmanager
def checked() -> Iterator[Installation]:
    """`opened`, with a schema that fits this version; `SchemaOutOfDate` otherwise."""
    with opened() as installation:
        schema.check(installation.database_url)
        yield installation


def hold_for_the_shell(installation: Installation) -> None:
    """Keep the embedded server up for as long as the shell that reads our output lives."""
    embedded.hold_until_ancestor_exits(installation.settings.home)
