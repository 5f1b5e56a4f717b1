"""The rules that every record must obey when it is read.

They do not judge a result: they exclude what no run, epoch or measurement can be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.plan.grid import BACKENDS, reference_backend
from bench.store.records import (
    CALIBRATION,
    DIVERGED,
    FAILED,
    OK,
    SKIPPED,
    Environment,
    Provenance,
    recipe,
)
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT
from hnrnn.variants import LARGEST_SEED, VARIANTS

Rows = npt.NDArray[np.bool_]
"""Which rows of a frame break a rule, shape (rows,)."""

KNOWN: Mapping[str, Collection[str]] = {
    "variant": VARIANTS,
    "backend": (*BACKENDS, CALIBRATION),
    "status": (OK, DIVERGED, FAILED, SKIPPED),
    "phase": ("train_step", "forward", "validation"),
}
"""The values that a text column may have, besides null."""

MOST_COUNT = 2**53
"""A float represents integers exactly up to here."""
MOST_SECONDS = 10.0**9
"""About thirty years."""
MOST_LOSS = float(np.finfo(np.float32).max)
MOST_RATE = 10.0**15
"""Tokens per second."""


@dataclass(frozen=True)
class Bounds:
    """The range of a number, including both ends."""

    least: float
    most: float
    may_be_no_number: bool = False
    """Whether NaN and infinity are possible results; see ``EPOCH_RULES``."""

    def __str__(self) -> str:
        return f"outside {self.least:,.0f} to {self.most:,.0f}"


NUMBERS: Mapping[str, Bounds] = {
    column: bounds
    for bounds, columns in {
        Bounds(0, LARGEST_SEED): "seed",
        Bounds(0, MOST_COUNT): "epoch epoch_rows round position peak_memory_bytes seeds diverged",
        Bounds(1, MOST_COUNT): "epochs steps tokens threads",
        Bounds(0, 1): "accuracy accuracy_mean accuracy_sd",
        Bounds(0, MOST_LOSS, may_be_no_number=True): "train_loss valid_loss",
        Bounds(0, MOST_LOSS): "valid_loss_mean valid_loss_sd",
        Bounds(0, MOST_SECONDS): "total_seconds train_seconds valid_seconds device_seconds "
        "first_call_seconds compile_seconds capture_seconds",
        Bounds(1e-9, MOST_SECONDS): "wall_seconds",
        Bounds(0, np.inf, may_be_no_number=True): "parity_float64 parity_float32 parity_tf32",
        Bounds(0, MOST_RATE): "train_tokens_per_second throughput_ratio_low",
        Bounds(1e-9, MOST_RATE): "throughput_ratio throughput_ratio_high calibration_ratio",
    }.items()
    for column in columns.split()
}
"""The range of each column of numbers."""

TIMES = ("started_at", "ended_at", "night")
"""Columns of times. Their order is not checked, since a clock may be set back."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""No record of this project is older."""
CLOCKS_APART = timedelta(days=1)
"""How far another machine's clock may be ahead of this one's."""

RECIPE = [*recipe(next(iter(VARIANTS)))]
MEASURED = ["phase", "round", "position", "steps", "tokens", "wall_seconds"]
"""Columns with a value in every timed block, and in no other row."""
OF_A_MEASUREMENT = [
    "started_at",
    *("dtype", "device"),
    *(field.name for part in (Environment, Provenance) for field in fields(part)),
]
"""Columns that have one value per measurement."""


@dataclass(frozen=True)
class Breach:
    """Rows that break a rule: ``what`` they have, and the ``reason`` why it is impossible."""

    what: str
    rows: Rows | pd.Series
    reason: str = "impossible"


def text_breaches(rows: pd.DataFrame) -> Iterator[Breach]:
    """Yield the unknown values of text columns, one by one."""
    for column, values in KNOWN.items():
        if column in rows:
            foreign = (rows[column].notna() & ~rows[column].isin([*values])).to_numpy()
            for value in rows.loc[foreign, column].unique():
                same = foreign & (rows[column] == value).to_numpy()
                yield Breach(f"{column} {value}", same, "unknown value")


def number_breaches(
    rows: pd.DataFrame, nullable: Collection[str], now: datetime
) -> Iterator[Breach]:
    """Yield numbers and times out of range; columns in ``nullable`` may be null."""
    for column, bounds in NUMBERS.items():
        if column in rows:
            values = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
            possible = (values >= bounds.least) & (values <= bounds.most)
            if bounds.may_be_no_number:
                possible |= np.isnan(values) | np.isposinf(values)
            elif column in nullable:
                possible |= np.isnan(values)
            yield _breach(f"{column} {bounds}", rows[column], ~possible)
    latest = now + CLOCKS_APART
    for column in TIMES:
        if column in rows:
            early, late = (rows[column] < EARLIEST).to_numpy(), (rows[column] > latest).to_numpy()
            yield _breach(f"{column} before 2020", rows[column], early)
            yield _breach(f"{column} after this machine's clock", rows[column], late)


def run_breaches(runs: pd.DataFrame, epochs: pd.DataFrame) -> Iterator[Breach]:
    """Yield the runs that break a rule, alone or with their epochs, as rows of ``runs``.

    Every epoch must belong to a run.
    """
    for what, rule in RUN_RULES.items():
        yield Breach(what, rule(runs))
    first = np.flatnonzero(~runs["run_id"].duplicated())
    owner = first[pd.Index(runs["run_id"].iloc[first]).get_indexer(epochs["run_id"])]
    owned, epochs = runs.iloc[owner].reset_index(drop=True), epochs.reset_index(drop=True)
    for what, epoch_rule in EPOCH_RULES.items():
        broken = np.zeros(len(runs), dtype=bool)
        broken[owner[epoch_rule(epochs, owned)]] = True
        yield Breach(what, broken)
    trained = runs["status"].isin([OK, DIVERGED]).to_numpy()
    counts = np.bincount(owner, minlength=len(runs))
    yield Breach("another number of epochs than were trained", trained & (counts != runs["epochs"]))
    infinite_epochs = np.bincount(owner, weights=_is_infinite(epochs), minlength=len(runs))
    diverged = runs["status"] == DIVERGED
    yield Breach("status diverged, but only finite losses", diverged & (infinite_epochs == 0))


def _is_infinite(epochs: pd.DataFrame) -> Rows:
    finite: Rows = np.isfinite(epochs[["train_loss", "valid_loss"]].to_numpy()).all(axis=1)
    return ~finite


def _other_recipe(runs: pd.DataFrame) -> pd.Series:
    recipes = pd.DataFrame({name: recipe(name) for name in VARIANTS}).T
    own = recipes.loc[runs["variant"], RECIPE].set_axis(runs.index)
    return (runs[RECIPE] != own).any(axis=1)


def _not_executable(rows: pd.DataFrame) -> Rows:
    grid = {(v, b) for v in VARIANTS for b in BACKENDS if BACKENDS[b].executes(VARIANTS[v])}
    return ~pd.MultiIndex.from_frame(rows[["variant", "backend"]]).isin([*grid])


def _not_timeable(rows: pd.DataFrame) -> Rows:
    return _not_executable(rows) & (rows["backend"] != CALIBRATION).to_numpy()


def _half_measured(rows: pd.DataFrame) -> Rows:
    present = rows[MEASURED].notna()
    return np.where(rows["status"] == OK, ~present.all(axis=1), present.any(axis=1))


def _other_tokens(rows: pd.DataFrame) -> pd.Series:
    each = rows["tokens"] / rows["steps"]
    workload = rows["backend"] == CALIBRATION
    usual = each.groupby([*(rows[c] for c in ("measurement_id", "variant", "phase")), workload])
    return each.notna() & (each != usual.transform("median"))


def _changing(rows: pd.DataFrame) -> pd.Series:
    by_measurement = rows.groupby("measurement_id")[OF_A_MEASUREMENT]
    first, own = by_measurement.transform("first"), rows[OF_A_MEASUREMENT]
    other = ((own != first) & ~(own.isna() & first.isna())).any(axis=1)
    return other.groupby(rows["measurement_id"]).transform("any")


def _false_control(rows: pd.DataFrame) -> pd.Series:
    reference = rows["variant"].map({name: reference_backend(v) for name, v in VARIANTS.items()})
    return rows["aa_control"].astype(bool) & (rows["backend"] != reference)


Rule = Callable[[pd.DataFrame], pd.Series | Rows]

RUN_RULES: Mapping[str, Rule] = {
    "a run_id that several rows share": lambda runs: runs["run_id"].duplicated(keep=False),
    "a recipe that is not the variant's": _other_recipe,
    "more epochs than the recipe's": lambda runs: runs["epochs"] > runs["recipe_epochs"],
    "a backend that cannot execute the variant": _not_executable,
    "a result without a hash of its weights": lambda runs: (
        runs["status"].isin([OK, DIVERGED]) & runs["weights_sha256"].isna()
    ),
}

OF_A_RUN = ["variant", "backend", "seed"]
EPOCH_RULES: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame], pd.Series | Rows]] = {
    "epochs of another variant, backend or seed": lambda epochs, runs: (
        epochs[OF_A_RUN] != runs[OF_A_RUN]
    ).any(axis=1),
    "an epoch beyond its last": lambda epochs, runs: epochs["epoch"] >= runs["epochs"],
    "a repeated epoch": lambda epochs, _: epochs.duplicated(["run_id", "epoch"]),
    "a loss that is not finite, but another status than diverged": lambda epochs, runs: (
        _is_infinite(epochs) & (runs["status"] != DIVERGED)
    ),
}
"""Rules for epochs, and the run of each: both frames have the same rows."""

THROUGHPUT_RULES: Mapping[str, Rule] = {
    "a backend that cannot execute the variant": _not_timeable,
    "a calibration workload without a version": lambda rows: (
        (rows["backend"] == CALIBRATION) & rows["kernel"].isna()
    ),
    "a block that is timed in part, or not ok": _half_measured,
    "another number of tokens per step": _other_tokens,
    "a measurement with several times, devices or programs": _changing,
    "an aa_control of another backend than the reference": _false_control,
    "a repeated round": lambda rows: (
        rows["round"].notna()
        & rows.duplicated(
            ["measurement_id", "variant", "backend", "aa_control", "phase", "round"], keep=False
        )
    ),
}


def _breach(what: str, values: pd.Series, rows: Rows) -> Breach:
    return Breach(what, rows, f"such as {values[rows].iloc[0]}" if rows.any() else "")


NULLABLE: Mapping[str, Collection[str]] = {
    table: {field.name for field in SCHEMAS[table] if field.nullable}
    for table in (RUNS, EPOCHS, THROUGHPUT)
}
