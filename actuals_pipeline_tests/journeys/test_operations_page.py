"""The commands of `docs/operations.md`, typed as they stand: what was lost is back, row by row."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse import embedded

PAGE = (PROJECT_ROOT / "docs" / "operations.md").read_text("utf-8")

TYPED = {
    name: re.findall(r"(?m)^\$ (.*)$", block)
    for name, block in re.findall(
        r"^<!-- ([^\n]*) -->\n```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE
    )
}
"""The commands of each block, by the name that stands in a comment before it."""

CHECKSUM = "SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text)) FROM {} AS t"

SCHEMAS = ("actuals", "dagster", "public")

Contents = dict[str, tuple[int, str | None]]
Shell = Callable[..., str]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the project as people have it, which the server's account reaches."""
    folder = Path(tempfile.mkdtemp(prefix="actuals-operations-"))
    folder.chmod(0o711)
    (folder / ".venv").symlink_to(sys.prefix)
    try:
        yield folder
    finally:
        embedded.stop(folder / ".actuals")
        shutil.rmtree(folder)


@pytest.fixture
def shell(environment: dict[str, str], folder: Path) -> Shell:
    """Type commands in the folder, after those of the page that name the programs."""
    environment["ACTUALS_HOME"] = str(folder / ".actuals")

    def typed(*commands: str, **variables: str) -> str:
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", "\n".join([*TYPED["programs"], *commands])],
            cwd=folder,
            env={**os.environ, **environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
        return done.stdout

    return typed


def contents(url: str) -> Contents:
    """Of every table and view the number of rows and a checksum of them; where sequences stand."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relkind = 'S', relnamespace::regnamespace::text, relname FROM pg_class "
            "WHERE relnamespace::regnamespace::text = ANY(%s) AND relkind = ANY('{r,p,v,S}')",
            [list(SCHEMAS)],
        ).fetchall()
        queries = {True: "SELECT last_value, is_called::text FROM {}", False: CHECKSUM}
        return {
            f"{schema}.{name}": connection.execute(
                sql.SQL(queries[is_sequence]).format(sql.Identifier(schema, name))
            ).fetchall()[0]
            for is_sequence, schema, name in found
        }


def n_rows(found: Contents, *tables: str) -> list[int]:
    return [found[table][0] for table in tables]


TODAY = "actuals sync --since $(date -u +%F)"

FILLED = ("actuals.ad_actuals", "dagster.event_logs", "public.videos")


@pytest.mark.slow
@pytest.mark.usefixtures("product")
def test_a_dump_of_ones_own_database_fills_an_empty_one_and_leaves_a_products_tables_alone(
    shell: Shell, database: str, empty_database: str
) -> None:
    shell(TODAY, *TYPED["own: dump"])
    before = contents(database)
    assert all(n_rows(before, *FILLED))
    shell(*TYPED["own: restore into an empty database"], DATABASE_URL=empty_database)
    assert contents(empty_database) == before

    with psycopg.connect(database) as connection:
        connection.execute("UPDATE public.videos SET title = 'newer than the dump'")
        connection.execute("DROP TABLE actuals.fetch_log")
        connection.execute("DELETE FROM dagster.event_logs")
        titles = connection.execute("SELECT * FROM public.videos ORDER BY id").fetchall()
    shell(*TYPED["own: restore beside the product"])

    after = contents(database)
    del before["public.videos"], after["public.videos"]
    assert after == before
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT * FROM public.videos ORDER BY id").fetchall() == titles
    # Its sequences go on where they were.
    shell(TODAY)


def test_a_dump_of_the_embedded_database_brings_it_back_here_and_in_a_fresh_installation(
    shell: Shell, environment: dict[str, str], folder: Path
) -> None:
    environment["DATABASE_URL"] = ""
    shell(TODAY)
    with embedded.hold(folder / ".actuals") as server:
        url = server.url("actuals")
        before = contents(url)
        assert all(n_rows(before, *FILLED[:2]))
        shell(*TYPED["embedded: dump"])
        with psycopg.connect(url) as connection:
            connection.execute("DROP SCHEMA actuals CASCADE")
            connection.execute("DELETE FROM dagster.event_logs")
            connection.execute("CREATE TABLE public.newer_than_the_dump ()")
        shell(*TYPED["embedded: restore"])
        assert contents(url) == before

    embedded.stop(folder / ".actuals")
    (folder / ".actuals").rename(folder / "lost")
    shell(*TYPED["embedded: restore"])
    with embedded.hold(folder / ".actuals") as server:
        assert contents(server.url("actuals")) == before
    shell(TODAY)


@pytest.mark.slow
def test_data_of_another_postgres_are_refused_in_a_sentence_and_moved_by_a_dump(
    shell: Shell, environment: dict[str, str], folder: Path
) -> None:
    environment["DATABASE_URL"] = ""
    earlier = earlier_version(folder)
    asked = (
        'psql -XAt -c "SHOW server_version" -c "SELECT md5(v::text) FROM public.videos AS v" '
        '"$(actuals db url)"'
    )
    insert = "psql -X -c \"INSERT INTO public.videos (title) VALUES ('kept')\" "
    insert += '"$(actuals db url)"'
    shell(insert, *TYPED["another Postgres: dump"], PYTHONPATH=earlier)
    version, kept = shell(asked, PYTHONPATH=earlier).split()
    assert version.startswith("16.")
    embedded.stop(folder / ".actuals")
    data = folder / ".actuals" / "postgres"
    files = sorted(path.name for path in data.iterdir())

    refused = shell("actuals status 2>&1 || echo $?").splitlines()
    assert refused[1:] == ["2"]
    quoted = PAGE.partition("\n> ")[2].partition("\n\n")[0].replace("\n> ", " ")
    assert refused[0] == f"actuals: {quoted.replace('.actuals/postgres', str(data))}"
    assert sorted(path.name for path in data.iterdir()) == files

    shell(*TYPED["another Postgres: restore"])
    version, restored = shell(asked).split()
    assert version.startswith("18.")
    assert restored == kept


def earlier_version(folder: Path) -> str:
    """A version of this project that brings Postgres 16, as the wheel has it too; its folder."""
    earlier = folder / "earlier"
    package = earlier / "actuals_pipeline"
    shutil.copytree(PROJECT_ROOT / "actuals_pipeline", package)
    for name, was, now in (
        ("embedded_place.py", '"pginstall18"', '"pginstall"'),
        ("embedded_place.py", 'MAJOR_VERSION = "18"', 'MAJOR_VERSION = "16"'),
        ("embedded.py", '        "--locale-provider=builtin",\n', ""),
        ("embedded.py", '        "--builtin-locale=C.UTF-8",\n', ""),
    ):
        file = package / "warehouse" / name
        text = file.read_text("utf-8")
        assert was in text
        file.write_text(text.replace(was, now), "utf-8")
    return str(earlier)
