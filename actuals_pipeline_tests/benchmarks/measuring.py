"""What the benchmarks of the warehouse share: a server of their own, clocks, WAL, memory.

The server is the embedded Postgres as an installation has it: default settings, every commit on
disk.  Its data are below TMPDIR and go with the benchmark.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline.warehouse.embedded_place import data_directory

Step = Callable[[], object]
"""One measured thing, ready to be done again."""

_DEAD: Final = """
SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'actuals'
"""


@dataclass(frozen=True)
class Ground:
    """An empty, migrated database on a server that nobody else uses."""

    url: str
    postmaster: int

    def cost(self, step: Step) -> Cost:
        """What `step` takes, which connects and disconnects itself."""
        server, client, start = (
            server_cpu(self.postmaster),
            time.process_time(),
            time.perf_counter(),
        )
        step()
        wall, client_cpu = time.perf_counter() - start, time.process_time() - client
        # The postmaster adds up the processor time of those of its processes that have ended.
        time.sleep(0.2)
        return Cost(wall, client_cpu, server_cpu(self.postmaster) - server)


@dataclass(frozen=True)
class Cost:
    """Seconds by the wall, and of the processor on either side.

    The sides work at the same time, so the wall shows the longer of the two, and what else the
    machine does; the processor's seconds do not.
    """

    wall: float
    client_cpu: float
    server_cpu: float

    @property
    def cpu(self) -> float:
        """Both sides together."""
        return self.client_cpu + self.server_cpu


@contextmanager
def own_ground() -> Iterator[Ground]:
    """A server and a database that exist for the block."""
    home = Path(tempfile.mkdtemp(prefix="actuals-benchmark-"))
    # Run by root, the server is another account's.
    home.chmod(0o711)
    try:
        with embedded.hold(home) as server:
            embedded.ensure_database(server, "benchmark")
            url = server.url("benchmark")
            schema.upgrade(url)
            notes = (data_directory(home) / "postmaster.pid").read_text("ascii")
            yield Ground(url, int(notes.partition("\n")[0]))
        embedded.stop(home)
    finally:
        shutil.rmtree(data_directory(home), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def server_cpu(postmaster: int) -> float:
    """Seconds of processor of the processes of a Postgres server that have ended (Linux)."""
    fields = _stat(postmaster)
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def postmaster_of(backend: int) -> int:
    """The parent of the process that serves a connection."""
    return int(_stat(backend)[1])


def _stat(process: int) -> list[str]:
    """What Linux knows of a process, from its state on: proc_pid_stat(5), field 3."""
    return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()


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
