"""The rounding spread, the limits and their rates, on made-up healthy runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.verification import rates
from bench.verification.kinds import KINDS, counts, family_of, file_name
from bench.verification.limits import OFTEN, in_cells, jumps_of, rounding_table, spread_of
from bench.verification.measurement import KEYS
from bench.verification.rates import (
    detection,
    false_alarms,
    false_alarms_of_seeds,
    interval,
    summed,
    verdicts,
)
from hnrnn.departures import ANOTHER_COMPUTATION, SAME_TO_ROUNDING, departures
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS

PREDICTIONS = {"Model4": 1000}
KIND_COUNT, SEED_COUNT = 12, 10
FAMILIES = {f"kind {number}": f"kind {number}" for number in range(KIND_COUNT)}


def healthy(scale: float = 4e-7, kinds: int = KIND_COUNT) -> pd.DataFrame:
    """Return distances of healthy runs of Model4: three epochs of each kind and seed."""
    draws = np.random.default_rng(0)
    rows = [
        (
            f"kind {kind}",
            "ones",
            "Model4",
            seed,
            0,
            epoch,
            *(scale * draws.uniform(0.5, 1.5, 2)),
            0.0,
        )
        for kind in range(kinds)
        for seed in range(SEED_COUNT)
        for epoch in range(3)
    ]
    runs = pd.DataFrame(rows, columns=[*KEYS, *MEASURES])
    return runs.assign(device="cpu")


def with_jump(runs: pd.DataFrame, kind: str, seed: int, size: float = 1e-4) -> pd.DataFrame:
    """Return the runs with a jump of one kind and seed from epoch 1 on."""
    there = (runs["kind"] == kind) & (runs["seed"] == seed) & (runs["epoch"] >= 1)
    return runs.assign(valid_loss=runs["valid_loss"].mask(there, size))


def test_spread_is_that_of_the_worst_kind() -> None:
    """It is a median, so that jumps do not widen it, and at least what can be seen."""
    runs = with_jump(healthy(), "kind 3", 5, size=1.0)
    worse = healthy(3e-6, kinds=1).assign(kind="worse")
    spread = spread_of(in_cells(pd.concat([runs, worse])), PREDICTIONS)
    of_column = spread.groupby("column")["spread"]
    assert of_column.max()["valid_loss"] == pytest.approx(3e-6, rel=0.4)
    assert of_column.max()["accuracy"] == of_column.min()["accuracy"] == 1e-3
    alone = spread_of(in_cells(runs), PREDICTIONS).set_index(["epoch", "column"])["spread"]
    assert alone[1, "valid_loss"] == pytest.approx(4e-7, rel=0.5)
    tiny = spread_of(in_cells(healthy(1e-9)), PREDICTIONS)
    assert tiny.query("column != 'accuracy'")["spread"].eq(1e-7).all()


def test_rounding_table() -> None:
    """A cell has the furthest distance of any run, and a seed its own."""
    rounding, by_seed = rounding_table(with_jump(healthy(), "kind 3", 5), PREDICTIONS, FAMILIES)
    assert len(rounding) == 3 * len(MEASURES)
    assert len(by_seed) == len(rounding) * SEED_COUNT
    cell = rounding.set_index(["epoch", "column"]).loc[(1, "valid_loss")]
    assert cell["furthest"] == 1e-4
    assert (cell["kinds"], cell["runs"]) == (KIND_COUNT, KIND_COUNT * SEED_COUNT)
    seeds = by_seed.query("epoch == 1 and column == 'valid_loss'").set_index("seed")["furthest"]
    assert seeds[5] == 1e-4
    assert seeds.drop(5).max() < 1e-6


def test_seeds_that_were_measured_rarely_have_no_limit() -> None:
    """Fewer healthy runs than that say too little of a seed, and of jumps."""
    rounding, by_seed = rounding_table(healthy(kinds=OFTEN - 1), PREDICTIONS, FAMILIES)
    assert by_seed.empty
    assert rounding["jump_rate"].isna().all()
    assert rounding["furthest"].gt(0).any()


def test_jumps_are_those_that_the_other_kinds_do_not_show() -> None:
    """A seed that jumps in one kind only counts; where another kind jumps too, it does not."""
    one = jumps_of(in_cells(with_jump(healthy(), "kind 3", 5)), PREDICTIONS, FAMILIES)
    assert set(one[one["jumps"]]["kind"]) == {"kind 3"}
    assert one["jumps"].sum() == 2
    rate = rounding_table(with_jump(healthy(), "kind 3", 5), PREDICTIONS, FAMILIES)[0]
    rate = rate.set_index(["epoch", "column"])["jump_rate"]
    runs = KIND_COUNT * SEED_COUNT
    assert rate[0, "valid_loss"] == pytest.approx(1 / (runs + 1), rel=1e-3)
    assert rate[1, "valid_loss"] == pytest.approx(2 / (runs + 1), rel=1e-3)
    two = with_jump(with_jump(healthy(), "kind 3", 5), "kind 7", 5)
    assert not jumps_of(in_cells(two), PREDICTIONS, FAMILIES)["jumps"].any()
    family = FAMILIES | {"kind 3": "both", "kind 7": "both"}
    assert jumps_of(in_cells(two), PREDICTIONS, family)["jumps"].sum() == 4


def test_detection() -> None:
    """A fault that moves every seed is found in every night that has seeds enough."""
    rounding, by_seed = rounding_table(with_jump(healthy(), "kind 3", 5), PREDICTIONS, FAMILIES)
    fault = healthy(4e-6, kinds=1).assign(kind="fault", accuracy=0.0)
    found = detection(fault, rounding, by_seed).set_index(["seeds", "epochs"])
    assert found.loc[(1, 3), "nights"] == SEED_COUNT
    assert found.loc[(5, 3), "nights"] == found.loc[(5, 3), "found"] == 2
    assert found.loc[(5, 3), "departure"] == pytest.approx(10, rel=0.5)


@pytest.mark.slow
def test_false_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """No healthy kind alarms; one that is off everywhere does."""
    monkeypatch.setattr(rates, "SEEDS", (5,))
    monkeypatch.setattr(rates, "EPOCHS", (3,))
    jumps = with_jump(with_jump(healthy(), "kind 3", 5), "kind 7", 2)
    none = false_alarms(jumps, PREDICTIONS, FAMILIES)
    assert none["alarms"].sum() == 0
    assert none.query("seeds == 5 and epochs == 3")["nights"].sum() == 2 * KIND_COUNT
    off = healthy(1e-3, kinds=1).assign(kind="off")
    found = false_alarms(pd.concat([healthy(), off]), PREDICTIONS, FAMILIES | {"off": "off"})
    assert set(found[found["alarms"] > 0]["kind"]) == {"off"}
    total = summed(found, ["seeds"], "alarms").set_index("seeds")
    assert total.loc[5, "low"] < total.loc[5, "alarms"] / total.loc[5, "nights"]


def test_nights_share_no_seed() -> None:
    """Ten seeds make three nights of three, and one seed is left out."""
    limits = rounding_table(healthy(), PREDICTIONS, FAMILIES)
    found = verdicts(healthy(), *limits, seeds=3, epochs=1)
    assert found.groupby("kind").size().eq(3).all()
    assert found["seeds"].eq(3).all()
    assert found["epoch"].eq(0).all()
    assert set(found["verdict"]) == {SAME_TO_ROUNDING}
    jump = with_jump(healthy(1e-3), "kind 0", 0)
    assert ANOTHER_COMPUTATION in set(verdicts(jump, *limits, seeds=3, epochs=1)["verdict"])
    assert departures(in_cells(healthy()).assign(same=False), *limits)["limit"].notna().all()


def test_false_alarms_of_seeds() -> None:
    """A jump that no seed of the other half has shown alarms where a single seed is enough."""
    none = false_alarms_of_seeds(healthy(kinds=OFTEN), PREDICTIONS, FAMILIES)
    assert none["alarms"].sum() == 0
    assert none.query("seeds == 1 and epochs == 3")["nights"].sum() == OFTEN * SEED_COUNT
    jump = with_jump(healthy(kinds=OFTEN), "kind 3", 5)
    found = false_alarms_of_seeds(jump, PREDICTIONS, FAMILIES).set_index(["kind", "seeds"])
    assert found.loc[("kind 3", 1), "alarms"].tolist() == [0, 1, 1]


def test_interval() -> None:
    """The exact interval of none in ten ends at 31%, the rule of three."""
    low, high = interval(0, 10)
    assert low == 0.0
    assert high == pytest.approx(0.308, abs=1e-3)


def test_kinds() -> None:
    """Each applies to some variant, and says what it is."""
    for name, kind in KINDS.items():
        assert name == kind.name
        assert kind.description
        device = kind.device or "cpu"
        assert any(kind.applies_to(variant, device) for variant in VARIANTS.values())
    assert not KINDS["nn"].applies_to(VARIANTS["Model0"], "cpu")
    assert not KINDS["threads_2"].applies_to(VARIANTS["Model0"], "cuda")


def test_families() -> None:
    """Kinds of the ensemble are left out together, but on a GPU they are others."""
    assert family_of("ensemble_last_bit") == family_of("ensemble") == "ensemble"
    assert family_of(file_name("ensemble", "cuda", "2.13.0+cu130")) == "ensemble@cuda"
    assert family_of(file_name("cell", "cpu", "2.13.0+cpu")) == family_of("cell") == "cell"
    assert family_of(file_name("cell", "cpu", "2.11.0")) == "cell@torch-2.11.0"
    assert counts("cell@torch-2.11.0")
    assert not counts("float64@torch-2.11.0")
