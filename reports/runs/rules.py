"""The rules that every record must obey when it is read.

A rule is about one column, or about several columns or rows together. Rules do not say what is
good: they exclude what no run, epoch or measurement of this project can be.
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
    "backend": BACKENDS,
    "status": (OK, DIVERGED, FAILED, SKIPPED),
    "phase": ("train_step", "forward", "validation"),
}
"""The values that a column of text may have, besides null."""

MOST_COUNT = 2**53
"""The integers that a float holds exactly."""
MOST_SECONDS = 10.0**9
"""Some thirty years."""
MOST_LOSS = float(np.finfo(np.float32).max)
MOST_RATE = 10.0**15
"""Tokens per second."""


@dataclass(frozen=True)
class Bounds:
    """The range of a number, from ``least`` to ``most``, both included."""

    least: float
    most: float
    may_be_no_number: bool = False
    """Whether NaN and plus infinity are results too; ``EPOCH_RULES`` says when."""

    def __str__(self) -> str:
        return f"outside {self.least:,.0f} to {self.most:,.0f}"


_COUNT, _AT_LEAST_ONE = Bounds(0, MOST_COUNT), Bounds(1, MOST_COUNT)
_SECONDS = Bounds(0, MOST_SECONDS)
_SHARE = Bounds(0, 1)
_LOSS = Bounds(0, MOST_LOSS, may_be_no_number=True)
_DIFFERENCE = Bounds(0, np.inf, may_be_no_number=True)

NUMBERS: Mapping[str, Bounds] = {
    "seed": Bounds(0, LARGEST_SEED),
    "threads": _AT_LEAST_ONE,
    # Runs and epochs.
    "epochs": _AT_LEAST_ONE,
    "epoch": _COUNT,
    "epoch_rows": _COUNT,
    "train_loss": _LOSS,
    "valid_loss": _LOSS,
    "accuracy": _SHARE,
    "total_seconds": _SECONDS,
    "train_seconds": _SECONDS,
    "valid_seconds": _SECONDS,
    "train_tokens_per_second": Bounds(0, MOST_RATE),
    # Throughput.
    "first_call_seconds": _SECONDS,
    "compile_seconds": _SECONDS,
    "capture_seconds": _SECONDS,
    "wall_seconds": Bounds(1e-9, MOST_SECONDS),
    "device_seconds": _SECONDS,
    "peak_memory_bytes": _COUNT,
    "parity_float64": _DIFFERENCE,
    "parity_float32": _DIFFERENCE,
    "parity_tf32": _DIFFERENCE,
    "round": _COUNT,
    "position": _COUNT,
    "steps": _AT_LEAST_ONE,
    "tokens": _AT_LEAST_ONE,
    # A night of the history.
    "seeds": _COUNT,
    "diverged": _COUNT,
    "accuracy_mean": _SHARE,
    "accuracy_sd": _SHARE,
    "valid_loss_mean": Bounds(0, MOST_LOSS),
    "valid_loss_sd": Bounds(0, MOST_LOSS),
    "throughput_ratio": Bounds(1e-9, MOST_RATE),
    "throughput_ratio_low": Bounds(0, MOST_RATE),
    "throughput_ratio_high": Bounds(1e-9, MOST_RATE),
}
"""The range of each column of numbers."""

TIMES = ("started_at", "ended_at", "night")
"""Columns of times. Their order is not checked: a clock may be set back."""
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing of this project is older."""
CLOCKS_APART = timedelta(days=1)
"""How far another machine's clock may be ahead of this one's."""

RECIPE = [*recipe(next(iter(VARIANTS)))]
MEASURED = ["phase", "round", "position", "steps", "tokens", "wall_seconds"]
"""Columns that every timed block has, and no other row."""
OF_A_MEASUREMENT = [
    "started_at",
    *("dtype", "device"),
    *(field.name for part in (Environment, Provenance) for field in fields(part)),
]
"""What is the same in all rows of a measurement."""


@dataclass(frozen=True)
class Breach:
    """Rows that break a rule: what they have, why that is impossible, and which rows they are."""

    what: str
    reason: str
    rows: Rows


def text_breaches(rows: pd.DataFrame) -> Iterator[Breach]:
    """Yield the unknown values of columns of text, one by one."""
    for column, values in KNOWN.items():
        if column in rows:
            foreign = (rows[column].notna() & ~rows[column].isin([*values])).to_numpy()
            for value in rows.loc[foreign, column].unique():
                same = foreign & (rows[column] == value).to_numpy()
                yield Breach(f"{column} {value}", "unknown value", same)


def number_breaches(
    rows: pd.DataFrame, nullable: Collection[str], now: datetime
) -> Iterator[Breach]:
    """Yield numbers and times out of range; the columns in ``nullable`` may have null."""
    for column, bounds in NUMBERS.items():
        if column in rows:
            values = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
            possible = (values >= bounds.least) & (values <= bounds.most)
            if bounds.may_be_no_number:
                possible |= np.isnan(values) | np.isposinf(values)
            elif column in nullable:
                possible |= np.isnan(values)
            yield Breach(f"{column} {bounds}", _example(rows[column], ~possible), ~possible)
    latest = now + CLOCKS_APART
    for column in TIMES:
        if column in rows:
            early, late = (rows[column] < EARLIEST).to_numpy(), (rows[column] > latest).to_numpy()
            yield Breach(f"{column} before 2020", _example(rows[column], early), early)
            yield Breach(f"{column} after this machine's clock", _example(rows[column], late), late)


def run_breaches(runs: pd.DataFrame, epochs: pd.DataFrame) -> Iterator[Breach]:
    """Yield what breaks the rules of a run and its epochs, as rows of ``runs``.

    Every epoch is one of a run's.
    """
    for what, rule in RUN_RULES.items():
        yield Breach(what, "", rule(runs))
    first = np.flatnonzero(~runs["run_id"].duplicated())
    owner = first[pd.Index(runs["run_id"].iloc[first]).get_indexer(epochs["run_id"])]
    owned = runs.take(owner)
    for what, epoch_rule in EPOCH_RULES.items():
        broken = np.zeros(len(runs), dtype=bool)
        broken[owner[epoch_rule(epochs, owned)]] = True
        yield Breach(what, "", broken)
    trained = runs["status"].isin([OK, DIVERGED]).to_numpy()
    counts = np.bincount(owner, minlength=len(runs))
    yield Breach(
        "another number of epochs than were trained",
        "",
        trained & (counts != runs["epochs"].to_numpy()),
    )
    finite = np.isfinite(epochs[["train_loss", "valid_loss"]].to_numpy()).all(axis=1)
    infinite_epochs = np.bincount(owner, weights=~finite, minlength=len(runs))
    diverged = (runs["status"] == DIVERGED).to_numpy()
    yield Breach("status diverged, but only finite losses", "", diverged & (infinite_epochs == 0))


def _other_recipe(runs: pd.DataFrame) -> Rows:
    recipes = pd.DataFrame({name: recipe(name) for name in VARIANTS}).T
    own = recipes.loc[runs["variant"], RECIPE].reset_index(drop=True)
    return (runs[RECIPE].reset_index(drop=True) != own).any(axis=1).to_numpy()


def _not_executable(rows: pd.DataFrame) -> Rows:
    grid = {(v, b) for v in VARIANTS for b in BACKENDS if BACKENDS[b].executes(VARIANTS[v])}
    return ~pd.MultiIndex.from_frame(rows[["variant", "backend"]]).isin([*grid])


RUN_RULES: Mapping[str, Callable[[pd.DataFrame], Rows]] = {
    "a run_id that several rows share": lambda runs: (
        runs["run_id"].duplicated(keep=False).to_numpy()
    ),
    "a recipe that is not the variant's": _other_recipe,
    "more epochs than the recipe's": lambda runs: (
        runs["epochs"] > runs["recipe_epochs"]
    ).to_numpy(),
    "a backend that cannot execute the variant": _not_executable,
    "a result without a hash of its weights": lambda runs: (
        runs["status"].isin([OK, DIVERGED]) & runs["weights_sha256"].isna()
    ).to_numpy(),
}

EPOCH_RULES: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame], Rows]] = {
    "epochs of another variant, backend or seed": lambda epochs, runs: np.any(
        [epochs[c].to_numpy() != runs[c].to_numpy() for c in ("variant", "backend", "seed")], axis=0
    ),
    "an epoch beyond its last": lambda epochs, runs: (
        epochs["epoch"].to_numpy() >= runs["epochs"].to_numpy()
    ),
    "a repeated epoch": lambda epochs, _: epochs.duplicated(["run_id", "epoch"]).to_numpy(),
    "a loss that is not finite, but another status than diverged": lambda epochs, runs: (
        ~np.isfinite(epochs[["train_loss", "valid_loss"]].to_numpy()).all(axis=1)
        & (runs["status"] != DIVERGED).to_numpy()
    ),
}
"""Rules of an epoch and its run: both frames have the same length, row by row."""


def _half_measured(rows: pd.DataFrame) -> Rows:
    there = rows[MEASURED].notna()
    timed = (rows["status"] == OK).to_numpy()
    return np.where(timed, ~there.all(axis=1), there.any(axis=1))


def _other_tokens(rows: pd.DataFrame) -> Rows:
    each = rows["tokens"] / rows["steps"]
    usual = each.groupby([rows[c] for c in ("measurement_id", "variant", "phase")]).transform(
        "median"
    )
    return (each.notna() & (each != usual)).to_numpy()


def _changing(rows: pd.DataFrame) -> Rows:
    first = rows.groupby("measurement_id")[OF_A_MEASUREMENT].transform("first")
    shared = rows[OF_A_MEASUREMENT]
    other = ((shared != first) & ~(shared.isna() & first.isna())).any(axis=1)
    return other.groupby(rows["measurement_id"]).transform("any").to_numpy()


def _false_control(rows: pd.DataFrame) -> Rows:
    reference = rows["variant"].map({name: reference_backend(v) for name, v in VARIANTS.items()})
    return (rows["aa_control"].astype(bool) & (rows["backend"] != reference)).to_numpy()


THROUGHPUT_RULES: Mapping[str, Callable[[pd.DataFrame], Rows]] = {
    "a backend that cannot execute the variant": _not_executable,
    "a block that is timed in part, or not ok": _half_measured,
    "another number of tokens per step": _other_tokens,
    "a measurement with several times, devices or programs": _changing,
    "an aa_control of another backend than the reference": _false_control,
    "a repeated round": lambda rows: (
        rows["round"].notna().to_numpy()
        & rows.duplicated(
            ["measurement_id", "variant", "backend", "aa_control", "phase", "round"], keep=False
        ).to_numpy()
    ),
}


def measurement_breaches(rows: pd.DataFrame) -> Iterator[Breach]:
    """Yield what breaks the rules of a measurement's rows."""
    for what, rule in THROUGHPUT_RULES.items():
        yield Breach(what, "", rule(rows))


def _example(values: pd.Series, chosen: Rows) -> str:
    return f"such as {values[chosen].iloc[0]}" if chosen.any() else ""


NULLABLE: Mapping[str, Collection[str]] = {
    table: {field.name for field in SCHEMAS[table] if field.nullable}
    for table in (RUNS, EPOCHS, THROUGHPUT)
}
