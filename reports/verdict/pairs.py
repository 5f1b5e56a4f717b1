"""Tonight's runs beside the baseline's runs of the same seeds, whatever the commit or torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from hnrnn.departures import ANOTHER_COMPUTATION, UNEXPLAINED
from hnrnn.published import MEASURES
from reports.runs.completeness import shown
from reports.runs.departures import NO_HASH, SEED, distances, in_spreads, measured_devices
from reports.runs.night import Configuration, Night, configurations_of
from reports.verdict.departure import Compared, Departure, as_departures

RECIPE = ["bptt", "recipe_epochs", "learning_rate", "pct_start", "loss", "metric", "epochs"]
RUN = ["dtype", "initialisation", "injected_fault", "variant", "backend", "seed"]
"""The columns in which a run has to be like the baseline's to be compared with it."""
SOFTWARE = {
    "torch_version": "torch", "fastai_version": "fastai", "device_name": "device",
    "threads": "threads", "instruction_set": "instruction set", "source_sha256": "training code",
}  # fmt: skip
"""What may have moved between two runs of a seed, in words."""


@dataclass(frozen=True)
class Pairs(Compared):
    """A night's runs held against the baseline's runs of their seeds."""

    equal_weights: int
    """Runs that ended with the very same weights."""
    departures: tuple[Departure, ...]
    """One per configuration: of all its pairs, those of equal weights too."""
    not_compared: Mapping[str, int]
    """How many of the night's runs have no such run in the baseline, by the reason."""
    uncovered: tuple[Configuration, ...]
    """The night's configurations without any pair."""
    moved: tuple[str, ...]
    """What differs in software or device, as ``torch 2.13.0 to 2.14.0``."""
    not_repeated: str = ""
    """What is odd about runs with the baseline's ids and other weights; empty without any."""

    @property
    def passed(self) -> bool:
        """Whether every configuration has pairs, and all are the same to rounding."""
        return bool(self.departures) and not (self.others or self.unexplained or self.uncovered)


@dataclass(frozen=True)
class Partners:
    """The ids of runs whose seed both a night and its baseline have; none without a baseline."""

    ours: frozenset[str] = frozenset()
    """The night's runs that started as the baseline's did."""
    theirs: frozenset[str] = frozenset()
    """The baseline's runs that these are compared with."""
    other_starts: frozenset[str] = frozenset()
    """The night's runs that started from other initial weights than the baseline's."""

    @classmethod
    def of(cls, night: Night, baseline: Night) -> Partners:
        """Return the partners among the shown runs of full recipes."""
        both, same = _matched(night, baseline)
        paired = same.any(axis=1)
        hashes = both[["initial_weights_sha256", "initial_weights_sha256_then"]]
        other = both.loc[~paired & hashes.notna().all(axis=1), "run_id"]
        ours = frozenset(both.loc[paired, "run_id"])
        return cls(ours, frozenset(both.loc[paired, "run_id_then"]), frozenset(other) - ours)


def pair(night: Night, baseline: Night) -> Pairs:
    """Hold the shown runs of full recipes against the baseline's of the same seeds.

    Their weights are compared whatever made them: commit, torch, device or id.
    """
    ours = night.selection.grid
    both, same = _matched(night, baseline)
    compared = both[same.any(axis=1)]
    found = (
        as_departures(_cells(compared, night.contents.epochs, baseline.contents.epochs))
        if len(compared)
        else []
    )
    covered = {each.configuration for each in found}
    return Pairs(
        equal_weights=int(same["weights_sha256"].sum()),
        departures=tuple(found),
        not_compared=_reasons(ours, both, compared),
        uncovered=tuple(sorted(configurations_of(ours) - covered)),
        moved=tuple(_moved(compared)),
        not_repeated=_not_repeated(both[same["run_id"] & ~same["weights_sha256"]]),
    )


def _matched(night: Night, baseline: Night) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of both that are of one seed and recipe, and what is the same in them.

    They started alike where anything is: equal weights had an equal start.
    """
    ours, theirs = night.selection.grid, baseline.selection.grid
    both = ours.merge(theirs, on=[*RUN, *RECIPE], suffixes=("", "_then"))
    names = ("run_id", "initial_weights_sha256", "weights_sha256")
    return both, pd.DataFrame({name: both[name] == both[f"{name}_then"] for name in names})


def outdated(pairs: Pairs, by_reference: Iterable[Departure]) -> list[Departure]:
    """Return the departures from the baseline of which the baseline itself is at fault.

    The night's runs of as many seeds are then the same as the reference's.
    """
    same = {
        found.name: found.seeds
        for found in by_reference
        if found.verdict not in (ANOTHER_COMPUTATION, UNEXPLAINED)
    }
    return [found for found in pairs.others if found.seeds <= same.get(found.name, 0)]


def _cells(pairs: pd.DataFrame, epochs: pd.DataFrame, epochs_then: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of pairs of runs, as ``reports.runs.departures.Held`` has them.

    Their device is the one of both on which the rounding spread was never measured, if any.
    """
    known = pairs["device"].isin(measured_devices())
    pairs = pairs.assign(device=pairs["device"].mask(known, pairs["device_then"]))
    parts = []
    for _, runs in pairs.groupby("backend"):
        own = runs[["run_id_then", *SEED]].rename(columns={"run_id_then": "run_id"})
        reference = epochs_then[["run_id", "epoch", *MEASURES]].merge(own, on="run_id")
        parts.append(distances(runs, epochs, reference, digits=None))
    return in_spreads(pd.concat(parts, ignore_index=True)).assign(reference_name="")


def _reasons(ours: pd.DataFrame, paired: pd.DataFrame, compared: pd.DataFrame) -> dict[str, int]:
    """Count the runs that are not compared, by the reason."""
    unpaired = len(ours) - ours["run_id"].isin(paired["run_id"]).sum()
    other = paired[~paired["run_id"].isin(compared["run_id"])]
    hashes = other[["initial_weights_sha256", "initial_weights_sha256_then"]]
    unknown = int(hashes.isna().any(axis=1).sum())
    counts = {
        "no such run in the baseline": int(unpaired),
        NO_HASH: unknown,
        "other initial weights than the baseline's": len(other) - unknown,
    }
    return {reason: count for reason, count in counts.items() if count}


def _moved(pairs: pd.DataFrame) -> list[str]:
    """Say in which software or device the first pair differs."""
    if pairs.empty:
        return []
    first = pairs.iloc[0].fillna("none").astype(str)
    return [
        f"{label} {shown(name, first[f'{name}_then'])} to {shown(name, first[name])}"
        for name, label in SOFTWARE.items()
        if first[f"{name}_then"] != first[name]
    ]


def _not_repeated(pairs: pd.DataFrame) -> str:
    """Say what is odd about pairs of one id whose weights differ."""
    pairs = pairs[pairs[["weights_sha256", "weights_sha256_then"]].notna().all(axis=1)]
    if pairs.empty:
        return ""
    known = pairs["numeric_fingerprint"].notna().all()
    alike = "code, software and numeric fingerprint" if known else "code and software"
    first = pairs.iloc[0]
    platforms = (
        f" ({first['platform_then']} in the baseline, {first['platform']} tonight)"
        if first["platform"] != first["platform_then"]
        else ""
    )
    has = (
        "1 run has the id of one"
        if len(pairs) == 1
        else f"{len(pairs):,} runs have the ids of runs"
    )
    return (
        f"{has} in the baseline, and so the same {alike}, but other weights: something in the "
        "training is not deterministic, or the processors differ where no fingerprint "
        f"looks{platforms}."
    )


def in_words(pairs: Pairs) -> str:
    """Say what the pairs come to, in a sentence without its full stop."""
    moved = f"{', '.join(pairs.moved)}: " if pairs.moved else ""
    if not pairs.departures:
        return "no run could be held against one of the baseline"
    if pairs.equal_weights == pairs.runs:
        how = "with the same weights as in the baseline"
    elif pairs.equal_weights:
        how = (
            f"the same to rounding as in the baseline, {pairs.equal_weights:,} of them with the "
            "same weights"
        )
    else:
        how = "the same to rounding as in the baseline"
    runs = "1 run" if pairs.runs == 1 else f"{pairs.runs:,} runs, all"
    return f"{moved}{runs} {how}{'; the baseline stays' if pairs.moved else ''}"
