"""The charts of the site of all nights: their Vega-Lite specification, and their data.

The specification is made with Altair and holds no data: it names what the page gives it for each
configuration and measure. So the values of all charts stand in the page once, in ``data``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from bench.text import one_line
from reports.history.drift import Drift
from reports.history.nights import PROVENANCE, changes
from reports.history.past import Past, Period
from reports.runs.night import CONFIGURATION, is_in
from reports.verdict.decision import REGRESSED
from reports.verdict.notebook import AGREES, DIFFERS

MEASURES = {
    "accuracy": "final accuracy",
    "valid_loss": "final validation loss",
    "throughput_ratio": "throughput of a training step, ratio",
}
"""What can be charted, with its title."""
KINDS, SHAPES = ("agrees", "open", "fails"), ("circle", "triangle-up", "diamond")
"""What a verdict comes to, and the shape of its point."""
NEEDED = [column for column in PROVENANCE if column != "commit"]
"""Columns whose changes are events."""
LONGEST, COMMIT = 80, 10
"""Characters of a text from the history, and of a commit, that are shown."""
HEIGHT = 170
DAY = "%Y-%m-%d"

Data = dict[str, Any]


def chart() -> Data:
    """Return the specification of a measure over the nights, for any configuration."""
    axis = alt.Axis(format=DAY, labelOverlap="greedy", labelFlush=True, tickCount=8, grid=False)
    x = alt.X("night:T", title=None, scale=alt.Scale(type="utc"), axis=axis)

    def y(column: str) -> alt.Y:
        scale, axis = alt.Scale(zero=False), alt.Axis(tickCount=4, title=None)
        return alt.Y(f"{column}:Q", scale=scale, axis=axis)

    names = ("bounds", "nights", "baselines", "events", "drifts")
    bounds, night, baseline, event, drift = (alt.Chart(alt.NamedData(name)) for name in names)
    fill, shape = (
        channel("kind:N", scale=alt.Scale(domain=KINDS, range=values), legend=None)
        for channel, values in ((alt.Fill, "category"), (alt.Shape, SHAPES))
    )
    small = alt.condition("datum.kind == 'agrees'", alt.value(16), alt.value(80))
    until, high = alt.X2("until:T"), alt.Y2("high:Q")
    hover = alt.selection_point(name="hover", nearest=True, on="pointerover", clear="pointerout")
    label = event.transform_filter("datum.shift").encode(x=x, y=alt.value(0), text="label:N")
    layers = (
        bounds.mark_tick(opacity=0, aria=False).encode(x=x),  # as wide as the charts beside it
        baseline.mark_rect(style="band").encode(x=x, x2=until, y=y("low"), y2=high),
        baseline.mark_rule(style="mean").encode(x=x, x2=until, y=y("value")),
        event.transform_filter("datum.shift").mark_rule(style="shift").encode(x=x),
        event.transform_filter("!datum.shift").mark_rule(style="change").encode(x=x),
        label.transform_filter("datum.late").mark_text(style="label", align="right", dx=-4),
        label.transform_filter("!datum.late").mark_text(style="label", align="left", dx=4),
        night.mark_area(style="interval").encode(x=x, y=y("low"), y2=high),
        night.mark_line(style="trace").encode(x=x, y=y("value")),
        night.mark_point(style="dot", tooltip=alt.TooltipContent("data"))
        .encode(
            x=x,
            y=y("value"),
            fill=fill,
            shape=shape,
            size=small,
            description="text:N",
        )
        .add_params(hover)
        .properties(name="hovered"),
        drift.mark_point(style="drift", filled=True, shape="triangle-up").encode(
            x=x, y=alt.value(alt.ExprRef("height")), description="text:N"
        ),
    )
    found: Data = alt.layer(*layers).properties(width="container", height=HEIGHT).to_dict()
    del found["config"]  # the page's, light or dark
    return found


def theme(*, dark: bool) -> Data:
    """Return Vega's configuration for a light or a dark page."""
    ink, faint, grid = (
        ("#e6e6e6", "#a8a8a8", "#3a3a3a") if dark else ("#1a1a1a", "#595959", "#e4e4e4")
    )
    line, fails, still = (
        ("#6cbcf0", "#ff9a5c", "#c4c4c4") if dark else ("#0072b2", "#c44e00", "#595959")
    )
    axis = {"labelColor": faint, "tickColor": grid, "domainColor": grid, "gridColor": grid}
    return {
        "background": None,
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": axis | {"labelFontSize": 11},
        "range": {"category": [line, still, fails]},
        "style": {
            "band": {"color": faint, "fillOpacity": 0.2},
            "mean": {"color": faint, "strokeWidth": 1},
            "interval": {"color": line, "fillOpacity": 0.2},
            "trace": {"color": line, "strokeWidth": 1.4},
            "dot": {"strokeWidth": 0, "opacity": 1},
            "shift": {"color": ink, "strokeWidth": 2},
            "change": {"color": faint, "strokeDash": [4, 3]},
            "label": {"color": ink, "fontSize": 11, "baseline": "top", "limit": 180},
            "drift": {"color": fails, "fillOpacity": 1, "opacity": 1, "strokeWidth": 0, "size": 50},
        },
    }


def data(past: Past) -> Data:
    """Return what the page needs for its charts, as plain lists and texts; nights are numbered."""
    nights = [pd.Timestamp(night) for night in sorted(past.nights["night"].unique())]
    place = {night: number for number, night in enumerate(nights)}
    first = past.nights.drop_duplicates("night").sort_values("night")
    found = {
        (str(variant), str(backend)): _values(rows, place)
        for (variant, backend), rows in past.nights.groupby(CONFIGURATION)
    }
    ends = [*(shift.night for shift in past.shifts), nights[-1]]
    for period, until in zip(past.periods, ends, strict=True):
        for configuration, own in found.items():
            for measure in MEASURES:
                own["baselines"][measure] += _band(period, configuration, measure, until)
        for drift in period.test.drifts:
            own = found[drift.variant, drift.backend]
            own["drifts"].setdefault(drift.measure, []).append(_alarm(drift, place))
    return {
        "measures": MEASURES,
        "chart": chart(),
        "themes": {"light": theme(dark=False), "dark": theme(dark=True)},
        "time": [round(night.timestamp()) for night in nights],
        "verdict": [shown(verdict) for verdict in first["verdict"]],
        "commit": [shown(commit)[:COMMIT] for commit in first["commit"]],
        "kind": [kind_of(verdict) for verdict in first["verdict"]],
        **{
            name: [shown(value) for value in first[column]]
            for name, column in (("torch", "torch_version"), ("device", "device_name"))
        },
        "events": events(past),
        "configurations": [
            {"model": variant, "backend": backend} | own
            for (variant, backend), own in found.items()
        ],
    }


def events(past: Past) -> list[Data]:
    """Return the accepted shifts and the changes of software or device, oldest first."""
    shifts = [
        {"time": round(shift.night.timestamp()), "shift": True,
         "label": f"{shift.night:{DAY}} {shown(shift.acceptance.reason)}"}
        for shift in past.shifts
    ]  # fmt: skip
    others = [
        {"time": round(change.night.timestamp()), "shift": False, "label": shown(change.label)}
        for change in changes(past.nights, NEEDED)
    ]
    return sorted([*shifts, *others], key=lambda event: event["time"])


def kind_of(verdict: str) -> str:
    """Return which of ``KINDS`` a verdict is."""
    return {AGREES: "agrees", REGRESSED: "fails", DIFFERS: "fails"}.get(verdict, "open")


def shown(text: object) -> str:
    """Return a text of the history on one line, cut where it is long; a dash for none."""
    return "-" if pd.isna(text) else one_line(text, LONGEST)  # type: ignore[call-overload]


def _values(rows: pd.DataFrame, place: dict[pd.Timestamp, int]) -> Data:
    """Return a configuration's nights, seeds, and value, low and high by measure."""
    error = np.sqrt(rows["seeds"].where(rows["seeds"] > 0))
    found: Data = {
        "night": [place[night] for night in rows["night"]],
        "seeds": rows["seeds"].tolist(),
        "values": {},
        "baselines": {measure: [] for measure in MEASURES},
        "drifts": {},
    }
    for measure in MEASURES:
        if measure == "throughput_ratio":
            columns = [rows[measure], rows[f"{measure}_low"], rows[f"{measure}_high"]]
        else:
            mean, half = rows[f"{measure}_mean"], (rows[f"{measure}_sd"] / error).fillna(0)
            columns = [mean, mean - half, mean + half]
        if columns[0].notna().any():
            found["values"][measure] = [_rounded(column) for column in columns]
    return found


def _band(
    period: Period,
    configuration: tuple[str, str],
    measure: str,
    until: pd.Timestamp,
) -> list[list[float | None]]:
    """Return from and until when a baseline holds, and its low, value and high; or nothing.

    The band has 95% of the nights' means if nothing has changed; for throughput it is the interval
    of the baseline's own measurement.
    """
    baseline = period.baseline
    if baseline is None or period.nights.empty:
        return []
    own = is_in(baseline, [configuration])
    inside = is_in(period.nights, [configuration])
    seeds = period.nights.loc[inside & (period.nights["seeds"] > 0), "seeds"]
    since = max(baseline["night"].min(), period.nights["night"].min())
    row = baseline[own].iloc[0] if own.any() else None
    if row is None or since > until or (measure != "throughput_ratio" and seeds.empty):
        return []
    if measure == "throughput_ratio":
        value, low, high = (row.get(f"{measure}{end}", np.nan) for end in ("", "_low", "_high"))
    else:
        value = row[f"{measure}_mean"]
        half = 1.96 * row[f"{measure}_sd"] * np.sqrt(1 / seeds.median() + 1 / max(row["seeds"], 1))
        low, high = value - half, value + half
    numbers = _rounded([low, value, high])
    times = [round(time.timestamp()) for time in (since, until)]
    return [] if None in numbers else [[*times, *numbers]]


def _alarm(drift: Drift, place: dict[pd.Timestamp, int]) -> Data:
    """Return the nights on which a drift is flagged, and what has drifted in words."""
    text = f"{MEASURES[drift.measure]} has {drift.way} since {drift.since:{DAY}}"
    return {"nights": [place[night] for night in drift.flagged], "text": text}


def _rounded(values: Sequence[float] | pd.Series[float]) -> list[float | None]:
    """Return numbers to five digits after the point, and None for those that are not finite."""
    return [round(float(value), 5) if np.isfinite(value) else None for value in values]
