"""The measured distances: what is trained, how it is written, and what is not done twice."""

from __future__ import annotations

from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pytest

from bench.store.store import Store
from bench.verification import measurement
from bench.verification.kinds import KINDS, Kind
from bench.verification.measurement import (
    KEYS,
    SOFTWARE,
    add_rows,
    add_store,
    measure,
    predictions_of,
    read,
    train,
)
from hnrnn.published import MEASURES, rounding
from hnrnn.variants import VARIANTS
from hnrnn.weights import initial_model


def rows(kind: str = "cell", seeds: int = 2, epochs: int = 2) -> pd.DataFrame:
    """Return made-up rows of a kind's file."""
    return pd.DataFrame(
        [
            (
                kind,
                "ones",
                "Model4",
                seed,
                0,
                epoch,
                1e-7,
                2e-7,
                0.0,
                "cpu",
                "2.13.0",
                "a processor",
                "AVX2",
            )
            for seed in range(seeds)
            for epoch in range(epochs)
        ],
        columns=[*KEYS, *MEASURES, *SOFTWARE],
    )


def test_rows_of_the_same_run_are_replaced(tmp_path: Path) -> None:
    """A file keeps one row per run and epoch, the latest."""
    add_rows(tmp_path, "cell", rows(seeds=2))
    add_rows(tmp_path, "cell", rows(seeds=3).assign(valid_loss=5e-7))
    found = read(tmp_path)
    assert len(found) == 6
    assert found["valid_loss"].eq(np.float32(5e-7)).all()


def test_nothing_is_trained_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only seeds that the file lacks, or has with fewer epochs, are trained."""
    add_rows(tmp_path, "cell", rows(seeds=2, epochs=2))
    asked = []

    class Pool:
        """A pool that trains nothing."""

        def __init__(self, _: int, *, mp_context: BaseContext, max_tasks_per_child: int) -> None:
            """A kind's environment variables need a process that has not loaded torch."""
            assert (mp_context.get_start_method(), max_tasks_per_child) == ("spawn", 1)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(
            self, _: object, kind: Kind, seeds: dict[str, list[int]], epochs: int, _device: str
        ) -> None:
            """Remember what was asked for."""
            asked.append((kind.name, seeds, epochs))

    monkeypatch.setattr(measurement, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(measurement, "as_completed", lambda _: [])
    kinds = [KINDS["cell"], KINDS["custom"]]
    variants = ["Model0", "Model4"]
    for epochs in (2, 3):
        measure(
            kinds,
            tmp_path,
            variants=variants,
            seeds=range(3),
            epochs=epochs,
            device="cpu",
            jobs=1,
            say=print,
        )
    assert asked == [
        ("cell", {"Model4": [2]}, 2),
        ("custom", {"Model0": [0, 1, 2], "Model4": [0, 1, 2]}, 2),
        ("cell", {"Model4": [0, 1, 2]}, 3),
        ("custom", {"Model0": [0, 1, 2], "Model4": [0, 1, 2]}, 3),
    ]


def test_healthy_runs_of_a_store(tmp_path: Path, store: Store) -> None:
    """They are added by backend, with their distances from the reference runs."""
    add_store(store.folder, tmp_path)
    found = read(tmp_path)
    assert set(found["kind"]) == {"nn"}
    assert set(zip(found["variant"], found["seed"], strict=True)) == {
        ("Model4", 0), ("Model4", 1), ("Model5", 0),
    }  # fmt: skip
    assert found["valid_loss"].max() < 1e-5


def test_predictions() -> None:
    """An accuracy is a mean over the tokens of the validation, or over its rows' last tokens."""
    counts = predictions_of(["Model1", "Model4"])
    accuracies = {"Model1": 4352, "Model4": 14080}
    assert counts == accuracies
    assert counts["Model4"] % (64 * VARIANTS["Model4"].bptt) == 0


def test_weights_moved_in_the_last_place() -> None:
    """Every weight moves by one unit in the last place, up or down, another way in each draw."""
    variant = VARIANTS["Model5"]
    model = initial_model(variant, 3)
    moved, other = (measurement._moved(variant, 3, draw) for draw in (0, 1))
    for name, parameter in model.named_parameters():
        weights = parameter.detach().numpy()
        there = weights != 0  # the neighbours of 0 are no unit of anything
        units = (moved[name] - weights)[there] / np.spacing(np.abs(weights[there]))
        assert moved[name].dtype == np.float32
        assert set(np.abs(units)) <= {0.5, 1.0}  # below a power of two the step is half as wide
    assert any((moved[name] != other[name]).any() for name in moved)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reordered_sum", "ensemble_last_bit", "last_bit"])
def test_healthy_kinds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind trains something that departs by rounding only, and not by nothing."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    found = train(KINDS[name], {"Model4": [0, 1]}, 1, "cpu")
    assert set(found["seed"]) == {0, 1}
    limit = (
        rounding()
        .query("initialisation == 'ones' and variant == 'Model4' and epoch == 0")
        .set_index("column")["furthest"]
    )
    assert found["valid_loss"].between(0, 3 * limit["valid_loss"], inclusive="neither").all()


@pytest.mark.slow
def test_a_fault_that_takes_another_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held against the reference of the seed that was asked for."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    kind = Kind("same_seed", "seed 0 for all", injected_fault="same_seed")
    found = train(kind, {"Model1": [0, 1]}, 1, "cpu")
    assert list(found["seed"]) == [0, 1]
    assert list(found["valid_loss"] > 1e-3) == [False, True]
