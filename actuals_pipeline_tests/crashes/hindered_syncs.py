"""A `sync` of the command line over days that are stored already, while its database fails."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
from dagster import DagsterRunStatus
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.crashes.generations import Generations
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.crashes.victims import Victims
from actuals_pipeline_tests.serving.conftest import eventually

BROKE = r"The connection to .+ broke; what was being written is stored whole or not at all: run it"
"""What a sync says whose connection broke."""

_HOLD = """
SELECT FROM {} AS kept WHERE coalesce(to_jsonb(kept) ->> 'ad_id', %(ad_id)s) = %(ad_id)s FOR UPDATE
"""
_HELD_UP = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"


@dataclass
class HinderedSync:
    """First everything is well, then Meta restates and a sync runs into what the test does."""

    database: str
    environment: Mapping[str, str]
    folder: Path
    world: RestatedWorld
    generations: Generations
    victims: Victims
    instance: dg.DagsterInstance
    window: DayWindow = field(init=False)
    restated_ad: str = field(init=False)

    def __post_init__(self) -> None:
        # Behind the clock of the command line, so that it can move on.
        self.world.now = datetime.now(UTC) - timedelta(hours=2)
        # Days that have begun in every account's time zone.
        self.window = DayWindow.trailing(self.world.now.date() - timedelta(days=1), 8)

    def store_the_old(self) -> None:
        """Store what Meta says before the database fails."""
        self.generations.remember(self.window)
        self.victims.run(self.window, "sync")
        self._look()

    def begin(self, database: str | None = None) -> subprocess.Popen[str]:
        """Let Meta restate, then begin the sync; `database` is another way there."""
        old = self._impressions()
        self.world.now += timedelta(hours=1)
        self.generations.remember(self.window)
        new = self._impressions()
        self.restated_ad = next(
            ad_id for (ad_id, day), shown in new.items() if old.get((ad_id, day), shown) != shown
        )
        return subprocess.Popen(
            self._command(),
            cwd=self.folder,
            env={**os.environ, **self.environment, "DATABASE_URL": database or self.database},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def held_at(self, table: str, sync: subprocess.Popen[str]) -> Iterator[None]:
        """Within the block the sync waits to update `table`, whose vanished rows it has deleted."""
        with (
            closing(psycopg.connect(self.database)) as holder,
            closing(psycopg.connect(self.database, autocommit=True)) as observer,
        ):
            hold = sql.SQL(_HOLD).format(sql.Identifier("actuals", table))
            assert holder.execute(hold, {"ad_id": self.restated_ad}).rowcount > 0

            def is_held_up() -> bool:
                assert sync.poll() is None, sync.communicate()
                waiting = observer.execute(_HELD_UP, [holder.info.backend_pid])
                return waiting.fetchone() is not None

            eventually(is_held_up)
            yield

    def sentence(self, sync: subprocess.Popen[str]) -> str:
        """What it said when it gave up: one sentence that says what to do."""
        output, complaint = sync.communicate(timeout=120)
        assert (sync.returncode, output) == (2, ""), complaint
        assert len(complaint.splitlines()) == 1, complaint
        line = complaint.strip()
        assert line.startswith("actuals: ")
        return line.removeprefix("actuals: ")

    def is_whole(self) -> None:
        """Each account's day is wholly old or wholly new, and the new is not yet everywhere."""
        self._look()
        assert self.generations.behind(self.database, self.window)

    def heal(self) -> None:
        """The next sync makes everything what is true, and no run is left that looks alive."""
        self.world.now = datetime.now(UTC)
        self.generations.remember(self.window)
        healed = subprocess.run(
            self._command(),
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert healed.returncode == 0, healed.stderr
        self._look()
        assert self.generations.behind(self.database, self.window) == []
        statuses = [run.status for run in self.instance.get_runs()]
        assert set(statuses) <= {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}

    def _command(self) -> list[str]:
        days = ("--since", str(self.window.since), "--until", str(self.window.until))
        return [sys.executable, "-m", "actuals_pipeline", "sync", *days]

    def _impressions(self) -> dict[tuple[str, date], int]:
        """What Meta says now, by ad and day."""
        return {
            (row["ad_id"], row["report_date"]): row["impressions"]
            for account_id in self.world.account_ids
            for row in self.world.truth(account_id, self.window)
        }

    def _look(self) -> None:
        assert self.generations.broken_laws(self.database) == []


@contextmanager
def wire(
    database: str, folder: Path, copied: str, in_the_middle: Callable[[], None]
) -> Iterator[str]:
    """A way to `database` that runs through this process; yields the URL over it.

    `in_the_middle` is called once, when the first message of the rows that are copied to `copied`
    has been passed on by half; by `ConnectionError` it cuts the connection there.
    """
    known = conninfo_to_dict(database)
    name = f".s.PGSQL.{known['port']}"
    to_call = [in_the_middle]

    def pass_on(source: socket.socket, target: socket.socket, copy: bytes | None = None) -> None:
        is_copying = False
        with suppress(OSError):
            while message := source.recv(65536):
                half = len(message) // 2 if is_copying and to_call else 0
                target.sendall(message[:half])
                if half:
                    to_call.pop()()
                target.sendall(message[half:])
                is_copying = copy is not None and copy in message
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def connect(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(Path(str(known["host"]), name)))
            answers = threading.Thread(target=pass_on, args=(server, client))
            answers.start()
            pass_on(client, server, f'COPY "staged_{copied}"'.encode())
            answers.join()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=connect, args=(client,)).start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / name))
        listener.listen()
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        try:
            yield database.replace(str(known["host"]), str(folder))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
    assert not to_call, "nothing was copied over this way"
