"""Departures from the reference run: distances, limits and verdicts, on made-up runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from hnrnn import departures as d
from hnrnn.distances import distances
from hnrnn.published import MEASURES

SPREAD, FURTHEST, JUMP_RATE = 1e-6, 1e-4, 0.005
OWN_LIMIT, LIMIT = d.MARGIN * SPREAD, d.MARGIN * FURTHEST
LISTED = 5
"""Seeds with a limit of their own: 0 to 4, where seed 4 has jumped before."""


def reference(seeds: int = 60, epochs: int = 3) -> pd.DataFrame:
    """Return made-up reference runs of Model4."""
    rows = [
        ("ones", "Model4", seed, epoch, 2.0 + seed / 8 - epoch / 4, 3.0 - epoch / 4, 0.25)
        for seed in range(seeds)
        for epoch in range(epochs)
    ]
    return pd.DataFrame(rows, columns=["initialisation", "variant", "seed", "epoch", *MEASURES])


def rounding(jump_rate: float = JUMP_RATE) -> pd.DataFrame:
    """Return the same spread and limits for the losses of Model4 in every epoch."""
    rows = [
        ("ones", "Model4", epoch, column, SPREAD, FURTHEST, jump_rate)
        for epoch in range(3)
        for column in MEASURES[:2]
    ]
    return pd.DataFrame(rows, columns=[*d.CELL, "spread", "furthest", "jump_rate"])


def by_seed() -> pd.DataFrame:
    """Return the furthest healthy distances of the seeds that were measured often."""
    cells = rounding()[d.CELL]
    return pd.concat(
        cells.assign(seed=seed, furthest=FURTHEST if seed == LISTED - 1 else SPREAD / 2)
        for seed in range(LISTED)
    )


def departures(runs: pd.DataFrame, jump_rate: float = JUMP_RATE) -> pd.DataFrame:
    """Return the departures of made-up runs from the made-up reference."""
    return d.departures(distances(runs, reference()), rounding(jump_rate), by_seed())


def moved(by: dict[int, float], *, epoch: int = 1, column: str = "valid_loss") -> pd.DataFrame:
    """Return runs of the seeds in ``by``, each moved by so much in one epoch and column."""
    runs = reference().query("seed in @by").assign(backend="nn")
    there = runs["epoch"] == epoch
    runs.loc[there, column] += runs.loc[there, "seed"].map(by)
    return runs


def verdict(runs: pd.DataFrame, *, wider: float = 1.0, jump_rate: float = JUMP_RATE) -> pd.Series:
    """Return the one row of the configuration's verdict."""
    found = d.of_configurations(departures(runs, jump_rate), ["backend"], wider=wider)
    (_, row), *others = found.iterrows()
    assert not others
    return row


def test_verdicts_of_one_seed() -> None:
    """One seed must be beyond anything that rounding was seen to do, to any seed."""
    assert verdict(moved({0: 0.0}))["verdict"] == d.SAME_DIGITS
    assert not verdict(moved({0: 0.9 * OWN_LIMIT}))["undecided"]
    near = verdict(moved({0: 0.9 * LIMIT}))
    assert near["verdict"] == d.SAME_TO_ROUNDING
    assert (near["epoch"], near["column"]) == (1, "valid_loss")
    assert near["departure"] == pytest.approx(0.9 * LIMIT / SPREAD)
    assert near["nearness"] == pytest.approx(0.9)
    assert near["seeds_beyond"] == 1
    assert verdict(moved({0: 1.1 * LIMIT}))["verdict"] == d.ANOTHER_COMPUTATION


def test_a_fault_moves_every_seed() -> None:
    """What one seed cannot show, two and five seeds do, each by its own limit."""
    small = 1.1 * OWN_LIMIT
    alone = verdict(moved({0: small}))
    assert alone["verdict"] == d.SAME_TO_ROUNDING
    assert alone["undecided"]
    found = verdict(moved({0: small, 1: small}))
    assert found["verdict"] == d.ANOTHER_COMPUTATION
    assert not found["undecided"]
    assert found["seeds_beyond"] == 2
    assert found["nearness"] == pytest.approx(1.1)
    four = dict.fromkeys(range(4), small) | {4: 0.0}
    assert verdict(moved(four))["verdict"] == d.ANOTHER_COMPUTATION
    three = dict.fromkeys(range(3), small) | {3: 0.0, 4: 0.0}
    assert verdict(moved(three))["verdict"] == d.SAME_TO_ROUNDING


def test_a_seed_that_jumps() -> None:
    """A seed that has jumped before has a wider limit of its own."""
    assert verdict(moved({3: 2 * OWN_LIMIT, 4: 2 * OWN_LIMIT}))["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved({3: 2 * OWN_LIMIT, 4: 2 * LIMIT}))["verdict"] == d.ANOTHER_COMPUTATION


def test_seeds_without_a_limit_of_their_own() -> None:
    """They are judged by the limit of the cell, and hide no fault of the others."""
    small = 1.1 * OWN_LIMIT
    assert verdict(moved(dict.fromkeys(range(5, 10), small)))["verdict"] == d.SAME_TO_ROUNDING
    beyond = dict.fromkeys(range(5, 10), 1.1 * LIMIT)
    assert verdict(moved(beyond))["verdict"] == d.ANOTHER_COMPUTATION
    assert verdict(moved(dict.fromkeys(range(10), small)))["verdict"] == d.ANOTHER_COMPUTATION


def test_cells_where_many_seeds_jump() -> None:
    """Where jumps are frequent, more seeds are needed until they cannot all have jumped."""
    small = 1.1 * OWN_LIMIT
    two, four = (dict.fromkeys(range(count), small) for count in (2, 4))
    assert verdict(moved(two), jump_rate=0.05)["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved(four), jump_rate=0.05)["verdict"] == d.ANOTHER_COMPUTATION


def test_chance_of_healthy_jumps() -> None:
    """It is the binomial probability that enough healthy seeds jump."""
    assert d.chance(1, 0.1, 1) == pytest.approx(0.1)
    assert d.chance(2, 0.1, 2) == pytest.approx(0.01)
    assert d.chance(5, 0.1, 4) == pytest.approx(5 * 0.1**4 * 0.9 + 0.1**5)
    assert d.chance(200, 0.02, 160) < 1e-100
    assert d.chance(5, 0.0, 4) == 0


def test_one_odd_seed_fails_no_night() -> None:
    """A jump of rounding in one seed of five passes, and a jump that rounding never makes fails."""
    healthy = dict.fromkeys(range(1, 5), 1e-7)
    far = d.FAR * LIMIT
    assert verdict(moved(healthy | {0: 0.9 * far}))["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved(healthy | {0: 1.1 * far}))["verdict"] == d.ANOTHER_COMPUTATION
    assert verdict(moved(healthy | {0: np.nan}))["verdict"] == d.ANOTHER_COMPUTATION


@pytest.mark.parametrize("lone", [True, False], ids=["fastai's", "ours"])
def test_more_seeds_than_jump(*, lone: bool) -> None:
    """Of sixty seeds twelve do not all jump, far from four of five as they are."""
    jumped = dict.fromkeys(range(49, 60), 1.1 * LIMIT)
    healthy = dict.fromkeys(range(48), 1e-7)

    def of(by: dict[int, float]) -> str:
        cells = departures(moved(by)).assign(lone=lone)
        return str(d.of_configurations(cells, ["backend"])["verdict"].iloc[0])

    assert of(healthy | {48: 1e-7} | jumped) == d.SAME_TO_ROUNDING
    assert of(healthy | {48: 1.1 * LIMIT} | jumped) == d.ANOTHER_COMPUTATION


def test_odd_seeds_of_many() -> None:
    """Among many seeds a few may be further than was ever seen; more of them are a fault."""
    far = dict.fromkeys(range(57, 60), 1.1 * d.FAR * LIMIT)
    healthy = dict.fromkeys(range(57), 1e-7)
    assert verdict(moved(healthy | far))["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved(healthy | far | {56: far[57]}))["verdict"] == d.ANOTHER_COMPUTATION


@pytest.mark.parametrize("distance", [1.1 * d.HUGE * LIMIT, np.nan])
def test_one_huge_distance_among_many_seeds(distance: float) -> None:
    """What no rounding does departs, even in one seed of sixty."""
    runs = moved(dict.fromkeys(range(59), 1e-7) | {59: distance})
    found = verdict(runs)
    assert found["verdict"] == d.ANOTHER_COMPUTATION
    assert found["furthest_times"] > d.HUGE


def test_a_reference_that_may_have_jumped() -> None:
    """Only the share of the seeds counts there, and a single seed fails nothing."""
    healthy = dict.fromkeys(range(1, 5), 1e-7)
    far = 2 * d.FAR * LIMIT

    def of(by: dict[int, float]) -> str:
        cells = departures(moved(by)).assign(lone=False)
        return str(d.of_configurations(cells, ["backend"])["verdict"].iloc[0])

    assert of(healthy | {0: far}) == d.SAME_TO_ROUNDING
    assert of(dict.fromkeys(range(5), far)) == d.ANOTHER_COMPUTATION
    assert of({0: far}) == d.UNEXPLAINED


def test_most_seeds_but_fewer_than_needed() -> None:
    """Three of five seeds beyond the limit of the cell decide nothing; two have jumped."""
    healthy = dict.fromkeys(range(8, 10), 1e-7)
    assert verdict(moved(healthy | dict.fromkeys(range(5, 8), 2 * LIMIT)))["undecided"]
    two = dict.fromkeys(range(5, 8), 1e-7) | dict.fromkeys(range(8, 10), 2 * LIMIT)
    assert not verdict(moved(two))["undecided"]
    half = {5: 2 * LIMIT, 6: 2 * LIMIT, 7: 1e-7, 8: 1e-7}
    assert verdict(moved(half))["undecided"]
    assert not verdict(moved({5: 2 * LIMIT, 7: 1e-7}))["undecided"]


def test_first_cell_that_departs() -> None:
    """The first epoch is named, and the first column in it, however far later ones are."""
    runs = moved({0: 1.0})
    first = runs["epoch"] == 0
    runs.loc[first, ["train_loss", "valid_loss"]] += [4e-4, 5e-3]
    found = verdict(runs)
    assert (found["epoch"], found["column"]) == (0, "train_loss")
    assert found["departure"] == pytest.approx(400)


def test_cells_without_a_limit() -> None:
    """A departure there changes no verdict; where no cell is known, there is no reference."""
    assert verdict(moved({0: 1.0}, column="accuracy"))["verdict"] == d.SAME_TO_ROUNDING
    runs = moved({0: 1.0}).query("epoch == 2")
    found = d.departures(
        distances(runs, reference()), rounding().query("epoch < 2"), by_seed().head(0)
    )
    assert set(d.of_configurations(found, ["backend"])["verdict"]) == {d.NO_REFERENCE}


def test_wider_limits() -> None:
    """Between the limit and the wider one nothing is decided."""
    assert verdict(moved({0: 0.9 * LIMIT}), wider=10)["verdict"] == d.SAME_TO_ROUNDING
    assert verdict(moved({0: 9 * LIMIT}), wider=10)["verdict"] == d.UNEXPLAINED
    assert verdict(moved({0: 11 * LIMIT}), wider=10)["verdict"] == d.ANOTHER_COMPUTATION


def test_groups_must_have_names() -> None:
    """Runs that a column cannot tell apart are refused, and not left out."""
    with pytest.raises(ValueError, match="told apart by backend"):
        d.of_configurations(departures(moved({0: 0.0}).assign(backend=None)), ["backend"])


def test_runs_one_by_one() -> None:
    """Every run of a night has its own verdict."""
    runs = moved({0: 0.0, 1: 5e-5, 2: 4e-4}).assign(run_id=lambda runs: runs["seed"].astype(str))
    found = d.of_runs(departures(runs))
    assert found.set_index("run_id")["verdict"].to_dict() == {
        "0": d.SAME_DIGITS,
        "1": d.SAME_TO_ROUNDING,
        "2": d.ANOTHER_COMPUTATION,
    }


def test_configurations_are_judged_apart() -> None:
    """A fault in one of two backends is found in that one."""
    runs = pd.concat([moved({0: 1e-3}), moved({0: 0.0}).assign(backend="cell")])
    found = d.of_configurations(departures(runs), ["variant", "backend"])
    assert found.set_index("backend")["verdict"].to_dict() == {
        "cell": d.SAME_DIGITS,
        "nn": d.ANOTHER_COMPUTATION,
    }


@pytest.mark.parametrize(
    ("seeds", "most", "of_all"),
    [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 4, 4), (6, 5, 4), (10, 8, 5), (100, 80, 16)],
)
def test_needed_seeds(seeds: int, most: int, of_all: int) -> None:
    """Four of five seeds, or as many; of all seeds no more than can jump by chance."""
    assert d.needed(seeds) == most
    assert d.needed_of_all(seeds) == of_all
    assert binom.sf(of_all - 1, seeds, d.JUMP_RATE) <= d.LEVEL or of_all == most
    assert binom.sf(of_all - 2, seeds, d.JUMP_RATE) > d.LEVEL
