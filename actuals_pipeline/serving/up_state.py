"""Whether `actuals up` runs for a home, and which processes it has.

Who runs them holds `up.lock`, as they do themselves; `up.json` lists them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actuals_pipeline.errors import InputError

_LOCK = "up.lock"
_STATE = "up.json"


@contextmanager
def only_one(home: Path) -> Iterator[int]:
    """The lock of who runs the processes of `home`; they inherit it, so it lasts until all ended.

    A second daemon on one database would launch everything twice.
    """
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"`actuals up` runs for {home} already, or is just ending: stop it first, or set "
            "another ACTUALS_HOME."
        ) from error
    else:
        yield descriptor
    finally:
        os.close(descriptor)


def write_down(home: Path, processes: list[dict[str, Any]]) -> None:
    """Let `processes_of` know of the processes."""
    new = home / f"{_STATE}.new"
    new.write_text(json.dumps(processes), "utf-8")
    new.replace(home / _STATE)


def processes_of(home: Path) -> list[dict[str, Any]] | None:
    """The processes of `actuals up` over `home`; None when it does not run.

    Each with `name`, `pid` (None while it is down), `since` when either holds, and `restarts`.
    """
    try:
        with (home / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(OSError, ValueError):
            listed: list[dict[str, Any]] = json.loads((home / _STATE).read_text("utf-8"))
            return listed
    except OSError:
        return None
    return None
