"""The rows of one fetch, on disk: a month of a large account does not fit into memory twice.

Rows come page by page and are read again as often as needed, whole or day by day; what is held in
memory is where each one lies.  A small fetch never touches the disk.
"""

from __future__ import annotations

import json
import sys
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence, Sized
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Protocol

RawInsight = dict[str, Any]
"""One row of insights, exactly as Meta sent it."""

_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode


class Rows(Sized, Iterable[RawInsight], Protocol):
    """Rows that can be counted and read again and again."""


IN_MEMORY_BYTES: Final = 1_000_000
"""Rows beyond this go to a temporary file.  Chosen: 200 accounts at once stay below 200 MB."""


class Spool:
    """Rows in the order in which they were added; not for use by two threads at a time."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._starts = array("Q")
        self._days: list[str] = []
        self._end = 0
        # Collected with its last user, whether or not that thought of closing it.
        weakref.finalize(self, self._file.close)

    def add(self, row: RawInsight) -> None:
        """Append a row."""
        line = _encoded(row).encode()
        self._file.seek(self._end)
        self._file.write(line + b"\n")
        self._starts.append(self._end)
        # Interned, because the same few days come again and again.
        self._days.append(sys.intern(str(row.get("date_start"))))
        self._end += len(line) + 1

    def rewind(self, length: int) -> None:
        """Forget the rows after the first `length`."""
        if length < len(self._starts):
            self._end = self._starts[length]
            del self._starts[length:], self._days[length:]

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, place: int) -> RawInsight:
        """The row that was added as number `place`, from 0."""
        (row,) = self._read([self._starts[place]])
        return row

    def __iter__(self) -> Iterator[RawInsight]:
        return self._read(self._starts)

    def days(self) -> Sequence[str]:
        """The report day of each row, in order, as Meta writes it."""
        return self._days

    def of_days(self, days: Iterable[str]) -> Iterator[RawInsight]:
        """The rows of some report days, given as Meta writes them."""
        wanted = set(days)
        return self._read(
            start for start, day in zip(self._starts, self._days, strict=True) if day in wanted
        )

    def _read(self, starts: Iterable[int]) -> Iterator[RawInsight]:
        for start in starts:
            self._file.seek(start)
            yield json.loads(self._file.readline())
