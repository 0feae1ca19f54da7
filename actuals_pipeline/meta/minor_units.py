"""Meta's minor units of money: budgets, caps and the thresholds of webhooks are written in them.

Insights are not: their money is in major units.  This is the one place where one becomes the other.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

WITHOUT_MINOR_UNIT: Final = frozenset(
    {"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"}
)
"""Currencies whose amounts Meta writes in whole units (offset 1); all others in hundredths.

Not ISO 4217: by that HUF, COP, CRC, IDR and TWD have hundredths, and KWD, BHD and JOD thousandths.
Source: Marketing API, Currencies, read 2026-09-12.
"""


def major_units(minor: str, currency: str) -> Decimal:
    """An amount in minor units, as Meta writes it, in major units; `ValueError` if it is none."""
    if not re.fullmatch(r"[0-9]{1,18}", minor):
        raise ValueError(f"{minor!r} is no amount in minor units")
    return Decimal(minor) if currency in WITHOUT_MINOR_UNIT else Decimal(minor).scaleb(-2)
