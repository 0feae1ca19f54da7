"""Everything that an installation leaves behind, to be searched: tables, files, arguments."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import psycopg
from psycopg import sql

Text = tuple[str, bytes]
"""Where something was found, and what."""

WATCH_SECONDS = 0.03
"""How often new processes are looked for: Python alone takes longer to start."""

YOUNG_SECONDS = 2.0
"""Age up to which a process is looked at each time, because it may yet become another program."""

OLD_EVERY = 30
"""Of how many times older ones are looked at once: their titles may change."""


def of_tables(database: str) -> Iterator[Text]:
    """The values of every table of the database, what is compressed in them also as plain text."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') "
            "AND table_type = 'BASE TABLE'"
        ).fetchall()
        for names in tables:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*names))
            values = [value for row in connection.execute(query) for value in row]
            yield ".".join(names), b"\n".join(map(_as_bytes, values))


def of_files(*folders: Path) -> Iterator[Text]:
    """The content of every file below the folders, whatever it is."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield str(path), _plain(path.read_bytes())


class WatchedProcesses:
    """What every process of this computer shows of itself while the block lasts, to `ps` say."""

    def __init__(self) -> None:
        self.shown: set[bytes] = set()
        self._ended = Event()
        self._thread = Thread(target=self._watch, name="watched-processes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for(self, text: str, seconds: float = 10) -> None:
        """Wait until a process was seen that shows `text`."""
        deadline = time.monotonic() + seconds
        while not any(text.encode() in each for each in tuple(self.shown)):
            assert time.monotonic() < deadline, f"no process showed {text!r}"
            time.sleep(WATCH_SECONDS)

    def _watch(self) -> None:
        born: dict[str, float] = {}
        turn = 0
        while not self._ended.wait(WATCH_SECONDS):
            turn, now = turn + 1, time.monotonic()
            for process in Path("/proc").glob("[0-9]*"):
                is_young = now - born.setdefault(process.name, now) < YOUNG_SECONDS
                if is_young or turn % OLD_EVERY == 0:
                    self._look_at(process)

    def _look_at(self, process: Path) -> None:
        with suppress(FileNotFoundError, ProcessLookupError):
            self.shown.add((process / "cmdline").read_bytes())
            self.shown.add((process / "comm").read_bytes())


def _as_bytes(value: object) -> bytes:
    return _plain(value) if isinstance(value, bytes) else str(value).encode()


def _plain(content: bytes) -> bytes:
    """The content, followed by what it is when it is decompressed, if it can be (zlib or gzip)."""
    try:
        return content + zlib.decompress(content, wbits=zlib.MAX_WBITS | 32)
    except zlib.error:
        return content
