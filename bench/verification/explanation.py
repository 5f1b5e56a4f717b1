"""At which stage the configurations of a table depart first, in words."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.plan.grid import BACKENDS
from bench.verification.recording import SEED, Values
from bench.verification.stages import Departure, explain
from hnrnn.departures import ANOTHER_COMPUTATION, UNEXPLAINED
from hnrnn.published import stages


def explain_table(table: pd.DataFrame, device: str, injected_fault: str | None) -> Iterator[str]:
    """Yield a line for each configuration of ``bench.verification.judging.judge`` that departs."""
    published = stages()
    departing = table[table["verdict"].isin([ANOTHER_COMPUTATION, UNEXPLAINED])]
    for variant, backend in departing[["variant", "backend"]].itertuples(index=False):
        name = f"{variant} on {backend}"
        if BACKENDS[backend].graphed:
            name += ", without its CUDA graph"
        found = explain(published, variant, backend, device=device, injected_fault=injected_fault)
        yield f"{name}: {in_words(found)}"


def in_words(departure: Departure | None) -> str:
    """Return where a training departs first."""
    if departure is None:
        return f"no stage of the first epoch with seed {SEED} departs"
    moment, what = departure.name.split(": ")
    expected, found = map(_shown, (departure.expected, departure.found))
    return (
        f"departs first in the {departure.stage} ({moment}, {what}, {departure.dtype}): "
        f"{expected} expected, {found} found"
    )


def _shown(values: Values | None) -> str:
    if values is None:
        return "nothing"
    if isinstance(values, str):
        return values[:12]
    return ", ".join(f"{value:.6g}" for value in values[:2])
