"""Two accounts over sixteen days: few rows, and every section of the page has some of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from actuals_pipeline_tests.serving.conftest import insert_row

DAYS = [date(2026, 3, day) for day in range(1, 17)]

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
"""When the page is looked at: half an hour after the last fetch."""

FETCHED_AT = datetime(2026, 3, 16, 9, tzinfo=UTC)

MODELS = ("1", "2")

HOSTILE = '=HYPERLINK("http://elsewhere.example","x") <script>alert(1)</script>'
"""The name of the ad with most spend."""


@dataclass(frozen=True)
class Ad:
    """One ad, what it spends on the first day, and what it earns for that."""

    number: int

    @property
    def is_of_hats(self) -> bool:
        return self.number > 28

    @property
    def row(self) -> dict[str, Any]:
        """What it belongs to."""
        campaign = "c3" if self.is_of_hats else f"c{1 + self.number % 2}"
        names = {"c1": "Spring", "c2": "Summer", "c3": "Hats for all"}
        return {
            "account_id": "43" if self.is_of_hats else "42",
            "ad_id": self.id,
            "ad_name": HOSTILE if self.number == 28 else f"Ad {self.number:02}",
            "adset_id": f"s{campaign}",
            "campaign_id": campaign,
            "campaign_name": names[campaign],
            "currency": "JPY" if self.is_of_hats else "EUR",
            "video_id": str(self.video),
        }

    @property
    def id(self) -> str:
        return f"60{self.number:02}"

    @property
    def video(self) -> UUID:
        return UUID(int=self.number)

    def spend(self, place: int) -> Decimal:
        """Spend of the day at `place`: more of each ad and each day, to the cent."""
        cents = 100 * self.number + 7 * place
        return Decimal(cents) if self.is_of_hats else Decimal(cents) / 100

    def revenue(self, place: int) -> Decimal:
        return 2 * self.spend(place) if place % 2 else Decimal(0)


ADS = [Ad(number) for number in range(1, 31)]


def spend(ads: Iterator[Ad] | list[Ad], places: range | list[int]) -> Decimal:
    """What these ads spent on these days."""
    return sum((ad.spend(place) for ad in ads for place in places), Decimal(0))


def fill(database: str) -> None:
    """Put all of it into the tables."""
    with psycopg.connect(database) as connection:
        for name, row in _rows():
            insert_row(connection, name, row)


def _rows() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _actuals()
    yield from _predictions()
    yield from _scores()
    yield from _advice()
    for account, outcome, quota, of_app in (
        ("42", "complete", 12.5, 4.0),
        ("43", "refused", None, 21.0),
    ):
        yield (
            "fetch_log",
            {
                "account_id": account, "outcome": outcome, "account_quota_percent": quota,
                "app_quota_percent": of_app,
                "calls": 3, "rows": 30, "started_at": FETCHED_AT, "duration_seconds": 2.5,
                "error_message": "" if outcome == "complete" else "Meta refused the token.",
            },
        )  # fmt: skip


def _actuals() -> Iterator[tuple[str, dict[str, Any]]]:
    for place, day in enumerate(DAYS):
        for account, name, currency in (("42", "Shoes", "EUR"), ("43", "Hats", "JPY")):
            own = [ad for ad in ADS if ad.row["account_id"] == account]
            spent = spend(own, [place])
            # One day of the hats does not reconcile.
            gap = Decimal(5) if (account, place) == ("43", 4) else Decimal(0)
            common = {"account_id": account, "report_date": day, "currency": currency}
            yield (
                "meta_account_totals",
                common | {"account_name": name, "fetched_at": FETCHED_AT, "spend": spent + gap},
            )
            yield (
                "spend_reconciliation",
                common
                | {
                    "ads_spend": spent, "meta_spend": spent + gap, "spend_difference": gap,
                    "verdict": "gap" if gap else "exact",
                },
            )  # fmt: skip
        for ad in ADS:
            figures = {
                "spend": ad.spend(place), "revenue": ad.revenue(place), "impressions": 1000,
                "clicks": 10 + ad.number, "conversions": place % 2,
            }  # fmt: skip
            row = ad.row | figures | {"report_date": day, "fetched_at": FETCHED_AT}
            yield "ad_actuals", row | {"is_settled": place < 6}
            if ad.number in {1, 28}:
                revised = {
                    name: row[name] for name in ("account_id", "ad_id", "report_date", "currency")
                }
                for age, known in ((0, 2), (1, 1)):
                    yield (
                        "ad_actuals_revisions",
                        revised
                        | figures
                        | {
                            "as_of_date": day + timedelta(age), "is_listed": True,
                            "revenue": ad.revenue(place) / known,
                        },
                    )  # fmt: skip
    yield (
        "raw_meta_insights",
        {"account_id": "42", "ad_id": "6028", "report_date": DAYS[-1], "payload": '{"spend": "7"}'},
    )


def _predictions() -> Iterator[tuple[str, dict[str, Any]]]:
    for ad in ADS:
        yield "videos", {"id": ad.video, "meta_platform_id": ad.id, "created_at": FETCHED_AT}
        for version in MODELS:
            said = 0.001 * (10 + ad.number) * (1.4 if version == "1" else 1.02)
            actual = 0.001 * (10 + ad.number)
            yield (
                "predictions",
                {
                    "id": UUID(int=1000 * int(version) + ad.number), "video_id": ad.video,
                    "model_name": "ranker", "model_version": version, "predicted_ctr": said,
                    "predicted_roas": 1.1, "logged_at": datetime(2026, 2, 1, tzinfo=UTC),
                },
            )  # fmt: skip
            yield (
                "prediction_accuracy",
                {
                    "as_of_date": DAYS[-1], "ad_id": ad.id, "account_id": ad.row["account_id"],
                    "campaign_id": ad.row["campaign_id"], "currency": ad.row["currency"],
                    "video_id": str(ad.video), "prediction_id": "p", "model_version": version,
                    "status": "eligible", "ctr_status": "ok", "roas_status": "ok",
                    "predicted_ctr": said, "actual_ctr": actual, "ctr_low": actual * 0.9,
                    "ctr_high": actual * 1.1, "ctr_accuracy": 0.6 if version == "1" else 0.98,
                    "ctr_verdict": "over" if version == "1" else "within_tolerance",
                    "predicted_roas": 1.1, "actual_roas": 1.0, "roas_low": 0.5, "roas_high": 1.5,
                    "roas_verdict": "unresolved", "roas_accuracy": 0.9, "impressions": 12_000,
                    "clicks": 12 * (10 + ad.number), "spend": spend([ad], range(len(DAYS))),
                    "predicted_at": "2026-02-01T00:00:00Z",
                },
            )  # fmt: skip


def _scores() -> Iterator[tuple[str, dict[str, Any]]]:
    for day in DAYS[10:]:
        for version, value in (("1", 71.0), ("2", 92.5)):
            yield (
                "model_accuracy",
                {
                    "as_of_date": day, "protocol": "headline", "model_version": version,
                    "prediction_accuracy": value, "prediction_accuracy_low": value - 2,
                    "prediction_accuracy_high": value + 2, "baseline_accuracy": 64.0,
                    "noise_ceiling": 95.0, "n_pairs": 28 + int(version), "n_predicted": 30,
                    "coverage_spend": 0.97, "n_clusters": 12,
                },
            )  # fmt: skip
    yield (
        "model_drift",
        {
            "as_of_date": DAYS[-1], "metric": "ctr", "week": DAYS[8], "is_alarm": True,
            "is_eligible": True, "state": "breach", "state_since": DAYS[8],
        },
    )  # fmt: skip
    for account in ("42", "43"):
        for age in range(29):
            yield (
                "revenue_development",
                {
                    "as_of_date": DAYS[-1], "account_id": account, "age_days": age,
                    "revenue_share": min(1.0, 0.5 + 0.1 * age), "revenue_share_se": 0.02,
                    "source": "revisions", "dating": "conversion", "computed_at": FETCHED_AT,
                    "pace": "as_before",
                },
            )  # fmt: skip


def _advice() -> Iterator[tuple[str, dict[str, Any]]]:
    for budget, account, campaign, verdict, reason in (
        ("b1", "42", "c1", "overspending", "projected_beyond"),
        ("b2", "42", "c2", "on_track", "as_planned"),
        ("b3", "43", "c3", "underspending", "projected_below"),
    ):
        yield (
            "budget_pacing",
            {
                "as_of_date": DAYS[-1], "level": "campaign", "budget_id": budget,
                "account_id": account, "campaign_id": campaign, "name": f"Budget of {campaign}",
                "currency": "EUR" if account == "42" else "JPY", "kind": "lifetime",
                "period_start": DAYS[0], "period_end": DAYS[-1] + timedelta(9), "budget": 1000,
                "spend_limit": 1000, "spend": 700, "expected_spend": 550.0,
                "projected_spend": 1200.0, "projected_spend_low": 1100.0,
                "projected_spend_high": 1300.0, "verdict": verdict, "reason": reason,
            },
        )  # fmt: skip
    for ad, rival in ((ADS[26], ADS[24]), (ADS[27], ADS[25]), (ADS[29], ADS[28])):
        for each, chance in ((ad, 0.9), (rival, 0.1)):
            yield (
                "winners",
                {
                    "as_of_date": DAYS[-1], "adset_id": ad.row["adset_id"], "metric": "ctr",
                    "ad_id": each.id, "account_id": ad.row["account_id"], "n_days": 12,
                    "rate": 0.03, "low": 0.02, "high": 0.04, "p_best": chance,
                    "missing": "more days", "basis": "observational", "computed_at": FETCHED_AT,
                },
            )  # fmt: skip
    yield (
        "investment_summary",
        {
            "as_of_date": DAYS[-1], "scope": "overall", "since": DAYS[0], "spend": 5000,
            "spend_at_least": 5000, "investment_total": 20_000, "spent_share": 0.25,
            "outlook": "projected", "projected_end": date(2026, 6, 1), "n_accounts_covered": 2,
            "accounts_missing": "{}", "unconverted": "{}",
        },
    )  # fmt: skip
