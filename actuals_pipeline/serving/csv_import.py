"""Load videos, predictions and planned budgets from CSV files, for people without a product.

Good rows are kept, bad rows are named by line, and importing the same file again changes nothing:
a row without an id gets one that its content determines.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Literal
from uuid import UUID, uuid5

from psycopg import Connection, sql

from actuals_pipeline.errors import InputError
from actuals_pipeline.meta.fields import is_number
from actuals_pipeline.report_days import parse_day
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.prediction_log import importing_history

_NAMESPACE = UUID("0b6c3a52-6f0e-4d52-9f0c-5a1e2f7a9d11")
"""Namespace of ids made from a row's content; any constant of our own (chosen at random)."""

CtrUnit = Literal["fraction", "percent"]

_LEAST_TYPICAL_CTR, _MOST_TYPICAL_CTR = 0.0003, 0.3
"""A file whose median CTR lies outside is in the other unit: ads on Meta have 0.5 to 5 %."""

_HEADER_SHOWN = 100
"""Characters of a first line that a message repeats."""


@dataclass(slots=True)
class ImportReport:
    """Rows of a file: new ones, ones already there, and bad ones as (line, reason).

    Of the new ones `unattested` are history: predictions that bring their own `logged_at`.
    """

    inserted: int = 0
    unattested: int = 0
    unchanged: int = 0
    updated: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


class _BadRow(ValueError):
    """A row that cannot be imported; its message says why."""


def import_videos(warehouse: Warehouse, path: Path) -> ImportReport:
    """Insert or update the videos of a CSV file.

    Columns: `title, meta_platform_id, created_at` and, if present, `id, campaign_id, status`.
    """
    return _import(
        warehouse,
        path,
        required={"title", "meta_platform_id", "created_at"},
        alternatives=set(),
        parse=_video,
        table="videos",
        update=True,
    )


def import_predictions(
    warehouse: Warehouse, path: Path, now: datetime, *, ctr_unit: CtrUnit
) -> ImportReport:
    """Insert the predictions of a CSV file; `ctr_unit` is the file's, a fraction is stored.

    Columns: `predicted_ctr, predicted_roas`, `video_id` or `ad_id` and, if present,
    `model_name, model_version, logged_at`.  A row with a `logged_at` is history: it keeps that
    time, which must not lie after `now`, and is not attested.  One without is dated by the
    database, when the import ends.
    Raises `InputError`, and stores nothing, where the CTRs look written in the other unit.
    """
    required, alternatives = {"predicted_ctr", "predicted_roas"}, {"video_id", "ad_id"}
    _refuse_other_unit(lines_of(path, required, alternatives), path, ctr_unit)
    with warehouse.transaction() as connection:
        rows = connection.execute(
            "SELECT trim(meta_platform_id::text), id::text FROM public.videos "
            "ORDER BY created_at DESC, id DESC"
        ).fetchall()
    # The oldest video of an ad comes last and wins, as everywhere.
    video_of_ad = {ad_id: video_id for ad_id, video_id in rows if ad_id}
    videos = {video_id for _, video_id in rows}

    def parse(row: Mapping[str, str]) -> dict[str, Any]:
        values = _prediction(row, ctr_unit, video_of_ad, videos)
        if "logged_at" in values and values["logged_at"] > now:
            raise _BadRow(
                f"logged_at {row['logged_at']} lies in the future; leave it empty for now"
            )
        return values

    return _import(
        warehouse,
        path,
        required=required,
        alternatives=alternatives,
        parse=parse,
        table="predictions",
        update=False,
    )


def import_budgets(warehouse: Warehouse, path: Path) -> ImportReport:
    """Insert or update the planned budgets of a CSV file.

    Columns: `currency, amount, start_date, end_date` and, if present, `id, name,
    meta_account_id, meta_campaign_id`.  A row without an id is told apart by all but its amount.
    """
    return _import(
        warehouse,
        path,
        required={"currency", "amount", "start_date", "end_date"},
        alternatives=set(),
        parse=_planned,
        table="budgets",
        update=True,
    )


def _import(
    warehouse: Warehouse,
    path: Path,
    *,
    required: set[str],
    alternatives: set[str],
    parse: Callable[[Mapping[str, str]], dict[str, Any]],
    table: str,
    update: bool,
) -> ImportReport:
    report = ImportReport()
    line_of: dict[UUID, int] = {}
    good: list[dict[str, Any]] = []
    for line, row in lines_of(path, required, alternatives):
        try:
            _refuse_nul(row)
            values = parse(row)
            if update:
                _refuse_repeated(values["id"], line, line_of)
            good.append(values)
        except _BadRow as error:
            report.bad.append((line, str(error)))
    with warehouse.transaction() as connection:
        with importing_history(connection):
            for values in good:
                if "logged_at" in values:
                    report.unattested += _store(connection, table, values, report, update=update)
        for values in good:
            if "logged_at" not in values:
                _store(connection, table, values, report, update=update)
    return report


def _store(
    connection: Connection,
    table: str,
    values: Mapping[str, Any],
    report: ImportReport,
    *,
    update: bool,
) -> bool:
    """Store one row and count it in `report`; whether it is new."""
    outcome = connection.execute(_upsert(table, values, update=update), values).fetchone()
    is_new = outcome is not None and bool(outcome[0])
    if outcome is None:
        report.unchanged += 1
    elif is_new:
        report.inserted += 1
    else:
        report.updated += 1
    return is_new


def _refuse_repeated(row_id: UUID, line: int, line_of: dict[UUID, int]) -> None:
    first = line_of.setdefault(row_id, line)
    if first != line:
        raise _BadRow(f"it is the same as line {first}, which is kept")


def _refuse_nul(row: Mapping[str, str]) -> None:
    for column, cell in row.items():
        if "\0" in cell:
            raise _BadRow(f"{column} holds a NUL character, which Postgres does not store")


def _upsert(table: str, values: Mapping[str, Any], *, update: bool) -> sql.Composed:
    """Insert by id; answers whether the row is new, or no row when nothing was to be changed."""
    others = [sql.Identifier(name) for name in values if name != "id"]
    resolution: sql.Composable = sql.SQL("NOTHING")
    if update:
        resolution = sql.SQL("UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})").format(
            sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in others),
            sql.SQL(", ").join(sql.SQL("kept.{}").format(name) for name in others),
            sql.SQL(", ").join(sql.SQL("excluded.{}").format(name) for name in others),
        )
    return sql.SQL(
        "INSERT INTO {} AS kept ({}) VALUES ({}) ON CONFLICT (id) DO {} RETURNING xmax = 0"
    ).format(
        sql.Identifier("public", table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
        resolution,
    )


def lines_of(
    path: Path, required: set[str], alternatives: set[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row of the file with the line it ends on; cells stripped, "" for missing ones.

    Of `alternatives`, if there are any, the file must have one column.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            missing = required - set(columns)
            first = ",".join(columns)[:_HEADER_SHOWN]
            expected = (
                "the first line names the columns, separated by commas, and is "
                f"{repr(first) if first else 'empty'}."
            )
            if alternatives and not alternatives & set(columns):
                names = " nor ".join(sorted(alternatives, reverse=True))
                raise InputError(f"{path} has neither column {names}: {expected}")
            if missing:
                raise InputError(f"{path} has no column {', '.join(sorted(missing))}: {expected}")
            for row in reader:
                yield (
                    reader.line_num,
                    {str(name): (value or "").strip() for name, value in row.items() if name},
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file in UTF-8: {error}.") from error


def _video(row: Mapping[str, str]) -> dict[str, Any]:
    ad_id = row["meta_platform_id"]
    if ad_id and not is_number(ad_id):
        raise _BadRow(f"meta_platform_id {ad_id!r} is no id of a Meta ad")
    created_at = _instant(row["created_at"], "created_at")
    if not (row.get("id") or ad_id or row["title"]):
        raise _BadRow("it has neither id, meta_platform_id nor title, so nothing tells it apart")
    content = f"video {ad_id or row['title']}"
    values: dict[str, Any] = {
        "id": _uuid(row["id"], "id") if row.get("id") else uuid5(_NAMESPACE, content),
        "title": row["title"] or None,
        "meta_platform_id": ad_id or None,
        # public.videos.created_at is a timestamp without zone, in UTC.
        "created_at": created_at.replace(tzinfo=None),
    }
    # A column that the file does not have leaves what is stored as it is.
    if "campaign_id" in row:
        given = row["campaign_id"]
        values["campaign_id"] = _uuid(given, "campaign_id") if given else None
    if "status" in row:
        values["status"] = row["status"] or None
    return values


def _prediction(
    row: Mapping[str, str],
    ctr_unit: CtrUnit,
    video_of_ad: Mapping[str, str],
    videos: set[str],
) -> dict[str, Any]:
    video_id = row.get("video_id") or video_of_ad.get(row.get("ad_id", ""), "")
    if not video_id:
        raise _BadRow(f"no video runs as ad {row.get('ad_id')!r}; import the videos first")
    video_id = str(_uuid(video_id, "video_id"))
    if video_id not in videos:
        raise _BadRow(f"there is no video {video_id}; import the videos first")
    ctr = _number(row["predicted_ctr"], "predicted_ctr")
    if ctr is not None and ctr_unit == "percent":
        ctr /= 100
    if ctr is not None and ctr > 1:
        raise _BadRow(f"predicted_ctr {row['predicted_ctr']} is above 100 %; check --ctr-unit")
    roas = _number(row["predicted_roas"], "predicted_roas")
    if ctr is None and roas is None:
        raise _BadRow("neither predicted_ctr nor predicted_roas is given")
    values: dict[str, Any] = {
        "video_id": video_id,
        "model_name": row.get("model_name") or "default",
        "model_version": row.get("model_version") or "1",
        "predicted_ctr": ctr,
        "predicted_roas": roas,
    }
    if row.get("logged_at"):
        values["logged_at"] = _instant(row["logged_at"], "logged_at")
    content = "prediction " + " ".join(str(value) for value in values.values())
    return {"id": uuid5(_NAMESPACE, content), **values}


def _planned(row: Mapping[str, str]) -> dict[str, Any]:
    currency, amount = row["currency"], row["amount"]
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise _BadRow(f"currency {currency!r} is no currency such as EUR")
    # 1,000 and 1.000 are a thousand to some and one to others.
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,2})?", amount):
        raise _BadRow(f"amount {amount!r} is no amount in {currency} such as 25000.00")
    first, last = (_day(row[name], name) for name in ("start_date", "end_date"))
    if last < first:
        raise _BadRow(f"it ends ({last}) before it starts ({first})")
    names = ("name", "meta_account_id", "meta_campaign_id")
    texts = {name: row.get(name) or None for name in names}
    for name in ("meta_account_id", "meta_campaign_id"):
        given = (texts[name] or "").removeprefix("act_")
        if given and not is_number(given):
            raise _BadRow(f"{name} {given!r} is no id of Meta's")
        texts[name] = given or None
    content = f"budget {[*texts.values(), currency, first.isoformat(), last.isoformat()]}"
    return {
        "id": _uuid(row["id"], "id") if row.get("id") else uuid5(_NAMESPACE, content),
        **texts,
        "currency": currency,
        "amount": Decimal(amount),
        "start_date": first,
        "end_date": last,
    }


def _day(text: str, column: str) -> date:
    try:
        return parse_day(text)
    except InputError:
        raise _BadRow(f"{column} {text!r} is no day such as 2026-03-07") from None


def _refuse_other_unit(
    lines: Iterator[tuple[int, dict[str, str]]], path: Path, ctr_unit: CtrUnit
) -> None:
    """`InputError` for CTRs that no ads have in `ctr_unit`: a logged prediction stays for ever."""
    ctrs: list[float] = []
    for _, row in lines:
        # A bad row is named later, with all others.
        with suppress(_BadRow):
            ctrs.append(_number(row["predicted_ctr"], "predicted_ctr") or 0.0)
    given = [ctr for ctr in ctrs if ctr]
    if not given:
        return
    typical = median(given) / (100 if ctr_unit == "percent" else 1)
    if not _LEAST_TYPICAL_CTR <= typical <= _MOST_TYPICAL_CTR:
        other = "fraction" if ctr_unit == "percent" else "percent"
        raise InputError(
            f"Read as {ctr_unit}, the median predicted CTR of {path} is {typical:.4%}, which no "
            f"ads have: look at the file and give --ctr-unit {other}; nothing was stored."
        )


def _number(text: str, column: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise _BadRow(f"{column} {text!r} is no number") from None
    if not math.isfinite(value) or value < 0:
        raise _BadRow(f"{column} {text!r} is not a number of 0 or more")
    return value


def _instant(text: str, column: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadRow(f"{column} {text!r} is no instant such as 2026-03-07T12:00:00Z") from None


def _uuid(text: str, column: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _BadRow(f"{column} {text!r} is no uuid") from None
