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
BUDGET = 34
"""Pixels of one budget."""

MOST_BUDGETS = 12
"""Budgets that are drawn, those that need attention first; the table has all."""

# Vega's expressions for the labels of axes, with units as in the tables.
_PERCENTS = "format(datum.value * 100, ',.3~g') + ' %'"
_MULTIPLES = "format(datum.value, ',.3~g') + '\N{MULTIPLICATION SIGN}'"
_NUMBERS = "format(datum.value, ',.3~g')"

_VERDICT_NAMES = ["within tolerance", "too high", "too low", "cannot be told yet"]
_VERDICT_INKS = ["var(--within)", "var(--over)", "var(--under)", "var(--unresolved)"]
_VERDICT_SHAPES = ["circle", "triangle-up", "triangle-down", "square"]


@lru_cache(maxsize=1)
def specs() -> dict[str, Spec]:
    """Every chart by its name."""
    charts: dict[str, Drawing] = {
        "spend": _amounts("spend", "Spend"),
        "revenue": _amounts("revenue", "Revenue"),
        "roas": _rates("roas", "ROAS", _MULTIPLES),
        "cpa": _rates("cpa", "Cost per purchase", _NUMBERS),
        "ctr_scatter": _scatter("ctr", _PERCENTS),
        "roas_scatter": _scatter("roas", _MULTIPLES),
        "calibration": _calibration(),
        "accuracy": _accuracy(),
        "development": _development(),
        "restated": _restated(),
        "pacing": _pacing(),
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


def _told(**titles: str) -> list[alt.Tooltip]:
    """A tooltip of fields that the page's script has written as people read them."""
    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def _amounts(name: str, title: str) -> Drawing:
    """A bar a day or a week: filled where it is settled, pale where Meta may still change it."""
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
            tooltip=_told(when="Report days", **{f"{name}_told": title}, state="State"),
        )
    )
    return drawing


def _rates(name: str, title: str, labels: str) -> Drawing:
    """A line of each seven days together over the points of each day alone."""
    base = alt.Chart(alt.NamedData("rates"), height=HEIGHT).encode(x=_day())
    axis = alt.Axis(labelExpr=labels, tickCount=4)
    scale = alt.Scale(zero=True, nice=True)
    is_settled = "datum.state === 'settled'"
    return alt.layer(
        base.mark_point(filled=True, size=26, strokeWidth=1, stroke="var(--rest)").encode(
            y=alt.Y(f"{name}:Q", title=None, scale=scale, axis=axis),
            fill=alt.condition(is_settled, alt.value("var(--rest)"), alt.value("var(--paper)")),
        ),
        base.mark_line(strokeWidth=2, color="var(--accent)").encode(
            y=alt.Y(f"{name}_of_7:Q", title=None, scale=scale)
        ),
        # Wide enough to be found with a finger.
        base.mark_point(size=300, opacity=0, filled=True).encode(
            y=alt.Y(f"{name}:Q", title=None, scale=scale),
            tooltip=_told(
                when="Report day",
                **{f"{name}_told": title, f"{name}_of_7_told": "7 days to it"},
                state="State",
            ),
        ),
    )


def _of_verdict(looks: list[str]) -> alt.Scale:
    return alt.Scale(domain=_VERDICT_NAMES, range=looks)


def _log(labels: str) -> tuple[alt.Scale, alt.Axis]:
    """A logarithmic scale; its axis has no lines, of which there would be too many."""
    axis = alt.Axis(labelExpr=labels, labelOverlap="greedy", labelSeparation=14, grid=False)
    return alt.Scale(type="log", nice=False, padding=12), axis


def _scatter(metric: str, labels: str) -> Drawing:
    """What was predicted against what came: on the line it was right, above it too low."""
    label = metric.upper()
    scale, axis = _log(labels)
    x = alt.X("said:Q", title=f"Predicted {label}", scale=scale, axis=axis)
    pairs = alt.Chart(alt.NamedData(f"{metric}_pairs"), height=TALL)
    verdict = alt.Color(
        "verdict:N",
        scale=_of_verdict(_VERDICT_INKS),
        legend=alt.Legend(title=None, orient="bottom", symbolStrokeWidth=1.6),
    )
    line = (
        alt.Chart(alt.NamedData(f"{metric}_line"))
        .mark_line(color="var(--muted)", strokeDash=[4, 4], strokeWidth=1)
        .encode(x="at:Q", y="at:Q")
    )
    intervals = pairs.mark_rule(strokeWidth=1, opacity=0.22).encode(
        x=x,
        y=alt.Y("low:Q", title=f"Actual {label}", scale=scale, axis=axis),
        y2="high:Q",
        color=verdict,
    )
    points = pairs.mark_point(strokeWidth=1.4, size=42, cursor="pointer").encode(
        x=x,
        y=alt.Y("was:Q", scale=scale),
        color=verdict,
        shape=alt.Shape("verdict:N", scale=_of_verdict(_VERDICT_SHAPES)),
        fillOpacity=alt.condition("datum.final", alt.value(0.55), alt.value(0)),
        fill=alt.Fill(
            "verdict:N",
            scale=_of_verdict(_VERDICT_INKS),
            legend=alt.Legend(title=None, orient="bottom", symbolStrokeWidth=1.6),
        ),
        tooltip=_told(
            name="Ad",
            model="Model",
            said_told="Predicted",
            really_told="Actual",
            between="95 % interval",
            verdict="Prediction is",
            standing="Comparison",
        ),
    )
    return alt.layer(line, intervals, points)


def _calibration() -> Drawing:
    """Predicted against observed CTR in tenths of the ads, by prediction."""
    scale, axis = _log(_PERCENTS)
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
            tooltip=_told(
                model="Model",
                said_told="Predicted",
                was_told="Observed",
                ads="Ads",
                clicks="Clicks",
            ),
        ),
    )


def _lines() -> alt.Legend:
    """A legend of lines, none as faint as the bands that share its colours."""
    return alt.Legend(
        title=None, orient="bottom", symbolType="stroke", symbolStrokeWidth=2, symbolOpacity=1
    )


def _by_model() -> alt.Color:
    legend = _lines()
    inks = [f"var(--model-{place})" for place in range(1, 6)]
    return alt.Color("model:N", scale=alt.Scale(range=inks), legend=legend)


def _accuracy() -> Drawing:
    """Accuracy by as-of day with its interval and the best possible; drift alarms beside it."""
    rows = alt.Chart(alt.NamedData("accuracy"), height=TALL)
    axis = alt.Axis(labelExpr="datum.label + ' %'", tickCount=5)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, padding=8), axis=axis)
    model = _by_model()
    dash = alt.StrokeDash(
        "kind:N",
        scale=alt.Scale(
            domain=["final, attested", "final, imported, unattested", "provisional"],
            range=[[1, 0], [6, 3], [2, 3]],
        ),
        legend=None,
    )
    series = alt.Detail("series:N")
    tooltip = _told(
        model="Model",
        kind="Figures are",
        when="As of",
        value_told="Accuracy",
        between="95 % interval",
        ceiling_told="Best possible",
        baseline_told="Without a model",
        pairs="Ads",
    )
    alarms = (
        alt.Chart(alt.NamedData("alarms"))
        .mark_point(shape="diamond", filled=True, size=120, color="var(--bad)", opacity=1)
        .encode(
            x=_day(),
            y="value:Q",
            tooltip=_told(model="Drift alarm of", metric="Metric", when="Week of", said="State"),
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
    y = alt.Y("share:Q", title=None, axis=alt.Axis(labelExpr=_PERCENTS, tickCount=5))
    account = alt.Color(
        "account:N",
        scale=alt.Scale(range=[f"var(--model-{place})" for place in range(1, 6)]),
        legend=_lines(),
    )
    return alt.layer(
        rows.mark_area(opacity=0.12).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=account),
        rows.mark_line(strokeWidth=2, interpolate="monotone").encode(x=x, y=y, color=account),
        rows.mark_point(size=40, filled=True, opacity=0).encode(
            x=x,
            y=y,
            tooltip=_told(
                account="Account",
                age="Age, days",
                share_told="Known by then",
                error_told="Standard error",
                source="How it is known",
            ),
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
                    title="Revenue, of what is known now",
                    labelExpr=_PERCENTS,
                    orient="bottom",
                    tickCount=4,
                ),
            ),
            tooltip=_told(
                when="Report day",
                known_when="As known on",
                revenue_told="Revenue then",
                share_told="Of what is known now",
            ),
        )
    )
    return drawing


def _pacing() -> Drawing:
    """Each budget as a bar of what is spent of it, with where it should be and where it ends."""
    rows = alt.Chart(alt.NamedData("budgets"), height=alt.Step(BUDGET)).transform_filter(
        f"datum.place < {MOST_BUDGETS}"
    )
    y = alt.Y(
        "name:N",
        title=None,
        sort=None,
        axis=alt.Axis(domain=False, labelLimit=190, labelPadding=8),
    )
    axis = alt.Axis(labelExpr=_PERCENTS, tickCount=5, grid=True)
    x = alt.X("spent:Q", title="Of the budget", axis=axis, scale=alt.Scale(nice=False))
    names = ["spends too much", "spends too little", "on track", "paused", "cannot be told"]
    inks = ["over", "under", "within", "unresolved", "unresolved"]
    verdict = alt.Color(
        "said:N",
        scale=alt.Scale(domain=names, range=[f"var(--{ink})" for ink in inks]),
        legend=None,
    )
    tooltip = _told(
        full_name="Budget",
        budget_told="Planned",
        spent_told="Spent",
        expected_told="Expected by now",
        projected_told="Projected",
        said="It",
    )
    whole = rows.mark_bar(height=14, color="var(--raised)", stroke="var(--line)").encode(
        y=y, x="whole:Q", tooltip=tooltip
    )
    return alt.layer(
        whole,
        rows.mark_bar(height=14).encode(y=y, x=x, color=verdict, tooltip=tooltip),
        rows.mark_rule(strokeWidth=2).encode(y=y, x="low:Q", x2="high:Q", color=verdict),
        rows.mark_tick(thickness=2, size=22, color="var(--ink)").encode(
            y=y, x="expected:Q", tooltip=tooltip
        ),
    )


def _quota() -> Drawing:
    """How much of Meta's call limits each fetch found used up, and how it ended."""
    rows = alt.Chart(alt.NamedData("fetches"), height=HEIGHT)
    y = alt.Y(
        "quota:Q",
        title=None,
        axis=alt.Axis(labelExpr="datum.label + ' %'", tickCount=4),
    )
    x = alt.X(
        "at:T",
        title=None,
        axis=alt.Axis(format="%-d %b %H:%M", tickCount=5, labelOverlap="greedy"),
    )
    outcomes = ["complete", "rate_limited", "refused", "failed"]
    return alt.layer(
        rows.mark_line(strokeWidth=1, color="var(--muted)").encode(
            # So that a percent of the limits does not look like all of them.
            x=x,
            y=y.scale(domain=alt.DomainUnionWith(unionWith=[0, 10]), nice=True),
            detail=alt.Detail("account:N"),
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
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            shape=alt.Shape(
                "outcome:N",
                scale=alt.Scale(domain=outcomes, range=["circle", "square", "cross", "cross"]),
            ),
            tooltip=[
                alt.Tooltip("at:T", title="Started", format="%-d %b %H:%M"),
                *_told(
                    account="Account",
                    account_quota_told="Of the account's limit",
                    app_quota_told="Of the app's limit",
                    seconds_told="Took",
                    waited_told="Waited for Meta",
                    rows="Rows",
                    outcome="Outcome",
                ),
            ],
        ),
    )
