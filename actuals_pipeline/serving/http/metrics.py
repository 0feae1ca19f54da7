"""What Prometheus reads: how fresh, how often it failed, whether it adds up, how good models are.

A handful of queries over a row a day and account, and one count of the log of fetches.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from actuals_pipeline.alerts.rules import RULES
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import queries
from actuals_pipeline.warehouse import alerts
from actuals_pipeline.warehouse.connection import Warehouse

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of what `written` returns."""

RECONCILED_DAYS = 30
"""How many trailing report days the verdicts are counted over."""


def written(warehouse: Warehouse, now: datetime) -> bytes:
    """The metrics in Prometheus's text format, as of `now`."""
    registry = CollectorRegistry()
    _freshness(registry, warehouse, now)
    _open_alerts(registry, warehouse)
    registry.register(_Fetches(queries.fetches_by_outcome(warehouse)))
    window = queries.known_window(warehouse)
    if window is not None:
        _reconciliation(registry, warehouse, window)
        _accuracy(registry, warehouse, window)
    return generate_latest(registry)


def _freshness(registry: CollectorRegistry, warehouse: Warehouse, now: datetime) -> None:
    age = Gauge(
        "actuals_newest_day_fetched_seconds",
        "Seconds since an account's newest report day was fetched; no backfill makes it younger.",
        ["account_id"],
        registry=registry,
    )
    for row in queries.newest_fetches(warehouse):
        age.labels(row["account_id"]).set((now - row["fetched_at"]).total_seconds())


def _open_alerts(registry: CollectorRegistry, warehouse: Warehouse) -> None:
    opened = Gauge(
        "actuals_open_alerts",
        "Alerts that are open, by rule; docs/operations.md lists the rules.",
        ["rule", "severity"],
        registry=registry,
    )
    for rule in RULES:
        opened.labels(rule.name, rule.severity).set(0)
    for alert in alerts.open_alerts(warehouse):
        opened.labels(alert.rule, alert.severity).inc()


class _Fetches(Collector):
    """The counts of the log of fetches, which outlive this process."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts

    def collect(self) -> list[Metric]:
        family = CounterMetricFamily(
            "actuals_fetches", "Fetches of accounts and ads, by outcome.", labels=["outcome"]
        )
        for outcome, count in self._counts.items():
            family.add_metric([outcome], count)
        return [family]


def _reconciliation(registry: CollectorRegistry, warehouse: Warehouse, window: DayWindow) -> None:
    days = Gauge(
        "actuals_reconciled_account_days",
        f"Account-days of the last {RECONCILED_DAYS} by whether the ads add up to Meta's total.",
        ["currency", "verdict"],
        registry=registry,
    )
    difference = Gauge(
        "actuals_unexplained_spend",
        f"Spend of the last {RECONCILED_DAYS} days that no listed ad explains, major units.",
        ["currency", "verdict"],
        registry=registry,
    )
    first = max(window.since, window.until - timedelta(days=RECONCILED_DAYS - 1))
    for row in queries.reconciliation(warehouse, DayWindow.inclusive(first, window.until)):
        labels = (row["currency"], row["verdict"])
        days.labels(*labels).set(row["account_days"])
        difference.labels(*labels).set(float(row["spend_difference"]))


def _accuracy(registry: CollectorRegistry, warehouse: Warehouse, window: DayWindow) -> None:
    labels = ["model_name", "model_version", "protocol"]
    accuracy = Gauge(
        "actuals_prediction_accuracy_percent",
        "Prediction accuracy of a model version under a protocol; absent where it is unknown.",
        labels,
        registry=registry,
    )
    ads = Gauge("actuals_scored_ads", "Ads that this accuracy rests on.", labels, registry=registry)
    for row in queries.models(warehouse, window.until):
        values = [row[name] for name in labels]
        ads.labels(*values).set(row["n_pairs"])
        if row["prediction_accuracy"] is not None:
            accuracy.labels(*values).set(row["prediction_accuracy"])
