"""The report's section on backends: are they equal, and what does each cost?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.store.records import OK
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.pages.tables import NO_VALUE, escape, number, table
from reports.runs.attribution import Attribution, Estimate, attribute
from reports.runs.ratios import Ratio, latest, ratios
from reports.runs.selection import Selection

HEADING = "## Backends"
MIB = 1024**2
KEYS = ["variant", "backend", "aa_control"]
OTHER_PHASES = ("forward", "validation")


def section(selection: Selection, published: pd.DataFrame) -> str:
    """Return the section; its picture is ``backends.png``, where there is a measurement."""
    parts = [HEADING, _guide()]
    samples = latest(selection.throughput)
    for device_name, rows in samples.groupby("device_name", sort=True):
        parts += _device(str(device_name), rows)
    if samples.empty:
        parts.append("No throughput was measured here: `python -m bench throughput` measures it.")
    if "cuda" not in set(samples["device"]):
        parts.append(
            "Not yet measured on a GPU: `tox -e throughput -- --device cuda` measures it there."
        )
    parts.append(_attribution(attribute(selection.grid, published)))
    return "\n\n".join(parts)


def _guide() -> str:
    return (
        "A backend is a way to execute a model's recurrence: same mathematics, same weights. Each "
        "is timed after it has passed a parity gate, in rounds: within a round every backend is "
        "timed for a moment, in shuffled order. The ratios are tokens per second over those of the "
        "reference: the median over the rounds, with its 95% bootstrap interval. *step* is a full "
        "training step (forward, loss, backward, optimizer). *apart* is the largest difference "
        "from the reference in outputs, state and gradients, as a share of the largest value. "
        "*again* is the reference a second time under another name: its ratio ought to be 1."
    )


def _device(name: str, rows: pd.DataFrame) -> list[str]:
    """Return the parts on one device: the tables of its variants, and what could not be timed."""
    found = ratios(rows)
    first = rows.iloc[0]
    conditions = (
        f"torch {escape(first['torch_version'])}, {counted(first['threads'], 'thread')}, "
        f"{escape(first['dtype'])}, {max((r.rounds for r in found), default=0)} rounds."
    )
    parts = [f"### On {escape(name)}", conditions]
    if found:
        parts.append("![Throughput of the backends as ratios](backends.png)")
    timed = rows[rows["status"] == OK]
    costs = {
        key: group.iloc[0] for key, group in timed[timed["phase"] == "train_step"].groupby(KEYS)
    }
    validation = timed[timed["phase"] == "validation"].groupby(KEYS)["compile_seconds"].first()
    lines = []
    for variant in VARIANTS:
        of_variant = [ratio for ratio in found if ratio.variant == variant]
        configurations = dict.fromkeys((ratio.backend, ratio.aa_control) for ratio in of_variant)
        for backend, aa_control in configurations:
            by_phase = {
                r.phase: r for r in of_variant if (r.backend, r.aa_control) == (backend, aa_control)
            }
            cost = costs[variant, backend, aa_control]
            compiled = cost["compile_seconds"] + validation.get((variant, backend, aa_control), 0.0)
            once = compiled if pd.notna(compiled) else cost["capture_seconds"]
            step = by_phase["train_step"]
            lines.append(
                [
                    variant,
                    f"{backend} again" if aa_control else backend,
                    *(_ratio(by_phase.get(phase)) for phase in ("train_step", *OTHER_PHASES)),
                    f"{step.milliseconds_per_step:.2f}",
                    f"{step.tokens_per_second:,.0f}",
                    number(once, digits=1),
                    number(cost["peak_memory_bytes"] / MIB, digits=1),
                    _apart(cost["parity_float64"]),
                    _apart(cost["parity_float32"]),
                    str(cost["kernel"]),
                ]
            )
    header = [
        "model", "backend", "step", "forward", "validation", "ms per step", "tokens per second",
        "compile or capture, s", "peak MiB", "apart, float64", "apart, float32", "kernel",
    ]  # fmt: skip
    if lines:
        parts.append(table(header, lines, text=("model", "backend", "kernel")))
    parts += _not_timed(rows[rows["status"] != OK])
    tf32 = timed["parity_tf32"].dropna()
    if len(tf32):
        parts.append(
            f"No run and no timing here allows TF32. With it, float32 results would be up to "
            f"{tf32.max():.1e} apart instead of {timed['parity_float32'].max():.1e}."
        )
    return parts


def _not_timed(rows: pd.DataFrame) -> list[str]:
    """Name what was skipped or has failed, in one line per backend and reason."""
    lines = []
    for (backend, status, error), group in rows.groupby(["backend", "status", "error"], sort=False):
        variants = ", ".join(group["variant"].unique())
        lines.append(f"- {escape(f'{backend} ({variants}): {status}, {error}')}")
    return ["Not timed:\n\n" + "\n".join(lines)] if lines else []


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
    lines = [
        [
            f"{pair.first} - {pair.second}",
            _points(pair.notebook),
            _points(pair.depth),
            _points(pair.backend),
            _points(pair.seed_variance),
            f"{100 * pair.seed_deviation:.2f}",
            f"{pair.share_as_far:.2f}",
        ]
        for pair in found.pairs
    ]
    header = [
        "final accuracy, points", "notebook", "depth", "backend", "left to seed variance",
        "its standard deviation", "share of our pairs as far apart",
    ]  # fmt: skip
    effects = [
        [f"depth, on {backend}", *_estimate(estimate), NO_VALUE]
        for backend, estimate in found.depth.items()
    ] + [
        [
            f"{model}: {backend} - nn",
            *_estimate(estimate),
            f"{found.identical[model, backend]:.2f}",
        ]
        for (model, backend), estimate in found.backend.items()
    ]
    guide = (
        "The notebook's three GRU models differ in depth, in backend and in their seed. Here each "
        f"of them ran on each of the notebook's three backends, with at least "
        f"{counted(found.seeds, 'seed')}. The table splits the notebook's differences of final "
        "accuracy, in percentage points. *depth* is two layers beside one, on `nn`. *backend* is "
        "how far each model's mean on its own backend is from that on `nn`, over the seeds that "
        "both have. The rest is left to seed variance, whose standard deviation is that of the "
        "difference between two runs."
    )
    guide_to_effects = (
        "The effects by themselves, with 95% intervals. Those of a backend are seed by seed, from "
        "the same initial weights; *same* is the share of seeds that end at exactly the same "
        "accuracy on both."
    )
    effect_table = table(
        ["effect, points", "mean", "95%", "seeds", "same"], effects, text=("effect, points",)
    )
    parts = [
        heading,
        guide,
        table(header, lines, text=header[:1]),
        _answer(found),
        guide_to_effects,
        effect_table,
    ]
    return "\n\n".join(parts)


def _answer(found: Attribution) -> str:
    """Say in words what the numbers are, whichever way they fall."""
    depth = found.depth["nn"]
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
