"""Where an installation's settings come from, and who starts, migrates and ends its database."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.serving import installation
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline_tests.serving.conftest import Command, eventually, sentence_of

NEWEST = schema.revisions()[-1]

IN_A_SHELL = """
set -e
eval "$("$PYTHON" -m actuals_pipeline env)"
url="$("$PYTHON" -m actuals_pipeline db url)"
exec "$PYTHON" -W ignore - "$url" << 'EOF'
import json, os, sys
import dagster, psycopg

with dagster.DagsterInstance.get() as instance:
    instance.add_run(dagster.DagsterRun("some_job", "11111111-2222-3333-4444-555555555555"))
with psycopg.connect(sys.argv[1]) as connection:
    jobs = connection.execute("SELECT pipeline_name FROM dagster.runs").fetchall()
    revisions = connection.execute("SELECT version_num FROM actuals.schema_version").fetchall()
same = sys.argv[1] == os.environ["DATABASE_URL"]
print(json.dumps({"jobs": jobs, "revisions": revisions, "same": same}))
EOF
"""


@pytest.mark.usefixtures("in_own_folder")
def test_the_env_file_of_the_working_directory_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        'META_AD_ACCOUNT_ID=act_1\nMETA_APP_ID="7" # mine\nACTUALS_HOME\n'
    )
    monkeypatch.setenv("META_AD_ACCOUNT_ID", "act_2")
    assert installation.settings().meta_ad_account_ids == ("2",)
    assert installation.settings().meta_app_id == "7"
    assert installation.settings().home == PROJECT_ROOT / ".actuals", "a name alone sets nothing"

    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert installation.settings().meta_app_id == "", "only of the working directory itself"


@pytest.mark.usefixtures("in_own_folder")
def test_an_env_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"META_APP_ID=\xff\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read: write it as text in UTF-8"):
        installation.settings()


def test_a_database_of_ones_own_is_migrated_when_asked_and_a_second_time_changes_nothing(
    command: Command, empty_database: str
) -> None:
    def upgraded(*options: str) -> str:
        result = command("db", "upgrade", *options, DATABASE_URL=empty_database)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert command("status", DATABASE_URL=empty_database).exit_code == 2
    assert json.loads(upgraded("--json")) == {"before": None, "after": NEWEST}
    assert upgraded() == f"The schema is at revision {NEWEST} (was: {NEWEST}).\n"
    assert command("summary", DATABASE_URL=empty_database).exit_code == 0


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_the_address_is_printed_as_psql_takes_it(
    scheme: str, command: Command, database: str
) -> None:
    result = command("db", "url", DATABASE_URL=database.replace("postgresql", scheme, 1))
    with psycopg.connect(result.stdout.strip()) as connection:
        assert connection.execute("SELECT count(*) FROM actuals.ad_actuals").fetchone() == (0,)


def test_the_exports_tell_dagster_where_its_tables_are(
    command: Command, environment: dict[str, str]
) -> None:
    lines = command("env").stdout.splitlines()
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert all(line.startswith("export ") for line in lines)
    assert exported["DATABASE_URL"] == environment["DATABASE_URL"]
    assert exported["DAGSTER_HOME"] == str(PROJECT_ROOT)
    assert exported["DAGSTER_STATE_DIR"] == str(Path(environment["ACTUALS_HOME"]) / "dagster")
    assert exported["DAGSTER_PG_URL"].startswith("postgresql+psycopg2://")
    with create_engine(exported["DAGSTER_PG_URL"], poolclass=NullPool).connect() as connection:
        assert connection.exec_driver_sql("SHOW search_path").scalar() == "dagster"
        assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 0
    # What is secret comes from where it was.
    assert not [name for name in exported if name.startswith("META_")]


def test_a_database_named_in_a_file_is_the_same_and_its_exports_take_its_place(
    command: Command, environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "database_url"
    path.write_text(environment["DATABASE_URL"] + "\n")
    named = {"DATABASE_URL": "", "DATABASE_URL_FILE": str(path)}
    lines = command("env", **named).stdout.splitlines()
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    assert exported["DATABASE_URL"] == environment["DATABASE_URL"]
    for variables in (named, named | exported):
        done = command("stats", "--json", **variables)
        assert done.exit_code == 0, done.stderr
    assert "are both set" in sentence_of(command("stats", DATABASE_URL_FILE=str(path)))


@pytest.mark.usefixtures("in_own_folder")
def test_the_embedded_database_is_started_migrated_and_ended_and_keeps_its_rows(
    home: Path,
) -> None:
    with installation.opened({"ACTUALS_HOME": str(home)}) as here:
        assert embedded.server_is_running(home)
        schema.check(here.database_url)
        with here.warehouse.transaction() as connection:
            connection.execute("INSERT INTO public.videos (title) VALUES ('kept')")
    eventually(lambda: not embedded.server_is_running(home))

    shell = subprocess.run(
        ["/bin/bash", "-c", IN_A_SHELL],
        env={**os.environ, "ACTUALS_HOME": str(home), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shell.returncode == 0, shell.stderr
    assert json.loads(shell.stdout) == {
        "jobs": [["some_job"]],
        "revisions": [[NEWEST]],
        "same": True,
    }
    # The shell that the exports were for has ended, and with it the last user.
    eventually(lambda: not embedded.server_is_running(home))

    with installation.opened({"ACTUALS_HOME": str(home)}) as here:
        with here.warehouse.transaction() as connection:
            titles = connection.execute("SELECT title FROM public.videos").fetchall()
        assert titles == [("kept",)]
