"""The frame of this package as data: columns, units, key and the rules of its rows."""

from __future__ import annotations

from actuals_pipeline.frames import Column, Contract, Kind, at_least_zero, at_most, one_of

SCOPES = ("currency", "overall")
"""Whether a row is of the accounts of one currency or of all, converted into it."""

OUTLOOKS = ("projected", "spent", "never", "too_few_days", "no_total", "unconverted")
"""What can be said of the end of an investment, and otherwise why nothing can."""

PERIODS = {"": "since the start", "_7d": "of the last 7 days", "_28d": "of the last 28 days"}
"""Suffixes of the figures and the whole days that they are of, the as-of day itself in the first
alone."""

COUNTS = ("impressions", "clicks", "link_clicks", "conversions")

_MONEY = "currency, major units"
_BURN = "currency a day, major units"


def _figures(suffix: str, days: str) -> tuple[Column, ...]:
    return (
        *(Column(f"{name}{suffix}", Kind.COUNT, f"{name} {days}") for name in COUNTS),
        Column(f"spend{suffix}", Kind.DECIMAL, f"Spend {days}", _MONEY, nullable=True),
        Column(f"revenue{suffix}", Kind.DECIMAL, f"Revenue {days}", _MONEY, nullable=True),
        Column(f"roas{suffix}", Kind.NUMBER, "revenue / spend", "multiple", nullable=True),
        Column(f"cpa{suffix}", Kind.NUMBER, "spend / conversions", _MONEY, nullable=True),
        Column(
            f"conversion_rate{suffix}",
            Kind.NUMBER,
            "conversions / clicks",
            "fraction",
            nullable=True,
        ),
        Column(
            f"link_conversion_rate{suffix}",
            Kind.NUMBER,
            "conversions / link_clicks",
            "fraction",
            nullable=True,
        ),
    )


INVESTMENT_SUMMARY = Contract(
    "investment_summary",
    key=("as_of_date", "scope", "currency"),
    columns=(
        Column("as_of_date", Kind.DAY, "Last report day that is looked at"),
        Column("scope", Kind.TEXT, "Accounts of one currency, or all"),
        Column("currency", Kind.TEXT, "Currency of the money", "ISO 4217 code"),
        Column("since", Kind.DAY, "First report day that counts"),
        *(column for suffix, days in PERIODS.items() for column in _figures(suffix, days)),
        Column("spend_at_least", Kind.DECIMAL, "Spend with a known rate", _MONEY),
        Column(
            "settled_spend_share", Kind.NUMBER, "Settled share of it", "fraction", nullable=True
        ),
        Column("investment_total", Kind.DECIMAL, "What is invested", _MONEY, nullable=True),
        Column("spent_share", Kind.NUMBER, "spend / investment_total", "fraction", nullable=True),
        Column("burn_per_day_7d", Kind.NUMBER, "Mean of 7 days", _BURN, nullable=True),
        Column("burn_per_day_28d", Kind.NUMBER, "Mean of 28 days", _BURN, nullable=True),
        Column("burn_per_day_settled", Kind.NUMBER, "Mean of settled days", _BURN, nullable=True),
        Column("outlook", Kind.TEXT, "What can be said of the end"),
        Column("projected_end", Kind.DAY, "Day on which the total is spent", nullable=True),
        Column("projected_end_low", Kind.DAY, "Earliest end, 95 %", nullable=True),
        Column("projected_end_high", Kind.DAY, "Latest end, 95 %", nullable=True),
        Column("n_accounts_covered", Kind.COUNT, "Accounts fetched on every day", "accounts"),
        Column("accounts_missing", Kind.TALLY, "Days never fetched by account", "days"),
        Column("unconverted", Kind.TALLY, "Days without a rate by currency", "days"),
        Column("is_reconstructed", Kind.FLAG, "Whether later knowledge counts"),
    ),
    rules=(
        *at_least_zero("spend", "spend_at_least", "investment_total"),
        *at_least_zero("settled_spend_share"),
        at_most("settled_spend_share", 1),
        one_of("scope", SCOPES),
        one_of("outlook", OUTLOOKS),
    ),
)
"""One row is the investment in one currency, or overall, as of a day."""
