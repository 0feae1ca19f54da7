"""Turn insights payloads into numbers.

Meta sends every metric as text and leaves out those that are zero.  This is the only module
where that text becomes a number; everything downstream may rely on the types of its frames.

Units: money in the account's currency, major units, exact to the last digit Meta sent; report
days in the account's time zone.  `clicks` is Meta's clicks (all), `link_clicks` its inline link
clicks.  Purchases are those of one action type, at the attribution setting of the ad's ad set.

Source: Insights reference and payloads in public repositories, Marketing API v26.0, 2026-11-22.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import islice
from typing import Any, Final, NoReturn, Protocol

import pandas as pd

from actuals_pipeline.errors import InputError, UnexpectedPayload
from actuals_pipeline.meta import fields
from actuals_pipeline.money import exact_arithmetic
from actuals_pipeline.report_days import parse_day
from actuals_pipeline.storable import storable

Payload = Mapping[str, Any]
PurchaseActionType = Callable[[str], str]
"""From an account id to the one action type that counts as a purchase there."""

_INSTANT: Final = "datetime64[us, UTC]"
_CAPITALS: Final = re.compile(r"[A-Z]{3}")
_QUOTED_CHARACTERS: Final = 80


def parse_insights(
    payloads: Iterable[Payload],
    *,
    purchase_action_type: PurchaseActionType,
    fetched_at: datetime | Iterable[datetime],
) -> pd.DataFrame:
    """One row per payload, in their order: the figures of one ad on one report day.

    `fetched_at`, aware, holds for every payload or gives one instant for each.  A metric that
    Meta left out is 0, except `reach`, which is then unknown.  Payloads are looked at one after
    the other and not kept.  Raises `UnexpectedPayload`, which names account, ad, day, field and
    value.
    """
    frame = _frame(payloads, _INSIGHTS, purchase_action_type)
    return frame.assign(fetched_at=_instants(fetched_at, len(frame)))


def parse_totals(
    payloads: Iterable[Payload], *, purchase_action_type: PurchaseActionType
) -> pd.DataFrame:
    """One row per payload, in their order: Meta's own total of one account and report day.

    As `parse_insights`; a total has no ad.  `revenue_1d_click` and so on is the value of the
    purchases within so many days of a click; it may be counted in `revenue` or not.
    """
    rows = list(payloads)
    frame = _frame(rows, _TOTALS, purchase_action_type)
    kinds = frame["purchase_action_type"].tolist()
    for window in fields.CLICK_WINDOWS:
        values = [_in_window(row, kind, window) for row, kind in zip(rows, kinds, strict=True)]
        frame[f"revenue_{window}"] = pd.Series(values, dtype="object")
    return frame


def parse_reach(payloads: Iterable[Payload]) -> int | None:
    """People reached according to the one row that covers all days asked about; None if unknown."""
    reached = [_read(row, "reach", _REACH, row.get("reach")) for row in payloads]
    return reached[0] if len(reached) == 1 else None


@dataclass(slots=True)
class DaySums:
    """What rows of one report day add up to; money in the account's currency."""

    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    spend: Decimal = Decimal(0)
    revenue: Decimal = Decimal(0)

    def exceeds(self, other: DaySums) -> bool:
        """Whether any figure is above the other's."""
        return any(getattr(self, each) > getattr(other, each) for each in self.__slots__)


def sums_by_day(
    payloads: Iterable[Payload],
    *,
    purchase_action_type: PurchaseActionType,
    onto: Mapping[str, DaySums] | None = None,
) -> dict[str, DaySums]:
    """The sums of each report day, given as Meta writes it, over payloads read one by one.

    They are added onto the sums that are given, if any.  Every field that becomes part of a frame
    is read, so that what cannot be parsed is found here, within the fetch of the one account:
    `UnexpectedPayload`.
    """
    sums = defaultdict(DaySums, onto or {})
    for read in _Reader(_SUMMED, purchase_action_type).batches(payloads):
        figures = (read[name] for name in DaySums.__slots__)
        with exact_arithmetic():
            for day, impressions, clicks, conversions, spend, revenue in zip(
                read["day"], *figures, strict=True
            ):
                of_day = sums[str(day)]
                of_day.impressions += impressions
                of_day.clicks += clicks
                of_day.conversions += conversions
                of_day.spend += spend
                of_day.revenue += revenue
    return dict(sums)


def _frame(
    payloads: Iterable[Payload], columns: Sequence[_Column], chosen: PurchaseActionType
) -> pd.DataFrame:
    cells: dict[str, list[Any]] = {column.name: [] for column in columns}
    for read in _Reader(columns, chosen).batches(payloads):
        for name, more in read.items():
            cells[name].extend(more)
    return pd.DataFrame(
        {column.name: pd.Series(cells[column.name], dtype=column.kind.dtype) for column in columns}
    )


class _Unreadable(ValueError):
    """A cell's `value` is not what is `expected` there."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(expected)
        self.value = value
        self.expected = expected


class _Kind(Protocol):
    """How cells of one kind are read, and the dtype of a column of them.

    A cell is what JSON made of a field's value, None where the payload lacks the field.
    """

    @property
    def dtype(self) -> str: ...

    def read(self, cell: Any) -> Any:
        """What the cell says; `_Unreadable` when it is not of this kind."""

    def quick_reader(self) -> Callable[[Sequence[Any]], list[Any] | None]:
        """Reads many cells as `read` would one by one; gives None when only `read` can tell."""


class _Words:
    """Texts of which the same few come again and again: each is looked at once."""

    def __init__(self, read: Callable[[Any], Any], *, dtype: str = "str") -> None:
        self.read = read
        self.dtype = dtype

    def quick_reader(self) -> Callable[[Sequence[Any]], list[Any] | None]:
        known = cache(self.read)

        def read(cells: Sequence[Any]) -> list[Any] | None:
            try:
                return list(map(known, cells))
            except (_Unreadable, TypeError):  # TypeError: a list or an object, which has no hash
                return None

        return read


class _Numbers:
    """Numbers of one form, written as text; an absent one is 0 or else unknown.

    A JSON number is refused: read as a float it is no longer what Meta sent.  Several numbers in
    a tuple add up.
    """

    def __init__(
        self,
        form: str,
        expected: str,
        number: Callable[[str], Any],
        *,
        dtype: str,
        absent: str | None = "0",
    ) -> None:
        self.dtype = dtype
        self._form = re.compile(form)
        self._line_of_another_form = re.compile(f"^(?!(?:{form})$)", re.MULTILINE)
        self._expected = expected
        self._number = number
        self._absent = None if absent is None else number(absent)

    def read(self, cell: Any) -> Any:
        if cell is None:
            return self._absent
        if isinstance(cell, tuple):
            with exact_arithmetic():
                return sum(map(self.read, cell), self._number("0"))
        if not isinstance(cell, str) or self._form.fullmatch(cell) is None:
            raise _Unreadable(cell, self._expected)
        return self._number(cell)

    def quick_reader(self) -> Callable[[Sequence[Any]], list[Any] | None]:
        return self._read_lines

    def _read_lines(self, cells: Sequence[Any]) -> list[Any] | None:
        given = [cell for cell in cells if cell is not None]
        try:
            lines = "\n".join(given)
        except TypeError:
            return None
        if lines.count("\n") != len(given) - 1 or self._line_of_another_form.search(lines):
            return None
        numbers = map(self._number, given)
        return [self._absent if cell is None else next(numbers) for cell in cells]


def _identifier(cell: Any) -> str:
    if not fields.is_id(cell):
        raise _Unreadable(cell, "an id")
    return str(cell)


def _day(cell: Any) -> date:
    try:
        return parse_day(cell)
    except (InputError, TypeError):
        raise _Unreadable(cell, "a day") from None


def _currency(cell: Any) -> str:
    if not isinstance(cell, str) or _CAPITALS.fullmatch(cell) is None:
        raise _Unreadable(cell, "three capital letters")
    return cell


def _label(cell: Any) -> str | None:
    """Text for people to read, missing where absent."""
    if cell is None:
        return None
    if not isinstance(cell, str):
        raise _Unreadable(cell, "text")
    return storable(cell)


def _whole(text: str) -> int:
    """The whole number that `text` writes, be it as 3 or as 3.0."""
    return int(text.partition(".")[0])


_ID: Final = _Words(_identifier)
_DAY: Final = _Words(_day, dtype="object")
_CURRENCY: Final = _Words(_currency)
_LABEL: Final = _Words(_label)

# No exponent, because Meta writes plain decimals; no more digits than a bigint holds in any case.
_WHOLE_FORM: Final = r"[0-9]{1,18}(?:\.0+)?"
_AMOUNT_FORM: Final = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_COUNT: Final = _Numbers(_WHOLE_FORM, "a whole number from 0 up", _whole, dtype="Int64")
_REACH: Final = _Numbers(
    _WHOLE_FORM, "a whole number from 0 up", _whole, dtype="Int64", absent=None
)
"""People reached; unknown where absent, as Meta withholds it for some old days."""
_SIGNED_COUNT: Final = _Numbers(f"-?{_WHOLE_FORM}", "a whole number", _whole, dtype="Int64")
_AMOUNT: Final = _Numbers(_AMOUNT_FORM, "an amount from 0 up", Decimal, dtype="object")
_SIGNED_AMOUNT: Final = _Numbers(f"-?{_AMOUNT_FORM}", "an amount", Decimal, dtype="object")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a frame, what its cells are, and the field of the payload that holds them."""

    name: str
    kind: _Kind
    field: str


_ACCOUNT_ID: Final = _Column("account_id", _ID, "account_id")
_AD_ID: Final = _Column("ad_id", _ID, "ad_id")
_REPORT_DATE: Final = _Column("report_date", _DAY, "date_start")
_IN_CURRENCY: Final = _Column("currency", _CURRENCY, "account_currency")
_PURCHASE_TYPE: Final = _Column("purchase_action_type", _LABEL, "purchase_action_type")
"""Chosen by us; its cells stand among the others as if Meta had said them."""

_LABELS: Final = (
    *(
        _Column(name, _LABEL, name)
        for name in ("campaign_id", "campaign_name", "adset_id", "adset_name", "ad_name")
    ),
    _IN_CURRENCY,
    _Column("attribution_setting", _LABEL, "attribution_setting"),
)
_MEASURES: Final = (
    _Column("impressions", _COUNT, "impressions"),
    _Column("clicks", _COUNT, "clicks"),
    _Column("link_clicks", _COUNT, "inline_link_clicks"),
    _Column("reach", _REACH, "reach"),
    _Column("spend", _AMOUNT, "spend"),
    _Column("conversions", _SIGNED_COUNT, "actions"),
    _Column("revenue", _SIGNED_AMOUNT, "action_values"),
)
_INSIGHTS: Final = (_ACCOUNT_ID, _AD_ID, _REPORT_DATE, *_LABELS, _PURCHASE_TYPE, *_MEASURES)
_TOTALS: Final = (
    _ACCOUNT_ID,
    _REPORT_DATE,
    _IN_CURRENCY,
    *(measure for measure in _MEASURES if measure.name != "link_clicks"),
    _PURCHASE_TYPE,
)
_SUMMED: Final = (_Column("day", _LABEL, "date_start"), *_LABELS, *_MEASURES)
"""What rows of any level may hold, the day as Meta writes it."""

_PURCHASES: Final = ("actions", "action_values")
_PLAIN_FIELDS: Final = (
    "date_stop",
    *(
        column.field
        for column in _INSIGHTS
        if column is not _PURCHASE_TYPE and column.field not in _PURCHASES
    ),
)
_FIELDS: Final = (*_PLAIN_FIELDS, _PURCHASE_TYPE.field, *_PURCHASES)

_BATCH: Final = 500
"""Payloads read at once, measured: many enough to read column by column, few enough to be still
in the processor's cache, and in number below what Python collects garbage after."""

_Cells = Mapping[str, Sequence[Any]]
"""What some payloads say, by field and unread."""


class _Reader:
    """Reads payloads a batch at a time, each batch column by column, and keeps none of them."""

    def __init__(self, columns: Sequence[_Column], chosen: PurchaseActionType) -> None:
        self._columns = [(column, column.kind.quick_reader()) for column in columns]
        self._is_daily = _REPORT_DATE in columns
        self._chosen = chosen
        self._kinds: dict[str, str] = {}

    def batches(self, payloads: Iterable[Payload]) -> Iterator[dict[str, list[Any]]]:
        """What the payloads say, by column; `UnexpectedPayload` about what cannot be read."""
        rest = iter(payloads)
        while rows := list(map(self._row, islice(rest, _BATCH))):
            cells = dict(zip(_FIELDS, zip(*rows, strict=True), strict=True))
            if self._is_daily:
                _refuse_several_days(cells)
            yield {
                column.name: quickly(cells[column.field]) or _one_by_one(cells, column)
                for column, quickly in self._columns
            }

    def _row(self, payload: Payload) -> tuple[Any, ...]:
        """The cells of a payload, in the order of `_FIELDS`."""
        account_id = payload.get("account_id")
        if not isinstance(account_id, str) or account_id not in self._kinds:
            account_id = _read(payload, "account_id", _ID, account_id)
            self._kinds[account_id] = self._chosen(account_id)
        kind = self._kinds[account_id]
        return (
            *map(payload.get, _PLAIN_FIELDS),
            kind,
            _purchases(payload, "actions", kind),
            _purchases(payload, "action_values", kind),
        )


def _one_by_one(cells: _Cells, column: _Column) -> list[Any]:
    field = column.field
    return [
        _read(
            _key(cells, place),
            f"{field}[{cells[_PURCHASE_TYPE.field][place]}]" if field in _PURCHASES else field,
            column.kind,
            cell,
        )
        for place, cell in enumerate(cells[field])
    ]


def _refuse_several_days(cells: _Cells) -> None:
    starts, stops = cells["date_start"], cells["date_stop"]
    if starts != stops:
        place = next(i for i, start in enumerate(starts) if start != stops[i])
        _refuse(_key(cells, place), "date_stop", stops[place], "the day in date_start")


def _key(cells: _Cells, place: int) -> Payload:
    """What names the payload at `place`."""
    key = {field: cells[field][place] for field in fields.KEY_FIELDS}
    return {field: value for field, value in key.items() if value is not None}


def _in_window(payload: Payload, action_type: str, window: str) -> Any:
    """The value of purchases of one type in an attribution window; absent is zero."""
    cell = _purchases(payload, "action_values", action_type, window)
    return _read(payload, f"action_values[{action_type}].{window}", _SIGNED_AMOUNT, cell)


def _purchases(payload: Payload, field: str, action_type: str, window: str = "value") -> object:
    """What a payload says of purchases of one type: nothing, one text, or several in a tuple.

    `window` is an attribution window, usually the ad set's own.

    Usually there is one entry; with action breakdowns there are several, which add up.  An entry
    with other windows only has no `value`.  The other purchase types repeat the same purchases
    and are never added.
    """
    entries = payload.get(field)
    if entries is None:
        return None
    if not isinstance(entries, list):
        _refuse(payload, field, entries, "a list of objects")
    try:
        found = [each.get(window) for each in entries if each.get("action_type") == action_type]
    except AttributeError:  # what is no object has no fields
        _refuse(payload, field, entries, "a list of objects")
    return found[0] if len(found) == 1 else tuple(found) or None


def _read(payload: Payload, title: str, kind: _Kind, cell: object) -> Any:
    """What a payload's cell means; `UnexpectedPayload` when it is unreadable."""
    try:
        return kind.read(cell)
    except _Unreadable as error:
        _refuse(payload, title, error.value, error.expected)


def _instants(values: datetime | Iterable[datetime], length: int) -> pd.Series[Any]:
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype):
        return pd.Series(values.array, dtype=_INSTANT)
    instants = [values] * length if isinstance(values, datetime) else list(values)
    if any(instant.tzinfo is None for instant in instants):
        raise ValueError("fetched_at is naive; a naive datetime names no instant")
    return pd.Series(instants, dtype=_INSTANT)


def _refuse(payload: Payload, field: str, value: object, expected: str) -> NoReturn:
    account_id = payload.get("account_id")
    ad = f", ad {payload['ad_id']}" if "ad_id" in payload else ""
    raise UnexpectedPayload(
        f"Meta's insights of account act_{account_id}{ad}, day {payload.get('date_start')}: "
        f"{field} is {repr(value)[:_QUOTED_CHARACTERS]}, not {expected}.",
        account_id=account_id if isinstance(account_id, str) else None,
    )
