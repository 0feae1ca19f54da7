"""A Postgres server of another version for the tests, of programs that somebody installed.

    TEST_POSTGRES_PROGRAMS=/usr/lib/postgresql/15/bin pytest actuals_pipeline_tests/warehouse

The warehouse works on Postgres 14 to 18; the tests start the embedded 18 unless the variable
names a folder with `initdb` and `postgres`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from actuals_pipeline.warehouse.embedded import EmbeddedPostgres
from actuals_pipeline.warehouse.embedded_place import _runner

VARIABLE: Final = "TEST_POSTGRES_PROGRAMS"

START_SECONDS: Final = 30.0

_ONLY_FOR_TESTS: Final = ("fsync", "synchronous_commit", "full_page_writes")
"""What keeps data through a power cut, and takes time."""


def other_programs() -> Path | None:
    """The folder that the developer asked for, if any."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


@contextmanager
def started(programs: Path) -> Iterator[EmbeddedPostgres]:
    """A server of `programs`, on a socket of its own, until the block ends."""
    account = _runner(None)
    home = Path(tempfile.mkdtemp(prefix="actuals-tests-"))
    if not account.is_ours:
        os.chown(home, account.uid, account.gid)
    data = home / "data"
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    try:
        subprocess.run(
            [
                *(str(programs / "initdb"), f"--pgdata={data}", "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            **account.identity,
            cwd="/",
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        settings = [f"--{name}=off" for name in _ONLY_FOR_TESTS]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(str(programs / "postgres"), "-D", str(data), "-k", str(home), "-h", ""),
                    *settings,
                ],
                **account.identity,
                cwd="/",
                env=environment,
                stderr=log,
            )
        try:
            running = EmbeddedPostgres(home, 5432, lock_fd=-1)
            _wait_for(running)
            yield running
        finally:
            # At once, whoever is connected.
            server.send_signal(signal.SIGINT)
            server.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait_for(server: EmbeddedPostgres) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
