"""Figures as people read them: with their digits, their unit, and a word where nothing is known."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

UNKNOWN = "unknown"
"""Never 0, and never an empty cell."""

_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""ISO 4217: currencies whose minor unit is no hundredth."""

_MINUS = "\N{MINUS SIGN}"

_VERDICTS = {
    "exact": "to the cent",
    "within_tolerance": "within tolerance",
    "gap": "gap",
    "on_track": "on track",
    "underspending": "spends too little",
    "overspending": "spends too much",
    "paused": "paused",
    "unknown": "cannot be told",
}


def amount(value: Decimal | None, currency: str) -> str:
    """Money with the digits of its currency and its code: `1,234.50 EUR`."""
    if value is None:
        return UNKNOWN
    digits = minor_digits(currency)
    shown = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    return f"{_signed(f'{shown:,f}')} {currency}"


def minor_digits(currency: str) -> int:
    """Digits after the point with which amounts of a currency are written."""
    return _DIGITS.get(currency, 2)


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return UNKNOWN if value is None else _signed(f"{value:,}")


def percent(value: float | Decimal | None, digits: int = 1) -> str:
    """A number that is in percent already."""
    return UNKNOWN if value is None else f"{_signed(f'{value:.{digits}f}')} %"


def share(value: float | Decimal | None, digits: int = 0) -> str:
    """A fraction in percent."""
    return UNKNOWN if value is None else percent(value * 100, digits)


def multiple(value: float | Decimal | None) -> str:
    """A ratio such as a ROAS."""
    return UNKNOWN if value is None else f"{_signed(f'{value:.2f}')}\N{MULTIPLICATION SIGN}"


def day(value: date | None) -> str:
    """An ISO day."""
    return UNKNOWN if value is None else value.isoformat()


def instant(value: datetime | None) -> str:
    """An instant to the minute, in UTC (in which the database answers)."""
    return "never" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def verdict(value: str) -> str:
    """A verdict of a table in words."""
    return _VERDICTS.get(value, value.replace("_", " "))


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
