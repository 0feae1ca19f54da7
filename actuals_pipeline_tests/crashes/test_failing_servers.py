"""A `sync` under which the server crashes or fills its disk, as no test may do to a shared one.

Each test has a server of its own, as durable as a user's: what it said is stored, is.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline.warehouse.embedded_keeper import read_postmaster
from actuals_pipeline.warehouse.embedded_place import data_directory
from actuals_pipeline_tests.crashes.hindered_syncs import BROKE, HinderedSync

DATABASE = "actuals"


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the server's data are; its account can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="actuals-failing-"))
    folder.chmod(0o711)
    try:
        yield folder
        embedded.stop(folder)
    finally:
        shutil.rmtree(data_directory(folder), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Holds the servers that a test starts, and starts again, until its end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(home: Path, servers: ExitStack) -> embedded.EmbeddedPostgres:
    return servers.enter_context(embedded.hold(home))


@pytest.fixture
def database(server: embedded.EmbeddedPostgres) -> str:
    embedded.ensure_database(server, DATABASE)
    url = server.url(DATABASE)
    schema.upgrade(url)
    return url


def crash(home: Path) -> None:
    """End the server at once, with nothing put in order: the next start recovers."""
    postmaster = read_postmaster(data_directory(home))
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGQUIT)


@pytest.mark.parametrize(
    ("table", "is_back_at_once"),
    [
        ("ad_actuals", True),
        pytest.param("meta_account_totals", False, marks=pytest.mark.slow),
        pytest.param("raw_meta_insights", True, marks=pytest.mark.slow),
        pytest.param("ad_actuals", False, marks=pytest.mark.slow),
    ],
)
def test_a_server_that_crashes(
    table: str, is_back_at_once: bool, hindered: HinderedSync, home: Path, servers: ExitStack
) -> None:
    sync = hindered.begin()
    with hindered.held_at(table, sync):
        crash(home)
        if is_back_at_once:
            servers.enter_context(embedded.hold(home))
    assert re.search(BROKE, hindered.sentence(sync))
    servers.enter_context(embedded.hold(home))
    hindered.is_whole()
    hindered.heal()


@pytest.fixture
def small_disk(home: Path, server: embedded.EmbeddedPostgres) -> Iterator[Path]:
    """A disk of 64 MB in memory that the server may use as a tablespace."""
    owner = data_directory(home).stat()
    options = f"size=64m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None:
        pytest.skip("needs mount")
    folder = Path(tempfile.mkdtemp(prefix="actuals-disk-"))
    command = [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"needs leave to mount a disk: {mounted.stderr.strip()}")
        yield folder
        # The server uses it until it ends.
        subprocess.run([unmount, "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


def fill(disk: Path) -> Path:
    """Leave nothing free on it; the file that takes the room."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.slow
@pytest.mark.parametrize("table", ["ad_actuals", "raw_meta_insights"])
def test_a_disk_that_is_full(
    table: str, hindered: HinderedSync, server: embedded.EmbeddedPostgres, small_disk: Path
) -> None:
    place = sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(small_disk))
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(place)
        connection.execute(f"ALTER DATABASE {DATABASE} SET TABLESPACE small")
    sync = hindered.begin()
    with hindered.held_at(table, sync):
        filler = fill(small_disk)
    sentence = hindered.sentence(sync)
    assert re.search(r"gave up \(.*No space left on device\): make room on its disk,", sentence)
    hindered.is_whole()
    filler.unlink()
    hindered.heal()
