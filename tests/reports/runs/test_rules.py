"""Impossible values are set apart, named, and never part of a verdict."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bench.store.parquet import as_table
from bench.store.records import DIVERGED, OK
from bench.store.store import SCHEMAS, Contents, Store
from reports.__main__ import main
from reports.runs.reading import read, set_apart
from reports.runs.rules import KNOWN, NUMBERS, TIMES
from reports.verdict.decision import EXIT_CODES, INCOMPLETE
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import judge
from tests.made_up import START, notebook_night, throughput_rows

NOW = START + timedelta(days=300)
TRIALS = 40
JUDGED_EVERY = 10
"""Judging takes ten times as long as reading."""
SEEDS = 3


@cache
def sound() -> Contents:
    """Return a night of every variant and a measurement, with possible values only."""
    steps = {"nn": 1.0, "cell": 2.0, "calibration": 3.0}
    contents = notebook_night(SEEDS, samples=throughput_rows(steps))
    tables = {name: getattr(contents, name) for name in SCHEMAS}
    frames = {name: as_table(rows, SCHEMAS[name]).to_pandas() for name, rows in tables.items()}
    return Contents(**frames, unreadable={})


def changed(table: str, row: int, column: str, value: Any) -> Contents:
    """Return the night with one value in another's place."""
    rows = getattr(sound(), table).copy()
    if isinstance(value, float) and rows[column].dtype.kind == "i":
        rows[column] = rows[column].astype(float)
    rows.loc[row, column] = value
    return replace(sound(), **{table: rows})


def test_what_is_sound_stays() -> None:
    """Nothing is set apart from a sound night, nor from one with a diverged run."""
    kept = set_apart(sound(), NOW)
    assert kept.unreadable == {}
    for table in SCHEMAS:
        pd.testing.assert_frame_equal(getattr(kept, table), getattr(sound(), table))
    lost = changed("epochs", 0, "train_loss", math.nan)
    lost.epochs.loc[1, "valid_loss"] = math.inf
    lost = replace(lost, runs=changed("runs", 0, "status", DIVERGED).runs)
    assert set_apart(lost, NOW).unreadable == {}


CASES: dict[str, tuple[str, str, Any]] = {
    "accuracy of 2": ("epochs", "accuracy", 2.0),
    "accuracy that is no number": ("epochs", "accuracy", math.nan),
    "loss of minus infinity": ("epochs", "valid_loss", -math.inf),
    "loss below zero": ("epochs", "train_loss", -0.1),
    "loss of infinity, and ok": ("epochs", "valid_loss", math.inf),
    "loss that is no number, and ok": ("epochs", "train_loss", math.nan),
    "loss beyond any": ("epochs", "valid_loss", 1e308),
    "other variant": ("epochs", "variant", "Model7"),
    "other backend": ("epochs", "backend", "cell"),
    "other seed": ("epochs", "seed", 99),
    "epoch twice": ("epochs", "epoch", 1),
    "epoch that is none": ("epochs", "epoch", -1),
    "epoch too many": ("epochs", "epoch", 6),
    "seconds below zero": ("epochs", "train_seconds", -0.1),
    "seconds without end": ("runs", "total_seconds", math.inf),
    "more epochs than the recipe's": ("runs", "epochs", 21),
    "fewer epochs than are there": ("runs", "epochs", 5),
    "no epochs": ("runs", "epochs", 0),
    "other recipe": ("runs", "learning_rate", 0.5),
    "other recipe's epochs": ("runs", "recipe_epochs", 7),
    "other variant's run": ("runs", "variant", "Model1"),
    "backend of other models": ("runs", "backend", "nn"),
    "seed below zero": ("runs", "seed", -1),
    "seed beyond 32 bits": ("runs", "seed", 2**32),
    "run before 2020": ("runs", "started_at", pd.Timestamp("1970-01-01", tz="UTC")),
    "run in the future": ("runs", "ended_at", pd.Timestamp("2099-01-01", tz="UTC")),
    "steps of 0": ("throughput", "steps", 0),
    "steps of another number of tokens": ("throughput", "steps", 100),
    "no tokens": ("throughput", "tokens", 0),
    "block of no time": ("throughput", "wall_seconds", 0.0),
    "block of negative time": ("throughput", "wall_seconds", -1.0),
    "block without a time": ("throughput", "wall_seconds", math.nan),
    "round below zero": ("throughput", "round", -1),
    "round twice": ("throughput", "round", 1),
    "phase that is not there": ("throughput", "phase", None),
    "status of what was timed": ("throughput", "status", "skipped"),
    "measurement in the future": ("throughput", "started_at", pd.Timestamp("2099-1-1", tz="UTC")),
    "measurement of two times": ("throughput", "started_at", pd.Timestamp("2025-1-1", tz="UTC")),
    "measurement of two devices": ("throughput", "device_name", "another"),
    "threads of 0": ("throughput", "threads", 0),
}


def test_a_calibration_workload_without_a_version() -> None:
    """Nothing could be compared with its times; nor does it train any run."""
    rows = sound().throughput
    first = int(np.flatnonzero(rows["backend"] == "calibration")[0])
    contents = set_apart(changed("throughput", first, "kernel", None), NOW)
    assert list(contents.unreadable) == ["throughput with a calibration workload without a version"]
    assert set_apart(changed("runs", 0, "backend", "calibration"), NOW).unreadable


@pytest.mark.parametrize("case", CASES)
def test_cannot_be(case: str) -> None:
    """An impossible value is named, and its run or row is left out."""
    table, column, value = CASES[case]
    contents = set_apart(changed(table, 0, column, value), NOW)
    assert all(name.startswith((f"{table} with ", "runs with ")) for name in contents.unreadable)
    assert contents.unreadable
    if table == "throughput":
        assert len(contents.throughput) < len(sound().throughput)
    else:
        lost = set(sound().runs["run_id"]) - set(contents.runs["run_id"])
        assert lost == {sound().runs["run_id"][0]}
        assert not contents.epochs["run_id"].isin(lost).any()


def test_a_last_epoch_that_is_absent() -> None:
    """A finished run must have every epoch, whatever count its row gives."""
    runs = sound().runs.copy()
    runs.loc[0, "epoch_rows"] = 5
    epochs = sound().epochs.drop(index=5)
    contents = set_apart(replace(sound(), runs=runs, epochs=epochs), NOW)
    assert [*contents.unreadable] == ["runs with another number of epochs than were trained"]


def test_epochs_of_one_number() -> None:
    """Epochs that all have the same number are set apart."""
    epochs = sound().epochs.assign(epoch=0)
    contents = set_apart(replace(sound(), epochs=epochs), NOW)
    assert len(contents.runs) == len(contents.epochs) == 0
    assert "runs with a repeated epoch" in contents.unreadable


def test_a_run_that_is_there_twice() -> None:
    """Two rows with the same id are both set apart."""
    runs = pd.concat([sound().runs, sound().runs[:1]], ignore_index=True)
    contents = set_apart(replace(sound(), runs=runs), NOW)
    assert (
        contents.unreadable["runs with a run_id that several rows share"]
        == "impossible (2 rows, first in Model00)"
    )
    assert len(contents.runs) == len(runs) - 2


def impossible(kind: pa.DataType, generator: np.random.Generator) -> Any:
    """Return a value of the type that every rule forbids."""
    if pa.types.is_string(kind):
        return generator.choice(["Model9", "", "nothing"])
    if pa.types.is_timestamp(kind):
        years = [1, 1900, 2019, 2028, 2099, 9999]
        return pd.Timestamp(year=int(generator.choice(years)), month=5, day=1, tz="UTC")
    if pa.types.is_integer(kind):
        return int(generator.choice([-1, -(2**40), -(2**63), 2**63 - 1, 2**60]))
    return float(generator.choice([-math.inf, -1.0, -1e300, 1e300, -5e-324, -1e9]))


def corruptions() -> Iterator[tuple[str, int, str, Any]]:
    """Yield an impossible value for every column that has a rule, each in some row."""
    generator = np.random.default_rng(0)
    for table, schema in SCHEMAS.items():
        for field in schema:
            if field.name in {*KNOWN, *NUMBERS, *TIMES}:
                row = int(generator.integers(len(getattr(sound(), table))))
                value = impossible(field.type, generator)
                # Backends may be any distance apart.
                parity = field.name.startswith("parity")
                yield table, row, field.name, -abs(value) if parity else value


def test_no_verdict_rests_on_what_cannot_be() -> None:
    """Any single impossible value makes the night incomplete, without a warning from numpy."""
    before = replace(sound(), runs=sound().runs.assign(started_at=START - timedelta(days=9)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, (table, row, column, value) in enumerate(corruptions()):
            corrupt = changed(table, row, column, value)
            contents = set_apart(corrupt, NOW)
            assert contents.unreadable, (table, row, column, value)
            assert not (getattr(contents, table)[column] == value).any()
            if number % JUDGED_EVERY == 0:
                judgement = judge(Evidence.of(contents, baseline=before))
                assert judgement.verdict == INCOMPLETE
                assert judgement.exit_code == 3


def any_value(old: Any, kind: pa.DataType, generator: np.random.Generator) -> Any:
    """Return any other value of the same type."""
    if pa.types.is_string(kind):
        return str(generator.choice(["Model3", "nn", OK, DIVERGED, "forward", "", "cuda", "x"]))
    if pa.types.is_boolean(kind):
        return not old
    if pa.types.is_timestamp(kind):
        return old + pd.Timedelta(days=int(generator.integers(-4000, 4000)))
    if pa.types.is_integer(kind):
        return old + int(generator.integers(-3, 4))
    return float(generator.choice([math.nan, math.inf, 0.0, 1.0, 1e-300, -1.0, 0.5, 1e30]))


def test_any_change_is_judged() -> None:
    """Any change of a single value still gives a verdict, without a warning."""
    before = replace(sound(), runs=sound().runs.assign(started_at=START - timedelta(days=9)))
    generator = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(TRIALS):
            table = str(generator.choice([*SCHEMAS]))
            rows = getattr(sound(), table)
            field = SCHEMAS[table].field(int(generator.integers(len(SCHEMAS[table]))))
            row = int(generator.integers(len(rows)))
            value = any_value(rows[field.name].iloc[row], field.type, generator)
            contents = set_apart(changed(table, row, field.name, value), NOW)
            if number % JUDGED_EVERY == 0:
                assert judge(Evidence.of(contents, baseline=before)).verdict in EXIT_CODES


@pytest.fixture
def stores(tmp_path: Path) -> Callable[..., list[str]]:
    """Write a night and a baseline; return the arguments of ``check``."""

    def write(baseline: Contents | None = None) -> list[str]:
        Store(tmp_path / "night").write_contents(sound())
        arguments = ["check", "--results", str(tmp_path / "night"), "--baseline"]
        if baseline is None:
            return [*arguments, str(tmp_path / "night")]
        Store(tmp_path / "baseline").write_contents(baseline)
        return [*arguments, str(tmp_path / "baseline")]

    return write


def test_a_night_is_not_its_own_baseline(
    stores: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The night's own folder, a link to it or a frozen copy of it cannot be its baseline."""
    same = stores()
    (tmp_path / "link").symlink_to("night")
    frozen = Store(tmp_path / "night").compact(tmp_path / "frozen")
    for folder in (same[-1], str(tmp_path / "link"), str(frozen)):
        assert main([*same[:-1], folder]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"baseline {folder} holds the runs of {same[2]} itself: name an earlier" in error


def test_a_baseline_that_diverged(
    stores: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A baseline in which every run of a model diverged is refused: nothing could be worse."""
    runs, epochs = sound().runs.copy(), sound().epochs.copy()
    runs.loc[runs["variant"] == "Model5", "status"] = DIVERGED
    epochs.loc[epochs["variant"] == "Model5", "valid_loss"] = math.nan
    runs["started_at"] -= timedelta(days=1)
    assert main(stores(replace(sound(), runs=runs, epochs=epochs))) == 2
    assert (
        "every run of Model5 nn diverged, so that no night could be worse"
        in capsys.readouterr().err
    )


def test_the_readers_clock(tmp_path: Path) -> None:
    """A measurement from tomorrow is kept; one from further in the future is set apart."""
    for days, kept in ((0.9, True), (1.1, False)):
        start = pd.Timestamp(datetime.now(UTC) + timedelta(days=days))
        throughput = sound().throughput.assign(started_at=start)
        store = Store(tmp_path / str(days))
        store.write_contents(replace(sound(), throughput=throughput))
        contents = read(store.folder)
        assert (len(contents.throughput) > 0) == kept
        late = "throughput with started_at after this machine's clock"
        assert [*contents.unreadable] == ([] if kept else [late])
