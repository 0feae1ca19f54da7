"""Ends the processes of `actuals up` if it is killed and cannot do so itself.

`supervisor.py` runs this file by its path with a bare interpreter, so it imports the standard
library only.  Standard input tells it each process group that begins (`+4711`) and ends (`-4711`);
its end, which no death of the supervisor can prevent, is the sign to end those that are left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE_SECONDS = 10.0
"""For an orderly end.  Chosen: a run under way is interrupted and written down within it."""

_POLL_SECONDS = 0.05


def interrupt(group: int) -> None:
    """Ask every process of the group to end, runs under way included."""
    # SIGINT and not SIGTERM, of which a run's worker would die without writing down that it did.
    _signal(group, signal.SIGINT)


def kill(group: int) -> None:
    """End every process of the group."""
    _signal(group, signal.SIGKILL)


def is_alive(group: int) -> bool:
    """Whether any process of the group is left, be it a zombie."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main(runtime_folder: str) -> None:
    """Watch over what standard input tells; remove `runtime_folder` at the end."""
    left = _groups_left(sys.stdin)
    for group in left:
        interrupt(group)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(is_alive, left)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for group in left:
        kill(group)
    shutil.rmtree(runtime_folder, ignore_errors=True)


def _groups_left(told: Iterable[str]) -> set[int]:
    """The process groups that began and did not end, once all was told."""
    left: set[int] = set()
    for line in told:
        change = left.add if line.startswith("+") else left.discard
        change(int(line[1:]))
    return left


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    main(sys.argv[1])
