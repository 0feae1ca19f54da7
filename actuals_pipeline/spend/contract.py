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

LEVELS = ("campaign", "adset", "plan")
"""What a budget is of: a campaign or an ad set at Meta, or the user's own plan."""

BUDGET_KINDS = ("daily", "lifetime", "plan")

PACING_VERDICTS = ("on_track", "underspending", "overspending", "paused", "unknown")

PACING_REASONS = (
    "as_planned",
    "a_day_beyond_its_limit",
    "beyond_the_limit",
    "projected_beyond",
    "projected_below",
    "ended_below",
    "not_active",
    "too_few_days",
    "days_missing",
    "no_rate",
    "no_end",
)
"""What a verdict on a budget rests on."""

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

BUDGET_PACING = Contract(
    "budget_pacing",
    key=("as_of_date", "level", "budget_id"),
    columns=(
        Column("as_of_date", Kind.DAY, "Day at whose end this was known"),
        Column("level", Kind.TEXT, "What the budget is of"),
        Column("budget_id", Kind.TEXT, "Campaign, ad set or plan"),
        Column("account_id", Kind.TEXT, "Ad account; none: all of them", nullable=True),
        Column("campaign_id", Kind.TEXT, "Campaign; none: all of them", nullable=True),
        Column("name", Kind.TEXT, "Its name", nullable=True),
        Column("status", Kind.TEXT, "Meta's effective status", nullable=True),
        Column("currency", Kind.TEXT, "Currency of the money", "ISO 4217 code"),
        Column("kind", Kind.TEXT, "Daily, lifetime or plan"),
        Column("daily_budget", Kind.DECIMAL, "Budget of a day", _MONEY, nullable=True),
        Column("period_start", Kind.DAY, "First report day that counts"),
        Column("period_end", Kind.DAY, "Last one", nullable=True),
        Column("budget", Kind.DECIMAL, "Budget of the period", _MONEY),
        Column("spend_limit", Kind.DECIMAL, "Most that may be spent in it", _MONEY),
        Column("spend", Kind.DECIMAL, "Spend to date", _MONEY, nullable=True),
        Column("spend_whole_days", Kind.DECIMAL, "Spend of whole days", _MONEY, nullable=True),
        Column("expected_spend", Kind.NUMBER, "Their share of the budget", _MONEY, nullable=True),
        Column("projected_spend", Kind.NUMBER, "Spend at the end", _MONEY, nullable=True),
        Column("projected_spend_low", Kind.NUMBER, "Low end of it, 95 %", _MONEY, nullable=True),
        Column("projected_spend_high", Kind.NUMBER, "High end of it", _MONEY, nullable=True),
        Column(
            "highest_day_share",
            Kind.NUMBER,
            "Most of a day's spend over its budget",
            "multiple",
            nullable=True,
        ),
        Column("days_missing", Kind.COUNT, "Days never fetched", "days"),
        Column("verdict", Kind.TEXT, "How it is spent"),
        Column("reason", Kind.TEXT, "What that rests on"),
        Column("is_reconstructed", Kind.FLAG, "Whether a later budget stands for earlier days"),
    ),
    rules=(
        *at_least_zero("daily_budget", "budget", "spend_limit", "days_missing"),
        one_of("level", LEVELS),
        one_of("kind", BUDGET_KINDS),
        one_of("verdict", PACING_VERDICTS),
        one_of("reason", PACING_REASONS),
    ),
)
"""One row is one budget and what was spent of it, as of a day."""
