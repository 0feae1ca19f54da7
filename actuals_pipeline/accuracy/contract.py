"""The frames of this package as data: columns, units, keys and the rules of their rows.

Predicted and actual CTR are fractions; errors are percent of the predicted value; accuracies are
fractions from 0 to 1, except `prediction_accuracy`, which is the dashboard's percent.
"""

from __future__ import annotations

from actuals_pipeline.frames import Column, Contract, Kind, at_least_zero, at_most, one_of
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS

PAIR_STATUSES = (
    "leaked",
    "no_delivery",
    "ambiguous",
    "invalid_prediction",
    "too_young",
    "too_old",
    "immature",
    "incomplete_history",
    "eligible",
)
"""Whether a pair counts; the first that applies, in this order."""

METRIC_STATUSES = (
    "no_prediction",
    "no_delivery",
    "no_spend",
    "invalid_prediction",
    "degenerate_pred",
    "ok",
)
"""What one predicted metric can be compared with; the first that applies, in this order."""

VERDICTS = ("within_tolerance", "under", "over", "unresolved")
"""What is said of a pair that can be compared; see `verdict.py`."""

CURVE_SOURCES = ("revisions", "click_windows", "assumed")
"""How a curve of maturing revenue is known, the best first."""

DATINGS = ("impression", "conversion", "unknown")
"""The day on which purchases stand; unknown is treated like conversion."""

PACES = ("as_before", "changed", "unknown")
"""How the newest days mature, against those before; unknown where there are too few."""

DIRECTIONS = ("over", "under", "exact")
"""The prediction against the actual."""

_MONEY = "account currency, major units"

_AS_OF_DATE = Column(
    "as_of_date", Kind.DAY, "Last report day that is looked at", "day in the account's time zone"
)
_AD_ID = Column("ad_id", Kind.TEXT, "Ad")
_VIDEO_ID = Column("video_id", Kind.TEXT, "The video that the ad shows")
_ACCOUNT_ID = Column(
    "account_id", Kind.TEXT, "Ad account, digits; missing before its first figure", nullable=True
)
_CURRENCY = Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217", nullable=True)
_IMPRESSIONS = Column("impressions", Kind.COUNT, "Times shown", "impressions")
_CLICKS = Column("clicks", Kind.COUNT, "Clicks of any kind (Meta's clicks (all))", "clicks")
_SPEND = Column("spend", Kind.DECIMAL, "Money spent", _MONEY)
_CONVERSIONS = Column("conversions", Kind.COUNT, "Purchases", "purchases")
_REVENUE = Column("revenue", Kind.DECIMAL, "Value of the purchases", _MONEY)
_FIGURES = (_IMPRESSIONS, _CLICKS, _SPEND, _CONVERSIONS, _REVENUE)

_MODEL = (
    Column("model_name", Kind.TEXT, "Model"),
    Column("model_version", Kind.TEXT, "Version of the model"),
)
_PROTOCOL = Column("protocol", Kind.TEXT, "Which days are compared")
_PREDICTED = (
    Column("predicted_ctr", Kind.CLAIM, "Predicted CTR", "fraction", nullable=True),
    Column("predicted_roas", Kind.CLAIM, "Predicted ROAS", "multiple", nullable=True),
)
_SETTLED_SPEND_SHARE = Column(
    "settled_spend_share",
    Kind.NUMBER,
    "Share of the spend on days that Meta no longer restates; missing = no spend",
    "fraction",
    nullable=True,
)

_IS_ATTESTED = Column(
    "is_attested", Kind.FLAG, "Whether the database dated the prediction; else it only claims to"
)

PREDICTIONS = Contract(
    "predictions",
    key=("sequence",),
    columns=(
        Column("sequence", Kind.COUNT, "Order in which the database received it"),
        Column("prediction_id", Kind.TEXT, "The prediction; may be said again, with other values"),
        _VIDEO_ID,
        *_MODEL,
        *_PREDICTED,
        Column("logged_at", Kind.INSTANT, "When the database received it, or it claims", "UTC"),
        _IS_ATTESTED,
        Column("claimed_at", Kind.INSTANT, "What the product said", "UTC", nullable=True),
        Column("received_at", Kind.INSTANT, "When the database received it", "UTC"),
    ),
)
"""What models said, as they said it: even a value that makes no sense is kept and judged."""

VIDEO_LOG = Contract(
    "video_log",
    key=("sequence",),
    columns=(
        Column("sequence", Kind.COUNT, "Order in which the database received it"),
        _VIDEO_ID,
        Column("ad_id", Kind.TEXT, "The ad that runs it from then on, if any", nullable=True),
        Column("created_at", Kind.INSTANT, "When the product made it", "UTC", nullable=True),
        Column("logged_at", Kind.INSTANT, "When the database came to know it", "UTC"),
    ),
)
"""What the product said of its videos; a deleted one runs as no ad from then on."""

REVISIONS = Contract(
    "ad_actuals_revisions",
    key=("account_id", "ad_id", "report_date", "as_of_date"),
    columns=(
        Column("account_id", Kind.TEXT, "Ad account, digits"),
        _AD_ID,
        Column("report_date", Kind.DAY, "Report day"),
        Column("as_of_date", Kind.DAY, "Day from whose end on this is what was known"),
        Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217"),
        *_FIGURES,
    ),
    rules=at_least_zero("impressions", "clicks", "spend"),
)
"""What came to be known of an ad's report day, and when; zeros once Meta lists it no more."""

KNOWN_CHANGES = Contract(
    "known_changes",
    key=("is_reconstructed", "account_id", "ad_id", "known_on"),
    columns=(
        Column("is_reconstructed", Kind.FLAG, "Of the ledger for days before the account was seen"),
        Column("account_id", Kind.TEXT, "Ad account, digits"),
        _AD_ID,
        Column("known_on", Kind.DAY, "Day from whose end on the change is known"),
        Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217"),
        *_FIGURES,
        Column("settled_spend", Kind.DECIMAL, "Part of the spend that becomes settled", _MONEY),
        Column("first_shown_on", Kind.DAY, "First report day with impressions", nullable=True),
        Column("last_shown_on", Kind.DAY, "Last report day with impressions", nullable=True),
    ),
)
"""By how much the totals of an ad changed on a day: the sums up to a day are what was known then.

Changes of any size and sign: a restatement takes back what was known before.
"""

_IS_RECONSTRUCTED = Column(
    "is_reconstructed",
    Kind.FLAG,
    "Whether the earliest known figures stand for those of a day on which none were known",
)

_COMPLETENESS = (
    Column(
        "completeness",
        Kind.NUMBER,
        "Share of the final revenue that should be known, by spend; missing = not asked",
        "fraction",
        nullable=True,
    ),
    Column(
        "completeness_se",
        Kind.NUMBER,
        "Standard error of the completeness over the completeness",
        "fraction",
        nullable=True,
    ),
)

_FIGURES_TO_DATE = (
    *_FIGURES,
    Column("first_delivery_on", Kind.DAY, "First report day with impressions", nullable=True),
    Column("last_delivery_on", Kind.DAY, "Last report day with impressions", nullable=True),
    _SETTLED_SPEND_SHARE,
)

AD_TO_DATE = Contract(
    "ad_to_date",
    key=("as_of_date", "ad_id"),
    columns=(
        _AS_OF_DATE,
        _AD_ID,
        _VIDEO_ID,
        Column("created_at", Kind.INSTANT, "When the video was made", "UTC", nullable=True),
        _ACCOUNT_ID,
        _CURRENCY,
        *_FIGURES_TO_DATE,
        Column("delivery_start", Kind.INSTANT, "Start of first_delivery_on", "UTC", nullable=True),
        Column("day_end", Kind.INSTANT, "Midnight after the as-of day", "UTC"),
        _IS_RECONSTRUCTED,
    ),
)
"""One ad as of one day: what it did since its launch."""

KNOWN_DAYS = Contract(
    "known_days",
    key=("account_id", "report_date"),
    columns=(
        Column("account_id", Kind.TEXT, "Ad account, digits"),
        Column("report_date", Kind.DAY, "Report day"),
        Column("known_since", Kind.DAY, "Account's day on which it was first fetched whole"),
    ),
)
"""Which report days of an account are known whole, and since when."""

KNOWN_ACCOUNT_DAYS = Contract(
    "known_account_days",
    key=("is_reconstructed", "account_id", "report_date", "known_on"),
    columns=(
        Column("is_reconstructed", Kind.FLAG, "Of the ledger for days before the account was seen"),
        Column("account_id", Kind.TEXT, "Ad account, digits"),
        Column("report_date", Kind.DAY, "Report day"),
        Column("known_on", Kind.DAY, "Day from whose end on the change is known"),
        _IMPRESSIONS,
        _CLICKS,
        _SPEND,
        _REVENUE,
    ),
)
"""By how much the figures of an account's report day changed on a day, as KNOWN_CHANGES."""

_WINDOW_KEY = ("as_of_date", "protocol", "ad_id")
_WINDOW = (
    Column("account_id", Kind.TEXT, "Ad account, digits"),
    _AD_ID,
    Column("since", Kind.DAY, "First report day of the window"),
    Column("until", Kind.DAY, "Last report day of it, so far"),
    Column("known_by", Kind.DAY, "Day by whose end the figures were known"),
    Column("learnt_by", Kind.DAY, "The same; later if nothing was known by then, of any day"),
)
READ = [column.name for column in _WINDOW]
"""What makes two windows one and the same to read."""

_MATURES_ON = Column("matures_on", Kind.DAY, "Day at whose end the window is final")
_READING = Column("reading", Kind.COUNT, "Number of those six: equal windows are read once")

ASKED_WINDOWS = Contract(
    "asked_windows",
    key=_WINDOW_KEY,
    columns=(_AS_OF_DATE, _PROTOCOL, *_WINDOW, _READING, _MATURES_ON, _IS_RECONSTRUCTED),
)
"""The first days of an ad that a prediction is compared with, as of a day."""

WINDOW_DAYS = Contract(
    "window_days",
    key=("reading", "report_date"),
    columns=(
        _READING,
        Column("report_date", Kind.DAY, "Report day"),
        Column("known_on", Kind.DAY, "Day on which these figures came to be known"),
        *_FIGURES,
    ),
    rules=at_least_zero("impressions", "clicks", "spend"),
)
"""One report day of an asked window, as known by its `known_by`; see `READ`."""

WINDOW_FIGURES = Contract(
    "window_figures",
    key=_WINDOW_KEY,
    columns=(
        _AS_OF_DATE,
        _PROTOCOL,
        *_WINDOW,
        _MATURES_ON,
        _IS_RECONSTRUCTED,
        *_FIGURES,
        *_COMPLETENESS,
    ),
    rules=at_least_zero("impressions", "clicks", "spend"),
)
"""What one ad did in a window, as of a day."""

DELIVERED_ADS = Contract(
    "delivered_ads",
    key=("as_of_date", "protocol", "ad_id"),
    columns=(_AS_OF_DATE, _PROTOCOL, _AD_ID, _VIDEO_ID, _ACCOUNT_ID, _CURRENCY, _SPEND),
    rules=at_least_zero("spend"),
)
"""One ad that a prediction could be compared with as of one day, predicted or not."""

_PAIR_KEY = ("as_of_date", "ad_id", "model_name", "model_version", "protocol")
_SHARE_RULES = (*at_least_zero("settled_spend_share"), at_most("settled_spend_share", 1))

PAIRS = Contract(
    "pairs",
    key=_PAIR_KEY,
    columns=(
        _AS_OF_DATE,
        _AD_ID,
        *_MODEL,
        _PROTOCOL,
        Column("status", Kind.TEXT, "Whether the pair counts"),
        _ACCOUNT_ID,
        _CURRENCY,
        _VIDEO_ID,
        Column("prediction_id", Kind.TEXT, "The prediction that counts"),
        *_PREDICTED,
        Column("predicted_at", Kind.INSTANT, "When that prediction was logged", "UTC"),
        Column(
            "days_since_prediction",
            Kind.COUNT,
            "Whole days from the prediction to the end of the as-of day",
            "days",
        ),
        _IS_ATTESTED,
        *_FIGURES_TO_DATE,
        Column(
            "matures_on",
            Kind.DAY,
            "Day at whose end the comparison is final; missing where it never is",
            nullable=True,
        ),
        *_COMPLETENESS,
        Column("is_provisional", Kind.FLAG, "Whether the figures may still change by much"),
        _IS_RECONSTRUCTED,
    ),
    rules=(
        one_of("status", PAIR_STATUSES),
        *at_least_zero("days_since_prediction", "impressions", "clicks", "spend"),
        *at_least_zero("completeness", "completeness_se"),
        *_SHARE_RULES,
    ),
)
"""One prediction and what its ad did, as of one day."""


def _scores(metric: str, unit: str) -> dict[str, Column]:
    actual = Column(
        f"actual_{metric}", Kind.NUMBER, "The actual; missing = undefined", unit, nullable=True
    )
    error = Column(
        f"{metric}_error",
        Kind.NUMBER,
        "100 * (predicted - actual) / predicted; + = overestimated",
        "percent of the predicted value",
        nullable=True,
    )
    accuracy = Column(
        f"{metric}_accuracy", Kind.NUMBER, "The raw accuracy within 0..1", "fraction", nullable=True
    )
    raw = Column(
        f"{metric}_accuracy_raw",
        Kind.NUMBER,
        "1 - |predicted - actual| / predicted; negative = off by more than the prediction",
        "fraction",
        nullable=True,
    )
    direction = Column(f"{metric}_direction", Kind.TEXT, "Predicted against actual", nullable=True)
    status = Column(f"{metric}_status", Kind.TEXT, "What the metric can be compared with")
    return {
        "actual": actual,
        "error": error,
        "accuracy": accuracy,
        "accuracy_raw": raw,
        "direction": direction,
        "status": status,
    }


_CTR, _ROAS = _scores("ctr", "fraction"), _scores("roas", "multiple")

SCORED_PAIRS = Contract(
    "scored_pairs",
    key=_PAIR_KEY,
    columns=(*PAIRS.columns, *(scores[part] for part in _CTR for scores in (_CTR, _ROAS))),
    rules=(
        *PAIRS.rules,
        *(
            rule
            for metric in ("ctr", "roas")
            for rule in (
                *at_least_zero(f"{metric}_accuracy"),
                at_most(f"{metric}_accuracy", 1),
                one_of(f"{metric}_direction", DIRECTIONS),
                one_of(f"{metric}_status", METRIC_STATUSES),
            )
        ),
    ),
)
"""A pair with its errors and accuracies."""


def _judged(metric: str, unit: str, more: Column) -> tuple[Column, ...]:
    def number(name: str, meaning: str, unit: str = "") -> Column:
        return Column(f"{metric}_{name}", Kind.NUMBER, meaning, unit, nullable=True)

    return (
        number("low", "Low end of the actual's 95 % interval", unit),
        number("high", "High end of it", unit),
        number("z", "How far the actual is off", "standard deviations; + = more than predicted"),
        Column(f"{metric}_verdict", Kind.TEXT, "What may be said of the prediction", nullable=True),
        Column(f"{metric}_is_discovery", Kind.FLAG, "Off beyond chance among all that count"),
        more,
        number("ceiling", "Accuracy to expect of a prediction that is exactly true", "fraction"),
    )


JUDGED_PAIRS = Contract(
    "prediction_accuracy",
    key=_PAIR_KEY,
    columns=(
        *SCORED_PAIRS.columns,
        Column("campaign_id", Kind.TEXT, "Campaign of the ad", nullable=True),
        Column("adset_id", Kind.TEXT, "Ad set of the ad", nullable=True),
        Column(
            "dispersion", Kind.NUMBER, "Variance of the clicks over a binomial's", nullable=True
        ),
        Column("order_value", Kind.NUMBER, "Mean value of a purchase", _MONEY, nullable=True),
        *_judged(
            "ctr",
            "fraction",
            Column(
                "ctr_more_impressions",
                Kind.NUMBER,
                "Impressions more until an unresolved CTR is told from chance",
                "impressions",
                nullable=True,
            ),
        ),
        *_judged(
            "roas",
            "multiple",
            Column(
                "roas_more_purchases",
                Kind.NUMBER,
                "Purchases more until an unresolved ROAS is told from chance",
                "purchases",
                nullable=True,
            ),
        ),
        Column(
            "roas_relative_se",
            Kind.NUMBER,
            "Standard error of the ROAS over the ROAS",
            "fraction",
            nullable=True,
        ),
        Column(
            "baseline_ctr",
            Kind.NUMBER,
            "CTR of the account in the 28 days before launch",
            "fraction",
            nullable=True,
        ),
        Column(
            "baseline_roas",
            Kind.NUMBER,
            "ROAS of the account in the 28 days before launch",
            "multiple",
            nullable=True,
        ),
    ),
    rules=(
        *SCORED_PAIRS.rules,
        *(one_of(f"{metric}_verdict", VERDICTS) for metric in ("ctr", "roas")),
    ),
)
"""A scored pair with what may be concluded from it."""

MODEL_ACCURACY = Contract(
    "model_accuracy",
    key=("as_of_date", "model_name", "model_version", "protocol"),
    columns=(
        _AS_OF_DATE,
        *_MODEL,
        _PROTOCOL,
        Column(
            "ctr_mae",
            Kind.NUMBER,
            "Mean |predicted - actual| CTR, each pair alike",
            "percentage points",
            nullable=True,
        ),
        Column(
            "roas_mae",
            Kind.NUMBER,
            "Mean |predicted - actual| ROAS, each pair alike",
            "multiple",
            nullable=True,
        ),
        Column(
            "prediction_accuracy",
            Kind.NUMBER,
            "Mean over pairs of the mean of their accuracies",
            "percent",
            nullable=True,
        ),
        Column(
            "prediction_accuracy_low",
            Kind.NUMBER,
            "Low end of its 95 % interval by campaign; missing below ten campaigns",
            "percent",
            nullable=True,
        ),
        Column("prediction_accuracy_high", Kind.NUMBER, "High end of it", "percent", nullable=True),
        Column("n_clusters", Kind.COUNT, "Campaigns of those pairs", "campaigns"),
        Column(
            "noise_ceiling",
            Kind.NUMBER,
            "Accuracy to expect of a perfect model on the same volumes",
            "percent",
            nullable=True,
        ),
        Column(
            "baseline_accuracy",
            Kind.NUMBER,
            "Accuracy of the account's own rates of the 28 days before each launch",
            "percent",
            nullable=True,
        ),
        Column(
            "accuracy_of_achievable",
            Kind.NUMBER,
            "Where the accuracy lies between baseline (0) and ceiling (1)",
            "fraction",
            nullable=True,
        ),
        Column(
            "unresolved_share",
            Kind.NUMBER,
            "Share of the pairs' verdicts that need more data",
            "fraction",
            nullable=True,
        ),
        Column("n_pairs", Kind.COUNT, "Pairs in prediction_accuracy", "pairs"),
        Column("n_ctr", Kind.COUNT, "Pairs in ctr_mae", "pairs"),
        Column("n_roas", Kind.COUNT, "Pairs in roas_mae", "pairs"),
        Column("n_predicted", Kind.COUNT, "All pairs, counted or not", "pairs"),
        Column("n_leaked", Kind.COUNT, "Predicted only after the ad had delivered", "pairs"),
        Column(
            "leaked_accuracy",
            Kind.NUMBER,
            "What those would have scored; in no accuracy",
            "percent",
            nullable=True,
        ),
        Column("n_no_delivery", Kind.COUNT, "Predicted, not shown so far", "pairs"),
        Column("n_ambiguous", Kind.COUNT, "Different values that claim one instant", "pairs"),
        Column("n_invalid", Kind.COUNT, "Without one usable predicted value", "pairs"),
        Column("n_too_young", Kind.COUNT, "Video too young to compare", "pairs"),
        Column("n_too_old", Kind.COUNT, "Video too old to compare", "pairs"),
        Column("n_immature", Kind.COUNT, "Launch window not final yet", "pairs"),
        Column("n_reconstructed", Kind.COUNT, "Of n_pairs: figures learnt afterwards", "pairs"),
        Column("n_unattested", Kind.COUNT, "Of n_pairs: imported predictions", "pairs"),
        Column(
            "n_incomplete_history", Kind.COUNT, "Days since launch that were not fetched", "pairs"
        ),
        Column("n_unscored", Kind.COUNT, "Eligible, but neither metric is comparable", "pairs"),
        Column("n_no_prediction", Kind.COUNT, "Comparable ads that this version left out", "ads"),
        Column("n_unmatched", Kind.COUNT, "Predicted videos without a pair", "videos"),
        Column(
            "coverage_ads",
            Kind.NUMBER,
            "Share of the comparable ads that n_pairs covers",
            "fraction",
            nullable=True,
        ),
        Column(
            "coverage_spend",
            Kind.NUMBER,
            "The same share by spend; missing where currencies mix",
            "fraction",
            nullable=True,
        ),
        _SETTLED_SPEND_SHARE,
    ),
    rules=(
        *at_least_zero("ctr_mae", "roas_mae", "prediction_accuracy", "n_pairs", "n_no_prediction"),
        at_most("prediction_accuracy", 100),
        *at_least_zero("coverage_ads", "coverage_spend"),
        at_most("coverage_ads", 1),
        at_most("coverage_spend", 1),
        *_SHARE_RULES,
    ),
)
"""One model version as of one day: the dashboard's numbers with what they rest on."""

REVENUE_DEVELOPMENT = Contract(
    "revenue_development",
    key=("as_of_date", "account_id", "age_days"),
    columns=(
        _AS_OF_DATE,
        Column("account_id", Kind.TEXT, "Ad account, digits"),
        Column("age_days", Kind.COUNT, "From a report day to the one at whose end", "days"),
        Column(
            "revenue_share", Kind.NUMBER, "Revenue known by then over what it comes to", "fraction"
        ),
        Column("revenue_share_se", Kind.NUMBER, "Standard error of that share", "fraction"),
        Column(
            "clicks_share",
            Kind.NUMBER,
            "Clicks known by then over what they come to; missing = not measured",
            "fraction",
            nullable=True,
        ),
        Column("source", Kind.TEXT, "How the share of revenue is known"),
        Column("dating", Kind.TEXT, "The day on which purchases stand"),
        Column("n_cohorts", Kind.COUNT, "Report days that the share rests on", "days"),
        Column("pace", Kind.TEXT, "How the newest days mature, against those before"),
    ),
    rules=(
        *at_least_zero(
            "age_days", "revenue_share", "revenue_share_se", "clicks_share", "n_cohorts"
        ),
        at_most("age_days", SETTLED_AFTER_DAYS),
        one_of("source", CURVE_SOURCES),
        one_of("dating", DATINGS),
        one_of("pace", PACES),
    ),
)
"""How much of a report day's revenue and clicks is known at each age, as of one day."""

COMPARISONS = ("better", "worse", "unresolved")
"""A model version against the one before it, on the ads of both."""

MODEL_STATISTICS = Contract(
    "model_statistics",
    key=("as_of_date", "model_name", "model_version", "protocol", "statistic", "segment"),
    columns=(
        _AS_OF_DATE,
        *_MODEL,
        _PROTOCOL,
        Column("statistic", Kind.TEXT, "What is said, metric first"),
        Column("segment", Kind.TEXT, "Of which part of the pairs; empty = all"),
        Column("value", Kind.NUMBER, "The figure", "see unit"),
        Column("low", Kind.NUMBER, "Low end of its 95 % interval", "see unit", nullable=True),
        Column("high", Kind.NUMBER, "High end of it", "see unit", nullable=True),
        Column("unit", Kind.TEXT, "Unit of the three"),
        Column("n_pairs", Kind.COUNT, "Pairs that it rests on", "pairs"),
        Column("n_clusters", Kind.COUNT, "Campaigns, or groups, of those pairs", "campaigns"),
        Column("is_off", Kind.FLAG, "Whether a segment is off beyond chance, among all of them"),
        Column("verdict", Kind.TEXT, "Of a comparison of two versions", nullable=True),
    ),
    rules=(*at_least_zero("n_pairs", "n_clusters"), one_of("verdict", COMPARISONS)),
)
"""One statistic of a model version's final pairs, or of a segment of them, as of a day."""

METRICS = ("ctr", "roas")
"""What ads are compared by."""

OBSERVATIONAL = "observational"
"""Meta chose who saw which ad; nobody was drawn by lot."""

_OF_ADSET = (
    Column("account_id", Kind.TEXT, "Ad account, digits"),
    Column("adset_id", Kind.TEXT, "Ad set"),
)

KNOWN_AD_DAYS = Contract(
    "known_ad_days",
    key=("account_id", "ad_id", "report_date"),
    columns=(
        *_OF_ADSET,
        Column("campaign_id", Kind.TEXT, "Campaign", nullable=True),
        Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217"),
        _AD_ID,
        Column("report_date", Kind.DAY, "Report day"),
        _IMPRESSIONS,
        _CLICKS,
        Column("spend", Kind.NUMBER, "Money spent", _MONEY),
        _CONVERSIONS,
        Column("revenue", Kind.NUMBER, "Value of the purchases", _MONEY),
    ),
    rules=at_least_zero("impressions", "clicks", "spend"),
)
"""One report day of an ad as it was known on some day; money as float, for statistics."""


def _number(name: str, meaning: str, unit: str) -> Column:
    return Column(name, Kind.NUMBER, meaning, unit, nullable=True)


WINNERS = Contract(
    "winners",
    key=("as_of_date", "adset_id", "metric", "ad_id"),
    columns=(
        _AS_OF_DATE,
        *_OF_ADSET,
        Column("metric", Kind.TEXT, "What the ads are compared by"),
        _AD_ID,
        Column("n_days", Kind.COUNT, "Whole days with delivery that count", "days"),
        _number("rate", "Expected CTR (fraction) or ROAS (multiple)", "of the metric"),
        _number("low", "Low end of its 95 % interval", "of the metric"),
        _number("high", "High end of it", "of the metric"),
        _number("p_best", "Chance that it is the best of the ad set's ads", "fraction"),
        _number("expected_loss", "What choosing it gives away on average", "of the metric"),
        _number(
            "always_valid_p", "Chance of such a lead over every other, at any look", "fraction"
        ),
        Column("is_winner", Kind.FLAG, "Whether it may be called the best"),
        Column("missing", Kind.TEXT, "What is missing for that; none: a winner", nullable=True),
        Column("basis", Kind.TEXT, "What the comparison rests on"),
    ),
    rules=(
        one_of("metric", METRICS),
        one_of("basis", (OBSERVATIONAL,)),
        *at_least_zero("n_days", "rate", "low", "p_best", "expected_loss", "always_valid_p"),
        at_most("p_best", 1),
        at_most("always_valid_p", 1),
    ),
)
"""One ad that runs, against the others of its ad set, as of a day."""

BUDGET_ADVICE = Contract(
    "budget_advice",
    key=("as_of_date", "account_id", "adset_id"),
    columns=(
        _AS_OF_DATE,
        *_OF_ADSET,
        Column("currency", Kind.TEXT, "Currency of the account", "ISO 4217"),
        Column("spend_per_day", Kind.NUMBER, "Spend of a day with delivery, last 7 days", _MONEY),
        _number("roas", "Final ROAS to expect of the last 28 days", "multiple"),
        _number("marginal_roas", "What the next unit of spend a day brings", "multiple"),
        _number("advised_spend_per_day", "Spend a day to go to next", _MONEY),
        _number("exponent", "By how many percent revenue grows with 1 % of spend", "percent"),
        _number("exponent_low", "Low end of its 95 % interval", "percent"),
        _number("exponent_high", "High end of it", "percent"),
        Column("reason", Kind.TEXT, "Why that, or why there is no advice"),
    ),
    rules=at_least_zero("spend_per_day", "roas", "marginal_roas", "advised_spend_per_day"),
)
"""One ad set that runs, and what might be spent on it, as of a day."""
