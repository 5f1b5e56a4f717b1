"""The report's section on backends: are they equal, and what does each cost?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.store.records import OK
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.pages.tables import NO_VALUE, escape, number, paragraphs, table, table_of
from reports.runs.attribution import Attribution, Estimate, attribute
from reports.runs.ratios import Ratio, latest, ratios
from reports.runs.selection import Selection

KEYS = ["variant", "backend", "aa_control"]
GUIDE = (
    "A backend is a way to execute a model's recurrence: same mathematics, same weights. Each "
    "is timed after it has passed a parity gate, in rounds: within a round every backend is "
    "timed for a moment, in shuffled order. The ratios are tokens per second over those of the "
    "reference: the median over the rounds, with its 95% bootstrap interval. *step* is a full "
    "training step (forward, loss, backward, optimizer). *apart* is the largest difference "
    "from the reference in outputs, state and gradients, as a share of the largest value. "
    "The *A/A control* is the reference timed a second time: its ratio should be 1."
)


def section(selection: Selection, published: pd.DataFrame) -> str:
    """Return the section; its picture is ``backends.png``, where there is a measurement."""
    samples = latest(selection.throughput)
    parts = [_device(str(name), rows) for name, rows in samples.groupby("device_name", sort=True)]
    if samples.empty:
        parts.append("No throughput was measured here: `python -m bench throughput` measures it.")
    if "cuda" not in set(samples["device"]):
        parts.append(
            "Not yet measured on a GPU: `tox -e throughput -- --device cuda` measures it there."
        )
    return paragraphs(
        "## Backends", GUIDE, *parts, _attribution(attribute(selection.grid, published))
    )


def _device(name: str, rows: pd.DataFrame) -> str:
    """Return the parts on one device: the table of its variants, and what could not be timed."""
    found, first, timed = ratios(rows), rows.iloc[0], rows[rows["status"] == OK]
    conditions = (
        f"torch {escape(first['torch_version'])}, {counted(first['threads'], 'thread')}, "
        f"{escape(first['dtype'])}, {max((r.rounds for r in found), default=0)} rounds."
    )
    parts = [f"### On {escape(name)}", conditions]
    if found:
        parts += ["![Throughput of the backends as ratios](backends.png)", _timings(found, timed)]
    parts.append(_not_timed(rows[rows["status"] != OK]))
    if timed["parity_tf32"].notna().any():
        parts.append(
            "No run and no timing here allows TF32. With it, float32 results would be up to "
            f"{timed['parity_tf32'].max():.1e} apart instead of "
            f"{timed['parity_float32'].max():.1e}."
        )
    return paragraphs(*parts)


def _timings(found: Sequence[Ratio], timed: pd.DataFrame) -> str:
    """Return the table of one device, with one row per variant and backend."""
    ratio_of = {(r.variant, r.label, r.phase): r for r in found}
    row_of = timed.drop_duplicates([*KEYS, "phase"]).set_index([*KEYS, "phase"]).to_dict("index")

    def cost(step: Ratio, phase: str = "train_step") -> Mapping[Any, Any]:
        return row_of.get((step.variant, step.backend, step.aa_control, phase), {})

    def seconds_once(step: Ratio) -> float:
        compiled = cost(step, "validation").get("compile_seconds", 0.0)
        compiled += cost(step)["compile_seconds"]
        return float(compiled if pd.notna(compiled) else cost(step)["capture_seconds"])

    def phase_of(name: str) -> Callable[[Ratio], str]:
        return lambda step: _ratio(ratio_of.get((step.variant, step.label, name)))

    steps = [r for name in VARIANTS for r in found if (r.variant, r.phase) == (name, "train_step")]
    return table_of(
        steps,
        [
            ("model", lambda r: r.variant),
            ("backend", lambda r: r.label),
            ("step", _ratio),
            ("forward", phase_of("forward")),
            ("validation", phase_of("validation")),
            ("ms per step", lambda r: f"{r.milliseconds_per_step:.2f}"),
            ("tokens per second", lambda r: f"{r.tokens_per_second:,.0f}"),
            ("compile or capture, s", lambda r: number(seconds_once(r), digits=1)),
            ("peak MiB", lambda r: number(cost(r)["peak_memory_bytes"] / 2**20, digits=1)),
            ("apart, float64", lambda r: _apart(cost(r)["parity_float64"])),
            ("apart, float32", lambda r: _apart(cost(r)["parity_float32"])),
            ("kernel", lambda r: str(cost(r)["kernel"])),
        ],
        text=("model", "backend", "kernel"),
    )


def _not_timed(rows: pd.DataFrame) -> str:
    """Name what was skipped or has failed, in one line per backend and reason."""
    lines = []
    for (backend, status, error), group in rows.groupby(["backend", "status", "error"], sort=False):
        variants = ", ".join(group["variant"].unique())
        lines.append(f"- {escape(f'{backend} ({variants}): {status}, {error}')}")
    return "Not timed:\n\n" + "\n".join(lines) if lines else ""


def _apart(difference: float) -> str:
    return NO_VALUE if pd.isna(difference) else f"{difference:.0e}"


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None or np.isnan(ratio.ratio):
        return NO_VALUE
    if np.isnan(ratio.low):
        return f"{ratio.ratio:.2f}"
    return f"{ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def _attribution(found: Attribution | None) -> str:
    heading = "### Depth, backend or seed variance?"
    if found is None:
        return (
            f"{heading}\n\nTo tell them apart takes two seeds or more of `Model5`, `Model6` and "
            "`Model7` on each of `nn`, `cell` and `custom`."
        )
    effects = [
        [f"depth, on {backend}", *_estimate(estimate), NO_VALUE]
        for backend, estimate in found.depth.items()
    ] + [
        [f"{model}: {backend} - nn", *_estimate(estimate), f"{found.identical[model, backend]:.2f}"]
        for (model, backend), estimate in found.backend.items()
    ]
    guide = (
        "The notebook's three GRU models differ in depth, in backend and in their seed. Here each "
        f"of them ran on each of the notebook's three backends, with at least "
        f"{counted(found.seeds, 'seed')}. The table splits the notebook's differences of final "
        f"accuracy, in percentage points. *depth* is two layers beside one, on `{found.base}`. "
        "*backend* is how far each model's mean on its own backend is from that on `nn`, over the "
        "seeds that both have. The rest is left to seed variance, whose standard deviation is that "
        "of the difference between two runs."
    )
    guide_to_effects = (
        "The effects by themselves, with 95% intervals. Those of a backend are seed by seed, from "
        "the same initial weights; *same* is the share of seeds that end at exactly the same "
        "accuracy on both."
    )
    parts_of_pairs = table_of(
        found.pairs,
        [
            ("final accuracy, points", lambda pair: f"{pair.first} - {pair.second}"),
            ("notebook", lambda pair: _points(pair.notebook)),
            ("depth", lambda pair: _points(pair.depth)),
            ("backend", lambda pair: _points(pair.backend)),
            ("left to seed variance", lambda pair: _points(pair.seed_variance)),
            ("its standard deviation", lambda pair: f"{100 * pair.seed_deviation:.2f}"),
            ("share of our pairs as far apart", lambda pair: f"{pair.share_as_far:.2f}"),
        ],
        text=("final accuracy, points",),
    )
    effect_table = table(
        ["effect, points", "mean", "95%", "seeds", "same"], effects, text=("effect, points",)
    )
    return paragraphs(
        heading, guide, parts_of_pairs, _answer(found), guide_to_effects, effect_table
    )


def _answer(found: Attribution) -> str:
    """Say in words what the numbers are, whichever way they fall."""
    depth = found.depth[found.base]
    sure = "includes" if depth.low <= 0 <= depth.high else "excludes"
    layer = (
        f"A second layer changes the final accuracy by {_points(depth.mean)} points; the 95% "
        f"interval over {counted(depth.seeds, 'seed')} is {_points(depth.low)} to "
        f"{_points(depth.high)}, which {sure} 0."
    )
    apart = [
        f"{model} on {backend}"
        for (model, backend), estimate in found.backend.items()
        if not estimate.low <= 0 <= estimate.high
    ]
    largest = max(found.backend.values(), key=lambda estimate: abs(estimate.mean))
    comparisons = (
        f"Of {len(found.backend)} comparisons of a backend with `nn`, "
        f"{', '.join(apart) if apart else 'none'} "
        f"{'has' if len(apart) <= 1 else 'have'} a 95% interval that excludes 0 (chance alone "
        f"gives {0.05 * len(found.backend):.1f} of them); the largest mean difference is "
        f"{_points(largest.mean)} points."
    )
    return f"{layer} {comparisons}"


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:+.2f}"  # + 0.0: no negative zero


def _estimate(estimate: Estimate) -> list[str]:
    interval = f"{_points(estimate.low)} to {_points(estimate.high)}"
    return [_points(estimate.mean), interval, str(estimate.seeds)]
