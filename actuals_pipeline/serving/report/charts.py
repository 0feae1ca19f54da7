"""The charts, described in Vega-Lite: what is drawn, from which rows, in which ink.

A chart names its rows (`trend`, `pairs`, ...); the page's script fills them in from what the reader
chose, and `pictures.py` from the tables.  Colours are names of the style sheet, `var(--over)`,
which both replace by those of light or dark.  Nothing is told by colour alone: verdicts have
shapes, provisional figures are hollow.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import altair as alt

Spec = dict[str, Any]

Drawing = alt.Chart | alt.LayerChart | alt.FacetChart

HEIGHT = 200
TALL = 320

_VERDICT_NAMES = ["within tolerance", "too high", "too low", "cannot be told yet"]
_VERDICT_INKS = ["var(--within)", "var(--over)", "var(--under)", "var(--unresolved)"]
_VERDICT_SHAPES = ["circle", "triangle-up", "triangle-down", "square"]


@lru_cache(maxsize=1)
def specs() -> dict[str, Spec]:
    """Every chart by its name."""
    charts: dict[str, Drawing] = {
        "spend": _amounts("spend", "Spend"),
        "revenue": _amounts("revenue", "Revenue"),
        "roas": _rates("roas", "ROAS", ",.2f"),
        "cpa": _rates("cpa", "Cost per purchase", ",.2f"),
        "ctr_scatter": _scatter("ctr", ".2%"),
        "roas_scatter": _scatter("roas", ",.3~g"),
        "calibration": _calibration(),
        "accuracy": _accuracy(),
        "development": _development(),
        "restated": _restated(),
        "quota": _quota(),
    }
    return {name: _plain(chart) for name, chart in charts.items()}


def _plain(chart: Drawing) -> Spec:
    spec = chart.to_dict(format="vega-lite")
    # The page has one theme for all of them.
    for name in ("config", "$schema"):
        spec.pop(name, None)
    return {**spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}


def _day(name: str = "day", title: str | None = None) -> alt.X:
    axis = alt.Axis(format="%-d %b", tickCount=6, labelOverlap=True)
    return alt.X(f"{name}:T", title=title, axis=axis)


def _amounts(name: str, title: str) -> Drawing:
    """Bars a day: filled where the day is settled, hollow where Meta may still change it."""
    is_settled = "datum.state === 'settled'"
    drawing: Drawing = (
        alt.Chart(alt.NamedData("trend"), height=HEIGHT)
        .mark_rect(strokeWidth=1, stroke="var(--accent)")
        .encode(
            x=_day(),
            x2="next:T",
            y=alt.Y(f"{name}:Q", title=None, axis=alt.Axis(format=",~f", tickCount=4)),
            y2=alt.datum(0),
            fill=alt.condition(is_settled, alt.value("var(--accent)"), alt.value("var(--wash)")),
            tooltip=[
                alt.Tooltip("day:T", title="Day", format="%a %-d %b %Y"),
                alt.Tooltip(f"{name}:Q", title=title, format=",.2f"),
                alt.Tooltip("state:N", title="State"),
            ],
        )
    )
    return drawing


def _rates(name: str, title: str, form: str) -> Drawing:
    """A line a day; its points are filled where the day is settled."""
    base = alt.Chart(alt.NamedData("trend"), height=HEIGHT).encode(
        x=_day(),
        y=alt.Y(
            f"{name}:Q",
            title=None,
            scale=alt.Scale(zero=False, nice=True),
            axis=alt.Axis(format=form.replace(".2f", ".3~g"), tickCount=4),
        ),
    )
    is_settled = "datum.state === 'settled'"
    return alt.layer(
        base.mark_line(strokeWidth=1.5, color="var(--accent)"),
        base.mark_point(filled=True, size=34, stroke="var(--accent)", strokeWidth=1.5).encode(
            fill=alt.condition(is_settled, alt.value("var(--accent)"), alt.value("var(--paper)")),
            tooltip=[
                alt.Tooltip("day:T", title="Day", format="%a %-d %b %Y"),
                alt.Tooltip(f"{name}:Q", title=title, format=form),
                alt.Tooltip("state:N", title="State"),
            ],
        ),
    )


def _of_verdict(looks: list[str]) -> alt.Scale:
    return alt.Scale(domain=_VERDICT_NAMES, range=looks)


def _scatter(metric: str, form: str) -> Drawing:
    """What was predicted against what came: on the line it was right, above it too low."""
    label = metric.upper()
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(format=form, tickCount=5, labelOverlap=True)
    x = alt.X("said:Q", title=f"Predicted {label}", scale=scale, axis=axis)
    pairs = alt.Chart(alt.NamedData(f"{metric}_pairs"), height=TALL)
    line = (
        alt.Chart(alt.NamedData(f"{metric}_line"))
        .mark_line(color="var(--muted)", strokeDash=[4, 4], strokeWidth=1)
        .encode(x="at:Q", y="at:Q")
    )
    intervals = pairs.mark_rule(strokeWidth=1, opacity=0.22).encode(
        x=x,
        y=alt.Y("low:Q", title=f"Actual {label}", scale=scale, axis=axis),
        y2="high:Q",
        color=alt.Color("verdict:N", scale=_of_verdict(_VERDICT_INKS), legend=None),
    )
    points = pairs.mark_point(strokeWidth=1.4, size=42, cursor="pointer").encode(
        x=x,
        y=alt.Y("was:Q", scale=scale),
        color=alt.Color(
            "verdict:N",
            scale=_of_verdict(_VERDICT_INKS),
            legend=alt.Legend(title=None, orient="top", symbolStrokeWidth=1.6),
        ),
        shape=alt.Shape("verdict:N", scale=_of_verdict(_VERDICT_SHAPES)),
        fillOpacity=alt.condition("datum.final", alt.value(0.55), alt.value(0)),
        fill=alt.Fill("verdict:N", scale=_of_verdict(_VERDICT_INKS), legend=None),
        tooltip=[
            alt.Tooltip("name:N", title="Ad"),
            alt.Tooltip("model:N", title="Model"),
            alt.Tooltip("said:Q", title="Predicted", format=form),
            alt.Tooltip("really:Q", title="Actual", format=form),
            alt.Tooltip("between:N", title="95 % interval"),
            alt.Tooltip("verdict:N", title="Prediction is"),
            alt.Tooltip("standing:N", title="Comparison"),
        ],
    )
    return alt.layer(line, intervals, points)


def _calibration() -> Drawing:
    """Predicted against observed CTR in tenths of the ads, by prediction."""
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(format=".2%", tickCount=5, labelOverlap=True)
    bins = alt.Chart(alt.NamedData("calibration"), height=TALL)
    model = _by_model()
    x = alt.X("said:Q", title="Predicted CTR", scale=scale, axis=axis)
    y = alt.Y("was:Q", title="Observed CTR", scale=scale, axis=axis)
    line = (
        alt.Chart(alt.NamedData("calibration_line"))
        .mark_line(color="var(--muted)", strokeDash=[4, 4], strokeWidth=1)
        .encode(x="at:Q", y="at:Q")
    )
    return alt.layer(
        line,
        bins.mark_rule(strokeWidth=1.5, opacity=0.6).encode(
            x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q", color=model
        ),
        bins.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=model),
        bins.mark_point(filled=True, size=50, opacity=1).encode(
            x=x,
            y=y,
            color=model,
            shape=alt.Shape("model:N", legend=None),
            tooltip=[
                alt.Tooltip("model:N", title="Model"),
                alt.Tooltip("said:Q", title="Predicted", format=".3%"),
                alt.Tooltip("was:Q", title="Observed", format=".3%"),
                alt.Tooltip("ads:Q", title="Ads", format=","),
                alt.Tooltip("clicks:Q", title="Clicks", format=","),
            ],
        ),
    )


def _by_model() -> alt.Color:
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=2)
    inks = [f"var(--model-{place})" for place in range(1, 6)]
    return alt.Color("model:N", scale=alt.Scale(range=inks), legend=legend)


def _accuracy() -> Drawing:
    """Accuracy by as-of day with its interval and the best possible; drift alarms beside it."""
    rows = alt.Chart(alt.NamedData("accuracy"), height=TALL)
    y = alt.Y("value:Q", title="Accuracy, %", scale=alt.Scale(zero=False, padding=8))
    model = _by_model()
    dash = alt.StrokeDash(
        "kind:N",
        scale=alt.Scale(
            domain=["final, attested", "final, imported", "provisional"],
            range=[[1, 0], [6, 3], [2, 3]],
        ),
        legend=alt.Legend(title=None, orient="top", symbolStrokeWidth=2),
    )
    series = alt.Detail("series:N")
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("kind:N", title="Figures are"),
        alt.Tooltip("day:T", title="As of", format="%-d %b %Y"),
        alt.Tooltip("value:Q", title="Accuracy, %", format=".1f"),
        alt.Tooltip("between:N", title="95 % interval"),
        alt.Tooltip("ceiling:Q", title="Perfect model, %", format=".1f"),
        alt.Tooltip("baseline:Q", title="No model, %", format=".1f"),
        alt.Tooltip("pairs:Q", title="Ads", format=","),
    ]
    alarms = (
        alt.Chart(alt.NamedData("alarms"))
        .mark_point(shape="diamond", filled=True, size=120, color="var(--bad)", opacity=1)
        .encode(
            x=_day(),
            y="value:Q",
            tooltip=[
                alt.Tooltip("model:N", title="Drift alarm of"),
                alt.Tooltip("metric:N", title="Metric"),
                alt.Tooltip("day:T", title="Week of", format="%-d %b %Y"),
                alt.Tooltip("said:N", title="State"),
            ],
        )
    )
    return alt.layer(
        rows.mark_area(opacity=0.12).encode(
            x=_day(), y=alt.Y("low:Q"), y2="high:Q", color=model, detail=series
        ),
        rows.mark_line(strokeWidth=1, opacity=0.5, strokeDash=[1, 3]).encode(
            x=_day(), y="ceiling:Q", color=model, detail=series
        ),
        rows.mark_line(strokeWidth=2).encode(
            x=_day(), y=y, color=model, strokeDash=dash, detail=series
        ),
        rows.mark_point(size=60, opacity=0, filled=True).encode(x=_day(), y=y, tooltip=tooltip),
        alarms,
    )


def _development() -> Drawing:
    """How much of a report day's revenue is known by its age, in days."""
    rows = alt.Chart(alt.NamedData("development"), height=HEIGHT)
    x = alt.X("age:Q", title="Age of the day, days", axis=alt.Axis(tickCount=7))
    y = alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=5))
    account = alt.Color(
        "account:N",
        scale=alt.Scale(range=[f"var(--model-{place})" for place in range(1, 6)]),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=2),
    )
    return alt.layer(
        rows.mark_area(opacity=0.12).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=account),
        rows.mark_line(strokeWidth=2, interpolate="monotone").encode(x=x, y=y, color=account),
        rows.mark_point(size=40, filled=True, opacity=0).encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("account:N", title="Account"),
                alt.Tooltip("age:Q", title="Age, days"),
                alt.Tooltip("share:Q", title="Known by then", format=".0%"),
                alt.Tooltip("error:Q", title="Standard error", format=".1%"),
                alt.Tooltip("source:N", title="How it is known"),
            ],
        ),
    )


def _restated() -> Drawing:
    """Each report day as it was known on each day after it, of what is known by now."""
    drawing: Drawing = (
        alt.Chart(alt.NamedData("restated"), height=TALL)
        .mark_rect()
        .encode(
            x=alt.X("known:T", title="As known on", axis=alt.Axis(format="%-d %b", tickCount=6)),
            x2="known_end:T",
            y=alt.Y(
                "day:T",
                title="Report day",
                axis=alt.Axis(format="%-d %b", tickCount=8),
                scale=alt.Scale(reverse=True),
            ),
            y2="day_end:T",
            color=alt.Color(
                "share:Q",
                scale=alt.Scale(
                    domain=[0, 0.5, 1, 1.15],
                    range=["var(--heat-0)", "var(--heat-1)", "var(--heat-2)", "var(--heat-3)"],
                    clamp=True,
                ),
                legend=alt.Legend(
                    title="Revenue, of what is known now", format="%", orient="top", tickCount=4
                ),
            ),
            tooltip=[
                alt.Tooltip("day:T", title="Report day", format="%-d %b %Y"),
                alt.Tooltip("known:T", title="As known on", format="%-d %b %Y"),
                alt.Tooltip("revenue:Q", title="Revenue then", format=",.2f"),
                alt.Tooltip("share:Q", title="Of what is known now", format=".1%"),
            ],
        )
    )
    return drawing


def _quota() -> Drawing:
    """How much of Meta's call limits each fetch found used up, and how it ended."""
    rows = alt.Chart(alt.NamedData("fetches"), height=HEIGHT)
    y = alt.Y(
        "quota:Q",
        title=None,
        scale=alt.Scale(domainMin=0, nice=True),
        axis=alt.Axis(format=".0f", tickCount=4),
    )
    x = alt.X("at:T", title=None, axis=alt.Axis(tickCount=6, labelOverlap=True))
    outcomes = ["complete", "rate_limited", "refused", "failed"]
    return alt.layer(
        rows.mark_line(strokeWidth=1, color="var(--muted)").encode(
            x=x, y=y, detail=alt.Detail("account:N")
        ),
        rows.mark_point(filled=True, size=50, opacity=1).encode(
            x=x,
            y=y,
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(
                    domain=outcomes,
                    range=["var(--within)", "var(--over)", "var(--bad)", "var(--bad)"],
                ),
                legend=alt.Legend(title=None, orient="top"),
            ),
            shape=alt.Shape(
                "outcome:N",
                scale=alt.Scale(domain=outcomes, range=["circle", "square", "cross", "cross"]),
            ),
            tooltip=[
                alt.Tooltip("at:T", title="Started", format="%-d %b %H:%M"),
                alt.Tooltip("account:N", title="Account"),
                alt.Tooltip("quota:Q", title="Quota used, %", format=".1f"),
                alt.Tooltip("seconds:Q", title="Took, s", format=",.1f"),
                alt.Tooltip("waited:Q", title="Waited for Meta, s", format=",.0f"),
                alt.Tooltip("rows:Q", title="Rows", format=","),
                alt.Tooltip("outcome:N", title="Outcome"),
            ],
        ),
    )
