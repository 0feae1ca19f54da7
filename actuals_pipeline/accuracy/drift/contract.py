"""The frames that watch models, as data: columns, units, keys and the rules of their rows."""

from __future__ import annotations

from actuals_pipeline.frames import Column, Contract, Kind, at_least_zero, at_most, one_of

METRICS = ("ctr", "roas")

STATES = ("ok", "warn", "breach", "requested", "cooldown")
"""What is thought of a model version's metric, in the order in which it gets worse and mends."""

_VERSION = (
    Column("model_name", Kind.TEXT, "Model"),
    Column("model_version", Kind.TEXT, "Version of the model"),
)
_MONEY = "account currency, major units"

DRIFT_PAIRS = Contract(
    "drift_pairs",
    key=("ad_id", "model_name", "model_version", "protocol"),
    columns=(
        Column("ad_id", Kind.TEXT, "Ad"),
        *_VERSION,
        Column("protocol", Kind.TEXT, "Which days are compared"),
        Column("status", Kind.TEXT, "Whether the pair counts"),
        Column("ctr_status", Kind.TEXT, "What the CTR can be compared with"),
        Column("roas_status", Kind.TEXT, "What the ROAS can be compared with"),
        Column(
            "matures_on", Kind.DAY, "When the protocol's figures stop moving", "day", nullable=True
        ),
        Column("is_attested", Kind.FLAG, "Whether the database set the prediction's instant"),
        Column("is_provisional", Kind.FLAG, "Whether too little of the revenue is known yet"),
        Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217", nullable=True),
        Column("campaign_id", Kind.TEXT, "Campaign of the ad", nullable=True),
        Column("impressions", Kind.COUNT, "Times shown in the protocol's days", "impressions"),
        Column("clicks", Kind.COUNT, "Clicks (all) in those days", "clicks"),
        Column("spend", Kind.DECIMAL, "Money spent in those days", _MONEY),
        Column("conversions", Kind.COUNT, "Purchases in those days", "purchases"),
        Column("predicted_ctr", Kind.CLAIM, "Predicted CTR", "fraction", nullable=True),
        Column("predicted_roas", Kind.CLAIM, "Predicted ROAS", "multiple", nullable=True),
        Column("actual_ctr", Kind.NUMBER, "Actual CTR", "fraction", nullable=True),
        Column(
            "actual_roas",
            Kind.NUMBER,
            "Actual ROAS, grown to what it will be",
            "multiple",
            nullable=True,
        ),
        Column(
            "baseline_ctr", Kind.NUMBER, "The account's before launch", "fraction", nullable=True
        ),
        Column(
            "baseline_roas", Kind.NUMBER, "The account's before launch", "multiple", nullable=True
        ),
        Column(
            "dispersion", Kind.NUMBER, "Variance of clicks over a binomial's", "", nullable=True
        ),
        Column(
            "roas_relative_se",
            Kind.NUMBER,
            "Standard error of the ROAS over the ROAS",
            "fraction",
            nullable=True,
        ),
    ),
)
"""What is read of `prediction_accuracy`: the pairs known as of one day."""


def _bounded(name: str, meaning: str, unit: str) -> tuple[Column, ...]:
    bounds = {"": meaning, "_lower": "Its bound below", "_upper": "Its bound above"}
    return tuple(
        Column(f"{name}{end}", Kind.NUMBER, said, unit, nullable=True)
        for end, said in bounds.items()
    )


_WEEK_KEY = ("model_name", "model_version", "metric", "week")
_LN = "natural logarithm"

_WEEK_COLUMNS = (
    *_VERSION,
    Column("metric", Kind.TEXT, "What was predicted"),
    Column("week", Kind.DAY, "Monday of the week in which the pairs matured", "day"),
    Column("n_pairs", Kind.COUNT, "Pairs that count", "pairs"),
    Column("clicks", Kind.COUNT, "Their clicks (all)", "clicks"),
    Column("purchases", Kind.COUNT, "Their purchases", "purchases"),
    Column(
        "coverage_spend",
        Kind.NUMBER,
        "Share of the matured ads' spend that they have",
        "fraction",
        nullable=True,
    ),
    Column("ln_calibration", Kind.NUMBER, "ln(predicted / observed)", _LN, nullable=True),
    Column("standard_error", Kind.NUMBER, "Of ln_calibration", _LN, nullable=True),
    Column("lower", Kind.NUMBER, "One-sided 95 % bound below", _LN, nullable=True),
    Column("upper", Kind.NUMBER, "One-sided 95 % bound above", _LN, nullable=True),
    *_bounded("skill", "1 - error over that of the account's own rate", "fraction"),
    *_bounded("normalised_entropy", "Log loss over that of the account's own rate", ""),
    *_bounded("wape_excess", "WAPE less that of a perfect model", "fraction"),
    Column(
        "rank_correlation", Kind.NUMBER, "Order of actuals by predictions", "-1..1", nullable=True
    ),
    Column("is_eligible", Kind.FLAG, "Whether the week is enough to conclude from"),
)
_SHIFT = (
    Column(
        "predicted_shift",
        Kind.NUMBER,
        "How else the predictions are spread than those of the weeks before; 0 = alike",
        "population stability index",
        nullable=True,
    ),
    Column(
        "predicted_shift_chance",
        Kind.NUMBER,
        "Chance of such an index if nothing had changed",
        "fraction",
        nullable=True,
    ),
)
_WEEK_RULES = (
    one_of("metric", METRICS),
    *at_least_zero("n_pairs", "clicks", "purchases", "coverage_spend", "standard_error"),
    *at_least_zero("predicted_shift", "predicted_shift_chance"),
    at_most("coverage_spend", 1),
    at_most("predicted_shift_chance", 1),
)

MODEL_WEEKS = Contract(
    "model_weeks", key=_WEEK_KEY, columns=(*_WEEK_COLUMNS, *_SHIFT), rules=_WEEK_RULES
)
"""One model version's metric in one closed week."""

_CHARTED_COLUMNS = (
    *_WEEK_COLUMNS,
    Column(
        "z",
        Kind.NUMBER,
        "Against the version's weeks before; + = more predicted",
        "sd",
        nullable=True,
    ),
    Column("cusum_up", Kind.NUMBER, "Accumulated drift to too much", "sd"),
    Column("cusum_down", Kind.NUMBER, "Accumulated drift to too little", "sd"),
    Column("cusum_limit", Kind.NUMBER, "Above it is an alarm", "sd"),
    Column("ewma", Kind.NUMBER, "Moving average of z", "sd"),
    Column("ewma_lower", Kind.NUMBER, "Its lower limit", "sd"),
    Column("ewma_upper", Kind.NUMBER, "Its upper limit", "sd"),
    Column("is_alarm", Kind.FLAG, "Whether the CUSUM is above its limit"),
    Column("changed_since", Kind.DAY, "Monday of the change in an alarm", "day", nullable=True),
)

CHARTED_WEEKS = Contract(
    "charted_weeks",
    key=_WEEK_KEY,
    columns=(
        *_CHARTED_COLUMNS,
        *_SHIFT,
    ),
    rules=(*_WEEK_RULES, *at_least_zero("cusum_up", "cusum_down", "cusum_limit")),
)
"""The same with the charts up to that week."""

VERSUS_PREVIOUS = ("worse", "better", "unresolved")

MODEL_DRIFT = Contract(
    "model_drift",
    key=("as_of_date", *_WEEK_KEY),
    columns=(
        Column("as_of_date", Kind.DAY, "Weeks that had ended by this day are looked at", "day"),
        *_CHARTED_COLUMNS,
        Column("state", Kind.TEXT, "What is thought of the metric after that week"),
        Column("state_since", Kind.DAY, "Monday of the week in which that began", "day"),
        Column("causes", Kind.TEXT, "Why it is not ok, comma-separated", nullable=True),
        Column("breach_start", Kind.DAY, "Monday of the breach it is about", "day", nullable=True),
        Column(
            "versus_previous",
            Kind.TEXT,
            "In the last week of a breach: against the version before, on the ads of both",
            nullable=True,
        ),
        *_SHIFT,
    ),
    rules=(
        *CHARTED_WEEKS.rules,
        one_of("state", STATES),
        one_of("versus_previous", VERSUS_PREVIOUS),
    ),
)
"""The same with what is thought of it, as of one day; all that decisions rest on."""
