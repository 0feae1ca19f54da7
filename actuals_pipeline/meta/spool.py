"""The rows of one fetch, on disk: a month of a large account does not fit into memory twice.

Rows come page by page and are read again as often as needed, whole or day by day; what is held in
memory is where each one lies and what it is about.  Their JSON text is kept as it came, and can be
handed on without being decoded.  A small fetch never touches the disk.
"""

from __future__ import annotations

import json
import weakref
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence, Sized
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import Any, Final, Protocol

RawInsight = dict[str, Any]
"""One row of insights, exactly as Meta sent it."""

_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode


class Rows(Sized, Iterable[RawInsight], Protocol):
    """Rows that can be counted and read again and again, as objects or as text."""

    @property
    def ad_ids(self) -> Sequence[str]:
        """The ad of each row."""

    @property
    def days(self) -> Sequence[str]:
        """The report day of each row, as Meta writes it."""

    def texts(self) -> Iterator[str]:
        """The JSON text of each row, as Meta sent it."""

    def of_days(self, days: Collection[str]) -> Rows:
        """The rows of some report days, given as Meta writes them."""


IN_MEMORY_BYTES: Final = 1_000_000
"""Rows beyond this go to a temporary file.  Chosen: 200 accounts at once stay below 200 MB."""

_BUFFER_BYTES: Final = 2**18
"""What is written to and read from the file at once; measured: a third of the default's time."""


class Spool:
    """Rows in the order in which they were added; not for use by two threads at a time."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(  # noqa: SIM115
            max_size=IN_MEMORY_BYTES, buffering=_BUFFER_BYTES
        )
        self._position = 0
        self._starts = array("Q", [0])
        self._ad_ids: list[str] = []
        self._days: list[str] = []
        self._words: dict[str, str] = {}
        # Collected with its last user, whether or not that thought of closing it.
        weakref.finalize(self, self._file.close)

    def add(self, row: RawInsight, text: str | None = None) -> None:
        """Append a row; `text` is its JSON text where that is at hand."""
        encoded = (_encoded(row) if text is None else text).encode("utf-8", "surrogatepass")
        self._go_to(self._starts[-1])
        self._position += self._file.write(encoded)
        self._starts.append(self._starts[-1] + len(encoded))
        self._ad_ids.append(self._word(row, "ad_id"))
        self._days.append(self._word(row, "date_start"))

    def _word(self, row: RawInsight, field: str) -> str:
        """The field's text, the same object whenever it comes again."""
        word = str(row.get(field))
        return self._words.setdefault(word, word)

    def rewind(self, length: int) -> None:
        """Forget the rows after the first `length`."""
        del self._starts[length + 1 :], self._ad_ids[length:], self._days[length:]

    def __len__(self) -> int:
        return len(self._days)

    def __getitem__(self, place: int) -> RawInsight:
        """The row that was added as number `place`, from 0."""
        row: RawInsight = json.loads(self.text(range(len(self))[place]))
        return row

    def __iter__(self) -> Iterator[RawInsight]:
        # Not over a range, because rows may be added while others are read.
        return (json.loads(self.text(place)) for place, _ in enumerate(self._days))

    @property
    def ad_ids(self) -> Sequence[str]:
        """The ad of each row."""
        return self._ad_ids

    @property
    def days(self) -> Sequence[str]:
        """The report day of each row, as Meta writes it."""
        return self._days

    def texts(self) -> Iterator[str]:
        """The JSON text of each row, as Meta sent it."""
        return map(self.text, range(len(self)))

    def of_days(self, days: Collection[str]) -> Rows:
        """The rows of some report days, read where they lie."""
        return _Selection(self, [n for n, day in enumerate(self._days) if day in days])

    def text(self, place: int) -> str:
        """The JSON text of the row that was added as number `place`, from 0."""
        start, end = self._starts[place], self._starts[place + 1]
        self._go_to(start)
        self._position = end
        return self._file.read(end - start).decode("utf-8", "surrogatepass")

    def _go_to(self, position: int) -> None:
        # Going where one is already would write out what is buffered, row by row.
        if position != self._position:
            self._position = self._file.seek(position)


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, in their order, read where they lie."""
    return parts[0] if len(parts) == 1 else _Joined(parts)


class _Joined:
    """The rows of several others."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[RawInsight]:
        return chain.from_iterable(self._parts)

    @property
    def ad_ids(self) -> Sequence[str]:
        return [ad_id for part in self._parts for ad_id in part.ad_ids]

    @property
    def days(self) -> Sequence[str]:
        return [day for part in self._parts for day in part.days]

    def texts(self) -> Iterator[str]:
        return chain.from_iterable(part.texts() for part in self._parts)

    def of_days(self, days: Collection[str]) -> Rows:
        return _Joined([part.of_days(days) for part in self._parts])


class _Selection:
    """Some rows of a spool, by their places."""

    def __init__(self, spool: Spool, places: Sequence[int]) -> None:
        self._spool = spool
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[RawInsight]:
        return map(json.loads, self.texts())

    @property
    def ad_ids(self) -> Sequence[str]:
        return [self._spool.ad_ids[place] for place in self._places]

    @property
    def days(self) -> Sequence[str]:
        return [self._spool.days[place] for place in self._places]

    def texts(self) -> Iterator[str]:
        return map(self._spool.text, self._places)

    def of_days(self, days: Collection[str]) -> Rows:
        wanted = [place for place in self._places if self._spool.days[place] in days]
        return _Selection(self._spool, wanted)
