"""Which runs the tables show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.store.records import DIVERGED, FAILED, Record
from reports.runs.selection import Selection, select
from tests.made_up import ENVIRONMENT, contents_of, made_up_record, stored, with_outcome


def selected(records: Sequence[Record]) -> Selection:
    """Return the selection of these records."""
    return select(contents_of(records))


def test_all_alike() -> None:
    """Runs of one kind are all shown, without a note."""
    selection = selected([made_up_record("Model0", seed) for seed in range(3)])
    assert list(selection.runs["seed"]) == [0, 1, 2]
    assert len(selection.epochs) == 18
    assert selection.notes == ()


def test_failed_and_diverged_are_named() -> None:
    """A failed run is not shown, a diverged one is, and both are named."""
    records = [
        made_up_record("Model0", 0),
        with_outcome(made_up_record("Model0", 1), FAILED, "RuntimeError: injected"),
        with_outcome(made_up_record("Model0", 2), DIVERGED),
    ]
    selection = selected(records)
    assert list(selection.runs["seed"]) == [0, 2]
    assert selection.notes[0] == "Model0 custom seed 1 failed: RuntimeError: injected"
    assert selection.notes[1].startswith("Model0 custom seed 2 diverged")


def test_many_failures_are_counted() -> None:
    """Ten failures are named, the rest counted."""
    records = [with_outcome(made_up_record("Model0", seed), FAILED, "x") for seed in range(12)]
    selection = selected(records)
    assert len(selection.notes) == 11
    assert selection.notes[-1] == "2 more runs failed."
    assert selection.runs.empty


def test_one_configuration() -> None:
    """The larger group in float32 is shown, and the note says how the others differ."""
    newer = replace(ENVIRONMENT, torch_version="2.14.0")
    records = [made_up_record("Model0", seed) for seed in range(2)]
    records += [made_up_record("Model0", seed, environment=newer) for seed in range(3)]
    records += [made_up_record("Model0", seed, dtype="float64") for seed in range(9)]
    selection = selected(records)
    assert set(selection.runs["torch_version"]) == {"2.14.0"}
    assert set(selection.runs["dtype"]) == {"float32"}
    assert sorted(selection.left_out) == [
        "Left out: 2 runs with other settings: torch_version 2.13.0.",
        "Left out: 9 runs with other settings: dtype float64, torch_version 2.13.0.",
    ]


@pytest.mark.parametrize(("seeds", "backend"), [(2, "custom"), (3, "custom"), (4, "ensemble")])
def test_the_backend_of_the_most_seeds(seeds: int, backend: str) -> None:
    """A variant shows the backend with the most seeds, the notebook's own at a tie.

    The ensemble is trained by other modules: its runs are alike among themselves. Short runs do not
    count.
    """
    other = replace(ENVIRONMENT, source_sha256="e" * 64)
    whole = [made_up_record("Model0", seed) for seed in range(3)]
    joint = [
        made_up_record("Model0", seed, backend="ensemble", environment=other)
        for seed in range(seeds)
    ]
    short = [
        made_up_record("Model0", seed, epochs=1, backend="ensemble", environment=other)
        for seed in range(20, 25)
    ]
    selection = selected([*whole, *joint, *(short if seeds == 2 else [])])
    assert selection.backends == {"Model0": backend}
    assert list(selection.runs["seed"]) == [*range(max(3, seeds))]
    assert set(selection.epochs["backend"]) == {backend}
    assert set(selection.grid["backend"]) == {"custom", "ensemble"}
    assert len(selection.grid) == 3 + seeds
    assert selection.left_out == ()


def test_every_variant_has_its_own_backend() -> None:
    """The backend is chosen for each variant by itself."""
    records = [made_up_record(name, seed) for name in ("Model0", "Model5") for seed in range(2)]
    records += [made_up_record("Model5", seed, backend="cell") for seed in range(3)]
    selection = selected(records)
    assert selection.backends == {"Model0": "custom", "Model5": "cell"}


def test_faulty_runs_are_left_out() -> None:
    """Runs with an injected fault are counted but not shown, even if they are the majority."""
    records = [made_up_record("Model0", 0)]
    records += [made_up_record("Model0", seed, injected_fault="same_seed") for seed in range(3)]
    failed = made_up_record("Model0", 9, injected_fault="lr_times_3")
    records.append(with_outcome(failed, FAILED, "x"))
    selection = selected(records)
    assert list(selection.runs["run_id"]) == [records[0].run_id]
    assert set(selection.epochs["run_id"]) == {records[0].run_id}
    assert selection.left_out == (
        "Left out: 1 run with lr_times_3.",
        "Left out: 3 runs with same_seed.",
    )


def test_a_store_of_one_injected_fault_is_shown() -> None:
    """If all runs have the same injected fault, they are shown with a note."""
    records = [made_up_record("Model0", seed, injected_fault="same_seed") for seed in range(3)]
    selection = selected(records)
    assert list(selection.runs["seed"]) == [0, 1, 2]
    assert selection.left_out == ("same_seed was injected into every run.",)
    records.append(made_up_record("Model0", 3, injected_fault="lr_times_3"))
    assert selected(records).runs.empty
    mixed = selected([records[0], made_up_record("Model0", 7)])
    assert list(mixed.runs["seed"]) == [7]


def test_longer_run_of_a_seed() -> None:
    """A seed that was run for one epoch and in full counts once, in full."""
    records = [made_up_record("Model0", 0, epochs=1), made_up_record("Model0", 0)]
    selection = selected(records)
    assert list(selection.runs["epochs"]) == [6]
    assert len(selection.epochs) == 6


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named with its reason."""
    record = made_up_record("Model0", 0)
    store = stored(tmp_path, [record])
    store.path("runs", record.run_id).write_bytes(b"PAR1")
    selection = select(store.read())
    assert selection.notes[0].startswith(f"The file runs/{record.run_id}.parquet cannot be read: ")
    assert selection.runs.empty
