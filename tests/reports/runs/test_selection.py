"""Which runs the tables are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.store.records import DIVERGED, FAILED, Record
from bench.store.store import Store
from reports.runs.selection import Selection, select
from tests.report_data import ENVIRONMENT, made_up_record, with_outcome


def selected(folder: Path, records: Sequence[Record]) -> Selection:
    """Return the selection from a store that holds these records."""
    store = Store(folder)
    store.prepare()
    for record in records:
        store.write(record)
    return select(store.read())


def test_all_alike(tmp_path: Path) -> None:
    """Runs that are alike are all shown, with nothing to note."""
    selection = selected(tmp_path, [made_up_record("Model0", seed) for seed in range(3)])
    assert list(selection.runs["seed"]) == [0, 1, 2]
    assert len(selection.epochs) == 18
    assert selection.notes == ()


def test_failed_and_diverged_are_named(tmp_path: Path) -> None:
    """A failed run is not shown, a diverged one is, and both are named."""
    records = [
        made_up_record("Model0", 0),
        with_outcome(made_up_record("Model0", 1), FAILED, "RuntimeError: injected"),
        with_outcome(made_up_record("Model0", 2), DIVERGED),
    ]
    selection = selected(tmp_path, records)
    assert list(selection.runs["seed"]) == [0, 2]
    assert selection.notes[0] == "Model0 custom seed 1 failed: RuntimeError: injected"
    assert selection.notes[1].startswith("Model0 custom seed 2 diverged")


def test_many_failures_are_counted(tmp_path: Path) -> None:
    """Ten failures are named, the rest counted."""
    records = [with_outcome(made_up_record("Model0", seed), FAILED, "x") for seed in range(12)]
    selection = selected(tmp_path, records)
    assert len(selection.notes) == 11
    assert selection.notes[-1] == "2 more runs failed."
    assert selection.runs.empty


def test_one_configuration(tmp_path: Path) -> None:
    """The larger configuration in float32 is shown, and what the others differ in is said."""
    newer = replace(ENVIRONMENT, torch_version="2.14.0")
    records = [made_up_record("Model0", seed) for seed in range(2)]
    records += [made_up_record("Model0", seed, environment=newer) for seed in range(3)]
    records += [made_up_record("Model0", seed, dtype="float64") for seed in range(9)]
    selection = selected(tmp_path, records)
    assert set(selection.runs["torch_version"]) == {"2.14.0"}
    assert set(selection.runs["dtype"]) == {"float32"}
    assert sorted(selection.left_out) == [
        "2 runs of other settings are left out: torch_version 2.13.0.",
        "9 runs of other settings are left out: dtype float64, torch_version 2.13.0.",
    ]


def test_engines_are_not_mixed(tmp_path: Path) -> None:
    """Runs that something else trained stand in no table beside those of the learner."""
    records = [made_up_record("Model0", seed) for seed in range(3)]
    records += [made_up_record("Model0", seed, engine="ensemble") for seed in range(1, 3)]
    selection = selected(tmp_path, records)
    assert list(selection.runs["engine"]) == ["learner"] * 3
    assert set(selection.grid["engine"]) == {"learner"}
    assert selection.left_out == ("2 runs of other settings are left out: engine ensemble.",)


def test_faulty_runs_are_left_out(tmp_path: Path) -> None:
    """Runs with something injected are counted, not shown, even where they are more or failed."""
    records = [made_up_record("Model0", 0)]
    records += [made_up_record("Model0", seed, injected_fault="same_seed") for seed in range(3)]
    failed = made_up_record("Model0", 9, injected_fault="lr_times_3")
    records.append(with_outcome(failed, FAILED, "x"))
    selection = selected(tmp_path, records)
    assert list(selection.runs["run_id"]) == [records[0].run_id]
    assert set(selection.epochs["run_id"]) == {records[0].run_id}
    assert selection.left_out == (
        "lr_times_3 was injected in 1 runs, which are left out.",
        "same_seed was injected in 3 runs, which are left out.",
    )


def test_a_store_of_one_injected_fault_is_shown(tmp_path: Path) -> None:
    """Where all runs have the same faulty, they are shown, and it is said."""
    records = [made_up_record("Model0", seed, injected_fault="same_seed") for seed in range(3)]
    selection = selected(tmp_path / "one", records)
    assert list(selection.runs["seed"]) == [0, 1, 2]
    assert selection.left_out == ("same_seed was injected in all 3 runs.",)
    records.append(made_up_record("Model0", 3, injected_fault="lr_times_3"))
    assert selected(tmp_path / "two", records).runs.empty
    mixed = selected(tmp_path / "mixed", [records[0], made_up_record("Model0", 7)])
    assert list(mixed.runs["seed"]) == [7]


def test_longer_run_of_a_seed(tmp_path: Path) -> None:
    """Where a seed was run for one epoch and for all, it counts once, with all."""
    records = [made_up_record("Model0", 0, epochs=1), made_up_record("Model0", 0)]
    selection = selected(tmp_path, records)
    assert list(selection.runs["epochs"]) == [6]
    assert len(selection.epochs) == 6


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named with its reason."""
    record = made_up_record("Model0", 0)
    store = Store(tmp_path)
    store.prepare()
    store.write(record)
    store.path("runs", record.run_id).write_bytes(b"PAR1")
    selection = select(store.read())
    assert selection.notes[0].startswith(f"The file runs/{record.run_id}.parquet cannot be read: ")
    assert selection.runs.empty
