"""What the benchmarks of the warehouse share: a server of their own, clocks, WAL, memory.

The server is the embedded Postgres as an installation has it: default settings, every commit on
disk.  Its data are below TMPDIR and go with the benchmark.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from actuals_pipeline.warehouse import embedded, schema

Step = Callable[[], object]
"""One measured thing, ready to be done again."""

_DEAD: Final = """
SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'actuals'
"""


@contextmanager
def own_database() -> Iterator[str]:
    """The URL of an empty, migrated database on a server that runs for the block."""
    home = Path(tempfile.mkdtemp(prefix="actuals-benchmark-"))
    # Run by root, the server is another account's.
    home.chmod(0o711)
    try:
        with embedded.hold(home) as server:
            embedded.ensure_database(server, "benchmark")
            url = server.url("benchmark")
            schema.upgrade(url)
            yield url
        embedded.stop(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def seconds(step: Step) -> float:
    """How long `step` takes by the wall."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def wal_kilobytes(url: str, step: Step) -> float:
    """What `step` adds to the write-ahead log."""
    with psycopg.connect(url, autocommit=True) as connection:
        before = _only(connection, "SELECT pg_current_wal_insert_lsn()")
        step()
        query = "SELECT pg_current_wal_insert_lsn() - %s::pg_lsn"
        return float(str(_only(connection, query, before))) / 1024


def dead_rows(url: str) -> int:
    """Rows of the warehouse's tables that a vacuum would remove.

    Who wrote them must have disconnected: then Postgres has counted them.
    """
    with psycopg.connect(url) as connection:
        return int(str(_only(connection, _DEAD)))


def peak_megabytes() -> float:
    """The most memory that this process ever held (Linux: `VmHWM`)."""
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _only(connection: psycopg.Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
