"""Departures from the reference run: distances, limits and verdicts, on made-up runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hnrnn import departures as d
from hnrnn.published import MEASURES, reference_runs, reference_weights

SPREAD = 1e-6
LIMITS = {1: 1e-4, 2: 3e-5, 3: 2e-5, 5: 1e-5, 10: 8e-6}


def reference(seeds: int = 10, epochs: int = 3) -> pd.DataFrame:
    """Return made-up reference runs of Model4."""
    rows = [
        ("ones", "Model4", seed, epoch, 2.0 + seed / 8 - epoch / 4, 3.0 - epoch / 4, 0.25)
        for seed in range(seeds)
        for epoch in range(epochs)
    ]
    return pd.DataFrame(rows, columns=["initialisation", "variant", "seed", "epoch", *MEASURES])


def rounding(epochs: int = 3) -> pd.DataFrame:
    """Return the same spread and limits for every cell of Model4; accuracy is not used."""
    limits = {d.limit_name(count): limit for count, limit in LIMITS.items()}
    rows = [
        {"variant": "Model4", "epoch": epoch, "column": column, "spread": SPREAD}
        | {name: np.nan if column == "accuracy" else limit for name, limit in limits.items()}
        for epoch in range(epochs)
        for column in MEASURES
    ]
    return pd.DataFrame(rows)


def moved(by: dict[int, float], *, epoch: int = 1, column: str = "valid_loss") -> pd.DataFrame:
    """Return runs of the seeds in ``by``, each moved by so much in one epoch and column."""
    runs = reference().query("seed in @by").assign(backend="nn")
    there = runs["epoch"] == epoch
    runs.loc[there, column] += runs.loc[there, "seed"].map(by)
    return runs


def verdict(runs: pd.DataFrame, *, wider: float = 1.0) -> pd.Series:
    """Return the one row of the configuration's verdict."""
    found = d.departures(d.distances(runs, reference()), rounding())
    (_, row), *others = d.of_configurations(found, ["backend"], wider=wider).iterrows()
    assert not others
    return row


def test_distances() -> None:
    """Each value has a row with its distance, and keeps the other columns."""
    runs = moved({0: 1e-3, 3: 0.0})
    found = d.distances(runs, reference())
    assert len(found) == 2 * 3 * len(MEASURES)
    assert set(found["backend"]) == {"nn"}
    there = found.query("seed == 0 and epoch == 1 and column == 'valid_loss'").iloc[0]
    assert there["distance"] == pytest.approx(1e-3)
    assert not there["same"]
    assert found.drop(there.name)["distance"].max() == 0.0


def test_distances_of_what_is_no_number() -> None:
    """A loss that is no number is infinitely far."""
    found = d.distances(moved({0: np.nan}), reference())
    assert np.isinf(found["distance"]).sum() == 1


def test_epochs_without_reference_have_no_distance() -> None:
    """Other seeds and initialisations are left out."""
    runs = reference(12).assign(initialisation=["ones"] * 33 + ["uniform"] * 3)
    assert set(d.distances(runs, reference())["seed"]) == set(range(10))
    assert d.distances(runs.assign(initialisation="uniform"), reference()).empty


@pytest.mark.parametrize(
    ("value", "printed", "same"),
    [(3.67845549, 3.678455, True), (3.6784556, 3.678455, False), (0.060202214, 0.06020221, True)],
)
def test_all_digits_of_the_reference(value: float, printed: float, same: bool) -> None:  # noqa: FBT001
    """A value is the same if it is the reference's when it is written with seven digits."""
    printed_runs = reference(1, 1).assign(train_loss=printed)
    found = d.distances(printed_runs.assign(train_loss=value), printed_runs)
    assert found.query("column == 'train_loss'")["same"].all() == same
    exact = d.distances(printed_runs.assign(train_loss=value), printed_runs, digits=None)
    assert not exact.query("column == 'train_loss'")["same"].any()


def test_verdicts_of_one_seed() -> None:
    """One seed is judged by the limit of one seed."""
    assert verdict(moved({0: 0.0}))["verdict"] == d.SAME_BITS
    near = verdict(moved({0: 9e-5}))
    assert near["verdict"] == d.SAME_TO_ROUNDING
    assert (near["epoch"], near["column"]) == (1, "valid_loss")
    assert near["departure"] == pytest.approx(90)
    assert near["nearness"] == pytest.approx(0.9)
    assert verdict(moved({0: 1.1e-4}))["verdict"] == d.ANOTHER_COMPUTATION


def test_a_fault_moves_every_seed() -> None:
    """What one seed cannot show, two and five seeds do."""
    small = 4e-5
    assert verdict(moved({0: small}))["verdict"] == d.SAME_TO_ROUNDING
    found = verdict(moved({0: small, 1: small}))
    assert found["verdict"] == d.ANOTHER_COMPUTATION
    assert found["seeds_beyond"] == 2
    four = dict.fromkeys(range(4), 1.1e-5) | {4: 0.0}
    assert verdict(moved(four))["verdict"] == d.ANOTHER_COMPUTATION
    three = dict.fromkeys(range(3), 1.1e-5) | {3: 0.0, 4: 0.0}
    assert verdict(moved(three))["verdict"] == d.SAME_TO_ROUNDING


def test_one_odd_seed_fails_no_night() -> None:
    """A jump of rounding in one seed of five passes, and a jump that rounding never makes fails."""
    healthy = dict.fromkeys(range(1, 5), 1e-7)
    assert verdict(moved(healthy | {0: 5e-4}))["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved(healthy | {0: 1.1e-3}))["verdict"] == d.ANOTHER_COMPUTATION
    assert verdict(moved(healthy | {0: np.nan}))["verdict"] == d.ANOTHER_COMPUTATION


def test_first_cell_that_departs() -> None:
    """The first epoch is named, and the first column in it, however far later ones are."""
    runs = moved({0: 1.0})
    first = runs["epoch"] == 0
    runs.loc[first, ["train_loss", "valid_loss"]] += [2e-4, 5e-3]
    found = verdict(runs)
    assert (found["epoch"], found["column"]) == (0, "train_loss")
    assert found["departure"] == pytest.approx(200)


def test_cells_that_are_not_used() -> None:
    """A departure there changes no verdict; where no cell is used, there is no reference."""
    assert verdict(moved({0: 1.0}, column="accuracy"))["verdict"] == d.SAME_TO_ROUNDING
    found = d.departures(d.distances(moved({0: 1.0}), reference()), rounding().query("epoch > 5"))
    assert set(d.of_configurations(found, ["backend"])["verdict"]) == {d.NO_REFERENCE}


def test_wider_limits() -> None:
    """Between the limit and the wider one nothing is decided."""
    assert verdict(moved({0: 9e-5}), wider=10)["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved({0: 9e-4}), wider=10)["verdict"] == d.UNEXPLAINED
    assert verdict(moved({0: 1.1e-3}), wider=10)["verdict"] == d.ANOTHER_COMPUTATION


def test_runs_one_by_one() -> None:
    """Every run of a night has its own verdict."""
    runs = moved({0: 0.0, 1: 5e-5, 2: 2e-4}).assign(run_id=lambda runs: runs["seed"].astype(str))
    found = d.of_runs(d.departures(d.distances(runs, reference()), rounding()))
    assert found.set_index("run_id")["verdict"].to_dict() == {
        "0": d.SAME_BITS,
        "1": d.SAME_TO_ROUNDING,
        "2": d.ANOTHER_COMPUTATION,
    }


def test_configurations_are_judged_apart() -> None:
    """A fault in one of two backends is found in that one."""
    runs = pd.concat([moved({0: 1e-3}), moved({0: 0.0}).assign(backend="cell")])
    found = d.of_configurations(
        d.departures(d.distances(runs, reference()), rounding()), ["variant", "backend"]
    )
    assert found.set_index("backend")["verdict"].to_dict() == {
        "cell": d.SAME_BITS,
        "nn": d.ANOTHER_COMPUTATION,
    }


@pytest.mark.parametrize(("seeds", "name"), [(1, 1), (2, 2), (4, 3), (5, 5), (9, 5), (200, 10)])
def test_limit_for_a_number_of_seeds(seeds: int, name: int) -> None:
    """A number between those of the table has the limit of the next below, which is wider."""
    assert d.limit_name(seeds) == f"limit_{name}"


@pytest.mark.parametrize(("seeds", "most"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (10, 8)])
def test_needed_seeds(seeds: int, most: int) -> None:
    """Four of five seeds, or as many."""
    assert d.needed(seeds) == most


def test_reasons_without_reference() -> None:
    """A run has a reference if its seed was run, in float32, from the same initial weights."""
    weights = reference_weights()
    runs = weights.query("variant == 'Model5'").head(4).assign(dtype="float32")
    runs.loc[runs.index[1], "initial_weights_sha256"] = "others"
    runs.loc[runs.index[2], "seed"] = 99_999
    runs.loc[runs.index[3], "dtype"] = "float64"
    assert d.reasons_without_reference(runs, weights).to_list() == [
        None,
        "other initial weights",
        "no reference run of its seed",
        "the reference runs are in float32",
    ]


def test_reference_runs_are_their_own() -> None:
    """The published reference runs equal themselves in all digits."""
    runs = reference_runs()
    assert d.distances(runs, runs)["same"].all()
