"""The numbers at the top of the page, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from actuals_pipeline.serving.report import scores, wording
from actuals_pipeline.serving.report.money import money_by_currency, ratio
from actuals_pipeline.serving.report.reading import Reading, Row
from actuals_pipeline.serving.report.tables import last_fetches

_OUTLOOKS = {
    "never": "at the pace of the last 28 days it is never spent",
    "too_few_days": "how long it lasts cannot be told yet: too few days",
    "unconverted": "how long it lasts cannot be told: import exchange rates with `actuals rates`",
}

_SECTIONS = {
    "invested": "budgets",
    **dict.fromkeys(("spend", "revenue", "roas", "cpa"), "money"),
    "reconciled": "reconciliation",
    **dict.fromkeys(("accuracy", "coverage"), "predicted"),
    "fetched": "health",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, and beside it what it rests on.

    `state` is good, warn, bad or none; `leads` says that it answers what is asked first; `filled`
    is the fraction that a bar below it shows.
    """

    key: str
    label: str
    values: Sequence[str]
    note: str
    state: str = ""
    leads: bool = False
    filled: float | None = None

    @property
    def section(self) -> str:
        """The id of the section that tells more of it."""
        return _SECTIONS[self.key]


def tiles_of(reading: Reading) -> list[Tile]:
    """The tiles: what was spent, whether it reconciles and how good the model is come first."""
    invested = _investment_tile(reading["investment"])
    spend, *others = _money_tiles(reading, spend_leads=invested is None)
    return [
        *([invested, spend] if invested else [spend]),
        _reconciled_tile(reading["reconciled"]),
        _accuracy_tile(reading["models"]),
        *others,
        _coverage_tile(reading["models"]),
        _fetch_tile(reading),
    ]


def _investment_tile(rows: Sequence[Row]) -> Tile | None:
    """What is spent of the investment; None where none is set, or nothing can be said of it."""
    row = next(iter(rows), None)
    if row is None or not row["investment_total"]:
        return None
    code, filled = row["currency"], row["spent_share"]
    spent = wording.amount(row["spend"], code)
    if row["spend"] is None:
        spent = f"at least {wording.amount(row['spend_at_least'], code)}"
    share = "" if filled is None else f"{wording.share(filled, 1)} "
    total = wording.amount(row["investment_total"], code)
    note = f"{share}of {total} since {row['since']}; {_outlook(row)}"
    state = "bad" if filled is not None and filled > 1 else ""
    return Tile(
        "invested", "Spent of the investment", [spent], note, state, leads=True, filled=filled
    )


def _outlook(row: Row) -> str:
    if row["outlook"] in _OUTLOOKS:
        return _OUTLOOKS[row["outlook"]]
    if row["outlook"] == "spent":
        return f"all of it was spent on {row['projected_end']}"
    low, high = row["projected_end_low"], row["projected_end_high"]
    between = f" (95 %: {low} to {high or 'no end'})" if low else ""
    return f"lasts until {row['projected_end']}{between} at the pace of the last 28 days"


def _money_tiles(reading: Reading, *, spend_leads: bool) -> list[Tile]:
    money = money_by_currency(reading["days"])

    def each(name: str) -> list[str]:
        return [wording.amount(Decimal(sums[name]), code) for code, sums in money.items()]

    roas = [
        wording.multiple(ratio(sums["revenue"], sums["spend"])) + _in(code, money)
        for code, sums in money.items()
    ]
    cpa = [
        wording.amount(ratio(sums["spend"], sums["conversions"]), code)
        for code, sums in money.items()
    ]
    bought = sum(sums["conversions"] for sums in money.values())
    unknown = [wording.UNKNOWN]
    return [
        Tile(
            "spend", "Spend", each("spend") or unknown, f"of {_days_said(reading)}",
            leads=spend_leads,
        ),
        Tile("revenue", "Revenue", each("revenue") or unknown, _moving(reading, money)),
        Tile("roas", "ROAS", roas or unknown, "revenue for each unit spent"),
        Tile("cpa", "Cost per purchase", cpa or unknown, f"{bought:,} purchases"),
    ]  # fmt: skip


def _moving(reading: Reading, money: Mapping[str, Row]) -> str:
    """How much of the spend is on days whose revenue may still change."""
    shares = ", ".join(
        wording.share(share) + _in(code, money) for code, share in _young_shares(reading).items()
    )
    return f"{shares} of the spend is on days that may still change" if shares else "all settled"


def _reconciled_tile(rows: Sequence[Row]) -> Tile:
    key, label = "reconciled", "Reconciled with Meta"
    if not rows:
        return Tile(key, label, ["Not yet"], "no account-day was compared", "warn", leads=True)
    gaps: dict[str, Decimal] = {}
    for row in rows:
        gap = abs(row["spend_difference"])
        gaps[row["currency"]] = gaps.get(row["currency"], Decimal(0)) + gap
    told = ", ".join(wording.amount(gap, code) for code, gap in sorted(gaps.items()) if gap)
    exact = sum(row["verdict"] == "exact" for row in rows)
    note = (
        f"Meta's own total and the sum over the ads agree on {exact:,} of {len(rows):,} "
        f"account-days; {f'gap {told}' if told else 'no gap'}"
    )
    if exact == len(rows):
        return Tile(key, label, ["To the cent"], note, "good", leads=True)
    beyond = any(row["verdict"] == "gap" for row in rows)
    word = "No" if beyond else "Within tolerance"
    return Tile(key, label, [word], note, "bad" if beyond else "warn", leads=True)


def _accuracy_tile(models: Sequence[Row]) -> Tile:
    key, label = "accuracy", "Model accuracy"
    score = scores.best(models)
    if score is None:
        note = "no prediction was scored yet"
        return Tile(key, label, [wording.UNKNOWN], note, "warn", leads=True)
    return Tile(key, label, [score.told, score.sureness], score.note, leads=True)


def _coverage_tile(models: Sequence[Row]) -> Tile:
    label = "Prediction coverage"
    if not models:
        return Tile("coverage", label, [wording.UNKNOWN], "no prediction was scored yet", "warn")
    best = models[0]
    by_spend = best["coverage_spend"]
    known = by_spend if by_spend is not None else best["coverage_ads"]
    of_what = "of the spend" if by_spend is not None else "of the ads"
    left = best["n_predicted"] - best["n_pairs"]
    note = f"{of_what} has a scored prediction; {left:,} of {best['n_predicted']:,} left out"
    return Tile("coverage", label, [wording.share(known)], note)


def _fetch_tile(reading: Reading) -> Tile:
    accounts = reading["accounts"]
    oldest = min((row["fetched_at"] for row in accounts), default=None)
    last = last_fetches(reading["fetches"])
    failed = [account for account, row in last.items() if row["outcome"] != "complete"]
    note = f"{len(accounts)} account{'s' * (len(accounts) != 1)}"
    if failed:
        note = f"the last fetch of {', '.join(failed)} failed: see Fetches below"
    state = "bad" if failed else ""
    return Tile("fetched", "Last fetch", [wording.instant(oldest)], note, state)


def _days_said(reading: Reading) -> str:
    window, accounts = reading.window, reading["accounts"]
    if window is None:
        return wording.UNKNOWN
    missing = len(window) * len(accounts) - sum(row["days"] for row in accounts)
    days = f"{len(window)} day{'s' * (len(window) != 1)}"
    return f"{days}, {missing:,} account-days never fetched" if missing else days


def _young_shares(reading: Reading) -> dict[str, Decimal]:
    """By currency: share of the spend on days that Meta may still restate, where there is any."""
    money = money_by_currency(reading["days"])
    young = money_by_currency([row for row in reading["days"] if not row["is_settled"]])
    return {
        code: young[code]["spend"] / sums["spend"]
        for code, sums in money.items()
        if code in young and sums["spend"]
    }


def _in(code: str, money: Mapping[str, Row]) -> str:
    """The currency of a figure that has none in itself, where there are several."""
    return f" in {code}" if len(money) > 1 else ""
