"""The charts as SVG, for where there is no browser: what the page draws, in its light colours."""

from __future__ import annotations

import re
from typing import Any

import vl_convert

from actuals_pipeline.accuracy.protocols import HEADLINE, HEADLINE_UNATTESTED, LAUNCH_TO_DATE
from actuals_pipeline.serving.report import charts, vega
from actuals_pipeline.serving.report.page import template_text
from actuals_pipeline.serving.report.reading import Reading, Row

_WIDTH = 640

_KINDS = {
    HEADLINE: "final, attested",
    HEADLINE_UNATTESTED: "final, imported, unattested",
    LAUNCH_TO_DATE: "provisional",
}


def accuracy_svg(reading: Reading) -> str | None:
    """Accuracy over time of each model version; None where none was scored."""
    rows = [_scored(row) for row in reading["accuracy"] if row["protocol"] in _KINDS]
    return _svg("accuracy", {"accuracy": rows, "alarms": []}) if rows else None


def spend_svg(reading: Reading, currency: str) -> str | None:
    """Spend day by day in one currency; None where there is none."""
    by_day: dict[Any, dict[str, Any]] = {}
    for row in reading["days"]:
        if row["currency"] == currency:
            day = by_day.setdefault(row["report_date"], {"spend": 0, "settled": True})
            day["spend"] += row["spend"]
            day["settled"] &= row["is_settled"]
    rows = [
        {
            "day": f"{day}T00:00:00",
            "next": f"{day}T19:00:00",
            "spend": float(sums["spend"]),
            "state": "settled" if sums["settled"] else "provisional",
        }
        for day, sums in sorted(by_day.items())
    ]
    return _svg("spend", {"trend": rows}) if rows else None


def _scored(row: Row) -> dict[str, Any]:
    model = f"{row['model_name']} {row['model_version']}"
    return {
        "day": f"{row['as_of_date']}T00:00:00",
        "model": model,
        "kind": _KINDS[row["protocol"]],
        "series": f"{model} {row['protocol']}",
        "value": row["prediction_accuracy"],
        "low": row["prediction_accuracy_low"],
        "high": row["prediction_accuracy_high"],
        "ceiling": row["noise_ceiling"],
        "baseline": row["baseline_accuracy"],
        "pairs": row["n_pairs"],
    }


def _svg(name: str, datasets: dict[str, list[dict[str, Any]]]) -> str:
    spec = {
        **charts.specs()[name],
        "width": _WIDTH,
        "background": "white",
        "padding": 12,
        "datasets": datasets,
        "config": {"view": {"stroke": None}, "axis": {"gridColor": "#e3e6ea", "domain": False}},
    }
    svg: str = vl_convert.vegalite_to_svg(_inked(spec, _light()), vl_version=vega.VEGA_LITE)
    return svg


def _light() -> dict[str, str]:
    """The colours of the style sheet's first block by name."""
    block = template_text("page.css").partition("}")[0]
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", block))


def _inked(spec: Any, inks: dict[str, str]) -> Any:
    if isinstance(spec, dict):
        return {name: _inked(value, inks) for name, value in spec.items()}
    if isinstance(spec, list):
        return [_inked(value, inks) for value in spec]
    found = re.fullmatch(r"var\((--[\w-]+)\)", spec) if isinstance(spec, str) else None
    return inks[found[1]] if found else spec
