"""The site of all nights: one page with charts, and a page on the verdict of each night.

Text of the history is data: it is escaped here, and reaches the charts as JSON, which the page's
script only ever shows as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd

from bench.text import counted, one_line
from hnrnn.variants import VARIANTS
from reports.figures.night_charts import COMMIT, DAY, KINDS, MEASURES, data, events, kind_of, shown
from reports.history.drift import Drift
from reports.history.nights import BETWEEN_GATES, GATES
from reports.history.past import Past
from reports.pages import html
from reports.pages.history_section import MEASURE_NAMES, where
from reports.pages.site_script import SCRIPT, STYLE
from reports.verdict.findings import Finding

LIBRARY = "vega.js"
"""Vega, Vega-Lite and Vega-Embed in one file, beside the page."""
TITLE = "The human-numbers notebook, night by night"
LATEST = 90
MINUTE = "%Y-%m-%d %H:%M"
POLICY = html.policy(SCRIPT, "'self'")
NIGHT_POLICY = html.policy(html.SCRIPT)
WITHOUT = ("link", "image", "autolink")
"""What a kept page on a verdict has no need of."""


def front(past: Past, pages: Mapping[pd.Timestamp, str], findings: Sequence[Finding]) -> str:
    """Return the page of all nights; ``pages`` has the markdown on the verdicts that were kept."""
    content = json.dumps(data(past), separators=(",", ":"), allow_nan=False)
    body = "\n".join(
        [
            f"<main>\n<h1>{TITLE}</h1>",
            _latest(past.nights, pages),
            _drifts(past),
            _charts(past.nights),
            _events(past),
            _findings(findings),
            _table(past, pages),
            _unreadable(past.unreadable),
            "</main>",
            f'<script type="application/json" id="data">{_in_script(content)}</script>',
            f'<script src="{LIBRARY}"></script>',
            f"<script>{SCRIPT}</script>\n",
        ]
    )
    return html.document(body, title=TITLE, style=STYLE, policy=POLICY)


def night_page(night: pd.Timestamp, markdown: str) -> str:
    """Return the page on a night's verdict."""
    body = html.as_html(markdown, without=WITHOUT)
    back = f'<p><a href="../index.html">All nights</a></p>\n<h1>{night:{MINUTE}} UTC</h1>\n'
    return html.document(
        f"{back}{body}<script>{html.SCRIPT}</script>\n",
        title=f"The night of {night:{DAY}}",
        style=html.STYLE + html.DARK,
        policy=NIGHT_POLICY,
    )


def address(night: pd.Timestamp) -> str:
    """Return where a night's page lies, from the page of all nights."""
    return f"nights/{night:%Y%m%dT%H%M%SZ}.html"


def _in_script(text: str) -> str:
    return text.replace("<", "\\u003c")


def _latest(nights: pd.DataFrame, pages: Mapping[pd.Timestamp, str]) -> str:
    """Return the verdict on the last night, and what it rests on."""
    last = nights["night"].max()
    rows = nights[nights["night"] == last]
    row = rows.iloc[0]
    gates = str(row[GATES] or "").split(BETWEEN_GATES) if pd.notna(row[GATES]) else []
    ran = f"Gates that ran: {', '.join(map(shown, filter(None, gates)))}." if any(gates) else ""
    runs = int(rows["seeds"].sum())
    whole = counted(runs, "run") if runs else "No run of the full recipe"
    made = (
        f"{whole} of {counted(len(rows), 'configuration')}, on "
        f"{shown(row['device_name'])} with torch {shown(row['torch_version'])}, commit "
        f"{shown(row['commit'])[:COMMIT]}. {ran}"
    )
    words = pages[last].split("\n\n")[1:2] if last in pages else []
    evidence = html.as_html("".join(words), without=WITHOUT)
    link = f'<p><a href="{address(last)}">All of its evidence</a></p>' if last in pages else ""
    verdict = escape(shown(row["verdict"]))
    return (
        f'<section class="verdict {kind_of(row["verdict"])}" aria-label="The latest verdict">\n'
        f"<p>The night of {last:{MINUTE}} UTC"
        f'<strong class="word">{verdict[:1].upper()}{verdict[1:]}</strong></p>\n'
        f"{evidence}<p>{escape(made)}</p>\n{link}\n</section>"
    )


def _drifts(past: Past) -> str:
    """Name what drifts now, and what was tested."""
    test = past.test
    if not test.columns or test.nights < 2:
        return "<p>There are too few nights yet to test for slow drift.</p>"
    tested = f"{counted(test.columns, 'column')} tested over {counted(test.nights, 'night')}"
    if past.shifts:
        tested += f" since the accepted shift of {past.shifts[-1].night:{DAY}}"
    found = [_sentence(drift) for drift in test.drifts if drift.standing]
    said = f"Slow drift on the last night ({tested})" if found else f"No slow drift ({tested})"
    return f"<p><strong>{said}{':' if found else '.'}</strong></p>\n{_list(found)}"


def _sentence(drift: Drift) -> str:
    return (
        f"{drift.variant} {drift.backend}: {MEASURE_NAMES[drift.measure]} has {drift.way} from "
        f"{drift.reference_mean:.4f} to {drift.mean:.4f} since {drift.since:{DAY}} "
        f"({'worse' if drift.worse else 'better'})"
    )


def _charts(nights: pd.DataFrame) -> str:
    """Return the filters, the legend, and the place of the charts."""
    there = set(nights["variant"])
    models = {name: f"{name}: {VARIANTS[name].description}" for name in VARIANTS if name in there}
    spans = {str(LATEST): f"the latest {LATEST}", "all": f"all {nights['night'].nunique()}"}
    controls = [
        _select("model", "Model", {"": "all", **models}),
        _select("measure", "Shown", MEASURES),
        _select("nights", "Nights", spans),
    ]
    marks = {"agrees": "\u25cf agrees", "open": "\u25b2 incomplete or inconclusive",
             "fails": "\u25c6 regressed or differs"}  # fmt: skip
    legend = "; ".join(f'<span class="{kind}">{marks[kind]}</span>' for kind in KINDS)
    return (
        "<h2>Charts</h2>\n"
        f'<form class="filters" aria-label="What the charts show">{"".join(controls)}</form>\n'
        f'<p class="legend">A point is a night ({legend}), with its standard error or its 95% '
        "interval. The grey band has 95% of the nights if nothing has changed since the baseline; "
        "for throughput it is the baseline's own interval. A thick line is an accepted shift, a "
        "dashed one a change of software or device, and a triangle at the bottom a night on which "
        "slow drift is flagged. Point at a night, or move from night to night with the arrow "
        "keys.</p>\n"
        "<noscript><p>The charts need JavaScript; the table of nights does not.</p></noscript>\n"
        '<div id="charts" aria-label="Charts by night" role="region"></div>'
    )


def _select(name: str, label: str, options: Mapping[str, str]) -> str:
    found = "".join(
        f'<option value="{value}">{escape(text)}</option>' for value, text in options.items()
    )
    return f'<label>{label} <select name="{name}">{found}</select></label>'


def _events(past: Past) -> str:
    """List the accepted shifts and the changes of software or device, the newest first."""
    shifts = [
        f"{shift.night:{DAY}}: {one_line(shift.acceptance.reason)} ({one_line(where(shift))}; "
        f"accepted {shown(shift.acceptance.accepted)})"
        for shift in reversed(past.shifts)
    ]
    others = [
        f"{pd.Timestamp(event['time'], unit='s'):{DAY}}: {event['label']}"
        for event in reversed(events(past))
        if not event["shift"]
    ]
    parts = [("Accepted shifts", shifts), ("Changes of software or device", others)]
    return "\n".join(f"<h2>{title}</h2>\n{_list(lines)}" for title, lines in parts if lines)


def _findings(findings: Sequence[Finding]) -> str:
    """List the accepted findings, which fail no night."""
    if not findings:
        return ""
    lines = [
        f"{finding.variant}: {finding.as_extreme} of {finding.seeds:,} seeds have a table as "
        f"extreme as the notebook's. {one_line(finding.reason)}"
        for finding in findings
    ]
    return f"<h2>Accepted findings</h2>\n{_list(lines)}"


def _list(lines: Sequence[str]) -> str:
    return (
        ""
        if not lines
        else "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
    )


def _table(past: Past, pages: Mapping[pd.Timestamp, str]) -> str:
    """Return the table of all nights, the newest first."""
    header = ["night (UTC)", "verdict", "seeds", "diverged", "torch", "device", "commit", "events"]
    said: dict[int, list[str]] = {}
    for event in events(past):
        said.setdefault(event["time"], []).append(event["label"])
    lines = []
    for number, (_, rows) in enumerate(past.nights.groupby("night")):
        row = rows.iloc[0]
        night: pd.Timestamp = row["night"]
        time, label = f"{night:{MINUTE}}", said.get(round(night.timestamp()), [])
        cells = [
            f'<a href="{address(night)}">{time}</a>' if night in pages else time,
            escape(shown(row["verdict"])),
            str(int(rows["seeds"].max())),
            str(int(rows["diverged"].sum())),
            *(escape(shown(row[name])) for name in ("torch_version", "device_name")),
            escape(shown(row["commit"])[:COMMIT]),
            escape("; ".join(label)),
        ]
        kind = ["", kind_of(row["verdict"]), *[""] * 6]
        text = "".join(
            f'<td data-label="{label}"{f" class={name}" if name else ""}>{cell}</td>'
            for label, name, cell in zip(header, kind, cells, strict=True)
        )
        lines.append(f'<tr data-night="{number}">{text}</tr>')
    heads = "".join(f"<th>{name}</th>" for name in header)
    return (
        f'<h2>{counted(len(lines), "night")}</h2>\n<div class="table"><table class="nights">'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{chr(10).join(reversed(lines))}\n</tbody>"
        "</table></div>"
    )


def _unreadable(unreadable: Mapping[str, str]) -> str:
    if not unreadable:
        return ""
    lines = [f"{shown(name)}: {one_line(reason)}" for name, reason in unreadable.items()]
    return f"<h2>Files that cannot be used</h2>\n<p>They are missing above.</p>\n{_list(lines)}"
