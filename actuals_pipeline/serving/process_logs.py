"""One log file per process, rotated, filled from what the process writes.

The processes write into a pipe and not into the file, so that rotating it needs nothing of them.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from threading import Lock, Thread
from typing import IO

LOG_BYTES = 10 * 1024 * 1024
KEPT = 5
"""At most 60 MB a process.  Chosen: weeks of Dagster's daemon at one line a tick."""

_LONGEST_LINE = 64 * 1024

_LAST_WORDS_SECONDS = 5.0
"""For what is still in a pipe whose writers have ended."""

_FOR_TERMINALS = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and whatever else would move the cursor of who reads the file."""


class ProcessLog:
    """The file `path` with its rotated predecessors `path.1` (the newest) to `path.KEPT`."""

    def __init__(
        self, path: Path, *, echoed: bool = False, most_bytes: int = LOG_BYTES, kept: int = KEPT
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._echoed = echoed
        self._most_bytes = most_bytes
        self._kept = kept
        # A process and its successor may be read at the same time.
        self._lock = Lock()
        self._readers: list[Thread] = []
        self._file = self._opened()

    def follow(self, output: IO[bytes]) -> Thread:
        """Write down each line of `output` as it comes, in a thread, until it is closed."""
        thread = Thread(target=self._drain, args=[output], daemon=True)
        thread.start()
        self._readers = [*filter(Thread.is_alive, self._readers), thread]
        return thread

    def write(self, line: bytes) -> None:
        """Append a line, to a new file if it would make this one too large."""
        line = _FOR_TERMINALS.sub(b"", line)
        with self._lock:
            if self._file.closed:
                # The disk was full when a new one was to be begun.
                self._file = self._opened()
            if self._file.tell() + len(line) > self._most_bytes:
                self._rotate()
            self._file.write(line)
        if self._echoed:
            # The name first, for lines of several processes come mixed.
            sys.stderr.write(f"{self.path.stem}: {line.decode(errors='replace')}")

    def close(self) -> None:
        """Close the file, once all is written that those who have ended had to say."""
        for thread in self._readers:
            thread.join(_LAST_WORDS_SECONDS)
        with self._lock:
            self._file.close()

    def _drain(self, output: IO[bytes]) -> None:
        with output:
            while line := output.readline(_LONGEST_LINE):
                try:
                    self.write(line)
                except OSError as error:
                    # A full disk must not stop the reading, on which the process would then wait.
                    sys.stderr.write(f"{self.path}: {error}\n")

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._kept, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self._file = self._opened()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _opened(self) -> IO[bytes]:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, "ab", buffering=0)
