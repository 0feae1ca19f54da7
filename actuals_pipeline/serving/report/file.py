"""The page as a file, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from actuals_pipeline.errors import InputError
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers, queries
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.report import reading, story
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.warehouse.connection import Warehouse


def write(
    here: Installation, path: Path, *, since: date | None, until: date | None, ads: Sequence[str]
) -> dict[str, Any]:
    """Write the page of these days to `path`; what was written, as the command prints it.

    `InputError` for days that cannot be, and for a file that cannot be written.
    """
    warehouse = here.warehouse
    read = reading.read(warehouse, asked_days(warehouse, since, until))
    stories = story.stories_of(warehouse, read, ads)
    unknown = [ad_id for ad_id in ads if ad_id not in stories]
    if unknown:
        raise InputError(f"Nothing is known of ad {unknown[0]}: check the id given with --ad.")
    page = page_of(contents_of(read), here.settings.home, stories=stories)
    try:
        _replace(path, page.html)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another file with --out."
        ) from error
    window = read.window
    return {
        "file": str(path),
        "bytes": len(page.html.encode()),
        "since": window.since if window else None,
        "until": window.until if window else None,
        "ads": len(read["ads"]),
        "stories": len(stories),
    }


def asked_days(warehouse: Warehouse, since: date | None, until: date | None) -> DayWindow | None:
    """The days asked for; None for those that the page has by itself."""
    if since is None and until is None:
        return None
    known = queries.known_window(warehouse)
    if known is None:
        return None
    last = until or known.until
    newest = DayWindow.trailing(last, reading.DEFAULT_DAYS)
    return answers.asked_window(since or newest.since, last)


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        # As any file that a person makes; the temporary one is closed to all others.
        Path(name).chmod(0o644 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
