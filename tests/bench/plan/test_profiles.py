"""What a profile trains, and which seeds."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from bench.backends import IMPLEMENTATIONS
from bench.errors import UsageError
from bench.plan.grid import BACKENDS, NOTEBOOK
from bench.plan.profiles import BLOCK, FIRST_FRESH, NIGHTS, PROFILES, night_of, plan_of
from bench.store.records import ENSEMBLE, Run
from hnrnn.published import reference_runs
from hnrnn.variants import LARGEST_SEED, VARIANTS
from reports.runs.departures import FOLDER, published_set
from reports.verdict.confirmation import fresh_seeds

NIGHT = 700


def plan(profile: str = "nightly", **changes: Any) -> list[Run]:
    """Return the plan of a profile on a CPU, with some of its arguments changed."""
    arguments: dict[str, Any] = {
        "variants": list(VARIANTS),
        "backends": None,
        "seeds": None,
        "dtype": "float32",
        "initialisation": "ones",
        "device": "cpu",
        "night": NIGHT,
    }
    return plan_of(PROFILES[profile], **(arguments | changes))


def seeds_of(runs: list[Run]) -> dict[str, set[int]]:
    """Return the seeds of each backend."""
    return {name: {run.seed for run in runs if run.backend == name} for name in BACKENDS}


def test_profiles() -> None:
    """The three profiles are there; quick runs five seeds of the notebook's backends to the end."""
    assert set(PROFILES) == {"smoke", "quick", "nightly"}
    assert len(plan("quick")) == 5 * 16
    assert {run.epochs for run in plan("smoke")} == {1}


@pytest.mark.parametrize(("device", "seeds"), [("cpu", 200), ("cuda", 1000)])
def test_nightly(device: str, seeds: int) -> None:
    """Two seeds run on every backend of the device, and enough for every test by the ensemble."""
    runs = plan(device=device)
    assert len(set(runs)) == len(runs)
    by_backend = seeds_of(runs)
    ensemble = by_backend.pop(ENSEMBLE)
    assert len(ensemble) == seeds
    # The envelope test over eight models needs its smallest p, 1 / (N + 1), below 0.05 / 8.
    assert 1 / (seeds + 1) < 0.05 / len(VARIANTS)
    there = {name for name, seeds in by_backend.items() if seeds}
    alone = {name for name, backend in BACKENDS.items() if not backend.joint}
    needy = {name for name in alone if BACKENDS[name].needs_gpu}
    assert there == (alone if device == "cuda" else alone - needy)
    assert {tuple(sorted(by_backend[name])) for name in there} == {(0, 1)}
    counts = Counter((run.variant, run.backend) for run in runs)
    assert {counts[name, ENSEMBLE] for name in VARIANTS} == {seeds}


def test_what_needs_a_gpu() -> None:
    """The table says of each backend what its implementation says."""
    needy = {name for name, each in IMPLEMENTATIONS.items() if each.why_not_on_cpu}
    assert needy == {name for name, backend in BACKENDS.items() if backend.needs_gpu}


def test_half_of_the_seeds_are_fresh() -> None:
    """One half is the same every night; the other is not, and nobody has trained it before."""
    tonight, tomorrow = (seeds_of(plan(night=night))[ENSEMBLE] for night in (NIGHT, NIGHT + 1))
    assert tonight & tomorrow == set(range(100))
    fresh = tonight - tomorrow
    assert min(fresh) == FIRST_FRESH + BLOCK * NIGHT
    known = {*reference_runs()["seed"], *published_set(FOLDER / ENSEMBLE)[0]["seed"]}
    assert max(known) < FIRST_FRESH


def test_a_confirmation_takes_no_other_nights_seeds() -> None:
    """It takes published seeds while there are enough, and else those after the latest night's."""
    for device, count in (("cpu", 200), ("cuda", 1000)):
        before, tonight = (seeds_of(plan(device=device, night=n))[ENSEMBLE] for n in (5, NIGHT))
        text = fresh_seeds(before | tonight, count, range(1000))
        assert text.startswith(f"{count // 2}-")
        first, last = map(int, fresh_seeds(before | tonight, count).split("-"))
        assert first > max(tonight)
        assert last < FIRST_FRESH + BLOCK * (NIGHT + 1)


@pytest.mark.parametrize(
    ("seeds", "ensemble"),
    [
        ("5", {0, 1, 2, 70_000_000, 70_000_001}),
        ("0-4", {0, 1, 2, 3, 4}),
        ("3,9", {3, 9}),
        ("1", {0}),
    ],
)
def test_seeds_are_the_ensembles(seeds: str, ensemble: set[int]) -> None:
    """Of a number half are fresh, a list is taken as it is, and other backends keep their two."""
    fresh = {seed + FIRST_FRESH if seed > 9 else seed for seed in ensemble}
    by_backend = seeds_of(plan(seeds=seeds))
    assert by_backend[ENSEMBLE] == fresh
    assert by_backend["cell"] == {0, 1}


def test_named_backends() -> None:
    """Only they are trained, on as many seeds as in the profile, or on those that are named."""
    assert seeds_of(plan(backends=["nn"]))["nn"] == {0, 1}
    assert len(plan(backends=[ENSEMBLE])) == 8 * 200
    runs = plan(backends=[NOTEBOOK, ENSEMBLE], variants=["Model4"], seeds="0-5")
    assert {name for name, seeds in seeds_of(runs).items() if seeds} == {"nn", ENSEMBLE}
    assert len(runs) == 12
    assert len(plan("quick", backends=["nn", ENSEMBLE], variants=["Model4"], seeds="3")) == 6
    assert len(plan(backends=["nn", ENSEMBLE], variants=["Model0"], seeds="3")) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backends": ["cuda"]}, "unknown backend 'cuda': choose from notebook"),
        ({"backends": []}, "no backend is named"),
        ({"backends": ["nn"], "variants": ["Model0"]}, "nothing to run: Model0 on nn"),
        ({"variants": ["Model8"]}, "unknown variant 'Model8'"),
        ({"seeds": "4-2"}, "the range 4-2 is empty"),
        ({"seeds": "100001"}, "names more than 100,000 seeds"),
    ],
)
@pytest.mark.parametrize("profile", ["quick", "nightly"])
def test_errors(profile: str, changes: dict[str, Any], message: str) -> None:
    """What does not exist is named, whatever the profile."""
    with pytest.raises(UsageError, match=message):
        plan(profile, **changes)


def test_night() -> None:
    """It is the day's in UTC, but a night that is resumed stays what it was."""
    evening = datetime(2026, 11, 26, 23, 59, tzinfo=UTC)
    morning = datetime(2026, 11, 27, 0, 1, tzinfo=UTC)
    night = night_of([], evening)
    assert night_of([], morning) == night + 1
    started = [0, 1, FIRST_FRESH + BLOCK * night, FIRST_FRESH + BLOCK * night + 99]
    assert night_of(started, morning) == night
    assert night_of([0, 1], morning) == night + 1


def test_every_night_has_seeds() -> None:
    """The seeds of the last block are seeds, and of the day after the first ones."""
    last = plan(night=NIGHTS - 1, seeds="100000", backends=[ENSEMBLE], variants=["Model0"])
    assert max(run.seed for run in last) <= LARGEST_SEED
    assert night_of([], datetime(2024, 12, 31, tzinfo=UTC)) == NIGHTS - 1
